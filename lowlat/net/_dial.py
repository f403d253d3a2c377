"""Open a non-blocking TCP or TLS socket without blocking the loop. Off every hot path."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from lowlat.net.options import tune_socket

__all__ = ["open_socket"]


async def open_socket(
    host: str, port: int, tls: ssl.SSLContext | None, *, timeout_ns: int, busy_poll_us: int
) -> socket.socket:
    """Return a connected, tuned, non-blocking socket (SSLSocket with tls).

    Raises OSError (ssl.SSLError and TimeoutError are some).
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_ns / 1e9):
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in infos:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
                tune_socket(sock, busy_poll_us=busy_poll_us)
                return await _handshake(sock, host, tls) if tls is not None else sock
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
        raise failure


async def _handshake(sock: socket.socket, host: str, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Take sock over into TLS; closes it on failure."""
    secure = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(secure.fileno(), loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(secure.fileno(), loop.add_writer, loop.remove_writer)
            else:
                return secure
    except BaseException:
        secure.close()
        raise


async def _ready(fd: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    future = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    add(fd, wake)
    try:
        await future
    finally:
        remove(fd)
