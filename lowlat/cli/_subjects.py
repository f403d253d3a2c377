"""What `lowlat explain` and `lowlat trace` are asked about: one way to name signals and orders."""

from typing import Final, NamedTuple

from lowlat.cli._evidence import Evidence
from lowlat.core.errors import ConfigError
from lowlat.core.layout import OrderRow, SignalRecord

__all__ = ["Subject", "find", "orders_of", "signal_of"]

_DIGITS_MIN: Final = 4
_HEX: Final = frozenset("0123456789abcdef")


class Subject(NamedTuple):
    """A signal and an order of it; None is what there is not, or what was not kept."""

    signal: SignalRecord | None
    order: OrderRow | None


def find(evidence: Evidence, text: str, command: str) -> Subject:
    """Return what is meant: the newest of all or of a module, or what begins with these digits.

    Raises ConfigError that says what there is.
    """
    # As they were written: after a reboot times begin anew, too.
    signals = list(evidence.signals.values())
    orders = sorted(evidence.orders.values(), key=_age)
    named = {_text(each.module) for each in signals} | {_text(each.module) for each in orders}
    modules = sorted(named)
    if text == "last" or text in modules:
        return Subject(
            next((each for each in reversed(signals) if _is_of(each, text)), None),
            next((each for each in reversed(orders) if _is_of(each, text)), None),
        )
    digits = text.lower().removeprefix("0x")
    if len(digits) < _DIGITS_MIN or not set(digits) <= _HEX:
        raise ConfigError(
            f"{command}: was {text!r}, expected last, {_listed(modules)}at least {_DIGITS_MIN} hex "
            f"digits of an order or a signal ({evidence.source})"
        )
    for signal in reversed(signals):
        if f"{signal.id:x}" == digits:
            return Subject(signal, next(iter(orders_of(evidence, signal)), None))
    found = [each for each in orders if each.order_id.hex().startswith(digits)]
    if len(found) != 1:
        what = "nothing begins" if not found else f"{len(found)} orders begin"
        raise ConfigError(
            f"{command}: {what} with {text!r} among {len(orders)} orders and {len(signals)} signals"
        )
    return Subject(signal_of(evidence, found[0]), found[0])


def signal_of(evidence: Evidence, order: OrderRow) -> SignalRecord | None:
    """Return the signal behind an order, None when it was not kept."""
    return evidence.signals.get((order.signal, order.decided_ns))


def orders_of(evidence: Evidence, signal: SignalRecord) -> list[OrderRow]:
    """Return the orders of a signal, newest first."""
    found = [
        each
        for each in evidence.orders.values()
        if (each.signal, each.decided_ns) == (signal.id, signal.decided_ns)
    ]
    return sorted(found, key=_age, reverse=True)


def _age(order: OrderRow) -> tuple[int, int]:
    return (order.created_wall_ms, order.sent_ns)


def _is_of(record: SignalRecord | OrderRow, text: str) -> bool:
    return text == "last" or _text(record.module) == text


def _listed(modules: list[str]) -> str:
    return f"one of {', '.join(modules)}, or " if modules else "or "


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")
