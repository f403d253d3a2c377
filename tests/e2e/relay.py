"""A TCP relay on loopback between the engine and the simulator: cuts links, and slows them down.

It knows no protocol, so that it serves sockets and requests alike. Runs its own event loop in a
thread; ``urls`` says where each origin is reached through it.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536


class Relay:
    """Relays of several origins, by name. ``delay_s`` holds back every chunk by so long."""

    names = ("clob", "clob_ws", "gamma", "rtds_ws", "binance_ws", "binance")

    def __init__(self, origins):
        self.delay_s = 0.0
        self.resets = 0
        self.urls = {}
        self._origins = origins
        self._writers = set()
        self._tasks = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60), "the relay did not start"

    async def _main(self):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        servers = []
        for name, origin in self._origins.items():
            parts = urlsplit(origin)

            async def serve(reader, writer, where=(parts.hostname, parts.port)):
                await self._serve(reader, writer, *where)

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            servers.append(server)
            port = server.sockets[0].getsockname()[1]
            self.urls[name] = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer, host, port):
        self._tasks.add(asyncio.current_task())
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._writers -= both
            self._tasks.discard(asyncio.current_task())
            for each in both:
                each.close()

    async def _pump(self, reader, writer):
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def reset(self):
        """Cut every connection with a RST on both sides; return how many there were."""

        async def cut():
            found = list(self._writers)
            for writer in found:
                sock = writer.get_extra_info("socket")
                # Linger of 0: close() sends RST and drops what is still to be sent.
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            return len(found)

        cut_count = asyncio.run_coroutine_threadsafe(cut(), self._loop).result(60)
        self.resets += cut_count
        return cut_count

    def close(self):
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the relay did not stop"
