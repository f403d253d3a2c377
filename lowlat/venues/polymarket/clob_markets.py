"""The CLOB's compact market object, and what is known when it is laid beside Gamma's.

Run by the metadata engine. ``/clob-markets/{id}`` is the one call that yields tick, neg-risk flag,
minimum, fee and delay together, so it decides; Gamma may only contradict it, and then the fact is
unknown. In this object some absent keys have a documented meaning: no ``fd`` is no fee, no ``sd``
and ``itode`` no delay, no ``nr`` a plain market. Source: polymarket.md 1.2, 12.2.
"""

from decimal import Decimal
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Exchange, Known, MarketStatus
from lowlat.venues.polymarket.market_info import (
    FeeSchedule,
    MarketInfo,
    check_condition_id,
    check_token_ids,
    decimal_units,
    yes_index,
)
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = [
    "TAKER_DELAYS",
    "ClobMarket",
    "MarketFacts",
    "clob_market_path",
    "decode_clob_market",
    "market_facts",
    "taker_delay_ms",
]

TAKER_DELAYS: Final[tuple[tuple[int, int], ...]] = (
    (1_786_924_800_000_000_000, 50),  # 2026-08-17 00:00 UTC
    (1_788_530_400_000_000_000, 150),  # 2026-09-04 14:00 UTC
)
"""(from wall ns, ms) of the hold on markets with ``itode``. Source: polymarket.md 12.2.

Older values (500, none, 250) have no exact dates and are left out: unknown.
"""
_SECONDS_DELAY_MAX: Final = 60


class ClobMarket(msgspec.Struct, frozen=True, gc=False):
    """The compact object, numbers in our units. None is a key that was absent without meaning."""

    condition_id: str
    token_ids: tuple[str, str]
    outcomes: tuple[str, str]
    tick_e4: int | None
    min_size_e6: int | None
    neg_risk: bool
    fee: FeeSchedule | None
    """None when the schedule is there but only in part."""
    seconds_delay: int
    short_delay: bool
    """``itode``: held for the time in TAKER_DELAYS."""
    accepting_orders: bool | None
    version: str | None


class MarketFacts(msgspec.Struct, frozen=True, gc=False):
    """What trading needs, as far as it is known.

    A field whose bit in ``known`` is not set holds zero and says nothing. ``conflicts`` names each
    disagreement between the two sources, in words for the operator.
    """

    condition_id: str
    known: Known
    yes_token_id: str
    no_token_id: str
    tick_e4: int
    min_size_e6: int
    fee_rate_e6: int
    fee_exponent: int
    fee_taker_only: bool
    taker_delay_ms: int
    neg_risk: bool
    exchange: Exchange
    status: MarketStatus
    conflicts: tuple[str, ...]

    @property
    def tradeable(self) -> bool:
        """Whether everything is known and the market takes orders."""
        return self.known & Known.TRADEABLE == Known.TRADEABLE and (
            self.status is MarketStatus.ACTIVE
        )


class _Token(msgspec.Struct, gc=False):
    t: str
    o: str


class _Fee(msgspec.Struct, gc=False):
    r: Decimal | None = None
    e: Decimal | None = None
    to: bool | None = None


class _Market(msgspec.Struct, gc=False):
    c: str
    t: tuple[_Token, _Token]
    mts: Decimal | None = None
    mos: Decimal | None = None
    nr: bool | None = None
    fd: _Fee | None = None
    sd: int | None = None
    itode: bool | None = None
    ao: bool | None = None
    v: str | None = None


_decode: Final = msgspec.json.Decoder(_Market).decode


def clob_market_path(condition_id: str) -> str:
    """Return the path of a market's compact object."""
    return f"/clob-markets/{condition_id}"


def decode_clob_market(payload: Payload) -> ClobMarket:
    """Decode one compact market object. Raises RemoteProtocolError."""
    try:
        wire = _decode(payload)
    except BAD_JSON as error:
        raise malformed("/clob-markets", payload, error) from error
    delay_s = wire.sd or 0
    if not 0 <= delay_s <= _SECONDS_DELAY_MAX:
        raise malformed("/clob-markets", payload, f"a delay of {delay_s} s")
    tick_e4 = decimal_units(wire.mts, 4)
    if tick_e4 is not None and not 0 < tick_e4 < 10_000:
        raise malformed("/clob-markets", payload, f"a tick of {tick_e4}e-4")
    first, second = wire.t
    return ClobMarket(
        condition_id=check_condition_id(wire.c),
        token_ids=check_token_ids(first.t, second.t),
        outcomes=(first.o, second.o),
        tick_e4=tick_e4,
        min_size_e6=decimal_units(wire.mos, 6),
        neg_risk=wire.nr or False,
        fee=_fee(wire.fd),
        seconds_delay=delay_s,
        short_delay=wire.itode or False,
        accepting_orders=wire.ao,
        version=wire.v,
    )


def _fee(wire: _Fee | None) -> FeeSchedule | None:
    if wire is None:
        return FeeSchedule(0, 1, taker_only=True)
    rate_e6, exponent = decimal_units(wire.r, 6), decimal_units(wire.e, 0)
    if rate_e6 is None or exponent is None or wire.to is None:
        return None
    if exponent > 10:
        raise RemoteProtocolError(f"a fee exponent of {exponent}")
    return FeeSchedule(rate_e6, exponent, wire.to)


def taker_delay_ms(now_ns: int) -> int | None:
    """Return the hold on ``itode`` markets at a wall time; None before the table begins."""
    delay_ms = None
    for since_ns, value_ms in TAKER_DELAYS:
        if now_ns >= since_ns:
            delay_ms = value_ms
    return delay_ms


def market_facts(clob: ClobMarket, info: MarketInfo | None, now_ns: int) -> MarketFacts:
    """Lay both sources beside each other; ``now_ns`` is wall time, for the dated rules.

    Tick and minimum come from the CLOB, for Gamma lags. Fee, neg-risk flag or tokens that differ
    are unknown, and of two delays the longer counts. Without ``info`` the CLOB stands alone.
    """
    if info is not None and info.condition_id != clob.condition_id:
        raise RemoteProtocolError(f"market {clob.condition_id} laid beside {info.condition_id}")
    conflicts: list[str] = []
    known = Known(0)
    if clob.tick_e4 is not None:
        known |= Known.TICK
    if clob.min_size_e6 is not None:
        known |= Known.MIN_SIZE
    fee = _agreed_fee(clob, info, conflicts)
    if fee is not None:
        known |= Known.FEE
    exchange = _exchange(clob, info, conflicts)
    if exchange is not Exchange.UNKNOWN:
        known |= Known.NEG_RISK
    delay_ms = _delay_ms(clob, info, now_ns, conflicts)
    if delay_ms is not None:
        known |= Known.DELAY
    status = _status(clob, info)
    if status is not MarketStatus.UNKNOWN:
        known |= Known.STATUS
    yes = yes_index(clob.outcomes)
    return MarketFacts(
        condition_id=clob.condition_id,
        known=known,
        yes_token_id=clob.token_ids[yes],
        no_token_id=clob.token_ids[1 - yes],
        tick_e4=clob.tick_e4 or 0,
        min_size_e6=clob.min_size_e6 or 0,
        fee_rate_e6=fee.rate_e6 if fee else 0,
        fee_exponent=fee.exponent if fee else 0,
        fee_taker_only=fee.taker_only if fee else False,
        taker_delay_ms=delay_ms or 0,
        neg_risk=clob.neg_risk,
        exchange=exchange,
        status=status,
        conflicts=tuple(conflicts),
    )


def _agreed_fee(
    clob: ClobMarket, info: MarketInfo | None, conflicts: list[str]
) -> FeeSchedule | None:
    theirs = info.fee if info else None
    if clob.fee is None:
        return None
    if theirs is None:
        if info is not None and info.fees_enabled and not clob.fee.rate_e6:
            conflicts.append("fee: Gamma charges one, the CLOB none")
            return None
        return clob.fee
    same = (clob.fee.rate_e6, clob.fee.exponent) == (theirs.rate_e6, theirs.exponent)
    if not same and (clob.fee.rate_e6 or theirs.rate_e6):
        conflicts.append(f"fee: CLOB {clob.fee.rate_e6}e-6, Gamma {theirs.rate_e6}e-6")
        return None
    return clob.fee


def _exchange(clob: ClobMarket, info: MarketInfo | None, conflicts: list[str]) -> Exchange:
    """Return whose contract orders are for; a wrong one makes every signature invalid."""
    if clob.version not in {None, "v1"}:
        conflicts.append(f"version: {str(clob.version)[:20]!r} is not one we sign for")
        return Exchange.UNKNOWN
    if info is not None:
        if info.neg_risk is not None and info.neg_risk != clob.neg_risk:
            conflicts.append(f"neg-risk: CLOB {clob.neg_risk}, Gamma {info.neg_risk}")
            return Exchange.UNKNOWN
        if info.token_ids is not None and _by_label(clob) != dict(
            zip(info.outcomes, info.token_ids, strict=True)
        ):
            conflicts.append("tokens: CLOB and Gamma map outcomes to different tokens")
            return Exchange.UNKNOWN
    return Exchange.NEG_RISK if clob.neg_risk else Exchange.STANDARD


def _by_label(clob: ClobMarket) -> dict[str, str]:
    return dict(zip(clob.outcomes, clob.token_ids, strict=True))


def _delay_ms(
    clob: ClobMarket, info: MarketInfo | None, now_ns: int, conflicts: list[str]
) -> int | None:
    seconds = clob.seconds_delay
    if info is not None and info.seconds_delay is not None:
        seconds = max(seconds, info.seconds_delay)
    if not clob.short_delay:
        return seconds * 1_000
    short_ms = taker_delay_ms(now_ns)
    if short_ms is None:
        conflicts.append("delay: no dated value of the sub-second hold covers this time")
        return None
    return max(seconds * 1_000, short_ms)


def _status(clob: ClobMarket, info: MarketInfo | None) -> MarketStatus:
    """Return ACTIVE only if nobody objects and the CLOB says that it takes orders."""
    if info is not None and (info.closed or info.archived):
        return MarketStatus.CLOSED
    if clob.accepting_orders is None:
        return MarketStatus.UNKNOWN
    refused = info is not None and (
        info.active is False or info.accepting_orders is False or info.order_book is False
    )
    return MarketStatus.PAUSED if refused or not clob.accepting_orders else MarketStatus.ACTIVE
