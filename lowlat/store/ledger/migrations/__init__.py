"""Migrations of the ledger, oldest first: one file a released schema."""
