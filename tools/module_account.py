"""What each module did in a world and what it was worth; where the planted value went.

Reads along what the engines publish and asks the simulated venue for the truth. What a module holds
is valued at what the simulator knows: the result of markets that ended, the hidden chance of the
others. So P&L is the edge itself, without the noise of single coin flips.
"""

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec

from lowlat.core.layout import DECISION, REPORT, SIGNAL, Action, ReportKind, Rule
from lowlat.core.ports import EMPTY
from lowlat.core.units import E6
from lowlat.sim.edges import EdgeRecord
from lowlat.sim.quotes import fair_chance
from lowlat.sim.venue import Venue
from lowlat.world.world import World

__all__ = ["MARKS_S", "Account", "Score"]

S_NS: Final = 1_000_000_000
MARKS_S: Final = (1, 10, 60)
MAKERS: Final = frozenset({"rebates"})
"""Modules that take nothing that is planted."""
LATE_NS: Final = 2 * S_NS
"""An order that left while an edge lived may be filled so much later."""


class Score(msgspec.Struct):
    """One module in one seed. Money in dollars, markouts in dollars a share."""

    signals: int = 0
    orders: int = 0
    fills: int = 0
    shares: float = 0.0
    promised: float = 0.0
    """Expected value of what was filled, by the share that was."""
    paid: float = 0.0
    fees: float = 0.0
    worth: float = 0.0
    rebates: float = 0.0
    rewards: float = 0.0
    marks: dict[int, list[float]] = msgspec.field(
        default_factory=lambda: {each: [0.0, 0.0] for each in MARKS_S}
    )
    """Seconds after a fill: shares, and the sum of gains against the hidden chance."""

    @property
    def profit(self) -> float:
        """Return net P&L, with what the venue pays makers at the end of the day."""
        return self.worth - self.paid - self.fees + self.rebates + self.rewards


class _Due(NamedTuple):
    at_ns: int
    after_s: int
    token: tuple[int, int]
    price: float
    shares: float
    buys: bool
    module: str


class _Edge:
    """One planted edge and the shares of its legs that came through each stage."""

    def __init__(self, record: EdgeRecord) -> None:
        self.record = record
        legs = record.planted.legs
        self.size_e6 = sum(leg["size_e6"] for leg in legs)
        self.tokens = {leg["token"] for leg in legs if leg["side"] == "BUY"}
        self.wished_e6 = self.granted_e6 = self.filled_e6 = 0
        self.refused: Counter[str] = Counter()
        """By risk's rule, shares."""
        self.silent: Counter[str] = Counter()
        """What modules counted while it lived instead of saying something."""

    def lost(self) -> dict[str, float]:
        """Return what of its value was lost where, in dollars; what is left was captured."""
        value = self.record.planted.value_e6 / E6
        size = max(1, self.size_e6)
        wished = min(self.wished_e6, size)
        filled = min(self.filled_e6, wished)
        granted = min(max(self.granted_e6, filled), wished)
        captured = self.record.captured_e6 / E6
        why = f", {self.silent.most_common(1)[0][0]}" if self.silent else ", nothing seen"
        found = {
            f"not signalled{why}": value if not wished else 0.0,
            "size of the module": value * (size - wished) / size if wished else 0.0,
            "risk": value * (wished - granted) / size,
            "not filled": value * (granted - filled) / size,
        }
        found["price and unwinding"] = value - sum(found.values()) - captured
        return found


class Account:
    """Reads along what engines say and keeps each module's account."""

    def __init__(self, world: World, wallet: str) -> None:
        self._world = world
        self._wallet = wallet
        memory = world.node.memory
        self._signals = memory.open_stream_reader("signals", position=1)
        self._decisions = memory.open_stream_reader("decisions", position=1)
        self._reports = memory.open_stream_reader("reports", position=1)
        self._worth: dict[int, tuple[float, int]] = {}
        """Signal decided at -> expected value and wished shares."""
        self._of_intent: dict[int, tuple[float, int]] = {}
        self._shares: dict[tuple[str, int], int] = {}
        self._due: list[_Due] = []
        self._by_instrument: dict[int, tuple[int, int]] = {}
        self._edges: list[_Edge] = []
        self._of_market: dict[int, list[_Edge]] = {}
        self._living: list[_Edge] = []
        self._refusals: Counter[str] = Counter()
        self.scores: dict[str, Score] = {}

    def score(self, module: str) -> Score:
        """Return the account of a module, empty when it is new."""
        return self.scores.setdefault(module, Score())

    def look(self, now_ns: int) -> None:
        """Take in what was said; mark fills whose time came. At least once a second."""
        self._take_edges()
        self._take_refusals()
        while self._signals.poll() != EMPTY:
            signal = SIGNAL.unpack(self._signals.buffer)
            if not signal.size_suggestion_e6:
                continue
            module = _name(signal.module)
            self.score(module).signals += 1
            key = signal.instrument << 64 | signal.decided_ns
            self._worth[key] = signal.expected_value, signal.size_suggestion_e6
            edge = self._edge_of(module, signal.instrument, signal.decided_ns)
            if edge is not None:
                edge.wished_e6 += signal.size_suggestion_e6
        self._take_decisions()
        while (kind := self._reports.poll()) != EMPTY:
            assert kind == REPORT.kind, "reports were lost: look more often"
            self._take(now_ns)
        kept = []
        for due in self._due:
            if now_ns < due.at_ns:
                kept.append(due)
                continue
            mark = self.score(due.module).marks[due.after_s]
            gain = self._value(due.token) - due.price
            mark[0] += due.shares
            mark[1] += gain * due.shares * (1 if due.buys else -1)
        self._due = kept

    # ------------------------------------------------------------------------------- edges
    def _take_edges(self) -> None:
        for record in self._world.venue.edges.records:
            if record.number <= len(self._edges):
                continue
            edge = _Edge(record)
            self._edges.append(edge)
            self._living.append(edge)
            for market in record.planted.markets:
                self._of_market.setdefault(market.index, []).append(edge)

    def _take_refusals(self) -> None:
        """Note what modules refused since the last look with each edge that lived meanwhile."""
        tallies = self._world.node.meters.tallies
        counts = Counter(
            {
                name.rpartition(".")[2].replace("_", " "): tally.value
                for name, tally in tallies.items()
                if name.startswith("signals.") and ".refused_" in name
            }
        )
        fresh, self._refusals = counts - self._refusals, counts
        for edge in self._living:
            edge.silent.update(fresh)
        self._living = [
            edge for edge in self._living if edge.record.ends_ns > self._world.venue.now_ns
        ]

    def _edge_of(self, module: str, instrument: int, at_ns: int, late_ns: int = 0) -> _Edge | None:
        """Return the edge that a taker's wish for a token at a time was about."""
        if module in MAKERS:
            return None
        token = self._token(instrument)
        wall_ns = at_ns + self._world.wall_start_ns
        text = self._world.venue.exchange.markets[token[0]].tokens[token[1]]
        for edge in reversed(self._of_market.get(token[0], [])):
            if edge.record.start_ns <= wall_ns <= edge.record.ends_ns + late_ns:
                return edge if text in edge.tokens or not edge.tokens else None
        return None

    def _take_decisions(self) -> None:
        """Note what risk let pass; legs of a refused group fell by the rule of one of them."""
        found = []
        because: dict[int, str] = {}
        while (kind := self._decisions.poll()) != EMPTY:
            if kind != DECISION.kind:
                continue
            decision = DECISION.unpack(self._decisions.buffer)
            found.append(decision)
            if decision.group and not decision.approved and decision.rule != Rule.GROUP_INCOMPLETE:
                because[decision.group] = _rule(decision.rule)
        for decision in found:
            edge = self._edge_of(_name(decision.module), decision.instrument, decision.decided_ns)
            if edge is None or not decision.size_suggestion_e6:
                continue
            granted_e6 = decision.size_e6 if decision.approved else 0
            edge.granted_e6 += granted_e6
            refused_e6 = decision.size_suggestion_e6 - granted_e6
            if refused_e6 > 0:
                rule = because.get(decision.group, _rule(decision.rule))
                edge.refused[rule] += refused_e6

    # ------------------------------------------------------------------------------- orders
    def _take(self, now_ns: int) -> None:
        report = REPORT.unpack(self._reports.buffer)
        module = _name(report.module)
        if not module:
            return
        score = self.score(module)
        if report.kind == ReportKind.SENDING:
            score.orders += 1
            decided_ns = self._decided_ns(report.intent)
            if decided_ns is not None:
                key = report.instrument << 64 | decided_ns
                self._of_intent[report.intent] = self._worth.get(key, (0.0, 1))
        elif report.kind in (ReportKind.FILL, ReportKind.FAILED):
            self._fill(report, score, module, now_ns)

    def _decided_ns(self, intent: int) -> int | None:
        """Return when the signal behind an order was decided."""
        executor = self._world.node.fused
        order = executor.trading.executor.desk.by_id.get(intent) if executor is not None else None
        return order.decided_ns if order is not None else None

    def _fill(self, report: Any, score: Score, module: str, now_ns: int) -> None:
        sign = 1 if report.kind == ReportKind.FILL else -1
        buys = report.action == Action.BUY
        moved = sign * (1 if buys else -1)
        score.paid += moved * report.cash_e6 / E6
        score.fees += sign * report.fee_e6 / E6
        key = module, report.instrument
        self._shares[key] = self._shares.get(key, 0) + moved * report.size_e6
        if sign < 0:
            return
        shares = report.size_e6 / E6
        score.fills += 1
        score.shares += shares
        edge = self._edge_of(module, report.instrument, report.at_ns, LATE_NS)
        if edge is not None:
            edge.filled_e6 += report.size_e6
        value, wished_e6 = self._of_intent.get(report.intent, (0.0, 1))
        score.promised += value * report.size_e6 / wished_e6
        token = self._token(report.instrument)
        price = report.price_e4 / 1e4
        if not report.fee_e6:
            # A maker's: its part of the taker's fee, paid at the end of the day.
            rules = self._world.venue.exchange.markets[token[0]].rules
            score.rebates += rules.rebate * rules.fee_rate_e4 / 1e4 * price * (1.0 - price) * shares
        for after_s in MARKS_S:
            at_ns = now_ns + after_s * S_NS
            self._due.append(_Due(at_ns, after_s, token, price, shares, buys, module))

    def _token(self, instrument: int) -> tuple[int, int]:
        """Return the venue's market and outcome of an instrument, found while its row stands."""
        found = self._by_instrument.get(instrument)
        if found is None:
            fused = self._world.node.fused
            assert fused is not None, "an engine that is down filled an order"
            row = fused.trading.signals.instruments.markets[instrument >> 1]
            token = row.no_token_id if instrument & 1 else row.yes_token_id
            text = str(int.from_bytes(token, "big"))
            for market in self._world.venue.exchange.markets:
                if text in market.tokens:
                    found = market.index, market.tokens.index(text)
            assert found is not None, f"no market of the venue has token {text}"
            self._by_instrument[instrument] = found
        return found

    def _value(self, token: tuple[int, int]) -> float:
        return _value(self._world.venue, *token)

    # ------------------------------------------------------------------------------- the end
    def close(self) -> dict[str, Score]:
        """Value what is held, add what makers are paid for standing, return every account."""
        for (module, instrument), shares_e6 in self._shares.items():
            worth = self._value(self._token(instrument)) * shares_e6 / E6
            self.score(module).worth += worth
        venue = self._world.venue
        for module in MAKERS & self.scores.keys():
            last = venue.now_ns // (86_400 * S_NS)
            first = self._world.wall_start_ns // (86_400 * S_NS)
            for day in range(first, last + 1):
                earned_e6 = sum(venue.rewards.earnings(day, self._wallet).values())
                self.score(module).rewards += earned_e6 / E6
        return self.scores

    def edges(self) -> dict[str, dict[str, float]]:
        """Return planted, hit and captured by kind, and where the rest went, in dollars."""
        found: dict[str, dict[str, float]] = {}
        for kind, total in self._world.venue.report()["edges"].items():
            found[kind] = {
                "planted": total["planted"],
                "hit": total["hit"],
                "value": total["value_e6"] / E6,
                "captured": total["captured_e6"] / E6,
            }
            if "missed_e6" in total:
                missed = total["missed_e6"] / E6
                found[kind]["lost: another maker was hit"] = missed
                rest = found[kind]["value"] - missed - found[kind]["captured"]
                found[kind]["lost: price"] = rest
        for edge in self._edges:
            into = found[edge.record.kind]
            lost = edge.lost()
            risk, refused = lost.pop("risk"), sum(edge.refused.values())
            for rule, size_e6 in edge.refused.items():
                key = f"lost: risk, {rule}"
                into[key] = into.get(key, 0.0) + risk * size_e6 / refused
            for why, dollars in lost.items():
                into[f"lost: {why}"] = into.get(f"lost: {why}", 0.0) + dollars
        return found


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _rule(number: int) -> str:
    return Rule(number).name.lower()


def _value(venue: Venue, index: int, outcome: int) -> float:
    """Return what a share is worth: its payout, else its hidden chance."""
    market = venue.exchange.markets[index]
    if market.winner is not None:
        return float(market.winner == outcome)
    if market.coin:
        chance = fair_chance(market, venue.spots[market.coin], venue.now_ns)
    else:
        chance = venue.universe.fair[index]
    return chance if outcome == 0 else 1.0 - chance
