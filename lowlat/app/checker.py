"""Validate whole configs in a process of its own: strategies are loaded there, not by us.

``python -m lowlat.app.checker`` reads one JSON object a line, ``{"config": {...}}``, and answers
``{"error": ""}`` or what is wrong. The supervisor keeps one while configs change and never waits
for it: a module that hangs or crashes while it is made costs a refused config, nothing else.
"""

import os
import subprocess
import sys
from typing import Any, Final

import msgspec

from lowlat.app.child import child_environment, module_argv
from lowlat.app.config import EngineConfig, check_modules
from lowlat.core.config import build_config
from lowlat.core.errors import ConfigError

__all__ = ["Checker", "check", "main"]

_ANSWER_NS: Final = 30_000_000_000
_IDLE_NS: Final = 60_000_000_000
_PIECE_BYTES: Final = 65_536


class Checker:
    """The supervisor's end. One config at a time; never blocks."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._unsent = b""
        self._rest = b""
        self._due_ns = 0
        """While asked: when to give up. Otherwise when to let the process go."""
        self._asked = False

    def descriptors(self) -> list[int]:
        """Return what becomes readable with an answer."""
        if self._process is None or self._process.stdout is None or not self._asked:
            return []
        return [self._process.stdout.fileno()]

    def ask(self, config: dict[str, Any], now_ns: int) -> None:
        """Hand a config over; ``poll`` has the answer."""
        assert not self._asked, "one config at a time"
        if self._process is None:
            self._process = _spawn()
        self._asked = True
        self._due_ns = now_ns + _ANSWER_NS
        self._rest = b""
        self._unsent = msgspec.json.encode(_Question(config)) + b"\n"

    def poll(self, now_ns: int) -> str | None:
        """Return '' for a good config, what is wrong with a bad one, None while it is looked at."""
        if not self._asked:
            if self._process is not None and now_ns >= self._due_ns:
                self.close()
            return None
        try:
            self._write()
            line = self._read()
        except OSError:
            self.close()
            return "the process that checks configs died of this one"
        if line is not None:
            self._asked = False
            self._due_ns = now_ns + _IDLE_NS
            return msgspec.json.decode(line, type=_Answer).error
        if now_ns >= self._due_ns:
            self.close()
            return f"the config could not be checked within {_ANSWER_NS / 10**9:g} s"
        return None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._asked = False
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def _write(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        while self._unsent:
            try:
                written = os.write(self._process.stdin.fileno(), self._unsent[:_PIECE_BYTES])
            except BlockingIOError:
                return
            self._unsent = self._unsent[written:]

    def _read(self) -> bytes | None:
        """Return the answer when all of it is there. Raises OSError when there will be none."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            piece = os.read(self._process.stdout.fileno(), _PIECE_BYTES)
        except BlockingIOError:
            return None
        if not piece:
            raise BrokenPipeError
        self._rest += piece
        line, end, _ = self._rest.partition(b"\n")
        return line if end else None


class _Question(msgspec.Struct):
    config: dict[str, Any]


class _Answer(msgspec.Struct):
    error: str


def _spawn() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
        module_argv("lowlat.app.checker"),
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment({}),
        start_new_session=True,
    )
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


def main() -> int:
    """Answer every line until there are none."""
    out = os.dup(sys.stdout.fileno())
    # What a module prints while it is made is not an answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin.buffer:
        question = msgspec.json.decode(line, type=_Question)
        os.write(out, msgspec.json.encode(_Answer(check(question.config))) + b"\n")
    return 0


def check(raw: dict[str, Any]) -> str:
    """Return what is wrong with a config, '' when nothing is."""
    try:
        check_modules(build_config(raw, EngineConfig))
    except ConfigError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - foreign code: its fault is the answer
        return f"a signal module cannot be made: {type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
