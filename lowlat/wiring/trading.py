"""The decision path of the fused topology: signals, risk and executor in one process, one pump.

Wiring only. They meet in the streams exactly as they would across processes; ``pump`` runs their
turns right behind the frame that caused them.
"""

from importlib.metadata import entry_points
from typing import Final

import msgspec

from lowlat.core.instruments import Instruments
from lowlat.core.layout import STREAMS, Action, Coin
from lowlat.core.ports import Clock, Salts, StreamWriter, Transport
from lowlat.execution.books import MarketReader
from lowlat.execution.engine import ExecutorEngine, ExecutorPorts
from lowlat.execution.recovered import Recovered
from lowlat.feeds.ports import Note
from lowlat.risk.engine import RiskEngine, RiskPorts
from lowlat.risk.limits import LimitsParams
from lowlat.signals.engine import SignalsEngine, SignalsPorts
from lowlat.signals.module import Mode, Module, load_modules, make_module
from lowlat.venues.polymarket.account import Account
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderSigner
from lowlat.wiring.ports import Keys, Memory, Meters, Settings

__all__ = ["Trading", "build_modules"]

_PUMP_ROUNDS: Final = 4
"""Bound of one pump: what is still due then waits for the next turn."""
_RISK_GATE: Final = "risk"
_EXECUTOR_GATE: Final = "executor"
_DECISIONS_BACK: Final = 4 * STREAMS["signals"].slots
"""A signal still in its ring was decided at most so many records ago, turns included."""


class Trading:
    """Signals, risk and executor over one memory. ``halt`` is this process's halt cell."""

    def __init__(
        self,
        config: Settings,
        attachment: Memory,
        metrics: Meters,
        credentials: Keys,
        host: str,
        transport: Transport,
        recovered: Recovered | None,
        *,
        clock: Clock,
        salts: Salts,
        note: Note | None = None,
    ) -> None:
        self._clock = clock
        self._note = note
        self._salts = salts
        self._now_ns = clock.monotonic_ns
        self.halt = metrics.gauge("halt")
        self.api = ApiCredentials(
            credentials.api_key, credentials.api_secret, credentials.api_passphrase
        )
        self.requests = ClobRequests(host, L2Auth(credentials.address, self.api))
        # Writers first: a reader's position then lies behind what a dead writer left.
        signals_out = attachment.open_stream_writer("signals")
        intents_out = attachment.open_stream_writer("intents")
        reports_out = attachment.open_stream_writer("reports")
        decisions_out = attachment.open_stream_writer("decisions")
        self.executor = self._executor(
            config, attachment, metrics, credentials, transport, recovered, reports_out
        )
        self.risk = RiskEngine(
            RiskPorts(
                signals=attachment.open_stream_reader("signals", gate=_RISK_GATE),
                reports=attachment.open_stream_reader("reports", gate=_RISK_GATE),
                metadata=attachment.open_stream_reader("metadata"),
                books=attachment.open_table_reader("book"),
                shards=attachment.open_table_reader("shard"),
                markets=attachment.open_table_reader("markets"),
                positions=attachment.open_table_reader("positions"),
                cash=attachment.open_table_reader("cash"),
                orders=attachment.open_table_reader("orders"),
                groups=attachment.open_table_reader("groups"),
                intents=intents_out,
                decisions=decisions_out,
                exposure=attachment.open_table_writer("exposure"),
                clock=self._clock,
                halted=self._halted,
                pull_halt=self._pull_halt,
                cell=metrics.cell,
                recorder=metrics.recorder,
                decided=attachment.open_stream_reader(
                    "decisions", position=max(1, decisions_out.cursor - _DECISIONS_BACK)
                ),
            ),
            _on_rungs(config),
        )
        self.signals = SignalsEngine(
            build_modules(config),
            SignalsPorts(
                market=attachment.open_stream_reader("market"),
                metadata=attachment.open_stream_reader("metadata"),
                spot=attachment.open_stream_reader("spot"),
                settle=attachment.open_stream_reader("settle"),
                books=attachment.open_table_reader("book"),
                shards=attachment.open_table_reader("shard"),
                markets=attachment.open_table_reader("markets"),
                spots=attachment.open_table_reader("spot_top"),
                signals=signals_out,
                turns=attachment.open_stream_writer("turns"),
                clock=self._clock,
                cell=metrics.cell,
                recorder=metrics.recorder,
            ),
            config.signals,
        )
        self._signals_advance = self.signals.advance
        self._signals_settle = self.signals.settle
        self._risk_advance = self.risk.advance
        self._risk_settle = self.risk.settle
        self._executor_turn = self.executor.turn

    def nominate(self) -> int:
        """Keep both sides of every market that a module may take signed; return how many are."""
        nominated = 0
        for row in self.signals.interesting():
            # One market alone never pays for both of its tokens, so nobody takes from it.
            if row.coin == Coin.NONE and not row.neg_risk:
                continue
            for token in (2 * row.market, 2 * row.market + 1):
                if not self.executor.nominate(token, Action.BUY):
                    return nominated
                nominated += 1
        return nominated

    def pump(self) -> None:
        """Run what a frame set off, to its end or for _PUMP_ROUNDS rounds."""
        now_ns = self._now_ns()
        for _ in range(_PUMP_ROUNDS):
            # The executor's idle turn signs templates: it only runs here when risk sent something.
            if not self._signals_advance(now_ns):
                return
            if self._risk_advance(self._now_ns()):
                self._executor_turn(self._now_ns())
                # Records of what was done come behind the order that it led to.
                self._risk_settle()
            self._signals_settle()

    def halt_now(self, code: int, reason: str) -> None:
        """Set this process's halt cell: nothing urgent leaves from the next write on."""
        self.halt.set(code)
        self.executor.halt(reason, self._now_ns())

    def open_orders(self) -> int:
        """Count orders that rest or whose fate is not known."""
        return sum(order.open for order in self.executor.desk.by_id.values())

    def at_rest(self) -> bool:
        """Whether nothing is under way: no open order, no unsettled fill, no open group."""
        executor = self.executor
        return not (self.open_orders() or executor.desk.unsettled or executor.groups.active)

    def holds(self, market: int) -> bool:
        """Whether a position or an order of this market is ours: its row must not be reused."""
        desk = self.executor.desk
        tokens = (2 * market, 2 * market + 1)
        if any(desk.accounts.size_e6(token) for token in tokens):
            return True
        return any(order.instrument in tokens for order in desk.unsettled.values())

    def _executor(
        self,
        config: Settings,
        attachment: Memory,
        metrics: Meters,
        credentials: Keys,
        transport: Transport,
        recovered: Recovered | None,
        reports_out: StreamWriter,
    ) -> ExecutorEngine:
        markets = MarketReader(
            attachment.open_table_reader("markets"),
            attachment.open_table_reader("book"),
            attachment.open_table_reader("shard"),
            Instruments(),
        )
        ports = ExecutorPorts(
            intents=attachment.open_stream_reader("intents", gate=_EXECUTOR_GATE),
            reports=reports_out,
            orders=attachment.open_table_writer("orders"),
            groups=attachment.open_table_writer("groups"),
            positions=attachment.open_table_writer("positions"),
            cash=attachment.open_table_writer("cash"),
            markets=markets,
            transport=transport,
            clock=self._clock,
            salts=self._salts,
            meters=metrics.executor(),
            note=self._note,
        )
        signer = OrderSigner(
            bytes.fromhex(credentials.private_key.removeprefix("0x")),
            credentials.signature_type,
            credentials.funder,
            credentials.chain_id,
        )
        account = Account(credentials.api_key, credentials.funder)
        return ExecutorEngine(ports, signer, self.requests, account, config.execution, recovered)

    def _halted(self) -> int:
        return self.halt.value

    def _pull_halt(self, code: int, reason: bytes) -> None:
        self.halt_now(code, reason.decode("ascii", "replace"))


def _on_rungs(config: Settings) -> LimitsParams:
    """Let risk size onto what the executor keeps signed, unless the config says otherwise."""
    if config.limits.size_rungs_e6:
        return config.limits
    return msgspec.structs.replace(config.limits, size_rungs_e6=config.execution.template_rungs_e6)


def build_modules(config: Settings) -> list[tuple[Module, Mode]]:
    """Make every module that is not off; raises ConfigError for unknown names and bad values."""
    names = [name for name, module in config.modules.items() if module.mode != "off"]
    classes = load_modules(names, entry_points(group="lowlat.signals"))
    return [
        (make_module(kind, config.modules[name].params), Mode[config.modules[name].mode.upper()])
        for name, kind in classes.items()
    ]
