"""Log files of an instance read as one: in time order over processes and rotations, or followed.

A line that does not begin with a time (a traceback that Python wrote to stderr) belongs to the one
before it in its file.
"""

import heapq
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from lowlat.app.log import LOG_FILES_KEPT

__all__ = ["Follower", "LogFilter", "LogLine", "log_files", "merged", "parse"]

_LINE: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)Z ([A-Z]+) (\S+) (\S+) (.*)", re.DOTALL
)
_NOT_LOGS: Final = "journal-"
"""The journal of the same folder is binary."""
_LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_UNKNOWN_LEVEL: Final = 40
"""What has no level is shown rather than hidden."""
_READ_BYTES_MAX: Final = 1 << 20


class LogLine(NamedTuple):
    """One record, with the lines that belong to it."""

    at_us: int
    """Wall time since 1970; 0 when a file begins with text that carries none."""
    level: str
    process: str
    logger: str
    words: str
    text: str
    """All of it as it stands in the file."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines are wanted."""

    processes: frozenset[str] = frozenset()
    """Empty: all."""
    level: str = "DEBUG"
    words: str = ""
    since_us: int = 0

    def wants(self, line: LogLine) -> bool:
        """Whether a line passes."""
        return (
            (not self.processes or line.process in self.processes)
            and _LEVELS.get(line.level, _UNKNOWN_LEVEL) >= _LEVELS[self.level]
            and (not self.words or self.words.lower() in line.text.lower())
            and (line.at_us >= self.since_us or not line.at_us)
        )


def log_files(folder: Path) -> dict[str, list[Path]]:
    """Return each process's log files that exist, oldest first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.log")):
        if not path.name.startswith(_NOT_LOGS):
            older = (
                path.with_name(f"{path.name}.{number}") for number in range(LOG_FILES_KEPT, 0, -1)
            )
            found[path.stem] = [*(each for each in older if each.exists()), path]
    return found


def merged(folder: Path) -> Iterator[LogLine]:
    """Yield every line of every process in time order."""
    return heapq.merge(
        *(_process_lines(name, paths) for name, paths in log_files(folder).items()),
        key=lambda line: line.at_us,
    )


def _process_lines(process: str, paths: Iterable[Path]) -> Iterator[LogLine]:
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
                yield from parse(file, process)
        except FileNotFoundError:
            # Rotated away between our listing and now: its lines stand in the next older name.
            continue


def parse(lines: Iterable[str], process: str) -> Iterator[LogLine]:
    """Yield records of raw lines; ``process`` owns text that comes before the first of them."""
    held: LogLine | None = None
    for raw in lines:
        text = raw.rstrip("\n")
        found = _LINE.fullmatch(text)
        if found is not None:
            if held is not None:
                yield held
            held = LogLine(_us(found[1]), found[2], found[3], found[4], found[5], text)
        elif held is None:
            held = LogLine(0, "", process, "", text, text)
        else:
            held = held._replace(words=f"{held.words}\n{text}", text=f"{held.text}\n{text}")
    if held is not None:
        yield held


def _us(text: str) -> int:
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        # Looks like a time and is none (month 13): shown at the beginning, not lost.
        return 0
    return int(at.timestamp()) * 1_000_000 + at.microsecond


class Follower:
    """Reads what is appended to the logs of an instance from now on, through rotations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _Tail] = {}
        for name, paths in log_files(folder).items():
            self._files[name] = _Tail(paths[-1], from_end=True)

    def read(self) -> list[LogLine]:
        """Return new records in time order."""
        found: list[LogLine] = []
        for name, paths in log_files(self._folder).items():
            tail = self._files.get(name)
            if tail is None:
                tail = self._files[name] = _Tail(paths[-1], from_end=False)
            for line in parse(tail.read(), name):
                # Text without a time goes on where its file stood.
                tail.last_us = line.at_us or tail.last_us
                found.append(line._replace(at_us=tail.last_us))
        return sorted(found, key=lambda line: line.at_us)


class _Tail:
    """One file, read on from where it stands; when it was rotated, its successor too."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._rest = b""
        self.last_us = 0
        if from_end:
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self) -> list[str]:
        """Return whole new lines."""
        data = self._drain()
        if self._was_rotated():
            os.close(self._descriptor)
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            data += self._drain()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def _drain(self) -> bytes:
        pieces = []
        while piece := os.read(self._descriptor, _READ_BYTES_MAX):
            pieces.append(piece)
        return b"".join(pieces)

    def _was_rotated(self) -> bool:
        try:
            return os.stat(self._path).st_ino != os.fstat(self._descriptor).st_ino
        except FileNotFoundError:
            # Between its rename and its successor: the next reading finds that one.
            return False
