"""One Unix socket, a line a request, served in turns of somebody else's loop. Never blocks.

Only our own user and root are heard: the kernel says who calls. Bounded in callers, bytes and
time; whoever exceeds a bound is told and hung up on.
"""

import logging
import os
import socket
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lowlat.app.audit import Who
from lowlat.shm.places import instance_dir

__all__ = ["SOCKET_NAME", "Asker", "SocketServer"]

_LOG: Final = logging.getLogger(__name__)
SOCKET_NAME: Final = "control.sock"
_CALLERS_MAX: Final = 32
_LINE_BYTES_MAX: Final = 65_536
_UNSENT_BYTES_MAX: Final = 4 * 2**20
_IDLE_NS: Final = 600_000_000_000
OnLine = Callable[[bytes, "Asker", int], None]


class Asker:
    """One caller."""

    def __init__(self, connection: socket.socket, now_ns: int) -> None:
        self.who = Who.of_peer(connection)
        self.connection = connection
        self.gone = False
        self.heard_ns = now_ns
        self._received = b""
        self._unsent = b""

    def answer(self, value: dict[str, Any]) -> None:
        """Send one line, as far as the caller takes it; the rest in later turns."""
        self._unsent += msgspec.json.encode(value) + b"\n"
        self.flush()
        if len(self._unsent) > _UNSENT_BYTES_MAX:
            # It asks and does not listen.
            self.gone = True

    def flush(self) -> None:
        """Send what is left."""
        while self._unsent and not self.gone:
            try:
                sent = self.connection.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.gone = True
                return
            self._unsent = self._unsent[sent:]

    def lines(self) -> list[bytes]:
        """Return the whole lines that came in."""
        try:
            piece = self.connection.recv(_LINE_BYTES_MAX)
        except BlockingIOError:
            return []
        except OSError:
            self.gone = True
            return []
        if not piece:
            self.gone = True
            return []
        *lines, self._received = (self._received + piece).split(b"\n")
        if len(self._received) > _LINE_BYTES_MAX:
            self.answer(_refused(f"a line has at most {_LINE_BYTES_MAX} bytes"))
            self.gone = True
        return [line for line in lines if line]


class SocketServer:
    """Listens for an instance."""

    def __init__(self, instance: str, on_line: OnLine) -> None:
        self._on_line = on_line
        self._askers: list[Asker] = []
        folder = os.open(instance_dir(instance), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # A socket's path has 107 bytes at most; this one is short wherever the folder is.
            path = f"/proc/self/fd/{folder}/{SOCKET_NAME}"
            # Whoever left it there is gone: we hold the lock of the supervisor.
            if os.path.lexists(path):
                os.unlink(path)
            before = os.umask(0o177)
            try:
                self._socket.bind(path)
            finally:
                os.umask(before)
            self._socket.listen(_CALLERS_MAX)
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(folder)
        self._path = f"{instance_dir(instance)}/{SOCKET_NAME}"

    def descriptors(self) -> list[int]:
        """Return what becomes readable with a caller or a line."""
        return [self._socket.fileno(), *(each.connection.fileno() for each in self._askers)]

    def turn(self, now_ns: int) -> None:
        """Take calls, take lines, send what is left, hang up."""
        self._accept(now_ns)
        for asker in self._askers:
            asker.flush()
            for line in asker.lines():
                asker.heard_ns = now_ns
                self._on_line(line, asker, now_ns)
            if now_ns - asker.heard_ns > _IDLE_NS:
                asker.gone = True
        for asker in [each for each in self._askers if each.gone]:
            self._askers.remove(asker)
            asker.connection.close()

    def close(self) -> None:
        """Hang up on everybody and take the name away."""
        for asker in self._askers:
            asker.flush()
            asker.connection.close()
        self._askers.clear()
        self._socket.close()
        if os.path.lexists(self._path):
            os.unlink(self._path)

    def _accept(self, now_ns: int) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            asker = Asker(connection, now_ns)
            if asker.who.uid not in {0, os.geteuid()}:
                _LOG.warning("control refused uid=%d pid=%d", asker.who.uid, asker.who.pid)
                asker.answer(_refused(f"uid {asker.who.uid} may not steer this instance"))
            elif len(self._askers) >= _CALLERS_MAX:
                asker.answer(_refused(f"{_CALLERS_MAX} callers are there already"))
            else:
                self._askers.append(asker)
                continue
            connection.close()


def _refused(text: str) -> dict[str, Any]:
    return {"ok": False, "code": "refused", "text": text}
