"""The ledger: every order, fill, lot, decision and halt in a database, as evidence."""
