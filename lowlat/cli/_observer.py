"""What `demo` and `run` show: one picture of an instance, put together from read-only mappings."""

from dataclasses import dataclass, field
from typing import Final

from lowlat.app.activity import Activity, Pairs
from lowlat.app.supervisor import ChildStatus, HaltCode, Supervisor
from lowlat.app.telemetry import Reading, Telemetry
from lowlat.app.valuation import Worth, worth
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.layout import BookFlag, OrderState

__all__ = ["Observer", "Picture"]

_SWEEP_EVERY_NS: Final = 250_000_000
_RATE_OVER_NS: Final = 1_000_000_000
_OPEN_STATES: Final = frozenset(
    {OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN}
)


@dataclass(slots=True)
class Picture:
    """Everything a screen or a line shows, at about one moment."""

    children: list[ChildStatus]
    halt: HaltCode
    reading: Reading
    rates: dict[str, float]
    signals: dict[str, int]
    decisions: dict[str, int]
    orders: int
    orders_open: int
    fills: int
    pairs: Pairs
    worth: Worth | None
    shards_alive: int = 0
    shards: int = 0
    books_fresh: int = 0
    books: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """Frames received from all venues."""
        return self.reading.total("frames")

    @property
    def message_rate(self) -> float:
        """Frames a second, lately."""
        return sum(rate for name, rate in self.rates.items() if name.endswith(".frames"))


class Observer:
    """Keeps counting while the supervisor turns; hook ``on_turn`` to it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.activity = Activity(supervisor.instance, from_start=True)
        self.telemetry = Telemetry(supervisor.instance)
        self._swept_ns = 0
        self._earlier = self.telemetry.read()
        self._rates: dict[str, float] = {}

    def on_turn(self) -> None:
        """Read what is new: streams each time, tables a few times a second."""
        self.activity.poll()
        now_ns = monotonic_ns()
        if now_ns - self._swept_ns >= _SWEEP_EVERY_NS:
            self._swept_ns = now_ns
            self.activity.sweep()

    def forget_memory(self) -> None:
        """Read the last words of segments that are about to go."""
        self.telemetry.read()
        self.activity.forget_memory()

    def picture(self) -> Picture:
        """Put together what there is now; some milliseconds."""
        reading = self.telemetry.read()
        if reading.at_ns - self._earlier.at_ns >= _RATE_OVER_NS:
            self._rates = reading.rates(self._earlier)
            self._earlier = reading
        activity = self.activity
        activity.sweep()
        open_orders = sum(state in _OPEN_STATES for state in activity.orders.values())
        picture = Picture(
            children=self._supervisor.status(),
            halt=self._supervisor.halt,
            reading=reading,
            rates=self._rates,
            signals=dict(activity.signals.most_common()),
            decisions=activity.by_rule(),
            orders=len(activity.orders),
            orders_open=open_orders,
            fills=activity.fills,
            pairs=activity.pairs(),
            worth=None,
            lost={name: count for name, count in activity.lost.items() if count},
        )
        self._from_tables(picture)
        return picture

    def _from_tables(self, picture: Picture) -> None:
        attached = self.activity.attached
        if attached is None:
            return
        try:
            picture.worth = worth(attached)
            shards, versions = attached.tables["shard"].snapshot()
            used = shards[versions > 0]
            picture.shards = len(used)
            picture.shards_alive = int((used["alive"] != 0).sum())
            books, versions = attached.tables["book"].snapshot()
            flags = books["book_flags"][versions > 0]
            picture.books = len(flags)
            picture.books_fresh = int(((flags & int(BookFlag.STALE)) == 0).sum())
        except (SegmentError, LayoutError):
            # Segments are being made anew: this picture shows none of them, the next one does.
            return
