"""Which version is live: every move of an alias, as a transaction, and the log of all of them."""
