"""The ledger's tables. Money and sizes are integers (e6), prices e4, ids as the venue writes them.

A *life* is one incarnation of the shared memory: record ids repeat after a reboot, so everything
named by one is keyed by life as well. Orders and fills are keyed by the venue's own ids. Rows of
orders, positions and cash are absolute values and replaced; reports, decisions and closings are
events and only added. What the wallet did besides our orders (movements, income, settlements) is
the venue's word, keyed by its transactions. Changes of this file need a migration
(``migrations/versions``).
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "CASH",
    "CLOSINGS",
    "CONFIGS",
    "CURSORS",
    "DECISIONS",
    "DIFFERENCES",
    "FILLS",
    "GROUPS",
    "HALTS",
    "INCOME",
    "LIVES",
    "LOTS",
    "METADATA",
    "MOVEMENTS",
    "ORDERS",
    "POSITIONS",
    "REPORTS",
    "SETTLEMENTS",
]

METADATA: Final = MetaData()
_ROW = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows itself only when the key is a plain INTEGER."""


def _text(name: str, length: int) -> Column[Any]:
    """Return a column that older rows have empty."""
    return Column(name, String(length), nullable=False, server_default="")


def _big(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _small(*names: str) -> list[Column[Any]]:
    return [Column(name, Integer, nullable=False) for name in names]


LIVES: Final = Table(
    "lives",
    METADATA,
    Column("life", _ROW, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    *_big("first_wall_ms"),
)
CURSORS: Final = Table(
    "cursors",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("stream", String(16), primary_key=True),
    *_big("epoch", "position"),
)
REPORTS: Final = Table(
    "reports",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("report", BigInteger, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("order_id", String(66)),
    Column("trade_id", String(66)),
    Column("module", String(16), nullable=False),
    *_big("wall_ms", "at_ns", "cause", "intent", "group_id"),
    *_big("size_e6", "cash_e6", "fee_e6", "filled_e6"),
    *_big("position_e6", "cash_after_e6", "reserved_e6"),
    *_small("instrument", "generation", "price_e4", "reason", "order_state", "group_state"),
    *_small("leg", "legs"),
    Index("reports_by_order", "order_id"),
)
ORDERS: Final = Table(
    "orders",
    METADATA,
    Column("order_id", String(66), primary_key=True),
    Column("token_id", String(80), nullable=False),
    Column("module", String(16), nullable=False),
    Column("state", String(12), nullable=False),
    *_big("life", "intent", "signal", "cause", "group_id", "salt"),
    *_big("event_ns", "recv_ns", "decoded_ns", "published_ns", "decided_ns", "checked_ns"),
    *_big("sent_ns", "acked_ns", "filled_ns", "created_wall_ms", "changed_wall_ms"),
    *_big("size_e6", "maker_amount_e6", "taker_amount_e6", "filled_e6", "confirmed_e6"),
    *_big("claimed_e6", "cash_e6", "fee_e6", "reserved_e6"),
    *_small("instrument", "generation", "price_e4", "action", "order_type", "order_flags"),
    *_big("expiration_s"),
    *_small("leg", "legs", "reason", "retries", "config_generation"),
    Index("orders_by_group", "life", "group_id"),
    Index("orders_by_created", "created_wall_ms"),
)
FILLS: Final = Table(
    "fills",
    METADATA,
    Column("order_id", String(66), primary_key=True),
    Column("trade_id", String(66), primary_key=True),
    Column("token_id", String(80), nullable=False),
    Column("module", String(16), nullable=False),
    Column("state", String(12), nullable=False),
    *_big("wall_ms", "changed_wall_ms", "group_id", "size_e6", "cash_e6", "fee_e6"),
    *_small("action", "price_e4"),
    _text("transaction_hash", 66),
    Index("fills_by_time", "wall_ms"),
)
LOTS: Final = Table(
    "lots",
    METADATA,
    Column("lot", _ROW, primary_key=True),
    Column("token_id", String(80), nullable=False),
    Column("owner", String(16), nullable=False),
    Column("exit_plan", String(16), nullable=False),
    Column("order_id", String(66), nullable=False),
    Column("trade_id", String(66), nullable=False),
    *_big("opened_wall_ms", "group_id", "size_e6", "cost_e6", "left_e6", "left_cost_e6"),
    _text("movement", 200),
    Column("named_e6", BigInteger, nullable=False, server_default="0"),
    Index("lots_open", "token_id", "left_e6"),
)
CLOSINGS: Final = Table(
    "closings",
    METADATA,
    Column("closing", _ROW, primary_key=True),
    Column("lot", BigInteger, ForeignKey("lots.lot"), nullable=False),
    Column("why", String(12), nullable=False),
    Column("order_id", String(66), nullable=False),
    Column("trade_id", String(66), nullable=False),
    *_big("wall_ms", "size_e6", "cost_e6", "proceeds_e6"),
    _text("movement", 200),
    Column("named_e6", BigInteger, nullable=False, server_default="0"),
    Index("closings_by_lot", "lot"),
)
POSITIONS: Final = Table(
    "positions",
    METADATA,
    Column("token_id", String(80), primary_key=True),
    *_big("size_e6", "confirmed_e6", "cost_e6", "realized_e6", "fees_e6", "wall_ms"),
    *_small("instrument", "generation"),
)
CASH: Final = Table(
    "cash",
    METADATA,
    Column("venue", String(16), primary_key=True),
    *_big("cash_e6", "reserved_e6", "fees_e6", "realized_e6", "wall_ms"),
)
GROUPS: Final = Table(
    "groups",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("group_id", BigInteger, primary_key=True),
    Column("module", String(16), nullable=False),
    Column("state", String(12), nullable=False),
    *_big("opened_wall_ms", "changed_wall_ms", "filled_e6", "unwind_cost_e6"),
    *_small("legs"),
)
DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("decision", BigInteger, primary_key=True),
    Column("rule", String(24), nullable=False),
    Column("module", String(16), nullable=False),
    Column("approved", SmallInteger, nullable=False),
    Column("expected_value", Float(53), nullable=False),
    *_big("wall_ms", "signal", "cause", "intent", "decided_ns", "checked_ns"),
    *_big("size_suggestion_e6", "size_e6", "bound", "met"),
    *_small("instrument", "generation", "action", "limit_price_e4", "config_generation"),
    UniqueConstraint("life", "signal", name="one_decision_a_signal"),
)
HALTS: Final = Table(
    "halts",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("report", BigInteger, primary_key=True),
    Column("halted", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    *_big("wall_ms"),
)
CONFIGS: Final = Table(
    "configs",
    METADATA,
    Column("generation", Integer, primary_key=True),
    Column("wall_ms", BigInteger, primary_key=True),
    Column("text", Text, nullable=False),
    Column("who", Text, nullable=False, server_default=""),
    Column("changes", Text, nullable=False, server_default=""),
)
INCOME: Final = Table(
    "income",
    METADATA,
    Column("kind", String(12), primary_key=True),
    Column("reference", String(80), primary_key=True),
    Column("market", String(80), nullable=False),
    *_big("wall_ms", "amount_e6"),
    _text("transaction_hash", 66),
)
MOVEMENTS: Final = Table(
    "movements",
    METADATA,
    Column("reference", String(200), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("condition_id", String(66), nullable=False),
    Column("token_id", String(80), nullable=False),
    Column("other_token_id", String(80), nullable=False),
    Column("transaction_hash", String(66), nullable=False),
    *_big("wall_ms", "size_e6", "cash_e6"),
    Column("booked", SmallInteger, nullable=False),
    Index("movements_to_book", "booked"),
)
SETTLEMENTS: Final = Table(
    "settlements",
    METADATA,
    Column("reference", String(80), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("condition_id", String(66), nullable=False),
    Column("state", String(12), nullable=False),
    Column("transaction_hash", String(66), nullable=False),
    Column("error", Text, nullable=False),
    *_big("wall_ms", "changed_wall_ms", "size_e6", "expected_e6", "before_e6", "after_e6"),
)
DIFFERENCES: Final = Table(
    "differences",
    METADATA,
    Column("life", BigInteger, primary_key=True),
    Column("report", BigInteger, primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("name", String(80), nullable=False),
    Column("resolution", Text, nullable=False),
    *_big("wall_ms", "ours_e6", "venue_e6"),
)
