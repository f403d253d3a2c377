"""Hold a bench run against an older one, row by row, for ``lowlat bench --compare``.

A row that has a C floor is compared by its ratio to the floor, which a faster or busier machine
moves little; one without by its own figure, which only says something on the same idle machine.
Smaller is better in every row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from lowlat.core.errors import ConfigError

__all__ = ["Comparison", "OldRow", "as_old", "compare", "comparison_table", "read_rows"]

_MEASURES: Final = (("ratio", "x floor"), ("value_bytes", "bytes"), ("p50_ns", "ns"))


class OldRow(msgspec.Struct):
    """What of a row of ``lowlat bench --json`` is compared."""

    name: str
    p50_ns: int
    ratio: float | None = None
    value_bytes: int | None = None


class Comparison(msgspec.Struct, kw_only=True):
    """One row then and now; ``times`` is now / then, None for a row that only one run has."""

    name: str
    measure: str = ""
    then: float | None = None
    now: float | None = None
    times: float | None = None
    worse: bool = False


def read_rows(path: Path) -> list[OldRow]:
    """Read what ``lowlat bench --json`` wrote: a list of rows or one; raises ConfigError."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[OldRow] | OldRow)
    except OSError as error:
        raise ConfigError(f"compare: {path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"compare: {path} is not the output of lowlat bench --json: {error}"
        ) from error
    return [rows] if isinstance(rows, OldRow) else rows


def compare(
    then: Sequence[OldRow], now: Sequence[OldRow], tolerance: float, *, whole: bool
) -> list[Comparison]:
    """Compare rows of one name; ``whole``: rows that only the old run has are named too."""
    old = {row.name: row for row in then}
    found = [_pair(old.get(row.name), row, tolerance) for row in now]
    if whole:
        measured = {row.name for row in now}
        found += [Comparison(name=row.name) for row in then if row.name not in measured]
    return found


def _pair(then: OldRow | None, now: OldRow, tolerance: float) -> Comparison:
    if then is None:
        return Comparison(name=now.name)
    for field, measure in _MEASURES:
        before, after = getattr(then, field), getattr(now, field)
        if before is None or after is None:
            continue
        if before <= 0:
            break
        times = after / before
        return Comparison(
            name=now.name,
            measure=measure,
            then=before,
            now=after,
            times=round(times, 3),
            worse=times > tolerance,
        )
    return Comparison(name=now.name)


def comparison_table(found: Sequence[Comparison], tolerance: float) -> str:
    """Write the comparison as aligned lines."""
    lines: list[tuple[str, ...]] = [
        ("row", "then", "now", "now / then", f"worse beyond {tolerance:g} x")
    ]
    for one in found:
        if one.times is None:
            lines.append((one.name, "", "", "", "only in one run"))
            continue
        values = (f"{value:g} {one.measure}" for value in (one.then, one.now))
        lines.append((one.name, *values, f"{one.times:.2f}", "WORSE" if one.worse else "ok"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_old(rows: Sequence[Mapping[str, Any]]) -> list[OldRow]:
    """Take rows just measured, as they would be read back."""
    return msgspec.convert(rows, list[OldRow])
