"""`lowlat logs`: what every process of an instance said, in time order."""

import json
import re
import sys
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lowlat.cli.main import Instance, Json, app
from lowlat.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowlat.cli._log_lines import Follower, LogFilter, LogLine

_SINCE = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FOLLOW_S = 0.2
_STYLES = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@app.command(epilog="Examples: lowlat logs -f | lowlat logs -p engine --level warning --since 10m")
def logs(
    *,
    instance: Instance = "demo",
    process: Annotated[
        list[str] | None, typer.Option("--process", "-p", help="Only this one; may be repeated.")
    ] = None,
    level: Annotated[str, typer.Option(help="The least that is shown.")] = "debug",
    grep: Annotated[str, typer.Option("--grep", "-g", help="Only lines with this text.")] = "",
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="Only so old: 30s, 10m, 2h, 1d.")
    ] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The newest so many.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show the logs of all processes as one, also of an instance that has ended.

    With --json one object a line: time, level, process, logger, message.
    """
    from lowlat.app.state import state_dir
    from lowlat.cli._log_lines import Follower, LogFilter, log_files, merged

    folder = state_dir(instance, make=False)
    files = log_files(folder)
    if not files and not follow:
        raise ConfigError(f"instance {instance!r} has no logs in {folder}: it never ran here")
    if level.upper() not in _LEVELS:
        raise ConfigError(f"--level was {level!r}, expected one of {', '.join(_LEVELS).lower()}")
    strangers = sorted(set(process or ()) - files.keys())
    if strangers and not follow:
        raise ConfigError(f"--process was {strangers[0]!r}, expected one of {', '.join(files)}")
    wanted = LogFilter(frozenset(process or ()), level.upper(), grep, _since_us(since))
    # Opened before the past is read, so that nothing falls between.
    follower = Follower(folder) if follow else None
    past = deque((each for each in merged(folder) if wanted.wants(each)), maxlen=lines)
    _print(past, as_json=as_json)
    if follower is not None:
        _follow(follower, wanted, {each.text for each in past}, as_json=as_json)


def _since_us(text: str) -> int:
    if not text:
        return 0
    found = _SINCE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--since was {text!r}, expected a number and s, m, h or d: 30s, 10m")
    return int((time.time() - float(found[1]) * _SECONDS[found[2]]) * 1_000_000)


def _follow(
    follower: "Follower", wanted: "LogFilter", shown: set[str], *, as_json: bool
) -> NoReturn:
    """Print what comes; ``shown`` are lines that the first reading may have again."""
    while True:
        fresh = [line for line in follower.read() if line.text not in shown]
        shown = set()
        _print((line for line in fresh if wanted.wants(line)), as_json=as_json)
        time.sleep(_FOLLOW_S)


def _print(found: "Iterable[LogLine]", *, as_json: bool) -> None:
    from lowlat.app.log import escaped

    colored = sys.stdout.isatty()
    for line in found:
        if as_json:
            print(json.dumps(_as_json(line)))
            continue
        text = "\n".join(escaped(each) for each in line.text.split("\n"))
        style = _STYLES.get(line.level) if colored else None
        print(f"{style}{text}\x1b[0m" if style else text)
    sys.stdout.flush()


def _as_json(line: "LogLine") -> dict[str, str | None]:
    at = datetime.fromtimestamp(line.at_us / 1_000_000, UTC).isoformat() if line.at_us else None
    return {
        "time": at,
        "level": line.level or None,
        "process": line.process,
        "logger": line.logger or None,
        "message": line.words,
    }
