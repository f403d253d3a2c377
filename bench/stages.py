"""What each stage of the engine takes, beside its budget, from a frame's bytes to the write.

One process, the real engines over private memory, a transport that takes everything: no socket, no
kernel. A regression means that a stage got slower, and the row says which. ``cold`` in the notes is
the same with 4 MiB of other memory walked before each frame, as after milliseconds of quiet.
"""

import gc
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from bench import harness
from bench.harness import Row, empty_caches, single
from bench.stages_engine import CRYPTO, MARKETS, StageBench
from lowlat.core.clock import monotonic_ns

BUDGET_NS = {
    "stage-feed": 3_000,
    "stage-module": 2_000,
    "stage-module-bonds": 2_000,
    "stage-module-rebates": 2_000,
    "stage-module-four": 2_000,
    "stage-module-signal": 2_000,
    "stage-risk": 3_000,
    "stage-send": 3_000,
    "stage-after-send": None,
    "stage-settle": None,
    "stage-tick-to-send": 11_000,
}
"""Design 3. ``stage-send`` is its template (1.5) with report and stamps (1.5); what is done behind
the bytes delays no order but the next. The whole is the sum of the rest."""
MEANING = {
    "stage-feed": "frame of 2 changes: decode, ladder, row, publish",
    "stage-module": "signals advance, both modules look, nothing to do",
    "stage-module-bonds": "the same with bonds beside them",
    "stage-module-rebates": "the same with rebates beside them",
    "stage-module-four": "the same with all four modules",
    "stage-module-signal": "signals advance that emits",
    "stage-risk": "risk advance: aggregate, check, size, intent",
    "stage-send": "executor turn up to the write: checks, template, row, SENDING",
    "stage-after-send": "rest of that turn: own books, stamps, rows",
    "stage-settle": "decision and turn records, behind the order",
    "stage-tick-to-send": "frame received to transport.send, fused pump",
}
ROWS = tuple(BUDGET_NS)
BESIDE = {
    "stage-module-bonds": ("bonds",),
    "stage-module-rebates": ("rebates",),
    "stage-module-four": ("bonds", "rebates"),
}
"""Modules that look along in shadow, over the same frames of crypto markets and of others."""
BURSTS_A_ROUND = 10
DISCARDED = 4
"""Samples at the head of a burst that only warm up."""


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named; warm and cold rounds alternate."""
    # As the runtime does for a hot process.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        return _measure(names)
    finally:
        gc.enable()
        gc.unfreeze()


def _measure(names: tuple[str, ...]) -> list[Row]:
    found, hits = _sample(names)
    rows = [_row(name, found[name, False], found[name, True], hits) for name in names]
    for row in rows:
        if row.name == "stage-send":
            alone = (np.median(found["template", cold]) for cold in (False, True))
            row.notes["template alone, warm and cold p50 ns"] = "{:.0f}, {:.0f}".format(*alone)
    return rows


def _sample(names: tuple[str, ...]) -> tuple[dict[tuple[str, bool], list[float]], str]:
    """Return the samples of each row, warm and cold, and how templates were met."""
    staged = [name for name in names if name != "stage-tick-to-send" and name not in BESIDE]
    found: dict[tuple[str, bool], list[float]] = defaultdict(list)
    hits = ""
    if staged:
        bench = StageBench(pumped=False)
        for cold in _rounds("stages"):
            for name, samples in stage_samples(bench, cold=cold).items():
                found[name, cold] += samples
        hits = _hits(bench)
    if "stage-tick-to-send" in names:
        bench = StageBench(pumped=True)
        for cold in _rounds("tick to send"):
            found["stage-tick-to-send", cold] += _pumped(bench, cold=cold)
        hits = _hits(bench)
    for name in names:
        if name in BESIDE:
            bench = StageBench(pumped=False, shadows=BESIDE[name])
            for cold in _rounds(name):
                found[name, cold] += _looks(bench, cold=cold)
    return found, hits


def _rounds(what: str) -> list[bool]:
    harness.progress(f"{what}: {harness.PAIRS} warm and cold rounds")
    return [False, True] * harness.PAIRS


def _row(name: str, warm: list[float], cold: list[float], hits: str) -> Row:
    budget_ns = BUDGET_NS[name]
    target = "" if budget_ns is None else f"<= {budget_ns / 1000:g} us"
    row = single(name, np.array(warm), target=target)
    if budget_ns is not None:
        row.met = row.p50_ns <= budget_ns
    row.notes["is"] = MEANING[name]
    row.notes["cold p50, p99 ns"] = "{:.0f}, {:.0f}".format(*np.percentile(cold, [50, 99]))
    if name in {"stage-send", "stage-tick-to-send"}:
        row.notes["templates"] = hits
    return row


def _hits(bench: StageBench) -> str:
    pool = bench.trading.executor.pool
    return f"{pool.hits} hits, {pool.misses} misses"


def stage_samples(bench: StageBench, *, cold: bool) -> dict[str, list[float]]:
    """Time each step by itself, in the order in which Trading.pump runs them; ns by stage."""
    trading, transport, template = bench.trading, bench.transport, bench.stats.template
    found: dict[str, list[float]] = defaultdict(list)
    signals, risk, executor = trading.signals.advance, trading.risk.advance, trading.executor.turn
    settle_signals, settle_risk = trading.signals.settle, trading.risk.settle
    on_frame = bench.feed.on_frame
    for market, (cheap, dear, little) in _burst(bench):
        socket = bench.socket_of(market)
        _walk(cold=cold)
        begin = monotonic_ns()
        on_frame(socket, little, True, begin)
        fed = monotonic_ns()
        signals(fed)
        quiet = monotonic_ns()
        settle_signals()
        before = transport.orders
        _walk(cold=cold)
        begin_cheap = monotonic_ns()
        on_frame(socket, cheap, True, begin_cheap)
        fed_cheap = monotonic_ns()
        signals(fed_cheap)
        decided = monotonic_ns()
        risk(decided)
        checked = monotonic_ns()
        executor(checked)
        done = monotonic_ns()
        settle_risk()
        settle_signals()
        settled = monotonic_ns()
        assert transport.orders == before + 1, "the trigger was not answered by one order"
        # Untimed, as an idle turn between two ticks: the book goes back, risk hears of its order.
        on_frame(socket, dear, True, settled)
        trading.signals.turn(monotonic_ns())
        trading.risk.turn(monotonic_ns())
        if market >= DISCARDED:
            found["stage-feed"].append(fed - begin)
            found["stage-module"].append(quiet - fed)
            found["stage-module-signal"].append(decided - fed_cheap)
            found["stage-risk"].append(checked - decided)
            found["stage-send"].append(transport.entered_ns - checked)
            found["stage-after-send"].append(done - transport.left_ns)
            found["stage-settle"].append(settled - done)
            found["template"].append(template.value_ns)
    return found


def _looks(bench: StageBench, *, cold: bool) -> list[float]:
    """Time what the modules make of a frame that says little, in markets of either kind."""
    found = []
    signals, on_frame = bench.trading.signals.advance, bench.feed.on_frame
    for _ in range(BURSTS_A_ROUND):
        bench.settle()
        for at in range(2 * CRYPTO):
            market = at // 2 if at % 2 else MARKETS - 1 - at
            little = bench.frames(market)[2]
            _walk(cold=cold)
            on_frame(bench.socket_of(market), little, True, monotonic_ns())
            fed = monotonic_ns()
            signals(fed)
            looked = monotonic_ns()
            bench.trading.signals.settle()
            if at >= DISCARDED:
                found.append(looked - fed)
    bench.settle()
    return found


def _pumped(bench: StageBench, *, cold: bool) -> list[float]:
    """Time the whole path: the feed pumps the rest, as in the fused topology."""
    found = []
    on_frame, transport = bench.feed.on_frame, bench.transport
    for market, (cheap, dear, little) in _burst(bench):
        socket = bench.socket_of(market)
        on_frame(socket, little, True, monotonic_ns())
        before = transport.orders
        _walk(cold=cold)
        begin = monotonic_ns()
        on_frame(socket, cheap, True, begin)
        assert transport.orders == before + 1, "the trigger was not answered by one order"
        if market >= DISCARDED:
            found.append(transport.entered_ns - begin)
        on_frame(socket, dear, True, monotonic_ns())
        bench.trading.risk.turn(monotonic_ns())
    return found


def _burst(bench: StageBench) -> Iterator[tuple[int, tuple[bytes, bytes, bytes]]]:
    """Name every crypto market once, all templates signed before and nothing idle in between."""
    for _ in range(BURSTS_A_ROUND):
        bench.settle()
        yield from [(market, bench.frames(market)) for market in range(CRYPTO)]
    bench.settle()


def _walk(*, cold: bool) -> None:
    if cold:
        empty_caches()
