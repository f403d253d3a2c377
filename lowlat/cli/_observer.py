"""One picture of an instance, put together from read-only mappings: for every screen and report.

`demo` and `run` make it beside their supervisor, `top` and `status` from outside.
"""

from dataclasses import dataclass, field
from typing import Final

from lowlat.app.activity import Activity, Pairs, rule_name
from lowlat.app.halts import read_halts
from lowlat.app.nameplate import mode_of
from lowlat.app.names import HALT_GAUGE, SUPERVISOR
from lowlat.app.supervisor import ChildStatus, HaltCode, Supervisor
from lowlat.app.telemetry import Reading, Telemetry
from lowlat.app.valuation import Worth, results_by_module, worth
from lowlat.cli._processes import Processes, ProcessView
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
    """Only beside the supervisor."""
    halts: list[str]
    """Why new orders are halted: every cell that is set, in words."""
    reading: Reading
    processes: list[ProcessView]
    mode: str
    """sim, paper, live; '' when the processes do not say one."""
    rates: dict[str, float]
    signals: dict[str, int]
    modules: dict[str, dict[str, int]]
    """Signals, approved wishes and trades by module; what came of them where risk has a score."""
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
    """Keeps counting as long as ``on_turn`` is called often: hook it to the supervisor's."""

    def __init__(self, instance: str, supervisor: Supervisor | None = None) -> None:
        """``supervisor``: the one that runs in this process, if it does."""
        self.instance = instance
        self._supervisor = supervisor
        self.activity = Activity(instance, from_start=True)
        self.telemetry = Telemetry(instance)
        self._processes = Processes()
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
            children=self._supervisor.status() if self._supervisor is not None else [],
            halts=[*_halts(reading), *_pulled(self.instance)],
            reading=reading,
            processes=self._processes.views(reading),
            mode=mode_of(reading.gauges.values()),
            rates=self._rates,
            signals=dict(activity.signals.most_common()),
            modules=activity.by_module(),
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
            for name, results in results_by_module(attached).items():
                if name in picture.modules:
                    picture.modules[name] |= results
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


def _halts(reading: Reading) -> list[str]:
    """Name every halt cell that is set; a code of a newer build stays a number."""
    found = []
    for process, gauges in sorted(reading.gauges.items()):
        code = gauges.get(HALT_GAUGE, 0)
        if code and process == SUPERVISOR and code in HaltCode.__members__.values():
            found.append(f"supervisor: {HaltCode(code).name.lower().replace('_', ' ')}")
        elif code:
            found.append(f"{process}: {rule_name(code) if process != SUPERVISOR else code}")
    return found


def _pulled(instance: str) -> list[str]:
    """Name every halt that somebody pulled; a file that cannot be read counts as one."""
    try:
        return [str(each) for each in read_halts(instance)]
    except SegmentError as error:
        return [str(error)]
