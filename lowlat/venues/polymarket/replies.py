"""What the CLOB answers to orders and cancels, and what its headers say about rate limits.

Run by the executor. Nothing here raises: an answer that cannot be read is AMBIGUOUS, because the
order may exist. Amounts become integers; one whose unit cannot be told is NO_SIZE_E6.
Answers to questions are in lookups.py. Source: polymarket.md 5.1 to 5.3, 6, 12.4.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, OrderType
from lowlat.core.units import parse_fixed
from lowlat.venues.polymarket.account import (
    NO_SIZE_E6,
    OrderStatus,
    order_status,
    parse_hex_32,
)
from lowlat.venues.polymarket.amounts import CENT_E6
from lowlat.venues.polymarket.rejects import Policy, Refusal, RejectCode, classify
from lowlat.venues.wire import BAD_JSON, Payload, malformed

__all__ = [
    "NO_COUNT",
    "CancelCode",
    "CancelRefusal",
    "CancelReply",
    "OrderReply",
    "RateLimit",
    "Sent",
    "decode_batch_reply",
    "decode_cancel_reply",
    "decode_order_reply",
    "decode_rate_limit",
]

NO_COUNT: Final = -1
"""The venue did not say, or not in a form we know."""

_DUST_E6: Final = CENT_E6
"""A hundredth of a share: what rounding at settlement may take. Source: polymarket.md 4.2."""
_IMMEDIATE: Final = frozenset({OrderType.FOK, OrderType.FAK})
_SECONDS_MAX: Final = 86_400
_TEXT_MAX: Final = 200


class Sent(NamedTuple):
    """What an order's answer is read against."""

    order_id: bytes
    action: Action
    maker_e6: int
    taker_e6: int
    order_type: OrderType


class OrderReply(msgspec.Struct, frozen=True, gc=False):
    """The answer for one order. ``size_e6`` and ``cash_e6`` are what was matched in it.

    Both are 0 when nothing was, and NO_SIZE_E6 when the answer does not tell: look it up.
    """

    policy: Policy
    code: RejectCode
    status: OrderStatus
    size_e6: int = 0
    cash_e6: int = 0
    trade_ids: tuple[str, ...] = ()
    transaction_hashes: tuple[str, ...] = ()
    text: str = ""
    retry_after_ms: int = NO_COUNT


class CancelCode(IntEnum):
    """Why one id was not cancelled."""

    OTHER = 0
    NOT_FOUND = 1
    ALREADY_DONE = 2
    """Canceled or matched before."""
    DELAYED = 3
    """In the taker delay: cannot be cancelled now."""


class CancelRefusal(NamedTuple):
    """An id that was not cancelled, and why."""

    order_id: bytes
    code: CancelCode
    text: str


class CancelReply(msgspec.Struct, frozen=True, gc=False):
    """The answer to any cancel. A cancelled order may still settle a match made just before."""

    policy: Policy
    code: RejectCode
    canceled: tuple[bytes, ...] = ()
    refused: tuple[CancelRefusal, ...] = ()
    text: str = ""
    retry_after_ms: int = NO_COUNT


class RateLimit(msgspec.Struct, frozen=True, gc=False):
    """The signer's bucket by the headers. NO_COUNT or "" where a header is missing or odd."""

    remaining: int = NO_COUNT
    reset: int = NO_COUNT
    """As sent; the venue does not say whether it is a time or a distance."""
    tier: str = ""
    warning: bool = False
    retry_after_ms: int = NO_COUNT
    malformed: int = 0
    """Headers that were there and could not be read."""


class _PostWire(msgspec.Struct, gc=False):
    success: bool
    errorMsg: str | None = None  # noqa: N815 - the venue's spelling
    orderID: str | None = None  # noqa: N815
    status: str | None = None
    makingAmount: str | int | float | None = None  # noqa: N815
    takingAmount: str | int | float | None = None  # noqa: N815
    transactionsHashes: tuple[str, ...] | None = None  # noqa: N815
    tradeIDs: tuple[str, ...] | None = None  # noqa: N815


class _ErrorWire(msgspec.Struct, gc=False):
    error: str | None = None
    errorMsg: str | None = None  # noqa: N815
    error_msg: str | None = None
    code: str | int | None = None
    retry_after_seconds: int | float | None = None


class _CancelWire(msgspec.Struct, gc=False):
    canceled: tuple[str, ...] | None
    not_canceled: dict[str, str] | None = None


_decode_post: Final = msgspec.json.Decoder(_PostWire).decode
_decode_raws: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_error: Final = msgspec.json.Decoder(_ErrorWire).decode
_decode_cancel: Final = msgspec.json.Decoder(_CancelWire).decode


# ------------------------------------------------------------------------------- orders
def decode_order_reply(http_status: int, body: Payload, sent: Sent) -> OrderReply:
    """Read the answer to POST /order. Never raises."""
    if not 200 <= http_status < 300:
        return _refused(http_status, body)
    return _leg_reply(bytes(body), sent)


def decode_batch_reply(http_status: int, body: Payload, sent: Sequence[Sent]) -> list[OrderReply]:
    """Read the answer to POST /orders: one reply a leg, in the order sent. Never raises."""
    if not 200 <= http_status < 300:
        return [_refused(http_status, body)] * len(sent)
    try:
        legs = _decode_raws(bytes(body))
    except BAD_JSON:
        return [_refused(http_status, body)] * len(sent)
    if len(legs) != len(sent):
        text = f"{len(legs)} answers for {len(sent)} orders"
        return [_unreadable(RejectCode.UNPARSEABLE, text)] * len(sent)
    return [_leg_reply(bytes(leg), each) for leg, each in zip(legs, sent, strict=True)]


def _leg_reply(body: bytes, sent: Sent) -> OrderReply:
    try:
        wire = _decode_post(body)
    except BAD_JSON:
        return _refused(200, body)
    text = (wire.errorMsg or "")[:_TEXT_MAX]
    named = wire.orderID or ""
    if named and named.lower() != "0x" + sent.order_id.hex():
        return _unreadable(RejectCode.ID_MISMATCH, f"answer names order {named[:_TEXT_MAX]}")
    if text or not wire.success or not named:
        return _leg_refusal(wire.success, named, text)
    status = order_status(wire.status or "")
    size_e6, cash_e6 = _matched(wire, status, sent)
    policy, code = _accepted(status, sent.order_type)
    return OrderReply(
        policy,
        code,
        status,
        size_e6,
        cash_e6,
        wire.tradeIDs or (),
        wire.transactionsHashes or (),
        (wire.status or "")[:_TEXT_MAX] if code else "",
    )


def _leg_refusal(success: bool, named: str, text: str) -> OrderReply:
    """Read a 200 that does not say yes. Only clear words make it a no."""
    code, policy, text = classify(200, text or None)
    if success and named:
        # It has an id and an error at once: it may well rest in the book.
        policy = Policy.AMBIGUOUS
    elif not success and text and code == RejectCode.OTHER:
        # The venue's plain "no", in words we do not know.
        policy = Policy.REJECTED
    return _no_order(Refusal(code, policy, text))


def _accepted(status: OrderStatus, order_type: OrderType) -> tuple[Policy, RejectCode]:
    """Say what a status means for its order type. Source: polymarket.md 5.1."""
    immediate = order_type in _IMMEDIATE
    if status in (OrderStatus.MATCHED, OrderStatus.DELAYED):
        return Policy.ACCEPTED, RejectCode.NONE
    if status == OrderStatus.LIVE and not immediate:
        return Policy.ACCEPTED, RejectCode.NONE
    if status == OrderStatus.UNMATCHED:
        # A FOK or FAK that found no match is over; older servers left a GTC in the book with it.
        return (Policy.REJECTED if immediate else Policy.AMBIGUOUS), RejectCode.UNMATCHED
    # Also a FAK that claims to rest (clob-client#317).
    return Policy.AMBIGUOUS, RejectCode.STATUS_UNKNOWN


def _matched(wire: _PostWire, status: OrderStatus, sent: Sent) -> tuple[int, int]:
    """Return (size, cash) matched in this answer, in base units."""
    making, taking = _amount_text(wire.makingAmount), _amount_text(wire.takingAmount)
    if not making and not taking:
        nothing = status in (OrderStatus.LIVE, OrderStatus.DELAYED, OrderStatus.UNMATCHED)
        return (0, 0) if nothing else (NO_SIZE_E6, NO_SIZE_E6)
    making_e6, taking_e6 = _amounts(making, taking, sent)
    return (taking_e6, making_e6) if sent.action == Action.BUY else (making_e6, taking_e6)


def _amount_text(value: str | float | None) -> str:
    text = "" if value is None else str(value)
    return "" if text.strip("0") in ("", ".") else text


def _amounts(making: str, taking: str, sent: Sent) -> tuple[int, int]:
    """Tell decimal text from base units: a real answer showed the one, the docs the other.

    Decided by the making side, which never exceeds what the order gives (a dollar-sized BUY may
    receive more than its taker amount). Where both readings hold and the small one is a cent or
    more (an order over ten thousand dollars), nobody can tell: NO_SIZE_E6.
    """
    unknown = (NO_SIZE_E6, NO_SIZE_E6)
    try:
        decimal = (parse_fixed(making, 6), parse_fixed(taking, 6))
    except RemoteProtocolError:
        return unknown
    base = unknown
    if "." not in making + taking:
        base = (int(making), int(taking))
    fits_decimal, fits_base = _plausible(*decimal, sent), _plausible(*base, sent)
    if fits_decimal and not (fits_base and base[0] >= CENT_E6):
        return decimal
    return base if fits_base and not fits_decimal else unknown


def _plausible(making_e6: int, taking_e6: int, sent: Sent) -> bool:
    """Hold an amount against the order: no more than offered, at its price or better."""
    if making_e6 <= 0 or taking_e6 <= 0 or making_e6 > sent.maker_e6:
        return False
    cash_e6, size_e6 = (
        (making_e6, taking_e6) if sent.action == Action.BUY else (taking_e6, making_e6)
    )
    no_worse = making_e6 * sent.taker_e6 <= (taking_e6 + _DUST_E6) * sent.maker_e6
    return cash_e6 <= size_e6 and no_worse


def _refused(http_status: int, body: Payload) -> OrderReply:
    return _no_order(*_read_refusal(http_status, body))


def _no_order(refusal: Refusal, retry_after_ms: int = NO_COUNT) -> OrderReply:
    """Wrap a refusal: nothing matched, unless nobody knows."""
    matched_e6 = NO_SIZE_E6 if refusal.policy == Policy.AMBIGUOUS else 0
    return OrderReply(
        refusal.policy,
        refusal.code,
        OrderStatus.UNKNOWN,
        matched_e6,
        matched_e6,
        text=refusal.text,
        retry_after_ms=retry_after_ms,
    )


def _unreadable(code: RejectCode, text: str) -> OrderReply:
    return _no_order(Refusal(code, Policy.AMBIGUOUS, text))


def _read_refusal(http_status: int, body: Payload) -> tuple[Refusal, int]:
    """Find the venue's words in an error body of any of its shapes."""
    try:
        wire = _decode_error(bytes(body))
    except BAD_JSON:
        refusal = classify(http_status, None)
        if refusal.policy == Policy.AMBIGUOUS:
            code = RejectCode.UNPARSEABLE
            return Refusal(code, Policy.AMBIGUOUS, f"HTTP {http_status}"), NO_COUNT
        return refusal, NO_COUNT
    text = wire.error or wire.errorMsg or wire.error_msg
    if isinstance(wire.code, str) and wire.code:
        text = f"{wire.code}: {text or ''}"
    return classify(http_status, text), _seconds_ms(wire.retry_after_seconds)


def _seconds_ms(value: float | None) -> int:
    if value is None or not 0 <= value <= _SECONDS_MAX:
        return NO_COUNT
    return int(value * 1_000)


# ------------------------------------------------------------------------------- cancels
def decode_cancel_reply(http_status: int, body: Payload) -> CancelReply:
    """Read the answer to any cancel. Never raises: AMBIGUOUS means send it again."""
    if not 200 <= http_status < 300:
        refusal, retry_after_ms = _read_refusal(http_status, body)
        return CancelReply(
            refusal.policy, refusal.code, text=refusal.text, retry_after_ms=retry_after_ms
        )
    try:
        wire = _decode_cancel(bytes(body))
        canceled = tuple(parse_hex_32(each, "canceled id") for each in wire.canceled or ())
        refused = tuple(
            CancelRefusal(parse_hex_32(each, "not canceled id"), _cancel_code(why), why[:_TEXT_MAX])
            for each, why in (wire.not_canceled or {}).items()
        )
    except (*BAD_JSON, RemoteProtocolError) as error:
        text = str(malformed("cancel reply", body, error))[:_TEXT_MAX]
        return CancelReply(Policy.AMBIGUOUS, RejectCode.UNPARSEABLE, text=text)
    return CancelReply(Policy.ACCEPTED, RejectCode.NONE, canceled, refused)


def _cancel_code(text: str) -> CancelCode:
    words = text.lower()
    if "not found" in words:
        return CancelCode.NOT_FOUND
    if "delayed" in words:
        return CancelCode.DELAYED
    already = "already" in words and ("cancel" in words or "matched" in words)
    return CancelCode.ALREADY_DONE if already else CancelCode.OTHER


# ------------------------------------------------------------------------------- limits
def decode_rate_limit(headers: Iterable[tuple[bytes, bytes]]) -> RateLimit:
    """Read the rate headers of any answer; names in any case. Never raises.

    Source: polymarket.md 12.4.
    """
    counts: dict[str, int] = {}
    tier, warning, odd = "", False, 0
    for name, value in headers:
        word = name.lower()
        if word == b"poly-ratelimit-tier":
            tier = value.decode("ascii", "replace").strip()[:40]
        elif word == b"poly-ratelimit-warning":
            warning = value.strip().lower() == b"true"
        elif word in _COUNTS:
            number = value.strip()
            if number.isdigit() and len(number) <= 13:
                counts[_COUNTS[word]] = int(number)
            else:
                odd += 1
    after_s = counts.get("retry_after", NO_COUNT)
    return RateLimit(
        counts.get("remaining", NO_COUNT),
        counts.get("reset", NO_COUNT),
        tier,
        warning,
        after_s * 1_000 if 0 <= after_s <= _SECONDS_MAX else NO_COUNT,
        odd,
    )


_COUNTS: Final = {
    b"poly-ratelimit-remaining": "remaining",
    b"poly-ratelimit-reset": "reset",
    b"retry-after": "retry_after",
}
