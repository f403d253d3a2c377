"""The real ends of the ports: random salts, addresses, TLS, metric cells."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from lowlat.core.ports import Cell, Recorder
from lowlat.execution.meters import CELL_NAMES, RECORDER_NAMES, ExecutorMeters
from lowlat.wiring.ports import Gauge

if TYPE_CHECKING:
    import ssl

__all__ = ["Address", "Metrics", "RandomSalts", "Stats", "address_of", "tls_context"]

_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SALT_BITS: Final = 53
"""A salt travels as a JSON number. Source: polymarket.md 3.1."""


class Address(msgspec.Struct, frozen=True):
    """Where a URL points."""

    host: str
    port: int
    is_tls: bool
    path: str

    @property
    def name(self) -> str:
        """The Host header: the port only when it is not the scheme's own."""
        return self.host if self.port in {80, 443} else f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """Take a checked URL apart."""
    parts = urlsplit(url)
    assert parts.hostname is not None, f"unchecked url {url!r}"
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return Address(parts.hostname, port, parts.scheme in {"https", "wss"}, parts.path or "/")


def tls_context(certificate_file: str) -> "ssl.SSLContext":
    """Trust the system's authorities, or just one certificate."""
    # On use: only processes with sockets have one.
    import ssl  # noqa: PLC0415

    return ssl.create_default_context(cafile=certificate_file or None)


class RandomSalts:
    """Order salts from the system's random source, never 0."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def next_salt(self) -> int:
        """Return a fresh salt in [1, 2**53 - 1]."""
        return self._random.getrandbits(_SALT_BITS) or 1


class Stats(Protocol):
    """Cells by name: this process's statistics segment, or private memory."""

    def counter(self, name: str, /) -> Gauge:
        """Return the counter of that name."""
        ...

    def gauge(self, name: str, /) -> Gauge:
        """Return the gauge of that name."""
        ...

    def histogram(self, name: str, /) -> Recorder:
        """Return the latency histogram of that name."""
        ...


class Metrics:
    """Names to cells."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def cell(self, name: str) -> Cell:
        """Return the counter of that name."""
        return self._stats.counter(name)

    def gauge(self, name: str) -> Gauge:
        """Return the gauge of that name."""
        return self._stats.gauge(name)

    def recorder(self, name: str) -> Recorder:
        """Return the latency histogram of that name."""
        return self._stats.histogram(name)

    def scope(self, prefix: str) -> Callable[[str], Cell]:
        """Return a cell maker whose names begin with prefix."""
        return lambda name: self._stats.counter(f"{prefix}.{name}")

    def executor(self) -> ExecutorMeters:
        """Return the executor's meters."""
        recorders = {name: self._stats.histogram(f"latency.{name}") for name in RECORDER_NAMES}
        cells = {name: self._stats.counter(f"executor.{name}") for name in CELL_NAMES}
        return ExecutorMeters(**recorders, **cells)  # type: ignore[arg-type]
