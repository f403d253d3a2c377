"""Which tokens are one neg-risk event, as the venue's indexer tells it. Pure.

Exactly one of an event's markets says YES, so NO of all n of them is worth n - 1 dollars. Tokens
come by token or by condition, the conditions of an event from its resolutions. Source:
polymarket.md 11.2 and 12.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.wire import BAD_JSON, malformed

__all__ = [
    "CONDITIONS_MAX",
    "TOKENS_MAX",
    "NegRiskEvent",
    "NegRiskToken",
    "conditions_query",
    "decode_event_conditions",
    "decode_tokens",
    "event_of",
    "event_query",
    "tokens_query",
]

TOKENS_MAX: Final = 50
CONDITIONS_MAX: Final = 10
"""Of one request."""
_CLASSIC: Final = "v1_ctf"
_NO: Final = 1
_HEX_32: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_DIGITS: Final = re.compile(r"[0-9]{1,78}", re.ASCII)


class NegRiskToken(NamedTuple):
    """A token of a neg-risk event whose market is not resolved."""

    token_id: str
    condition_id: str
    event_id: str
    market_id: str
    """The event's, as contracts know it."""
    question: int
    is_no: bool


class NegRiskEvent(NamedTuple):
    """Every market of an event, by the number of its question."""

    market_id: str
    condition_ids: tuple[str, ...]
    no_tokens: tuple[str, ...]


def tokens_query(tokens: Iterable[str]) -> tuple[str, str]:
    """Return path and query that ask about tokens, TOKENS_MAX at most."""
    return "/v2/tokens", f"token_id={','.join(tokens)}"


def conditions_query(conditions: Iterable[str]) -> tuple[str, str]:
    """Return path and query that ask for the tokens of markets, CONDITIONS_MAX at most."""
    return "/v2/tokens", f"condition={','.join(conditions)}"


def event_query(event_id: str) -> tuple[str, str]:
    """Return path and query that ask which markets an event has."""
    return "/v2/resolutions", f"event_id={event_id}"


class _TokenWire(msgspec.Struct, gc=False):
    token_id: str
    condition_id: str
    module: str = ""
    outcome_index: int = 999
    resolved: bool = False
    neg_risk: bool = False
    neg_risk_market_id: str | None = None
    question_index: int | None = None
    event_id: int | str | None = None


class _ConditionWire(msgspec.Struct, gc=False):
    condition_id: str


class _TokensWire(msgspec.Struct, gc=False):
    data: tuple[_TokenWire, ...]


class _ConditionsWire(msgspec.Struct, gc=False):
    data: tuple[_ConditionWire, ...]


def decode_tokens(http_status: int, body: bytes) -> list[NegRiskToken]:
    """Read tokens of neg-risk events; leave out resolved ones and those of the newer protocol."""
    wire: _TokensWire = _decode("/v2/tokens", http_status, body, _TokensWire)
    return [
        _token(each)
        for each in wire.data
        if each.neg_risk and each.module == _CLASSIC and not each.resolved
    ]


def decode_event_conditions(http_status: int, body: bytes) -> list[str]:
    """Read the conditions of an event, in no order that means anything."""
    wire: _ConditionsWire = _decode("/v2/resolutions", http_status, body, _ConditionsWire)
    return [_hex_32(each.condition_id, "condition id") for each in wire.data]


def event_of(conditions: Iterable[str], tokens: Iterable[NegRiskToken]) -> NegRiskEvent | None:
    """Put an event together; None unless each of its markets has its NO and its own question."""
    wanted = set(conditions)
    noes = sorted((each for each in tokens if each.is_no), key=lambda each: each.question)
    if (
        len(noes) < 2
        or {each.condition_id for each in noes} != wanted
        or [each.question for each in noes] != list(range(len(wanted)))
        or len({each.market_id for each in noes}) != 1
    ):
        return None
    return NegRiskEvent(
        noes[0].market_id,
        tuple(each.condition_id for each in noes),
        tuple(each.token_id for each in noes),
    )


def _token(wire: _TokenWire) -> NegRiskToken:
    event, question = str(wire.event_id or ""), wire.question_index
    if not _DIGITS.fullmatch(event) or not _DIGITS.fullmatch(wire.token_id):
        raise RemoteProtocolError(
            f"/v2/tokens: token {wire.token_id[:80]!r} of event {event[:40]!r}, expected numbers"
        )
    if question is None or not 0 <= question < 256 or wire.outcome_index not in (0, _NO):
        raise RemoteProtocolError(
            f"/v2/tokens: question {question} and outcome {wire.outcome_index} of token "
            f"{wire.token_id}, expected 0 to 255 and 0 or 1"
        )
    return NegRiskToken(
        wire.token_id,
        _hex_32(wire.condition_id, "condition id"),
        event,
        _hex_32(wire.neg_risk_market_id or "", "neg_risk_market_id"),
        question,
        wire.outcome_index == _NO,
    )


def _hex_32(text: str, name: str) -> str:
    if not _HEX_32.fullmatch(text):
        raise RemoteProtocolError(f"{name} {text[:80]!r} is not 0x and 64 hex digits")
    return text.lower()


def _decode(what: str, http_status: int, body: bytes, kind: Any) -> Any:
    if http_status != 200:
        raise malformed(what, None, f"HTTP {http_status}")
    try:
        return msgspec.json.decode(body, type=kind)
    except BAD_JSON as error:
        raise malformed(what, None, error) from error
