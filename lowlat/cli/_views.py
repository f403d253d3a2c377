"""What stands in the tables of an instance, as rows for screens and reports. Private copies.

None means not known or not there: nothing is guessed, and no zero stands for it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lowlat.app.telemetry import Reading
from lowlat.app.valuation import Worth, worth
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import (
    BOOK_ROW,
    GROUP_ROW,
    MARKET_ROW,
    ORDER_ROW,
    BookFlag,
    BookRow,
    Coin,
    ExposureScope,
    GroupRow,
    GroupState,
    Known,
    MarketRow,
    MarketStatus,
    OrderRow,
    OrderState,
    RecordType,
    RuleDoubt,
    SettleRule,
    Venue,
)
from lowlat.shm.attach import Attached

__all__ = [
    "BookLine",
    "FeedLine",
    "LimitLine",
    "Money",
    "book_lines",
    "feed_lines",
    "gauge",
    "is_open_group",
    "is_open_order",
    "ladder",
    "limit_lines",
    "market_rows",
    "missing_facts",
    "money",
    "newest_groups",
    "newest_orders",
    "slug",
    "unpriced",
]

Records = npt.NDArray[np.void]
_TRIES: Final = 8
_LAG_ROWS: Final = 20
"""The lag of a feed is the median over so many of its newest rows."""
_OPEN_ORDERS: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)
_CLOSED_GROUPS: Final = frozenset({GroupState.COMPLETE, GroupState.UNWOUND, GroupState.FLAT})


@dataclass(frozen=True, slots=True)
class BookLine:
    """One market's top in YES terms."""

    market: int
    name: str
    bid_e4: int | None
    bid_size_e6: int
    ask_e4: int | None
    ask_size_e6: int
    age_ns: int
    """Since the feed last published it."""
    flags: tuple[str, ...]
    """What is wrong with the book; empty when it is healthy."""
    missing: tuple[str, ...]
    """Why it cannot be traded; empty when it can."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One source of market data."""

    name: str
    up: int
    """Connections or rows that are alive."""
    of: int
    age_ns: int | None
    """Since its last data."""
    rate: float | None
    """Frames a second, lately; None before two readings."""
    gaps: int
    """Times it lost the thread and had to find it again."""
    bad: int
    """Messages it could not read."""
    lag_ns: int | None
    """From the venue's stamp to our receiving it, both clocks as they are."""
    reconnects: int


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit on what can be lost."""

    name: str
    used_e6: int
    limit_e6: int


@dataclass(frozen=True, slots=True)
class Money:
    """The account now. None: the executor or risk never wrote it."""

    worth: Worth
    reserved_e6: int
    fees_e6: int
    realized_e6: int
    unrealized_e6: int
    """What holdings are worth at least, less what they cost."""
    equity_e6: int | None
    equity_peak_e6: int | None
    bankroll_e6: int | None

    @property
    def pnl_e6(self) -> int:
        """Realized and unrealized together, fees included."""
        return self.realized_e6 + self.unrealized_e6


# ------------------------------------------------------------------------------------ markets
def market_rows(attached: Attached) -> dict[int, MarketRow]:
    """Return what is known about every market, by row."""
    return {row.market: row for row in _unpacked(attached, "markets", MARKET_ROW)}


def slug(row: MarketRow | None, market: int) -> str:
    """Return a market's name; its number while it has none."""
    name = row.slug.rstrip(b"\0").decode("ascii", "replace") if row is not None else ""
    return name or f"market {market}"


def missing_facts(row: MarketRow) -> tuple[str, ...]:
    """Return why a market takes no orders from us: what is not known, or its status."""
    unknown = Known.TRADEABLE & ~Known(row.known)
    found = [f"{fact.name.lower()} unknown" for fact in Known if fact & unknown and fact.name]
    found = [each for each in found if each != "tradeable unknown"]
    if row.status != MarketStatus.ACTIVE and not unknown & Known.STATUS:
        known = row.status in MarketStatus.__members__.values()
        found.append(MarketStatus(row.status).name.lower() if known else f"status {row.status}")
    return tuple(found)


_RULE_WORDS: Final = {
    RuleDoubt.FAMILY: "its name is of no family whose rule is known",
    RuleDoubt.COIN: "there is no price feed of its coin",
    RuleDoubt.TIMES: "name, start and end do not say the same",
    RuleDoubt.CONFIG: "cryptoMarketConfig is missing or says something else",
    RuleDoubt.SOURCE: "the source of the outcome is missing or another one",
    RuleDoubt.OUTCOMES: "its outcomes are not those of its kind",
    RuleDoubt.WORDS: "the rules text is missing or does not say what decides",
    RuleDoubt.STRIKE: "title and name do not say the same strike",
    RuleDoubt.OLD: "it settled by a rule that is no more",
}
_WINDOWS: Final = frozenset(
    {SettleRule.TWAP_60_UP, SettleRule.BINANCE_CANDLE_UP, SettleRule.BINANCE_NOON_UP}
)


def unpriced(row: MarketRow) -> tuple[str, ...]:
    """Return why no module can say what a price market is worth; empty for every other market."""
    if row.rule_doubt:
        doubt = row.rule_doubt
        known = doubt in RuleDoubt.__members__.values()
        return (f"rule not read: {_RULE_WORDS[RuleDoubt(doubt)] if known else doubt}",)
    if row.settle_rule in _WINDOWS and not row.known & Known.START_PRICE:
        return ("start price not known",)
    return ()


def book_lines(attached: Attached, markets: dict[int, MarketRow]) -> list[BookLine]:
    """Return the top of every book there is, by name; markets that nobody can trade last."""
    rows, versions = attached.tables["book"].snapshot()
    used = rows[versions > 0]
    now_ns = monotonic_ns()
    columns = zip(
        used["market"].tolist(),
        used["generation"].tolist(),
        used["bid_count"].tolist(),
        used["bid_price_e4"][:, 0].tolist(),
        used["bid_size_e6"][:, 0].tolist(),
        used["ask_count"].tolist(),
        used["ask_price_e4"][:, 0].tolist(),
        used["ask_size_e6"][:, 0].tolist(),
        used["published_ns"].tolist(),
        used["book_flags"].tolist(),
        strict=True,
    )
    found = []
    for market, generation, bids, bid, bid_size, asks, ask, ask_size, at_ns, flags in columns:
        row = markets.get(market)
        if row is None or row.generation != generation:
            # The row went to another market, or is about to: its book says nothing.
            continue
        found.append(
            BookLine(
                market,
                slug(row, market),
                bid if bids else None,
                bid_size if bids else 0,
                ask if asks else None,
                ask_size if asks else 0,
                max(0, now_ns - at_ns),
                flag_names(flags),
                missing_facts(row),
            )
        )
    return sorted(found, key=lambda line: (bool(line.missing), line.name))


def flag_names(flags: int) -> tuple[str, ...]:
    """Return the names of a book's flags; being cut to what is shown is no fault."""
    faults = BookFlag(flags) & ~BookFlag.TRUNCATED
    return tuple(flag.name.lower() for flag in BookFlag if flag & faults and flag.name)


def ladder(attached: Attached, market: int) -> BookRow | None:
    """Return the whole visible ladder of a market."""
    reader: Any = attached.tables["book"].reader
    for _ in range(_TRIES):
        version = reader.read(market)
        if version >= 0:
            return BOOK_ROW.unpack(reader.buffer) if version else None
    return None


# ------------------------------------------------------------------------------------ feeds
def feed_lines(attached: Attached, reading: Reading, rates: dict[str, float]) -> list[FeedLine]:
    """Return one line a source, whatever process runs it."""
    now_ns = monotonic_ns()
    wall_offset_ns = time.time_ns() - now_ns
    shards, versions = attached.tables["shard"].snapshot()
    shards = shards[(versions > 0) & (shards["venue"] == Venue.POLYMARKET)]
    books, versions = attached.tables["book"].snapshot()
    spots, spot_versions = attached.tables["spot_top"].snapshot()
    spots = spots[(spot_versions > 0) & (spots["coin"] != Coin.NONE)]

    def line(
        name: str,
        up: int,
        of: int,
        at_ns: list[int],
        lag_ns: int | None,
        gaps: tuple[str, ...],
    ) -> FeedLine:
        prefix = f"feed.{name}."
        return FeedLine(
            name,
            up,
            of,
            max(0, now_ns - max(at_ns)) if at_ns else None,
            rates.get(prefix + "frames") if rates else None,
            sum(reading.counter(prefix + gap) for gap in gaps),
            reading.counter(prefix + "malformed"),
            lag_ns,
            reading.counter(prefix + "reconnects"),
        )

    return [
        line(
            "polymarket",
            int((shards["alive"] != 0).sum()),
            len(shards),
            shards["last_data_ns"].tolist(),
            _lag_ns(books[versions > 0], wall_offset_ns),
            ("diverged", "resyncs_failed", "frozen"),
        ),
        line(
            "binance",
            len(spots),
            len(spots),
            spots["recv_ns"].tolist(),
            _lag_ns(spots, wall_offset_ns),
            ("trade_gaps", "depth_gaps", "depth_mismatches", "frozen"),
        ),
        _prices_line(attached, line, wall_offset_ns),
        _metadata_line(reading, line, now_ns),
    ]


def _metadata_line(reading: Reading, line: Any, now_ns: int) -> FeedLine:
    """Describe what is known of markets; its age is that of the last whole sweep."""
    sweep_age_ns = gauge(reading, "feed.metadata.sweep_age_ns")
    found: FeedLine = line(
        "metadata",
        gauge(reading, "feed.metadata.tradeable") or 0,
        gauge(reading, "feed.metadata.markets") or 0,
        [] if sweep_age_ns is None else [now_ns - sweep_age_ns],
        None,
        ("requests_failed", "overruns"),
    )
    return found


def gauge(reading: Reading, name: str) -> int | None:
    """Return a gauge that one process has; None while no process has it."""
    return next((each[name] for each in reading.gauges.values() if name in each), None)


def _prices_line(attached: Attached, line: Any, wall_offset_ns: int) -> FeedLine:
    """Describe the settlement prices by the newest print of each series that its stream holds."""
    view = attached.streams["settle"]
    view.rewind()
    batches = [records for records in view.batch(4096).values() if len(records)]
    newest: dict[tuple[int, int], np.void] = {}
    for record in (each for batch in batches for each in batch if not each["history"]):
        newest[int(record["coin"]), int(record["series"])] = record
    stamps = [int(each["recv_ns"]) for each in newest.values()]
    lags = _lag_ns(batches[-1], wall_offset_ns) if batches else None
    found: FeedLine = line(
        "prices", len(newest), len(newest), stamps, lags, ("gaps", "conflicts", "frozen")
    )
    return found


def _lag_ns(rows: Records, wall_offset_ns: int) -> int | None:
    """Return the median lag of the newest rows that carry the venue's stamp."""
    stamped = rows[(rows["event_ns"] > 0) & (rows["recv_ns"] > 0)]
    if not len(stamped):
        return None
    newest = stamped[np.argsort(stamped["recv_ns"])[-_LAG_ROWS:]]
    lags = newest["recv_ns"].astype(np.int64) + wall_offset_ns - newest["event_ns"]
    return int(np.median(lags))


# ------------------------------------------------------------------------------------ orders
def is_open_order(state: int) -> bool:
    """Whether an order of this state may still fill, or nobody knows."""
    return state in _OPEN_ORDERS


def is_open_group(state: int) -> bool:
    """Whether a group of this state is under way or naked."""
    return state not in _CLOSED_GROUPS


def newest_orders(attached: Attached, limit: int) -> list[OrderRow]:
    """Return open orders, then the newest others."""
    found = [row for row in _unpacked(attached, "orders", ORDER_ROW) if row.state]
    found.sort(key=lambda row: (not is_open_order(row.state), -max(row.sent_ns, row.checked_ns)))
    return found[:limit]


def newest_groups(attached: Attached, limit: int) -> list[GroupRow]:
    """Return groups under way, then the newest others."""
    found = [row for row in _unpacked(attached, "groups", GROUP_ROW) if row.state]
    found.sort(key=lambda row: (not is_open_group(row.state), -row.opened_ns))
    return found[:limit]


# ------------------------------------------------------------------------------------ money
def money(attached: Attached) -> Money | None:
    """Return the account, None before the executor wrote its cash."""
    cash = attached.tables["cash"].read(0)
    if cash is None:
        return None
    reserved, fees, realized = (
        int(cash[field]) for field in ("reserved_e6", "fees_e6", "realized_e6")
    )
    valued = worth(attached)
    if valued is None:
        return None
    rows, versions = attached.tables["positions"].snapshot()
    held = rows[(versions > 0) & (rows["size_e6"] != 0)]
    total = attached.tables["exposure"].read(0)
    return Money(
        valued,
        reserved,
        fees,
        realized,
        valued.holdings_e6 - int(held["cost_e6"].sum()),
        *(
            (None, None, None)
            if total is None
            else (int(total[f]) for f in ("equity_e6", "equity_peak_e6", "bankroll_e6"))
        ),
    )


def limit_lines(attached: Attached, markets: dict[int, MarketRow]) -> list[LimitLine]:
    """Return the total limit, then each market's, most used first."""
    rows, versions = attached.tables["exposure"].snapshot()
    found = []
    about = (versions > 0) & (rows["scope"] <= int(ExposureScope.TOTAL))
    for index in about.nonzero()[0].tolist():
        used_e6, limit_e6 = int(rows[index]["worst_loss_e6"]), int(rows[index]["limit_e6"])
        market = int(rows[index]["market"])
        name = slug(markets.get(market), market) if index else "all markets together"
        if used_e6 or not index:
            found.append((index != 0, -used_e6, LimitLine(name, used_e6, limit_e6)))
    return [line for _, _, line in sorted(found, key=lambda each: each[:2])]


def _unpacked(attached: Attached, table: str, record: RecordType[Any]) -> Iterable[Any]:
    rows, versions = attached.tables[table].snapshot()
    for index in (versions > 0).nonzero()[0].tolist():
        yield record.unpack(memoryview(rows[index].tobytes()))
