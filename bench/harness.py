"""What every bench shares: paired runs against a C floor, one row of figures, native code.

A bench alternates engine and floor in one call and reports the median of the pairwise ratios, so a
machine that speeds up or slows down during the run does not decide the result.
"""

import ctypes
import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

__all__ = [
    "PAIRS",
    "Row",
    "empty_caches",
    "encode",
    "native",
    "paired",
    "progress",
    "single",
    "table",
    "timed_ns",
]

PAIRS = 9
NATIVE = Path(__file__).parent / "native"
INCLUDE = Path(__file__).parent.parent / "lowlat" / "shm"


class Row(msgspec.Struct, kw_only=True):
    """One line of the table. Times are medians over all samples; ratios are pairwise.

    A row about memory has ``value_bytes`` and no times.
    """

    name: str
    p50_ns: int
    p99_ns: int
    floor_p50_ns: int | None = None
    floor_p99_ns: int | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    floor: str = ""
    target: str = ""
    met: bool | None = None
    value_bytes: int | None = None
    notes: dict[str, float | int | str] = {}


def native(name: str, *libraries: str) -> ctypes.CDLL:
    """Compile bench/native/<name>.c once for this source and load it."""
    source = NATIVE / f"{name}.c"
    key = hashlib.blake2b(
        source.read_bytes() + (INCLUDE / "ring.h").read_bytes(), digest_size=8
    ).hexdigest()
    folder = Path(__file__).parent.parent / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{key}.so"
    if not target.exists():
        draft = target.with_suffix(f".{os.getpid()}")
        command = ["cc", "-O2", "-std=c11", "-D_GNU_SOURCE", f"-I{INCLUDE}", "-shared", "-fPIC"]
        subprocess.run(
            [*command, str(source), "-o", str(draft), *[f"-l{lib}" for lib in libraries]],
            check=True,
        )
        draft.rename(target)
    return ctypes.CDLL(str(target), use_errno=True)


def paired(
    name: str,
    run: Callable[[], np.ndarray],
    floor: Callable[[], np.ndarray],
    *,
    pairs: int | None = None,
    floor_name: str = "C",
    target: str = "",
) -> Row:
    """Alternate floor and run; each returns samples in nanoseconds (``float64[n]``)."""
    ours, theirs, ratios = [], [], []
    pairs = pairs or PAIRS
    for pair in range(pairs):
        progress(f"{name}: pair {pair + 1} of {pairs}")
        theirs.append(floor())
        ours.append(run())
        ratios.append(float(np.median(ours[-1]) / np.median(theirs[-1])))
    all_ours, all_theirs = np.concatenate(ours), np.concatenate(theirs)
    return Row(
        name=name,
        p50_ns=round(float(np.median(all_ours))),
        p99_ns=round(float(np.percentile(all_ours, 99))),
        floor_p50_ns=round(float(np.median(all_theirs))),
        floor_p99_ns=round(float(np.percentile(all_theirs, 99))),
        ratio=round(float(np.median(ratios)), 2),
        ratio_low=round(min(ratios), 2),
        ratio_high=round(max(ratios), 2),
        floor=floor_name,
        target=target,
    )


def single(name: str, samples_ns: np.ndarray, *, target: str = "") -> Row:
    """Report samples that have no floor."""
    return Row(
        name=name,
        p50_ns=round(float(np.median(samples_ns))),
        p99_ns=round(float(np.percentile(samples_ns, 99))),
        target=target,
    )


def timed_ns(call: Callable[[int], object], loops: int, repeats: int = 30) -> np.ndarray:
    """Nanoseconds a loop turn: ``call(loops)`` runs the loop itself; one sample a repeat."""
    from lowlat.core.clock import monotonic_ns

    samples = np.empty(repeats)
    for i in range(repeats):
        start = monotonic_ns()
        call(loops)
        samples[i] = (monotonic_ns() - start) / loops
    return samples


@functools.cache
def _other() -> np.ndarray:
    """More memory than the caches that a core has for itself."""
    return np.ones((4 << 20) // 8, dtype=np.uint64)


def empty_caches() -> None:
    """Walk 4 MiB of other memory, as after a while of quiet."""
    _other().sum()


def encode(row: Row) -> bytes:
    """Write a row as JSON."""
    return msgspec.json.encode(row)


def table(rows: list[Row]) -> str:
    """Write rows as an aligned table: ours, floor, ratio with its spread, target."""
    head = ("row", "p50", "p99", "floor p50", "floor p99", "ratio (low-high)", "target", "")
    lines = [head]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio} ({row.ratio_low}-{row.ratio_high})"
        verdict = {None: "", True: "ok", False: "MISSED"}[row.met]
        floor = (row.floor_p50_ns, row.floor_p99_ns)
        lines.append(
            (
                row.name,
                *_measured(row),
                *map(_time, floor),
                ratio,
                row.target,
                verdict,
            )
        )
        lines += [
            (f"  {key}", str(value), "", "", "", "", "", "") for key, value in row.notes.items()
        ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _measured(row: Row) -> tuple[str, str]:
    if row.value_bytes is not None:
        return f"{row.value_bytes / (1 << 20):.1f} MiB", ""
    return _time(row.p50_ns), _time(row.p99_ns)


def _time(value_ns: int | None) -> str:
    if value_ns is None:
        return ""
    return f"{value_ns} ns" if value_ns < 10_000 else f"{value_ns / 1000:.1f} us"


def progress(text: str) -> None:
    """Show what is being measured, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
