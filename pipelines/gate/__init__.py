"""Gate: a verdict with reasons on every horizon's bundle, from its evidence and the ledger of everything tried."""
