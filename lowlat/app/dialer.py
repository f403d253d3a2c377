"""Opens WebSockets: for processes whose roles have any, the others start without the library."""

import ssl
from collections.abc import Callable

from lowlat.app.machine import address_of
from lowlat.feeds.ports import Connection, Listener
from lowlat.net.options import PollWatch
from lowlat.net.ws import WsConnection, WsOptions

__all__ = ["Dialer"]


class Dialer:
    """Opens WebSockets of one address; connections start at once."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext | None,
        draw: Callable[[], float],
        watch: PollWatch | None = None,
        options: WsOptions | None = None,
    ) -> None:
        self._url = url
        self._tls = tls if address_of(url).is_tls else None
        self._draw = draw
        self._watch = watch
        self._options = options or WsOptions()

    def __call__(self, listener: Listener, number: int, path: str = "") -> Connection:
        """Return the connection of that number; it opens in a later turn."""
        connection = WsConnection(
            self._url + path,
            listener,
            number=number,
            options=self._options,
            tls=self._tls,
            draw=self._draw,
            watch=self._watch,
        )
        connection.start()
        return connection
