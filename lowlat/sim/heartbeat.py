"""The venue's dead-man switch: beats arm an API key, silence cancels its open orders.

Source: polymarket.md 5.7.
"""

from random import Random
from typing import Final

import msgspec
import orjson

from lowlat.sim.credentials import ApiKey
from lowlat.sim.exchange import Exchange
from lowlat.sim.timers import Timers
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["Heartbeats"]

MS: Final = 1_000_000


class _Beat(msgspec.Struct, gc=False):
    heartbeat_id: str | None = ""


class Heartbeats:
    """Watches armed API keys."""

    def __init__(self, exchange: Exchange, timers: Timers, rng: Random) -> None:
        self._exchange = exchange
        self._timers = timers
        self._rng = rng
        self._armed: dict[str, tuple[str, int]] = {}
        self.expired = 0

    def beat(self, key: ApiKey, request: Request, now_ns: int) -> Response:
        """POST /v1/heartbeats: a wrong id is told the right one and does not refresh."""
        try:
            given = msgspec.json.decode(request.body, type=_Beat).heartbeat_id or ""
        except UNREADABLE:
            return failure(400, "Invalid payload")
        armed = self._armed.get(key.key)
        if armed is not None and given != armed[0]:
            body = {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": armed[0]}
            return Response(400, orjson.dumps(body))
        fresh = f"{self._rng.getrandbits(128):032x}"
        self._armed[key.key] = (fresh, now_ns)
        if armed is None:
            self._watch(key.key, now_ns)
        return success({"heartbeat_id": fresh})

    def old_beat(self, key: ApiKey, now_ns: int) -> Response:
        """POST /heartbeats: the legacy path, no ids; it arms and refreshes the same timer."""
        armed = self._armed.get(key.key)
        self._armed[key.key] = ("" if armed is None else armed[0], now_ns)
        if armed is None:
            self._watch(key.key, now_ns)
        return success({"status": "ok"})

    def _watch(self, key: str, now_ns: int) -> None:
        due_ns = now_ns + self._exchange.config.heartbeat_check_ms * MS
        self._timers.at(due_ns, lambda at_ns: self._check(key, at_ns))

    def _check(self, key: str, now_ns: int) -> None:
        _, beaten_ns = self._armed[key]
        if now_ns - beaten_ns <= self._exchange.config.heartbeat_ms * MS:
            self._watch(key, now_ns)
            return
        del self._armed[key]
        self.expired += 1
        self._exchange.cancel_many(self._exchange.open_of.get(key, {}).values(), now_ns)
