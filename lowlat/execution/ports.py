"""Everything the executor is given: streams, tables, transport, clock and meters, as ports."""

from collections.abc import Callable

from lowlat.core.ports import Clock, Salts, StreamReader, StreamWriter, TableWriter, Transport
from lowlat.execution.books import MarketReader
from lowlat.execution.meters import ExecutorMeters

__all__ = ["ExecutorPorts"]


class ExecutorPorts:
    """Everything the executor is given. Tables are writing ends of tables only it writes."""

    __slots__ = (
        "cash",
        "clock",
        "groups",
        "intents",
        "markets",
        "meters",
        "note",
        "orders",
        "positions",
        "reports",
        "salts",
        "told",
        "transport",
    )

    def __init__(
        self,
        *,
        intents: StreamReader,
        reports: StreamWriter,
        orders: TableWriter,
        groups: TableWriter,
        positions: TableWriter,
        cash: TableWriter,
        markets: MarketReader,
        transport: Transport,
        clock: Clock,
        salts: Salts,
        meters: ExecutorMeters,
        note: Callable[[str, str], None] | None = None,
        told: StreamReader | None = None,
    ) -> None:
        """``note(kind, sample)`` keeps one sample a distinct fault; without it they only count.

        ``told``: the end of our own reports, as an earlier life left them; read once, at the start.
        """
        self.intents = intents
        self.reports = reports
        self.orders = orders
        self.groups = groups
        self.positions = positions
        self.cash = cash
        self.markets = markets
        self.transport = transport
        self.clock = clock
        self.salts = salts
        self.meters = meters
        self.note = note
        self.told = told
