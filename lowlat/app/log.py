"""What a process says: ``time level process logger key=value`` on stderr, readiness on stdout.

One record is one line, whatever is in it: what came from outside can neither begin a line of its
own nor steer a terminal. A child's stderr is a file in the state directory: its log rotates there,
and what Python itself writes to stderr (a traceback) follows it.
"""

import json
import logging
import os
import stat
import sys
import time
from pathlib import Path
from typing import Final, TextIO

from lowlat.app.state import state_root

__all__ = ["LOG_BYTES_MAX", "LOG_FILES_KEPT", "LogFile", "configure", "escaped", "say_ready"]

LOG_BYTES_MAX: Final = 8 * 2**20
"""At this size a log becomes ``.log.1``, that one ``.log.2`` and so on."""
LOG_FILES_KEPT: Final = 4
"""Rotated files beside the one that is written."""
_STDERR: Final = 2
_CONTROL: Final = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\t")
} | {ord("\n"): "\\n", ord("\r"): "\\r"}


def configure(
    process: str,
    *,
    level: str = "INFO",
    stream: TextIO | None = None,
    file: Path | None = None,
) -> None:
    """Send every record of level to stream (default stderr) as one line of text in UTC.

    ``file`` gets a rotated copy from INFO on, made with its first line. A stderr that is a file of
    the state directory is rotated itself.
    """
    own = _own_log() if stream is None else None
    near: logging.Handler
    near = logging.StreamHandler(stream or sys.stderr) if own is None else LogFile(own, _STDERR)
    near.setLevel(level)
    handlers = [near]
    if file is not None:
        handlers.append(LogFile(file))
    for handler in handlers:
        handler.setFormatter(_Line(process))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.INFO if file is not None else level)
    # Its connections are ours, and lowlat.net says the same with more sense.
    logging.getLogger("picows").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _own_log() -> Path | None:
    """Return the file behind stderr when it is one of ours, else None."""
    try:
        if not stat.S_ISREG(os.fstat(_STDERR).st_mode):
            return None
        path = Path(os.readlink(f"/proc/self/fd/{_STDERR}"))
    except OSError:
        # stderr is closed: there is nothing to rotate.
        return None
    return path if path.is_relative_to(state_root().resolve()) else None


class LogFile(logging.Handler):
    """Appends lines to a file and rotates it. One process a file."""

    def __init__(self, path: Path, descriptor: int = -1) -> None:
        """``descriptor``: open for appending to path already, and to stay its number for ever."""
        super().__init__()
        self._path = path
        self._descriptor = descriptor
        self._size_bytes = os.fstat(descriptor).st_size if descriptor >= 0 else 0
        self._lost = 0
        """Lines that could not be written (a full disk); said with the next that can."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as one line."""
        line = self.format(record)
        if self._lost:
            line += f" log_lines_lost={self._lost}"
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if self._descriptor < 0:
                self._open()
            if self._size_bytes and self._size_bytes + len(data) > LOG_BYTES_MAX:
                self._rotate()
            self._size_bytes += os.write(self._descriptor, data)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0

    def close(self) -> None:
        """Close the file; stderr stays open."""
        if self._descriptor > _STDERR:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def _open(self) -> None:
        self._descriptor = self._opened()
        self._size_bytes = os.fstat(self._descriptor).st_size

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def _rotate(self) -> None:
        """Move every file one on and begin anew under the same descriptor."""
        for number in range(LOG_FILES_KEPT - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        fresh = self._opened()
        # Whoever writes to the old number (a traceback on stderr) goes to the new file.
        os.dup2(fresh, self._descriptor, inheritable=self._descriptor <= _STDERR)
        os.close(fresh)
        self._size_bytes = 0


class _Line(logging.Formatter):
    """One line a record: time in UTC to the microsecond, level, process, logger, words."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        self._main = spec.name if spec is not None else "__main__"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        seconds, fraction = divmod(int(record.created * 1_000_000), 1_000_000)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        name = self._main if record.name == "__main__" else record.name
        words = record.getMessage()
        if record.exc_info:
            words += "\n" + self.formatException(record.exc_info)
        line = f"{at}.{fraction:06d}Z {record.levelname} {self._process} {name} {words}"
        return escaped(line)


def escaped(text: str) -> str:
    """Return text as one line that steers no terminal."""
    return text.translate(_CONTROL)


def say_ready(process: str) -> None:
    """Tell whoever started us that we work: the one line on stdout."""
    sys.stdout.write(json.dumps({"ready": True, "process": process}) + "\n")
    sys.stdout.flush()
