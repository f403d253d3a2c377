"""What stands in the tables of an instance, as rows for screens and reports. Private copies.

None means not known or not there: nothing is guessed, and no zero stands for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lowlat.app.valuation import Worth, worth
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import (
    BOOK_ROW,
    GROUP_ROW,
    MARKET_ROW,
    ORDER_ROW,
    BookFlag,
    BookRow,
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
)
from lowlat.shm.attach import Attached

__all__ = [
    "BookLine",
    "LimitLine",
    "Money",
    "book_lines",
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
