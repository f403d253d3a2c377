"""The wallet beside our orders: movements, settlements, differences, who changed configs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _add(table: str, name: str, length: int) -> None:
    kind = sa.String(length=length)
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=""))


def upgrade() -> None:
    """Add columns that older rows have empty, and three tables."""
    _add("fills", "transaction_hash", 66)
    _add("income", "transaction_hash", 66)
    _add("lots", "movement", 200)
    _add("closings", "movement", 200)
    for table in ("lots", "closings"):
        named = sa.Column("named_e6", sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, named)
    for name in ("who", "changes"):
        op.add_column("configs", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "movements",
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=False),
        sa.Column("token_id", sa.String(length=80), nullable=False),
        sa.Column("other_token_id", sa.String(length=80), nullable=False),
        sa.Column("transaction_hash", sa.String(length=66), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("size_e6", sa.BigInteger(), nullable=False),
        sa.Column("cash_e6", sa.BigInteger(), nullable=False),
        sa.Column("booked", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference"),
    )
    op.create_index("movements_to_book", "movements", ["booked"], unique=False)
    op.create_table(
        "settlements",
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("transaction_hash", sa.String(length=66), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("size_e6", sa.BigInteger(), nullable=False),
        sa.Column("expected_e6", sa.BigInteger(), nullable=False),
        sa.Column("before_e6", sa.BigInteger(), nullable=False),
        sa.Column("after_e6", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference"),
    )
    op.create_table(
        "differences",
        sa.Column("life", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("ours_e6", sa.BigInteger(), nullable=False),
        sa.Column("venue_e6", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("life", "report"),
    )
