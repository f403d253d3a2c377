"""What the venue's refusals mean: text and HTTP status to a stable code and what to do.

Read by the executor through replies.py. The texts are the venue's own (polymarket.md 6); they
have no codes and change without notice, so unknown text is a code of its own, never a guess:

===========  ===================================================================================
policy       meaning
===========  ===================================================================================
REJECTED     positive evidence: the order does not exist and the same one will not be taken
RETRY_LATER  positive evidence: it does not exist, and trying later makes sense
HALT         it does not exist, and no order of this account will be taken until a person acts
AMBIGUOUS    nobody knows: look the precomputed id up, count it as exposure until then
===========  ===================================================================================
"""

import functools
import re
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["Policy", "Refusal", "RejectCode", "classify"]


class Policy(IntEnum):
    """What follows from an answer. ACCEPTED is not a refusal."""

    ACCEPTED = 0
    REJECTED = 1
    RETRY_LATER = 2
    HALT = 3
    AMBIGUOUS = 4


class RejectCode(IntEnum):
    """Why an order was not taken. The number is stored: append only."""

    NONE = 0
    OTHER = 1
    """Refused in words this table does not know."""
    UNPARSEABLE = 2
    ID_MISMATCH = 3
    """The answer names another order than the one that was signed."""
    STATUS_UNKNOWN = 4
    TRANSPORT_STATUS = 5
    """An HTTP status without a usable text."""
    INVALID_PAYLOAD = 10
    WRONG_OWNER = 11
    INVALID_SIGNATURE = 12
    VERSION_MISMATCH = 13
    WRONG_WALLET = 14
    BANNED = 15
    CLOSED_ONLY = 16
    TICK = 17
    MIN_SIZE = 18
    DUPLICATED = 19
    CROSSES_BOOK = 20
    BALANCE = 21
    EXPIRATION = 22
    DECIMALS = 23
    MIN_NOTIONAL = 24
    FOK_KILLED = 25
    FAK_NO_MATCH = 26
    MARKET_NOT_READY = 27
    CANCELED_ON_CHAIN = 28
    MATCH_DELAYED = 29
    TOO_MANY_ORDERS = 30
    UNAUTHORIZED = 31
    GEOBLOCKED = 32
    NO_BOOK = 33
    NOT_READY = 34
    RATE_LIMITED = 35
    NOT_INSERTED = 36
    EXECUTION = 37
    NO_MATCH = 38
    ROUNDING = 39
    PRICE_DISCREPANCY = 40
    TIMED_OUT = 41
    TRADING_DISABLED = 42
    CANCEL_ONLY = 43
    POST_ONLY_MODE = 44
    UNMATCHED = 45
    POST_ONLY_TYPE = 46
    FORBIDDEN = 47


class Refusal(NamedTuple):
    """A refusal, classified; ``text`` is the venue's, cut to 200 characters."""

    code: RejectCode
    policy: Policy
    text: str = ""


_REJECTED: Final = Policy.REJECTED
_RETRY: Final = Policy.RETRY_LATER
_HALT: Final = Policy.HALT
_AMBIGUOUS: Final = Policy.AMBIGUOUS

# In order: the first that is found in the lower-cased text decides. Source: polymarket.md 6.
_TEXTS: Final[tuple[tuple[str, RejectCode, Policy], ...]] = (
    # Before anything that could also be part of a longer sentence.
    (r"duplicated|invalid_order_duplicated", RejectCode.DUPLICATED, _AMBIGUOUS),
    (r"post_only_mode|post-only mode", RejectCode.POST_ONLY_MODE, _RETRY),
    (r"cancel-only", RejectCode.CANCEL_ONLY, _RETRY),
    (r"trading is currently disabled", RejectCode.TRADING_DISABLED, _RETRY),
    (r"restricted in your region|geoblock", RejectCode.GEOBLOCKED, _HALT),
    (r"address banned", RejectCode.BANNED, _HALT),
    (r"closed only mode|closed-only", RejectCode.CLOSED_ONLY, _HALT),
    (r"maker address not allowed|deposit wallet flow", RejectCode.WRONG_WALLET, _HALT),
    (r"has to be the (owner|address) of the api key", RejectCode.WRONG_OWNER, _HALT),
    (r"unauthorized|invalid api key|invalid l1 request", RejectCode.UNAUTHORIZED, _HALT),
    (r"invalid signature", RejectCode.INVALID_SIGNATURE, _REJECTED),
    (r"order_version_mismatch", RejectCode.VERSION_MISMATCH, _REJECTED),
    (r"invalid_post_only_order_type", RejectCode.POST_ONLY_TYPE, _REJECTED),
    (r"crosses (the )?book|invalid_post_only_order", RejectCode.CROSSES_BOOK, _REJECTED),
    (r"breaks minimum tick size|invalid_order_min_tick", RejectCode.TICK, _REJECTED),
    (r"lower than the minimum|invalid_order_min_size", RejectCode.MIN_SIZE, _REJECTED),
    (
        r"not enough balance|allowance is not enough|invalid_order_not_enough_balance",
        RejectCode.BALANCE,
        _REJECTED,
    ),
    (r"invalid expiration|invalid_order_expiration", RejectCode.EXPIRATION, _REJECTED),
    (r"max(imum)? accuracy of", RejectCode.DECIMALS, _REJECTED),
    (r"invalid amount for a marketable", RejectCode.MIN_NOTIONAL, _REJECTED),
    (r"fak orders are|no orders found to match with fak", RejectCode.FAK_NO_MATCH, _REJECTED),
    (
        r"fok orders are (fully )?filled or killed|fully filled\. fok|fok_order_not_filled",
        RejectCode.FOK_KILLED,
        _REJECTED,
    ),
    (r"not yet ready to process|market_not_ready", RejectCode.MARKET_NOT_READY, _RETRY),
    (r"canceled in the ctf exchange", RejectCode.CANCELED_ON_CHAIN, _REJECTED),
    # The order exists and waits, or does not: the words say only that matching is late.
    (
        r"match delayed due to market|order_delayed|delaying_order_error",
        RejectCode.MATCH_DELAYED,
        _AMBIGUOUS,
    ),
    (r"too many orders in payload", RejectCode.TOO_MANY_ORDERS, _REJECTED),
    (r"invalid order payload", RejectCode.INVALID_PAYLOAD, _REJECTED),
    (r"no orderbook exists|market not found", RejectCode.NO_BOOK, _REJECTED),
    (r"service not ready", RejectCode.NOT_READY, _RETRY),
    (r"rate limit|too many requests", RejectCode.RATE_LIMITED, _RETRY),
    # Documented as not booked and safe to send again.
    (r"order timed out", RejectCode.TIMED_OUT, _RETRY),
    (r"could not insert order", RejectCode.NOT_INSERTED, _AMBIGUOUS),
    (r"could not run the execution|execution_error", RejectCode.EXECUTION, _AMBIGUOUS),
    (r"there are no matching orders", RejectCode.NO_MATCH, _AMBIGUOUS),
    (r"rounding issues", RejectCode.ROUNDING, _AMBIGUOUS),
    (r"discrepancy greater than allowed", RejectCode.PRICE_DISCREPANCY, _AMBIGUOUS),
    (r"invalid_order_error", RejectCode.OTHER, _REJECTED),
)
_COMPILED: Final = tuple((re.compile(text), code, policy) for text, code, policy in _TEXTS)

_STATUSES: Final[dict[int, tuple[RejectCode, Policy]]] = {
    401: (RejectCode.UNAUTHORIZED, _HALT),
    403: (RejectCode.FORBIDDEN, _HALT),
    425: (RejectCode.NOT_READY, _RETRY),
    429: (RejectCode.RATE_LIMITED, _RETRY),
}
"""Statuses that say enough without words, also as a proxy's HTML page."""
_TEXT_MAX: Final = 200


@functools.lru_cache(maxsize=64)
def _known(words: str) -> tuple[RejectCode, Policy] | None:
    """Return what the first text found in the words means: the same come again and again."""
    for pattern, code, policy in _COMPILED:
        if pattern.search(words):
            return code, policy
    return None


def classify(http_status: int, text: str | None) -> Refusal:
    """Say what a refusal means. ``text`` is None when the body held no words of the venue.

    A status that speaks for itself (401, 403, 425, 429) overrides an unknown text, and its policy
    overrides a known one: whatever was wrong with the order, it was not looked at.
    """
    # What is long is not kept: a page of some proxy, the same only by chance.
    search = _known if text and len(text) <= _TEXT_MAX else _known.__wrapped__
    found = search(text.lower()) if text else None
    shown = (text or "")[:_TEXT_MAX]
    by_status = _STATUSES.get(http_status)
    if by_status is not None:
        return Refusal(found[0] if found else by_status[0], by_status[1], shown)
    if found is not None:
        return Refusal(*found, shown)
    if text and 400 <= http_status < 500 and http_status != 408:
        return Refusal(RejectCode.OTHER, _REJECTED, shown)
    # Nothing that proves the order was not taken: 5xx, a redirect, a page of some proxy.
    code = RejectCode.OTHER if text else RejectCode.TRANSPORT_STATUS
    return Refusal(code, _AMBIGUOUS, shown)
