"""Requests and answers of the simulated HTTP services, without a socket."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import orjson

__all__ = ["LOST", "RESET", "UNREADABLE", "Request", "Respond", "Response", "failure", "success"]

LOST: Final = -1
"""Response.status: the request was carried out, its answer never leaves."""
RESET: Final = -2
"""Response.status: the connection is reset."""


UNREADABLE: Final = (msgspec.DecodeError, RecursionError)
"""What msgspec raises for JSON it cannot read; the second for thousands of nested brackets."""


class Request(NamedTuple):
    """One request as parsed; header names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    address: str = "127.0.0.1"
    """Who asks, for limits by address."""

    def arg(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default


class Response(NamedTuple):
    """One answer; the server adds length and connection headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    """Half of it leaves, then the connection is reset."""
    bytes_per_s: int = 0
    """How fast it leaves; 0: at once."""


Respond = Callable[[Response], None]


def success(value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Answer 200 with JSON."""
    return Response(200, orjson.dumps(value), headers)


def failure(
    status: int, text: str, headers: tuple[tuple[str, str], ...] = (), **extra: Any
) -> Response:
    """Answer an error in the venue's shape."""
    return Response(status, orjson.dumps({"error": text, **extra}), headers)
