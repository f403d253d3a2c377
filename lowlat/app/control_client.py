"""Ask a running supervisor for something, over its control socket. Blocks, for commands only."""

import contextlib
import os
import socket
from typing import Any, Final

import msgspec

from lowlat.app.socket_server import SOCKET_NAME
from lowlat.core.errors import LowlatError
from lowlat.shm.places import instance_dir

__all__ = ["NobodyAnswersError", "ask"]

_LINE_BYTES_MAX: Final = 4 * 2**20
_PIECE_BYTES: Final = 65_536


class NobodyAnswersError(LowlatError):
    """No supervisor of that name runs, or it does not answer."""


def ask(instance: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Send one request and return the answer. Raises NobodyAnswersError."""
    folder = os.open(instance_dir(instance), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
            with contextlib.suppress(BrokenPipeError):
                # Whoever may not ask is told so before the question is read.
                connection.sendall(msgspec.json.encode(request) + b"\n")
            return _answer(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NobodyAnswersError(
            f"instance {instance!r} has no running supervisor: lowlat run, or name another with "
            "--instance"
        ) from None
    except TimeoutError:
        raise NobodyAnswersError(
            f"the supervisor of {instance!r} did not answer within {timeout_s:g} s"
        ) from None
    except OSError as error:
        raise NobodyAnswersError(f"the supervisor of {instance!r}: {error.strerror}") from None
    finally:
        os.close(folder)


def _answer(connection: socket.socket) -> dict[str, Any]:
    received = b""
    while not received.endswith(b"\n"):
        piece = connection.recv(_PIECE_BYTES)
        if not piece or len(received) > _LINE_BYTES_MAX:
            raise NobodyAnswersError("the supervisor hung up before it answered")
        received += piece
    return msgspec.json.decode(received, type=dict[str, Any])
