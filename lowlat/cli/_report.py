"""What a demo ends with: one JSON object for programs, a page of plain words for people."""

from dataclasses import dataclass, field
from typing import Any, Final

from lowlat.app.agreement import Agreement
from lowlat.app.telemetry import latency_table
from lowlat.cli._observer import Picture
from lowlat.cli._processes import ProcessView
from lowlat.cli._words import count, dollars, duration

__all__ = ["Outcome", "as_json", "as_text"]

_PATH: Final = {
    "tick_to_sent": "market message in to order bytes out",
    "sent_to_acked": "order out to the venue's answer",
    "sent_to_filled": "order out to its fill",
}
_DIFFERENCES_SHOWN: Final = 5


@dataclass(slots=True)
class Outcome:
    """How a demo ended."""

    seconds: float
    picture: Picture
    start_cash_e6: int
    agreement: Agreement | None = None
    """None: one side could not be read."""
    audit: str = ""
    """The venue's own audit of its books."""
    drained: bool = False
    """Whether the engine came to rest by itself."""
    kills: int = 0
    recovery_ns: list[int] = field(default_factory=list)
    """From each kill to READY again."""
    problems: list[str] = field(default_factory=list)
    """What went wrong, in words."""
    processes: list[ProcessView] = field(default_factory=list)
    """As they were while everybody ran."""

    @property
    def pnl_e6(self) -> int | None:
        """Worth at least now, less the cash it began with; None when the account is not known."""
        worth = self.picture.worth
        return None if worth is None else worth.total_e6 - self.start_cash_e6

    @property
    def ok(self) -> bool:
        """Whether both sides agree, nothing is left open and nothing went wrong."""
        agreed = self.agreement is not None and self.agreement.holds
        return agreed and not self.picture.pairs.open and self.drained and not self.problems


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the one object of ``--json``."""
    picture = outcome.picture
    pairs = picture.pairs
    keys = ("p50", "p99", "p999", "max")
    table = latency_table(picture.reading.histograms)
    return {
        "ok": outcome.ok,
        "badge": "SIMULATED",
        "seconds": round(outcome.seconds, 3),
        "messages": picture.messages,
        "signals": picture.signals,
        "modules": picture.modules,
        "decisions": picture.decisions,
        "orders": picture.orders,
        "fills": picture.fills,
        "pairs": {
            "completed": pairs.completed,
            "unwound": pairs.unwound,
            "open": pairs.open,
            "flat": pairs.flat,
            "interrupted": pairs.interrupted,
        },
        "pnl_e6": outcome.pnl_e6,
        "latency_ns": {stage: {key: cell[key] for key in keys} for stage, cell in table.items()},
        "pool_hit_rate": picture.reading.hit_rate(),
        "agreement": None if outcome.agreement is None else outcome.agreement.as_json(),
        "venue_audit": outcome.audit,
        "kills": outcome.kills,
        "restarts": {child.name: child.restarts for child in picture.children},
        "recovery_ms": [round(each / 1e6, 1) for each in outcome.recovery_ns],
        "not_seen": picture.lost,
        "problems": outcome.problems,
        "processes": _processes(outcome),
    }


def _processes(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return core, way to wait, restarts and resident bytes of every process."""
    restarts = {child.name: child.restarts for child in outcome.picture.children}
    return {
        view.name: {
            "core": view.core,
            "wait": view.wait,
            "restarts": restarts[view.name],
            "rss": view.rss_bytes,
        }
        for view in outcome.processes
        if view.name in restarts
    }


def as_text(outcome: Outcome, instance: str, *, kept: str) -> str:
    """Return the report that a newcomer understands; ``kept``: the folder left behind, or none."""
    picture = outcome.picture
    pairs = picture.pairs
    lines = ["", "SIMULATED - no real market, no real money, nothing left this machine.", ""]
    lines += [
        "What it did",
        f"  In {outcome.seconds:.0f} s it read {count(picture.messages)} messages of "
        f"{count(picture.books)} markets and saw {count(sum(picture.signals.values()))} "
        "opportunities" + _list(picture.signals) + ".",
        f"  Risk approved or cut {count(_taken(picture))} of "
        f"{count(sum(picture.decisions.values()))} and refused the rest" + _refusals(picture) + ".",
        f"  It sent {count(picture.orders)} orders and got {count(picture.fills)} fills.",
        (
            f"  Trades of several legs: {pairs.completed} completed, {pairs.unwound} undone as a "
            f"leg was missing, {pairs.flat} unfilled, {pairs.open} left open."
        ),
    ]
    if outcome.pnl_e6 is not None and picture.worth is not None:
        lines.append(
            f"  The account began with {dollars(outcome.start_cash_e6)} and is now worth at least "
            f"{dollars(picture.worth.total_e6)} ({dollars(outcome.pnl_e6, signed=True)})."
        )
        lines += _results(picture)
    lines += ["", "How fast", *_speeds(outcome)]
    lines += ["", "Did both sides agree", *_agreement_lines(outcome)]
    if outcome.problems:
        lines += ["", "What went wrong", *(f"  {problem}" for problem in outcome.problems)]
    tries = [
        (f"lowlat why --instance {instance}", "why trades were and were not made"),
        (f"lowlat trace last --instance {instance}", "one order, stage by stage"),
        ("lowlat demo --chaos-kill 5", "the same while the engine is killed at random"),
        ("lowlat bench", "the speed beside C floors"),
    ]
    if kept:
        tries.append((f"lowlat clean --instance {instance}", "remove what --keep left"))
    width = max(len(command) for command, _ in tries)
    lines += ["", "What to try next"]
    lines += [f"  {command:<{width}}  {what}" for command, what in tries]
    if kept:
        lines += ["", f"Kept: {kept} (config, key of the throwaway account) and shared memory."]
    return "\n".join(lines)


def _results(picture: Picture) -> list[str]:
    """Tell each module's part, what is open at the bids: less than it is worth."""
    parts = [
        f"{name} {dollars(counts['realized_e6'] + counts['open_e6'], signed=True)}"
        for name, counts in picture.modules.items()
        if "open_e6" in counts
    ]
    return [f"  Of that, open positions at the bids: {', '.join(parts)}."] if parts else []


def _taken(picture: Picture) -> int:
    return sum(picture.decisions.get(rule, 0) for rule in ("approved", "cut"))


def _list(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{name} {count(n)}' for name, n in counts.items())})" if counts else ""


def _refusals(picture: Picture) -> str:
    refused = {r: n for r, n in picture.decisions.items() if r not in {"approved", "cut"}}
    most = dict(sorted(refused.items(), key=lambda item: -item[1])[:4])
    return _list(most)


def _speeds(outcome: Outcome) -> list[str]:
    table = latency_table(outcome.picture.reading.histograms)
    found = [
        f"  {words}: {duration(table[stage]['p50'])} typical (p50), "
        f"{duration(table[stage]['p99'])} at p99"
        for stage, words in _PATH.items()
        if stage in table
    ]
    hits = outcome.picture.reading.hit_rate()
    if hits is not None:
        found.append(f"  {hits:.0%} of the orders were signed before they were needed.")
    if outcome.recovery_ns:
        found.append(
            f"  Killed {outcome.kills} times; working again after at most "
            f"{duration(max(outcome.recovery_ns))}."
        )
    return found or ["  No order was sent, so there is nothing to time."]


def _agreement_lines(outcome: Outcome) -> list[str]:
    agreement = outcome.agreement
    if agreement is None:
        return ["  Unknown: one side's books could not be read."]
    tokens = len(agreement.venue.positions_e6)
    if agreement.holds:
        return [
            (
                f"  Yes, to the base unit: cash {dollars(agreement.engine.cash_e6)} "
                f"({agreement.engine.cash_e6} base units) and {tokens} tokens, "
                "engine and venue alike."
            ),
            f"  The venue's audit of its own books: {outcome.audit or 'not read'}.",
        ]
    differences = agreement.differences()
    lines = [f"  NO. {len(differences)} differences:"]
    lines += [f"    {each}" for each in differences[:_DIFFERENCES_SHOWN]]
    if len(differences) > _DIFFERENCES_SHOWN:
        lines.append(f"    and {len(differences) - _DIFFERENCES_SHOWN} more (--json shows all)")
    return lines
