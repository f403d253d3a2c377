"""The real ends of a process's connections: made when a role asks for them, counted, closed.

A process that has no executor never makes an order connection, one without feeds no socket; what
a connection is made of is imported with it.
"""

import random
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from lowlat.app.config import BinanceKey, EngineConfig, PriceCredentials, read_secrets
from lowlat.app.machine import RandomSalts, address_of, tls_context
from lowlat.core.clock import RealClock
from lowlat.core.ports import Clock, Salts, Transport
from lowlat.feeds.params import CANDLES, POLYBOLT
from lowlat.feeds.ports import Connection, Dial, Fetch, Listener, Note
from lowlat.net._gate import SendGate

if TYPE_CHECKING:
    import ssl

    from lowlat.net.client import HttpClient
    from lowlat.net.http import AnswerSink, HotConnections
    from lowlat.net.options import PollWatch
    from lowlat.net.ws import WsOptions

__all__ = ["RealEnds", "Sockets"]


class RealEnds:
    """Connections by what they are for (see wiring.ports.Ends). Made on the running loop."""

    def __init__(
        self, config: EngineConfig, watch: "PollWatch | None", gate: SendGate, note: Note
    ) -> None:
        """``gate``: what every new order passes in the same call as its write.

        ``watch``: measures waiting before the first stamp; None where there are no sockets.
        """
        self._config = config
        self._gate = gate
        self._draw = random.SystemRandom().random
        self.clock: Clock = RealClock()
        self.salts: Salts = RandomSalts()
        self.note = note
        self.watch = watch
        self.clients: list[HttpClient] = []
        self.pool: HotConnections | None = None
        self.relay = _Relay()

    @property
    def host(self) -> str:
        """The venue's Host header."""
        return address_of(self._config.endpoints.clob_url).name

    @cached_property
    def orders(self) -> Transport:
        """Warm connections for orders; their answers go to ``relay.inbox``."""
        from lowlat.net.http import HotConnections

        address = address_of(self._config.endpoints.clob_url)
        self.pool = HotConnections(
            address.host,
            address.port,
            self.relay,
            ping=_ping(address.name),
            draw=self._draw,
            tls=self._tls if address.is_tls else None,
            gate=self._gate,
        )
        return self.pool

    @cached_property
    def gamma(self) -> Fetch:
        """Listings."""
        return self._client(self._config.endpoints.gamma_url)

    @cached_property
    def clob(self) -> Fetch:
        """Market facts and books by REST."""
        return self._client(self._config.endpoints.clob_url)

    @cached_property
    def binance_rest(self) -> Fetch:
        """Depth snapshots and old candles."""
        return self._client(self._config.endpoints.binance_rest_url)

    @cached_property
    def market_ws(self) -> Dial:
        """The market channel."""
        return self._dialer(self._config.endpoints.market_ws_url, self.watch)

    @cached_property
    def user_ws(self) -> Dial:
        """The user channel."""
        return self._dialer(self._config.endpoints.user_ws_url)

    @cached_property
    def binance_ws(self) -> Dial:
        """Spot prices of every coin."""
        from lowlat.venues.binance.stream import stream_names, stream_path

        ends, coins = self._config.endpoints, self._config.binance.coins
        if ends.binance_sbe_ws_url:
            return self._binance_sbe(ends.binance_sbe_ws_url)
        path = stream_path(stream_names(coins), self._config.binance.time_unit)
        return self._dialer(ends.binance_ws_url + path)

    def _binance_sbe(self, url: str) -> Dial:
        """Binary streams: the key goes into a header of the handshake. Source: feeds.md 1.5."""
        from lowlat.net.ws import WsOptions
        from lowlat.venues.binance.stream import SBE_KINDS, stream_names, stream_path

        path = self._config.account.binance_key_file
        key = read_secrets(path, "account.binance_key_file", BinanceKey).api_key
        names = stream_names(self._config.binance.coins, SBE_KINDS)
        options = WsOptions(headers=(("X-MBX-APIKEY", key),))
        return self._dialer(url + stream_path(names, "ms"), options=options)

    @property
    def prices_ws(self) -> Dial:
        """Settlement prices: the price socket, or candles for start prices."""
        return self._dial_prices

    def _dial_prices(self, listener: Listener, number: int) -> Connection:
        from lowlat.venues.binance.stream import stream_names, stream_path

        ends, params = self._config.endpoints, self._config.prices
        if number == CANDLES:
            names = stream_names(params.coins, ("kline_1m", "kline_1h"))
            path = stream_path(names, params.time_unit)
            return self._dialer(ends.binance_ws_url + path)(listener, number)
        url = ends.polybolt_ws_url if number == POLYBOLT else ends.prices_ws_url
        return self._dialer(url)(listener, number)

    @cached_property
    def prices_auth(self) -> Callable[[], bytes] | None:
        """First frame of the newer price socket; None where that is no source."""
        if POLYBOLT not in self._config.prices.sources:
            return None
        from lowlat.venues.polymarket.prices import polybolt_auth

        path = self._config.account.price_credentials_file
        found = read_secrets(path, "account.price_credentials_file", PriceCredentials)
        return lambda: polybolt_auth("1", found.api_key, found.api_secret, found.api_passphrase)

    def _dialer(
        self,
        url: str,
        watch: "PollWatch | None" = None,
        options: "WsOptions | None" = None,
    ) -> Dial:
        from lowlat.app.dialer import Dialer

        tls = self._tls if address_of(url).is_tls else None
        return Dialer(url, tls, self._draw, watch, options)

    def _client(self, url: str) -> Fetch:
        from lowlat.net.client import HttpClient

        address = address_of(url)
        tls = self._tls if address.is_tls else None
        client = HttpClient(address.host, address.port, draw=self._draw, tls=tls)
        self.clients.append(client)
        return client.fetch

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        return tls_context(self._config.endpoints.certificate_file)


class _Relay:
    """Hands answers to the executor, which is made after its transport."""

    inbox: "AnswerSink"

    def on_answer(
        self, key: int, status: int, headers: list[tuple[bytes, bytes]], body: bytes, recv_ns: int
    ) -> None:
        """Take an answer."""
        self.inbox.on_answer(key, status, headers, body, recv_ns)

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take note of a request that was never answered."""
        self.inbox.on_lost(key, recv_ns)


class Sockets:
    """Engine of everything that has a socket and no mind."""

    name: Final = "sockets"

    def __init__(self, ends: RealEnds) -> None:
        """Take what there is in ``ends``: every role has asked for what it needs."""
        self._pool = ends.pool
        self._clients = ends.clients
        self._turns: tuple[Callable[[int], int], ...] = tuple(
            each.turn for each in ([ends.pool] if ends.pool else []) + [*ends.clients]
        )

    def start(self) -> None:
        """Dial."""
        if self._pool is not None:
            self._pool.start()
        for client in self._clients:
            client.start()

    def turn(self, now_ns: int) -> int:
        """Look after the connections."""
        worked = 0
        for turn in self._turns:
            worked += turn(now_ns)
        return worked

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
        if self._pool is not None:
            self._pool.close()


def _ping(host: str) -> bytes:
    return f"GET /ok HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lowlat\r\n\r\n".encode()
