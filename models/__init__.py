"""What learns: one interface for every family, and the graphs and bundles that serving loads."""
