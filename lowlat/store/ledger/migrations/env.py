"""Alembic's entry: migrate over the connection that the ledger opened."""

from alembic import context

from lowlat.store.ledger.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
