"""Every shared record, once. dtype, struct format, C header, ABI hash and documents derive from it.

Words used everywhere, one per thing:

==============  ==================================================================================
market          one question with two outcomes; owns one ladder in YES terms
instrument      one outcome token: ``index = 2 * market + outcome`` (0 YES, 1 NO) + ``generation``
spot            a price on an exchange; settle: the price series a market resolves on
signal          a module's wish with its expected value; ends in exactly one decision
decision        what risk did with a signal: the rule, its limit, the value that met it
intent          a checked wish for the executor: one leg of a group
order           what was sent; its id is known before sending
report          what became of an order: sending, acked, fill, canceled, unknown …
template        a signed order kept ready
group, leg      orders that are only worth something together
epoch           life of a writer; +1 each time a process attaches to its segment again
generation      life of an instrument in its row (``_generation`` of anything else: its version)
==============  ==================================================================================

Rules. Little-endian. A slot is a whole number of 64-byte lines and begins with SLOT_HEAD, which
the compiled core alone writes. Every field is aligned by its own size, so numpy, C and struct see
the same bytes without holes; the tail is zero. ``kind`` tells records of one stream apart. A
``state`` record may be missed (the table has the newest); an ``event`` record may not.

Record names are ``writer u8 | epoch u16 | seq u40`` in one u64 (``record_id``).
Why it looks like this: docs/adr/0001-layout.md. C view: lowlat/core/layout.h (generated).
"""

import hashlib
import itertools
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "BOOK_LEVELS",
    "BOOK_ROW",
    "BOOK_TOP",
    "BOOK_TOP_LEVELS",
    "CASH_ROW",
    "DECISION",
    "DOSSIER",
    "DOSSIER_DATA_BYTES",
    "EXPOSURE_ROW",
    "FRAME",
    "FRAME_DATA_BYTES",
    "GROUP_ROW",
    "INTENT",
    "INTEREST_MARKETS",
    "INTEREST_ROW",
    "LAYOUT_VERSION",
    "LISTING",
    "MARKET_ROW",
    "MARKET_STATE",
    "NO_AMOUNT",
    "NO_MARKET",
    "ORDER_ROW",
    "POSITION_ROW",
    "RECORDS",
    "REPORT",
    "RESET",
    "SCORE_ROW",
    "SETTLE",
    "SHARD_ROW",
    "SIGNAL",
    "SIGNAL_METADATA_BYTES",
    "SLOT_HEAD_BYTES",
    "SPOT_TOP",
    "STAKE_ROW",
    "STREAMS",
    "TABLES",
    "TRADE",
    "TURN",
    "WANT_ROW",
    "Action",
    "BookFlag",
    "Category",
    "Coin",
    "Dispute",
    "Exchange",
    "ExposureScope",
    "GroupState",
    "IntentFlag",
    "InterestRow",
    "Known",
    "Listing",
    "ListingReason",
    "MarketStateReason",
    "MarketStatus",
    "OrderState",
    "OrderType",
    "Outcome",
    "RecordType",
    "ReportKind",
    "Rule",
    "RuleDoubt",
    "SettleRule",
    "SettleSeries",
    "Stream",
    "Table",
    "Urgency",
    "Venue",
    "WantRow",
    "Watch",
    "Wording",
    "Writer",
    "abi_hash",
    "abi_text",
    "record_id",
]

LAYOUT_VERSION: Final = 1
SLOT_HEAD_BYTES: Final = 16
"""``seq u64 | epoch u32 | kind u16 | flags u16``: written by lowlat.shm only."""
BOOK_LEVELS: Final = 32
BOOK_TOP_LEVELS: Final = 5
SIGNAL_METADATA_BYTES: Final = 300
FRAME_DATA_BYTES: Final = 968
DOSSIER_DATA_BYTES: Final = 948
INTEREST_MARKETS: Final = 112
NO_AMOUNT: Final = -1
"""An amount of a MARKET_ROW that the venue did not say."""
NO_MARKET: Final = 0xFFFF_FFFF
"""``market`` of a MARKET_STATE that is about none of the table's rows."""

# ------------------------------------------------------------------------------- field types
U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
U64 = Annotated[int, "Q"]
I32 = Annotated[int, "i"]
I64 = Annotated[int, "q"]
F64 = Annotated[float, "d"]
Name16 = Annotated[bytes, "16s"]
"""NUL-padded ASCII."""
Bytes16 = Annotated[bytes, "16s"]
Bytes32 = Annotated[bytes, "32s"]
"""Big-endian u256 or 32-byte hash: condition id, token id, order id."""
Metadata = Annotated[bytes, f"{SIGNAL_METADATA_BYTES}s"]
FrameData = Annotated[bytes, f"{FRAME_DATA_BYTES}s"]
DossierData = Annotated[bytes, f"{DOSSIER_DATA_BYTES}s"]
Markets = Annotated[tuple[int, ...], f"{INTEREST_MARKETS}I"]
TopLevels = Annotated[tuple[int, ...], f"{BOOK_TOP_LEVELS}q"]
BookPrices = Annotated[tuple[int, ...], f"{BOOK_LEVELS}i"]
BookSizes = Annotated[tuple[int, ...], f"{BOOK_LEVELS}q"]


# ------------------------------------------------------------------------------- enumerations
class Writer(IntEnum):
    """Who names a record. One number per process role and stream."""

    NONE = 0
    POLYMARKET = 1
    BINANCE = 2
    PRICES = 3
    METADATA = 4
    SIGNALS = 5
    RISK = 6
    EXECUTOR = 7
    SUPERVISOR = 8
    INJECT = 9
    KALSHI = 10
    NEWS = 11


class Venue(IntEnum):
    """Where bytes come from."""

    NONE = 0
    POLYMARKET = 1
    BINANCE = 2
    CHAINLINK = 3
    KALSHI = 4
    NEWS = 5


class Outcome(IntEnum):
    """Which token of a binary market; also the low bit of the instrument index."""

    YES = 0
    NO = 1


class Action(IntEnum):
    """What a signal wants and an order does. Same numbers as the signed ``side``."""

    BUY = 0
    SELL = 1


class Urgency(IntEnum):
    """immediate: FAK/FOK; normal: limit; low: post-only."""

    LOW = 0
    NORMAL = 1
    IMMEDIATE = 2


class OrderType(IntEnum):
    """Polymarket order types. Source: polymarket.md 3.4."""

    GTC = 0
    GTD = 1
    FOK = 2
    FAK = 3


class Exchange(IntEnum):
    """Which contract an order is signed for. Source: polymarket.md 3.1."""

    UNKNOWN = 0
    STANDARD = 1
    NEG_RISK = 2
    V3 = 3


class MarketStatus(IntEnum):
    """Whether a market takes orders. Only ACTIVE does."""

    UNKNOWN = 0
    ACTIVE = 1
    PAUSED = 2
    CLOSED = 3
    RESOLVED = 4


class Known(IntFlag):
    """Which facts of a market are known. Trading needs all of them: unknown is never zero."""

    TICK = 1
    FEE = 2
    DELAY = 4
    NEG_RISK = 8
    MIN_SIZE = 16
    STATUS = 32
    TRADEABLE = 63
    SETTLE_RULE = 64
    START_PRICE = 128


class SettleRule(IntEnum):
    """How a crypto market settles; read from the market, never from its duration."""

    UNKNOWN = 0
    NOT_CRYPTO = 1
    TWAP_60_UP = 2
    """Chainlink 60 s average at end >= at start (tie is Up)."""
    BINANCE_CANDLE_UP = 3
    """Binance candle close >= open (tie is Up)."""
    BINANCE_ABOVE = 4
    """Binance 1 m close strictly above a strike."""
    BINANCE_NOON_UP = 5
    """Binance 1 m close of noon in New York above the noon before; equal ones pay half each."""


class RuleDoubt(IntEnum):
    """What about a crypto market does not fit, so that nobody may guess how it settles."""

    NONE = 0
    FAMILY = 1
    """Its name is of no family whose rule we know."""
    COIN = 2
    """There is no price feed of its coin."""
    TIMES = 3
    """Name, start and end do not say the same."""
    CONFIG = 4
    """cryptoMarketConfig is missing or says something else."""
    SOURCE = 5
    """The source of the outcome is missing or another one."""
    OUTCOMES = 6
    WORDS = 7
    """The rules text is missing or does not say what decides."""
    STRIKE = 8
    """Title and name do not say the same strike."""
    OLD = 9
    """It settled by a rule that is no more."""


class SettleSeries(IntEnum):
    """Price series that markets settle on or that stand in for them."""

    NONE = 0
    CHAINLINK_SPOT = 1
    CHAINLINK_TWAP_60 = 2
    CHAINLINK_TWAP_30 = 3
    BINANCE_RELAYED = 4
    BINANCE_KLINE_OPEN = 5
    BINANCE_KLINE_CLOSE = 6
    BINANCE_SECOND_CLOSE = 7
    """Nothing settles on it: volatility is learned from it. Stamped with the end of its second."""


class Coin(IntEnum):
    """Underlyings; also the row of the spot_top table."""

    NONE = 0
    BTC = 1
    ETH = 2
    SOL = 3


class BookFlag(IntFlag):
    """Health of a book row. Zero is healthy."""

    STALE = 1
    """Its connection is gone or it was never complete."""
    CROSSED = 2
    LOCKED = 4
    DIVERGED = 8
    """Venue's best bid or ask differed from ours: a resync is under way."""
    TRUNCATED = 16
    """More levels exist than the row holds."""
    CONFIRMED = 32
    """A REST re-read taken after the crossing or lock was first seen shows it too."""


class MarketStateReason(IntEnum):
    """Why a MARKET_STATE was published."""

    METADATA = 1
    TICK = 2
    RESOLVED = 3
    HALT = 4
    STALE = 5
    START_PRICE = 6
    LISTED = 7
    """The venue announced a market that has no row yet: ``market`` is NO_MARKET."""


class Wording(IntFlag):
    """What a rules text was found to say; read by venues/polymarket/wording.py."""

    TEXT = 1
    """The text is known; without it the rest means nothing."""
    FEED = 2
    """Settles on a number that a price feed publishes."""
    OFFICIAL = 4
    """Names one official source, by words or address."""
    CONSENSUS = 8
    """Leaves it, wholly or as a way out, to a consensus of reporting."""
    MANY_SOURCES = 16
    """Names several sources and no order among them."""
    SUBJECTIVE = 32
    """Asks for a judgement: spirit, discretion, substantially, generally considered."""
    TIME_LIMIT = 64
    """By or before a moment: when exactly it happened decides."""
    ANNOUNCED = 128
    """An announcement counts, not (only) that it happens."""
    CLARIFIED = 256
    """Context or a correction was added after trading began."""
    SPLIT = 512
    """May pay half to each side."""
    VOIDABLE = 1024
    """Says what happens on cancellation or postponement."""


class Dispute(IntEnum):
    """Where the oracle stands with a market. Source: polymarket.md 11.1 (umaResolutionStatuses)."""

    UNKNOWN = 0
    NONE = 1
    """Nobody proposed an outcome yet."""
    PROPOSED = 2
    DISPUTED = 3
    RESOLVED = 4


class Category(IntEnum):
    """What a market is about, by its tags."""

    UNKNOWN = 0
    OTHER = 1
    CRYPTO = 2
    SPORTS = 3
    POLITICS = 4
    WAR = 5
    LEGAL = 6
    ECONOMY = 7
    WEATHER = 8
    CULTURE = 9


class Watch(IntEnum):
    """How the book of a market with a row is kept."""

    SOCKET = 0
    POLL = 1
    """By REST, each second."""
    NONE = 2
    """Not: it lost its place, but its row is its own until it is resolved."""


class ListingReason(IntEnum):
    """Why a market that the venue lists is not followed. The number is published: append only."""

    FOLLOWED = 0
    """It has a row, or waits for nothing but its turn."""
    NOT_OPEN = 1
    NO_WANTED_TAG = 2
    NO_WANTED_SLUG = 3
    SLUG_EXCLUDED = 4
    LIQUIDITY = 5
    VOLUME = 6
    END_UNKNOWN = 7
    ENDS_TOO_SOON = 8
    ENDS_TOO_LATE = 9
    NO_ROOM = 10
    """As many markets as the config allows are followed."""
    NOT_ON_CLOB = 11
    """Listed, but its trading facts are not there yet: asked again."""
    NO_ROW_FREE = 12
    NOT_LISTED = 13
    """No longer in the venue's list."""
    NO_WANTED_SERIES = 14
    FEE = 15
    """More than the config allows, or unknown while it allows not all."""
    DELAY = 16
    RULES_TEXT = 17
    """The rules lack what the config asks for, or say what it excludes."""
    OUTRANKED = 18
    """The room is taken by markets that are wanted more."""
    NO_MODULE = 19
    """No module wants it, and the config lets nothing else in."""


class Rule(IntEnum):
    """Which risk rule decided. The number is stored: append only."""

    APPROVED = 0
    CUT = 1
    EXPIRED = 2
    DUPLICATE = 3
    CONFLICT = 4
    DROPPED_EPOCH = 5
    OUTRANKED = 6
    HALTED = 10
    NOT_TRADEABLE = 11
    GENERATION_GONE = 12
    STALE_BOOK = 13
    BOOK_UNHEALTHY = 14
    NO_EDGE = 15
    OFF_GRID = 16
    MIN_SIZE = 17
    MARKET_LIMIT = 20
    TOTAL_LIMIT = 21
    CORRELATED_LIMIT = 22
    CASH = 23
    DRAWDOWN = 24
    DEPTH = 25
    IMPACT = 26
    RATE = 27
    NOTIONAL = 28
    SELF_CROSS = 29
    START_PRICE_UNKNOWN = 30
    GROUP_INCOMPLETE = 31
    POSITION = 32
    RESERVE = 33
    RESOLUTION_RISK = 34
    MODULE_OFF = 35
    PRICE_BAND = 36
    FAT_FINGER = 37
    BREAKER = 38
    """Too many errors of one class, or the venue takes no such orders now."""
    NO_CONNECTION = 39
    """Nothing left the machine: no warm idle connection."""
    NOT_RECONCILED = 40
    NO_ROOM = 41
    """No free order row, or reports are half full."""
    OPEN_ORDERS = 42
    SERIES_LIMIT = 43
    """Of all markets of one series together."""
    SOURCE_LIMIT = 44
    """Of all markets that one source resolves."""
    LONG_LOCKED = 45
    """Capital in what ends later than the horizon."""
    NOTIONAL_RATE = 46
    """Cash of new orders within the window."""
    KELLY = 47
    """The share of the bankroll that its edge is worth."""
    TOO_LATE = 48
    """The market ends too soon, or ended."""
    MODULE_LOSS = 49
    """What its module lost today."""
    MODULE_BUDGET = 50
    """Capital that its module may hold."""
    DAMPED = 51
    """Its module's promises did not come true."""
    MERGED = 52
    """Its wish went into a better one of the same token: sizes never add."""
    CROSSED = 53
    """Met the opposite wish of another module inside, at the mid."""
    NOT_OWNED = 54
    """A module sells only what it owns."""
    EXIT_ORPHAN = 55
    """Risk sells: the module of the shares is off."""
    EXIT_STOP = 56
    """Risk sells: so far below their cost."""
    EXIT_TARGET = 57
    """Risk sells: the bid reached the target."""
    EXIT_TIME = 58
    """Risk sells: held for long enough."""


class ExposureScope(IntEnum):
    """What a row of the exposure table is about. The number is published: append only."""

    MARKET = 0
    TOTAL = 1
    CORRELATED = 2
    """Markets that share a correlation id: an event, or all of one underlying."""
    SERIES = 3
    SOURCE = 4
    LONG = 5
    """Capital in what ends later than the horizon."""


class IntentFlag(IntFlag):
    """How the executor treats an intent."""

    POST_ONLY = 1
    REDUCE_ONLY = 2
    UNWIND = 4
    CANCEL = 8
    """Cancel the order whose id record is ``target``."""


class OrderState(IntEnum):
    """State of an order; the table of legal moves is in lowlat/execution/orders.py."""

    NONE = 0
    SENDING = 1
    LIVE = 2
    MATCHED = 3
    DELAYED = 4
    UNMATCHED = 5
    REJECTED = 6
    UNKNOWN = 7
    CANCELED = 8
    EXPIRED = 9


class GroupState(IntEnum):
    """State of a group of legs. Source: design 9."""

    NONE = 0
    OPEN = 1
    FILLED = 2
    """Every leg is MATCHED."""
    COMPLETE = 3
    """Every leg is CONFIRMED."""
    UNWINDING = 4
    UNWOUND = 5
    FLAT = 6
    """No leg was filled."""
    NAKED = 7
    """A filled leg FAILED afterwards or the unwind ran out of its bound."""


class ReportKind(IntEnum):
    """What a report says."""

    SENDING = 1
    ACK = 2
    REJECT = 3
    FILL = 4
    MINED = 5
    CONFIRMED = 6
    FAILED = 7
    CANCELED = 8
    UNKNOWN = 9
    RESOLVED_UNKNOWN = 10
    GROUP = 11
    DROPPED = 12
    """An intent refused before sending: expired, hard limit, foreign epoch, halted."""
    EPOCH_SEEN = 13
    HALT = 14
    RESUME = 15
    REDEEMED = 16
    RECONCILED = 17
    """Our books were corrected to the venue's word by size and cash."""


# ------------------------------------------------------------------------------- record machinery
R = TypeVar("R", bound=tuple[Any, ...])


class Field(NamedTuple):
    """One field of a record: its name, its struct code with count, its place in the slot."""

    name: str
    code: str
    offset: int


_HEAD: Final = (
    Field("seq", "Q", 0),
    Field("epoch", "I", 8),
    Field("slot_kind", "H", 12),
    Field("slot_flags", "H", 14),
)
_SCALARS: Final = {
    "B": "<u1",
    "H": "<u2",
    "I": "<u4",
    "Q": "<u8",
    "i": "<i4",
    "q": "<i8",
    "d": "<f8",
}
"""struct codes and the same in numpy's words."""


@dataclass(frozen=True, slots=True)
class RecordType(Generic[R]):
    """One record: its name, kind number, whether it may be missed, its bytes.

    ``pack_into(buffer, offset, *fields)`` and ``unpack(buffer)`` cost one struct call each; the
    buffer holds a whole slot, fields begin at SLOT_HEAD_BYTES.
    """

    name: str
    kind: int
    semantics: str
    row: type[R]
    size_bytes: int
    codec: struct.Struct
    fields: tuple["Field", ...]
    """Slot head included, in the order of their offsets."""
    counts: tuple[int, ...]
    """Elements of each field when any is an array, else empty."""

    @property
    def dtype(self) -> "np.dtype[np.void]":
        """The record as numpy sees it, slot head included."""
        return _dtype(self.fields, self.size_bytes)

    def pack(self, buffer: Any, record: R) -> None:
        """Write record behind the slot head of buffer."""
        flat: Any = record
        if self.counts:
            flat = [
                item
                for value, count in zip(record, self.counts, strict=True)
                for item in (value if count > 1 else (value,))
            ]
        self.codec.pack_into(buffer, SLOT_HEAD_BYTES, *flat)

    def unpack(self, buffer: Any) -> R:
        """Read the record that a slot-sized buffer holds."""
        flat = self.codec.unpack_from(buffer, SLOT_HEAD_BYTES)
        if self.counts:
            items = iter(flat)
            flat = tuple(
                tuple(itertools.islice(items, count)) if count > 1 else next(items)
                for count in self.counts
            )
        return self.row._make(flat)  # type: ignore[attr-defined,no-any-return]


def _record(row: type[R], name: str, kind: int, semantics: str, size_bytes: int) -> RecordType[R]:
    """Derive every form of a record from the annotations of its NamedTuple."""
    codes = [(field, hint.__metadata__[0]) for field, hint in row.__annotations__.items()]
    offset = SLOT_HEAD_BYTES
    fields = list(_HEAD)
    for field, code in codes:
        unit = 1 if code.endswith("s") else struct.calcsize("<" + code[-1])
        assert offset % unit == 0, f"{name}.{field} at {offset} is not aligned to {unit}"
        fields.append(Field(field, code, offset))
        offset += struct.calcsize("<" + code)
    assert offset <= size_bytes, f"{name}: {offset} bytes do not fit in {size_bytes}"
    assert size_bytes % 64 == 0, f"{name}: {size_bytes} is not a whole number of lines"
    assert semantics in {"state", "event"}, semantics
    codec = struct.Struct("<" + "".join(code for _, code in codes))
    counts = tuple(
        1 if code.endswith("s") or len(code) == 1 else int(code[:-1]) for _, code in codes
    )
    if max(counts) == 1:
        counts = ()
    return RecordType(name, kind, semantics, row, size_bytes, codec, tuple(fields), counts)


@cache
def _dtype(fields: tuple[Field, ...], size_bytes: int) -> "np.dtype[np.void]":
    # On use: importing numpy takes longer than starting an engine, and no engine needs it.
    import numpy  # noqa: ICN001, PLC0415

    return numpy.dtype(
        {
            "names": [field.name for field in fields],
            "formats": [_numpy_format(field.code) for field in fields],
            "offsets": [field.offset for field in fields],
            "itemsize": size_bytes,
        }
    )


def _numpy_format(code: str) -> Any:
    count, letter = code[:-1], code[-1]
    if letter == "s":
        return f"V{count}"
    return (_SCALARS[letter], (int(count),)) if count else _SCALARS[letter]


def record_id(writer: int, epoch: int, seq: int) -> int:
    """Name a record: ``writer u8 | epoch u16 | seq u40``."""
    return writer << 56 | (epoch & 0xFFFF) << 40 | (seq & 0xFF_FFFF_FFFF)


# ------------------------------------------------------------------------------- market data
class BookTop(NamedTuple):
    """Top of one market's ladder in YES terms, best first. ``-1`` in a count slot is never used.

    Prices ``_e4`` with NO_PRICE_E4 where a level is missing, sizes ``_e6``.
    """

    id: U64
    version: U64
    """Version of the market's row in the book table that holds this image."""
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    market: U32
    generation: U32
    book_flags: U16
    bid_count: U16
    ask_count: U16
    venue: U8
    changed_sides: U8
    """Bit 0 bids, bit 1 asks."""
    bid_price_e4: Annotated[tuple[int, ...], "5i"]
    ask_price_e4: Annotated[tuple[int, ...], "5i"]
    bid_size_e6: TopLevels
    ask_size_e6: TopLevels


class BookRow(NamedTuple):
    """The whole visible ladder of one market in YES terms, best first. Written by its feed only."""

    id: U64
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    snapshot_event_ns: I64
    market: U32
    generation: U32
    connection_generation: U32
    shard: U16
    book_flags: U16
    tick_e4: U32
    bid_count: U16
    ask_count: U16
    last_trade_price_e4: I32
    changes: U32
    bid_depth_e6: I64
    """Total size of the whole side, also beyond the levels shown."""
    ask_depth_e6: I64
    bid_price_e4: BookPrices
    ask_price_e4: BookPrices
    bid_size_e6: BookSizes
    ask_size_e6: BookSizes


class MarketRow(NamedTuple):
    """What is known about a market. Written by the metadata engine only. ``known`` is a Known."""

    id: U64
    updated_ns: I64
    condition_id: Bytes32
    yes_token_id: Bytes32
    no_token_id: Bytes32
    event_id: Bytes32
    """Neg-risk market id or event id, zero when alone. Same value = same set of outcomes."""
    correlation_id: U64
    """Markets that share it are one bet for the correlated limit (0 = none)."""
    start_ns: I64
    """Window start, venue wall time."""
    end_ns: I64
    min_size_e6: I64
    fee_rate_e6: I64
    """Taker fee rate times 1e6 (0.07 -> 70000)."""
    start_price_e8: I64
    start_price_rest_e18: I64
    """Digits of the start price beyond 1e-8, in 1e-18."""
    strike_e8: I64
    market: U32
    generation: U32
    known: U32
    tick_e4: U32
    taker_delay_ms: U32
    event_market_count: U32
    """Markets in the event as listed by the venue; a set is complete only with all of them."""
    fee_exponent: U16
    fee_taker_only: U8
    status: U8
    exchange: U8
    neg_risk: U8
    neg_risk_augmented: U8
    winner: U8
    """0 none, 1 YES, 2 NO."""
    settle_rule: U8
    coin: U8
    settle_lookback_s: U16
    slug: Annotated[bytes, "64s"]
    question: Annotated[bytes, "96s"]
    wording: U32
    """What the rules text says and leaves open: a Wording. Nothing is known without TEXT."""
    listed_ns: I64
    """When the venue made the market, wall time; 0 unknown."""
    rules_hash: U64
    """Digest of the rules text, 0 while it is unknown; the text itself is its dossier's."""
    source_hash: U64
    """Digest of where the outcome is read; markets that share it fail together. 0 unknown."""
    series_hash: U64
    """Digest of the recurring series it belongs to; 0 none."""
    volume_e6: I64
    """Dollars traded since listing, rounded down to an eighth of its size; NO_AMOUNT unknown."""
    liquidity_e6: I64
    """The venue's figure of dollars resting, rounded likewise; NO_AMOUNT unknown."""
    dispute: U8
    """A Dispute."""
    dispute_count: U8
    """How often a proposed outcome was disputed so far."""
    rules_changes: U8
    """How often the rules text changed since we follow the market."""
    category: U8
    """A Category."""
    reward_spread_e4: U32
    """Largest distance to the mid that earns rewards; 0 no rewards, or unknown."""
    reward_size_e6: I64
    """Least size that earns rewards."""
    reward_day_e6: I64
    """Dollars a day that all who quote share."""
    rebate_rate_e6: U32
    """Share of the taker fee that goes to makers, times 1e6."""
    score_usd: U32
    """Dollars resting and traded in a day, rounded: the larger goes first."""
    priority: U16
    """Highest of the modules that want it; 0 nobody does."""
    watch: U8
    """A Watch: how its book is kept."""
    rule_doubt: U8
    """A RuleDoubt: why settle_rule is UNKNOWN."""


class MarketStateChange(NamedTuple):
    """A market's row changed in a way that is not a book change. ``reason``: MarketStateReason."""

    id: U64
    version: U64
    event_ns: I64
    recv_ns: I64
    market: U32
    generation: U32
    reason: U16
    status: U16
    tick_e4: U32


class Listing(NamedTuple):
    """A market that the venue lists and why it is (not) followed. Written by metadata only."""

    at_ns: I64
    condition_id: Bytes32
    reason: U16
    """A ListingReason."""
    priority: U16
    """Highest of the modules that want it; 0 nobody does."""
    score_usd: U32
    """What places are given by among equal priorities: see MARKET_ROW."""
    slug: Annotated[bytes, "64s"]


class DossierPart(NamedTuple):
    """A piece of what a market is about in words; pieces follow each other. Written by metadata.

    Joined they are a packed ``core.dossier.Dossier``. All are told again and again, in turn.
    """

    condition_id: Bytes32
    dossier_hash: U64
    """Of the whole, so that what is known already need not be joined."""
    market: U32
    generation: U32
    dossier_bytes: U32
    part: U16
    parts: U16
    data_bytes: U16
    spare: U16
    data: DossierData


class Reset(NamedTuple):
    """The writer came back: everything it published before is stale until published again."""

    id: U64
    recv_ns: I64
    previous_epoch: U32
    shard: U32


class ShardRow(NamedTuple):
    """One connection shard of a feed. A book row is fresh while its generation equals this one."""

    id: U64
    last_data_ns: I64
    connected_ns: I64
    connection_generation: U32
    connections_alive: U16
    venue: U8
    alive: U8
    instruments: U32
    reconnects: U32


class SpotTop(NamedTuple):
    """Best bid and ask of a coin on an exchange; also its row in the spot_top table."""

    id: U64
    update_id: U64
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    bid_price_e8: I64
    bid_size_e8: I64
    ask_price_e8: I64
    ask_size_e8: I64
    coin: U16
    venue: U16
    connection_generation: U32
    lead_ppb: I64
    """How far trades and resting sizes lean: above 0 to buyers, 0 not at all, or nobody knows."""


class Settle(NamedTuple):
    """One print of a settlement price series. ``stamp_ns`` is the observation, venue wall time."""

    id: U64
    stamp_ns: I64
    event_ns: I64
    recv_ns: I64
    published_ns: I64
    price_e8: I64
    price_rest_e18: I64
    coin: U16
    series: U16
    history: U8
    """1: came in a snapshot, not live."""


class Trade(NamedTuple):
    """One print. Polymarket: ``price`` in e4 and size e6; exchanges: both e8."""

    id: U64
    trade_id: U64
    event_ns: I64
    recv_ns: I64
    published_ns: I64
    price: I64
    size: I64
    instrument: U32
    generation: U32
    coin: U16
    venue: U8
    taker_side: U8


class Frame(NamedTuple):
    """A piece of a raw frame for the tape; pieces of one frame follow each other."""

    id: U64
    recv_ns: I64
    wall_ns: I64
    connection: U32
    frame_bytes: U32
    part: U16
    parts: U16
    data_bytes: U16
    venue: U8
    direction: U8
    """0 received, 1 sent."""
    data: FrameData


# ------------------------------------------------------------------------------- decisions
class SignalRecord(NamedTuple):
    """A Signal on its stream; loss-free twin of lowlat.core.signal.Signal."""

    id: U64
    cause: U64
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    decided_ns: I64
    expires_ns: I64
    confidence: F64
    expected_value: F64
    size_suggestion_e6: I64
    group: U64
    market_id: Bytes32
    token_id: Bytes32
    module: Name16
    instrument: U32
    generation: U32
    limit_price_e4: I32
    action: U8
    urgency: U8
    leg: U8
    legs: U8
    metadata_bytes: U16
    mode: U16
    """0 shadow, 1 paper, 2 live."""
    metadata: Metadata


class IntentRecord(NamedTuple):
    """One leg the executor may send. Sizes are on the template ladder already."""

    id: U64
    cause: U64
    signal: U64
    group: U64
    target: U64
    """CANCEL: the intent id of the order to cancel."""
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    decided_ns: I64
    checked_ns: I64
    expires_ns: I64
    size_e6: I64
    """Shares. For a FOK/FAK BUY the executor signs ``spend_e6`` dollars instead."""
    spend_e6: I64
    unwind_reserve_e6: I64
    unwind_price_e4: I32
    """Worst price at which the complement may be bought to unwind this leg."""
    limit_price_e4: I32
    touch_price_e4: I32
    instrument: U32
    generation: U32
    config_generation: U32
    expiration_s: U32
    action: U8
    order_type: U8
    urgency: U8
    intent_flags: U8
    leg: U8
    legs: U8
    mode: U16
    module: Name16


class DecisionRecord(NamedTuple):
    """How one signal ended: the rule, the limit it compared with and the value that met it."""

    id: U64
    cause: U64
    signal: U64
    intent: U64
    decided_ns: I64
    checked_ns: I64
    size_suggestion_e6: I64
    size_e6: I64
    limit: I64
    """The rule's bound, in the unit of the rule (cash e6, price e4, ns or count)."""
    was: I64
    """What met the bound, same unit."""
    expected_value: F64
    instrument: U32
    generation: U32
    config_generation: U32
    rule: U16
    approved: U8
    action: U8
    limit_price_e4: I32
    group: Annotated[int, "I"]
    """Low bits of the group, to join legs."""
    module: Name16


class ReportRecord(NamedTuple):
    """What became of an order. Written by the executor only, after the row it reports."""

    id: U64
    cause: U64
    intent: U64
    group: U64
    at_ns: I64
    order_id: Bytes32
    trade_id: Bytes16
    """blake2b-16 of the venue's trade id."""
    price_e4: I32
    instrument: U32
    generation: U32
    reason: U16
    """Rule or venue reject code."""
    kind: U8
    order_state: U8
    size_e6: I64
    """Of this event: the filled shares, the order's shares, or 0."""
    cash_e6: I64
    """Of this event, without the fee; always positive."""
    fee_e6: I64
    filled_e6: I64
    position_e6: I64
    cash_after_e6: I64
    reserved_e6: I64
    action: U8
    order_type: U8
    leg: U8
    legs: U8
    group_state: U32
    module: Name16
    trade_text: Annotated[bytes, "40s"]
    """The venue's trade id itself, NUL-padded; empty when it is longer."""
    order_row: U32
    """Row of the orders table."""


class Turn(NamedTuple):
    """A working turn of a deciding engine, so that a capture replays byte for byte."""

    id: U64
    now_ns: I64
    market_cursor: U64
    spot_cursor: U64
    input_cursor: U64
    """signals: settle; risk: signals."""
    metadata_cursor: U64
    reports_cursor: U64
    wall_offset_ns: I64
    """Wall minus monotonic time in force."""
    writer: U32


# ------------------------------------------------------------------------------- tables
class OrderRow(NamedTuple):
    """One order. Written by the executor only, before the bytes leave."""

    id: U64
    """The intent's id."""
    cause: U64
    signal: U64
    group: U64
    order_id: Bytes32
    token_id: Bytes32
    event_ns: I64
    recv_ns: I64
    decoded_ns: I64
    published_ns: I64
    decided_ns: I64
    checked_ns: I64
    sent_ns: I64
    acked_ns: I64
    filled_ns: I64
    size_e6: I64
    maker_amount_e6: I64
    taker_amount_e6: I64
    filled_e6: I64
    cash_e6: I64
    fee_e6: I64
    reserved_e6: I64
    price_e4: I32
    instrument: U32
    generation: U32
    config_generation: U32
    reason: U16
    state: U8
    action: U8
    order_type: U8
    order_flags: U8
    leg: U8
    legs: U8
    module: Name16
    confirmed_e6: I64
    expiration_s: U32
    lookups: U32
    created_wall_ms: I64
    salt: U64
    unwind_price_e4: I32
    """Worst price at which what fills may be unwound (see Intent); 0 when it is not of a group."""
    retries: U32
    claimed_e6: I64
    """The most that the venue said was matched: what is over ``filled_e6`` is awaited."""


class GroupRow(NamedTuple):
    """Legs that belong together. Written by the executor only, before leg one is sent."""

    id: U64
    cause: U64
    opened_ns: I64
    deadline_ns: I64
    changed_ns: I64
    target_e6: I64
    filled_low_e6: I64
    filled_high_e6: I64
    unwind_cost_e6: I64
    unwind_reserve_e6: I64
    state: U8
    legs: U8
    legs_done: U8
    unwinds: U8
    dust_e6: U32
    module: Name16


class PositionRow(NamedTuple):
    """Shares of one token. Written by the executor only. Row = instrument index."""

    id: U64
    size_e6: I64
    """Matched, whatever its settlement."""
    confirmed_e6: I64
    cost_e6: I64
    """Cash paid for what is held, fees included."""
    realized_e6: I64
    fees_e6: I64
    token_id: Bytes32
    instrument: U32
    generation: U32


class CashRow(NamedTuple):
    """The account's collateral. Written by the executor only."""

    id: U64
    cash_e6: I64
    reserved_e6: I64
    """Locked by resting and in-flight BUY orders and by unwind reserves."""
    fees_e6: I64
    realized_e6: I64
    reconciled_ns: I64
    report_position: U64
    """Where the report of the newest booking goes: at or past the cursor means not yet told."""
    redo_order: U64
    """The booking this row commits, as absolute values, for the order and position rows that are
    written after it. A writer killed in between is finished by the next one."""
    redo_filled_e6: I64
    redo_cash_e6: I64
    redo_fee_e6: I64
    redo_size_e6: I64
    redo_cost_e6: I64
    redo_instrument: U32
    redo_generation: U32


class ExposureRow(NamedTuple):
    """Worst-case loss as risk sees it. Written by risk only. Row 0 is the total."""

    id: U64
    worst_loss_e6: I64
    limit_e6: I64
    bankroll_e6: I64
    equity_e6: I64
    equity_peak_e6: I64
    """Highest since UTC midnight."""
    changed_ns: I64
    market: U32
    generation: U32
    trailing_peak_e6: I64
    """Highest since somebody lifted a halt, or ever."""
    day: I64
    """Days since 1970 of ``equity_peak_e6`` and ``bankroll_e6``; -1 before the first."""
    key: U64
    """What the markets of a group share."""
    scope: U16
    """An ExposureScope."""
    spare: U16
    members: U32
    """Markets counted in a group."""


class ScoreRow(NamedTuple):
    """What a module may use, promised and earned. Written by risk only. Row = first come.

    Promised is the expected value it gave for what was filled, realized is what came of it.
    """

    id: U64
    day: I64
    """Days since 1970 of ``day_start_e6``."""
    day_start_e6: I64
    """Realized and open together at midnight."""
    open_e6: I64
    """Marks of what it owns minus its cost."""
    loss_limit_e6: I64
    budget_e6: I64
    used_e6: I64
    """Cost of what it owns and cash of its orders."""
    promised_e6: I64
    """Of lots that are closed."""
    realized_e6: I64
    """Of lots that are closed."""
    promised_open_e6: I64
    crossed_e6: I64
    """Shares that met another module's wish inside."""
    fills: U64
    lots: U64
    """Closings, each a sale or a payout."""
    damp_ppm: U32
    """Share of its wishes that is let through; 1 000 000 = all."""
    state: U32
    """0 works, 1 lost too much today, 2 is off and leaves lots behind."""
    module: Name16


class StakeRow(NamedTuple):
    """What one module owns of one token. Written by risk only. ``size_e6`` 0: a free row."""

    id: U64
    size_e6: I64
    cost_e6: I64
    """Cash paid, fees included."""
    promised_e6: I64
    """Expected value that came with what is still held."""
    opened_ns: I64
    """Wall time of its first lot."""
    instrument: U32
    generation: U32
    owner: Name16


class InterestRow(NamedTuple):
    """Markets that modules may take, for the templates of the executor. Written by signals only."""

    changed_ns: I64
    used: U32
    """How many of ``markets`` are meant; the rest is zero."""
    spare: U32
    markets: Markets


class WantRow(NamedTuple):
    """Which markets a signal module wants followed. Written by signals only.

    A market is wanted when every filter holds that is set; texts are commas-separated words.
    """

    changed_ns: I64
    ends_within_ns: I64
    """0: whenever it ends."""
    liquidity_e6_min: I64
    volume_24h_e6_min: I64
    priority: U16
    used: U8
    """0: nobody's row."""
    neg_risk: U8
    """1: only markets of exclusive events."""
    spare: U32
    module: Name16
    tags: Annotated[bytes, "96s"]
    series: Annotated[bytes, "96s"]
    slug_prefixes: Annotated[bytes, "96s"]


BOOK_TOP = _record(BookTop, "BOOK_TOP", 1, "state", 256)
MARKET_STATE = _record(MarketStateChange, "MARKET_STATE", 2, "state", 256)
RESET = _record(Reset, "RESET", 3, "state", 256)
SPOT_TOP = _record(SpotTop, "SPOT_TOP", 4, "state", 128)
SETTLE = _record(Settle, "SETTLE", 5, "event", 128)
TRADE = _record(Trade, "TRADE", 6, "event", 128)
FRAME = _record(Frame, "FRAME", 7, "event", 1024)
SIGNAL = _record(SignalRecord, "SIGNAL", 8, "event", 512)
INTENT = _record(IntentRecord, "INTENT", 9, "event", 256)
DECISION = _record(DecisionRecord, "DECISION", 10, "event", 192)
REPORT = _record(ReportRecord, "REPORT", 11, "event", 256)
TURN = _record(Turn, "TURN", 12, "event", 192)
LISTING = _record(Listing, "LISTING", 13, "state", 128)
DOSSIER = _record(DossierPart, "DOSSIER", 14, "state", 1024)
BOOK_ROW = _record(BookRow, "BOOK_ROW", 20, "state", 896)
MARKET_ROW = _record(MarketRow, "MARKET_ROW", 21, "state", 512)
SHARD_ROW = _record(ShardRow, "SHARD_ROW", 22, "state", 64)
ORDER_ROW = _record(OrderRow, "ORDER_ROW", 23, "state", 384)
GROUP_ROW = _record(GroupRow, "GROUP_ROW", 24, "state", 192)
POSITION_ROW = _record(PositionRow, "POSITION_ROW", 25, "state", 128)
CASH_ROW = _record(CashRow, "CASH_ROW", 26, "state", 128)
EXPOSURE_ROW = _record(ExposureRow, "EXPOSURE_ROW", 27, "state", 128)
INTEREST_ROW = _record(InterestRow, "INTEREST_ROW", 29, "state", 512)
SCORE_ROW = _record(ScoreRow, "SCORE_ROW", 30, "state", 192)
STAKE_ROW = _record(StakeRow, "STAKE_ROW", 31, "state", 128)
WANT_ROW = _record(WantRow, "WANT_ROW", 32, "state", 384)
SPOT_ROW = SPOT_TOP

RECORDS: Final[tuple[RecordType[Any], ...]] = (
    BOOK_TOP,
    MARKET_STATE,
    RESET,
    SPOT_TOP,
    SETTLE,
    TRADE,
    FRAME,
    SIGNAL,
    INTENT,
    DECISION,
    REPORT,
    TURN,
    LISTING,
    DOSSIER,
    BOOK_ROW,
    MARKET_ROW,
    SHARD_ROW,
    ORDER_ROW,
    GROUP_ROW,
    POSITION_ROW,
    CASH_ROW,
    EXPOSURE_ROW,
    INTEREST_ROW,
    SCORE_ROW,
    STAKE_ROW,
    WANT_ROW,
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A ring of slots: which records it carries, who writes, who gates it."""

    name: str
    records: tuple[RecordType[Any], ...]
    slots: int
    writer: Writer
    gates: tuple[str, ...] = ()

    @property
    def slot_bytes(self) -> int:
        """Size of one slot: the largest record it carries."""
        return max(record.size_bytes for record in self.records)


@dataclass(frozen=True, slots=True)
class Table:
    """Latest values, four versions a row; ``rows`` is the default size."""

    name: str
    record: RecordType[Any]
    rows: int
    writer: Writer


STREAMS: Final = {
    stream.name: stream
    for stream in (
        Stream("market", (BOOK_TOP, MARKET_STATE, RESET), 4096, Writer.POLYMARKET),
        Stream("metadata", (MARKET_STATE, RESET), 1024, Writer.METADATA),
        Stream("listings", (LISTING,), 2048, Writer.METADATA),
        Stream("dossiers", (DOSSIER,), 64, Writer.METADATA),
        Stream("spot", (SPOT_TOP,), 4096, Writer.BINANCE),
        Stream("settle", (SETTLE,), 4096, Writer.PRICES),
        Stream("trades", (TRADE,), 4096, Writer.POLYMARKET),
        Stream("spot_trades", (TRADE,), 8192, Writer.BINANCE),
        Stream("frames", (FRAME,), 4096, Writer.POLYMARKET),
        Stream("frames_spot", (FRAME,), 512, Writer.BINANCE),
        Stream("frames_settle", (FRAME,), 128, Writer.PRICES),
        Stream("capture", (FRAME,), 256, Writer.EXECUTOR, ("ledger",)),
        Stream("inject", (SIGNAL,), 16, Writer.INJECT),
        Stream("signals", (SIGNAL,), 256, Writer.SIGNALS, ("risk",)),
        Stream("turns", (TURN,), 512, Writer.SIGNALS),
        Stream("intents", (INTENT, RESET), 256, Writer.RISK, ("executor",)),
        Stream("decisions", (DECISION, TURN), 65536, Writer.RISK, ("ledger",)),
        Stream("reports", (REPORT,), 8192, Writer.EXECUTOR, ("risk", "ledger")),
    )
}
TABLES: Final = {
    table.name: table
    for table in (
        Table("book", BOOK_ROW, 5120, Writer.POLYMARKET),
        Table("shard", SHARD_ROW, 256, Writer.POLYMARKET),
        Table("markets", MARKET_ROW, 5120, Writer.METADATA),
        Table("spot_top", SPOT_TOP, 16, Writer.BINANCE),
        Table("orders", ORDER_ROW, 2048, Writer.EXECUTOR),
        Table("groups", GROUP_ROW, 512, Writer.EXECUTOR),
        Table("positions", POSITION_ROW, 10240, Writer.EXECUTOR),
        Table("cash", CASH_ROW, 1, Writer.EXECUTOR),
        Table("exposure", EXPOSURE_ROW, 768, Writer.RISK),
        Table("scores", SCORE_ROW, 32, Writer.RISK),
        Table("stakes", STAKE_ROW, 512, Writer.RISK),
        Table("interest", INTEREST_ROW, 1, Writer.SIGNALS),
        Table("wants", WANT_ROW, 32, Writer.SIGNALS),
    )
}


def abi_text(*records: RecordType[Any]) -> str:
    """Write records as canonical text: one line a field with name, format, offset."""
    lines = [f"layout {LAYOUT_VERSION} little-endian"]
    for record in records:
        lines.append(f"{record.name} kind={record.kind} {record.semantics} {record.size_bytes}")
        lines += [f"  {name} {_format_text(code)} {at}" for name, code, at in record.fields]
    return "\n".join(lines)


def _format_text(code: str) -> str:
    """Write a field's type as numpy does, with its count."""
    count, letter = code[:-1], code[-1]
    if letter == "s":
        return f"|V{count}"
    # Bytes have no order.
    scalar = _SCALARS[letter].replace("<u1", "|u1")
    return f"{scalar}[{count}]" if count else scalar


def abi_hash(*records: RecordType[Any]) -> int:
    """Hash abi_text to the u64 kept in every segment header."""
    return int.from_bytes(hashlib.blake2b(abi_text(*records).encode(), digest_size=8).digest())
