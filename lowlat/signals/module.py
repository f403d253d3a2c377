"""What a signal module is: a class over views. Subclass Module, fill in what you need.

::

    class Cheap(Module):
        name = "cheap"

        def interest(self, row):
            return True

        def on_book(self, book, now_ns):
            if book.best_ask_e4(Outcome.YES) < 500:
                self.ctx.emit(Signal(...))

A module is called in turns by the signals engine. Same calls, same signals: it reads no clock, no
file, no socket and no random number, logs nothing, and keeps its state in itself. A view is valid
until the callback returns; ``now_ns`` is monotonic, ``ctx.wall_ns(now_ns)`` the venue's time. A
module that raises is switched off, counted and named; the engine goes on.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, ClassVar, Protocol

import msgspec

from lowlat.book._view import BookView
from lowlat.core.errors import ConfigError
from lowlat.core.instruments import Instruments
from lowlat.core.interest import Interest
from lowlat.core.layout import MarketRow, Settle, SpotTop
from lowlat.core.signal import Signal
from lowlat.signals._look import Look, SpotLook
from lowlat.signals._path import BookPath
from lowlat.signals.own import OwnOrder

__all__ = ["Context", "EntryPoint", "Mode", "Module", "NoParams", "load_modules", "make_module"]


class Mode(IntEnum):
    """How far a module's signals go. OFF modules are not made; the rest is in the record."""

    OFF = -1
    SHADOW = 0
    """Decided and recorded, never sent."""
    PAPER = 1
    LIVE = 2


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a module that has none."""


class Context(Protocol):
    """What a module may look at and where its signals go. Owned by the engine."""

    instruments: Instruments
    """Tokens and markets by index and by venue id; ``instruments.markets[market]`` is the row."""

    @property
    def path(self) -> BookPath:
        """The compiled side of this context, for looks (see Module.look)."""
        ...

    def book(self, market: int) -> BookView | None:
        """Return a market's newest book, or None while it is unknown or its connection is gone."""
        ...

    def spot(self, coin: int) -> SpotTop | None:
        """Return the newest exchange touch of a coin."""
        ...

    def settle_history(self, coin: int, series: int) -> Sequence[Settle]:
        """Return the last prints of a settlement series, oldest first, one a stamp."""
        ...

    def wall_ns(self, now_ns: int) -> int:
        """Return the venue's time at a monotonic time."""
        ...

    def position_e6(self, instrument: int) -> int:
        """Return the account's shares of a token; kept only for modules with an on_order."""
        ...

    def next_group(self) -> int:
        """Return a fresh name for a group of legs."""
        ...

    def emit(self, signal: Signal) -> bool:
        """Publish a signal; False when risk is behind and it was dropped (and counted).

        Raises ValueError, naming the field, for what the record cannot hold without loss.
        """
        ...

    def emit_group(self, legs: Sequence[Signal]) -> bool:
        """Publish all legs of a group or none of them."""
        ...

    def count(self, name: str) -> None:
        """Add one to the module's counter of that name."""
        ...


class Module:
    """A signal module. Override what you need; what is not overridden is never called."""

    name: ClassVar[str] = ""
    """1-16 ASCII characters; also its name in the config and the entry point."""
    Params: ClassVar[type[msgspec.Struct]] = NoParams
    """Frozen msgspec struct with units in the keys and a default for each."""

    turn_every_ns: ClassVar[int] = 0
    """Least time between two calls of on_turn; they cost every trigger of their turn."""

    ctx: Context
    params: Any
    """An instance of Params; narrow the annotation in your class."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def wants(self) -> Sequence[Interest]:
        """Return which of all listed markets shall be followed; asked once, when it starts.

        There are more markets than places: these get one before what nobody wants. None wanted
        means that it takes what is followed anyway.
        """
        return ()

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:  # noqa: ARG003 - for overrides
        """Tell a signal in lines of words and numbers that can be worked out again by hand."""
        return ["  ".join(f"{key} {value}" for key, value in signal.metadata.items())]

    def interest(self, row: MarketRow) -> bool:
        """Whether this market's books shall be sent; asked again when the row changes."""
        raise NotImplementedError

    def on_market(self, row: MarketRow) -> None:
        """Take a new or changed row of an interesting market, before any of its books."""

    def on_gone(self, market: int) -> None:
        """Forget a market: its row holds another one now, or it is no longer interesting."""

    def look(self, market: int) -> Look | None:  # noqa: ARG002  what it looks like if overridden
        """Return a compiled look at a market's books instead of on_book; asked after on_market."""
        return None

    def look_at_spot(self) -> SpotLook | None:
        """Return a compiled look at exchange prices instead of on_spot; asked when ctx is set."""
        return None

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Look at a fresh book that changed."""

    def on_spot(self, spot: SpotTop, now_ns: int) -> None:
        """Look at an exchange price that changed."""

    def on_settle(self, print_: Settle, now_ns: int) -> None:
        """Look at a print of a settlement series, each stamp once."""

    def on_order(self, order: OwnOrder, now_ns: int) -> None:
        """Take what became of an order of this module; at the start, each that is open."""

    def on_turn(self, now_ns: int) -> None:
        """Do what time alone asks for: in working turns and each second, as turn_every_ns says."""


class EntryPoint(Protocol):
    """What ``importlib.metadata.entry_points(group="lowlat.signals")`` yields."""

    @property
    def name(self) -> str:
        """Name of the module."""
        ...

    def load(self) -> Any:
        """Import and return the class."""
        ...


def load_modules(
    names: Sequence[str], entry_points: Iterable[EntryPoint]
) -> dict[str, type[Module]]:
    """Find the module classes of the wanted names, in the order of names.

    Raises ConfigError for a name that no package or more than one provides, and for a class that
    is not a Module of that name.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points:
        found.setdefault(point.name, []).append(point)
    modules: dict[str, type[Module]] = {}
    for name in names:
        points = found.get(name, [])
        if len(points) != 1:
            raise ConfigError(
                f"signal module {name!r} is provided {len(points)} times, expected once; "
                f"installed: {', '.join(sorted(found)) or 'none'}"
            )
        loaded = points[0].load()
        if not (isinstance(loaded, type) and issubclass(loaded, Module)) or loaded.name != name:
            raise ConfigError(
                f"entry point {name!r} of lowlat.signals is {loaded!r}, expected a subclass of "
                f"lowlat.signals.module.Module with name = {name!r}"
            )
        if not (0 < len(name) <= 16 and name.isascii()):
            raise ConfigError(f"module name was {name!r}, expected 1-16 ASCII characters")
        modules[name] = loaded
    return modules


def make_module(module: type[Module], settings: dict[str, Any]) -> Module:
    """Make a module from its part of the config; raises ConfigError naming key and value."""
    try:
        params = msgspec.convert(settings, module.Params, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"modules.{module.name}: {error}; was {settings!r}") from None
    validate = getattr(params, "validate", None)
    if validate is not None:
        validate()
    return module(params)
