"""Blocking calls to one venue host, each on a connection of its own: for commands and services.

Never on the order path. An answer is status and body; what goes wrong below HTTP is an OSError or
http.client.HTTPException for the caller, who knows whether to ask again.
"""

import http.client
import ssl
from contextlib import closing
from typing import Final

from lowlat.app.machine import address_of, tls_context
from lowlat.core.errors import RemoteProtocolError

__all__ = ["VenueCalls"]

_TIMEOUT_S: Final = 3.0
_BODY_BYTES_MAX: Final = 16 * 2**20


class VenueCalls:
    """One host."""

    def __init__(self, url: str, certificate_file: str) -> None:
        self._address = address_of(url)
        self._tls: ssl.SSLContext | None = (
            tls_context(certificate_file) if self._address.is_tls else None
        )

    @property
    def host(self) -> str:
        """The Host header."""
        return self._address.name

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask without credentials."""
        head = f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nUser-Agent: lowlat\r\n"
        return self.call(f"{head}Accept: application/json\r\nConnection: close\r\n\r\n".encode())

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a JSON body without credentials."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nUser-Agent: lowlat\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        return self.call(f"{head}Connection: close\r\n\r\n".encode() + body)

    def call(self, request: bytes) -> tuple[int, bytes]:
        """Write a whole HTTP/1.1 request; return status and body."""
        host, port = self._address.host, self._address.port
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(
                host, port, timeout=_TIMEOUT_S, context=self._tls
            )
        try:
            connection.connect()
            connection.sock.sendall(request)
            method = request.split(b" ", 1)[0].decode()
            # It holds the socket open by itself, also when nothing was answered.
            with closing(http.client.HTTPResponse(connection.sock, method=method)) as response:
                response.begin()
                body = response.read(_BODY_BYTES_MAX + 1)
        finally:
            connection.close()
        if len(body) > _BODY_BYTES_MAX:
            raise RemoteProtocolError(f"an answer has more than {_BODY_BYTES_MAX} bytes")
        return response.status, body
