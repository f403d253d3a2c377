"""Cancels as the venue answers them: 200 with what went and why the rest did not. Pure.

Source: polymarket.md 5.3, 12.4.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.sim.credentials import ApiKey, Credentials
from lowlat.sim.entry import INVALID, UNAUTHORIZED
from lowlat.sim.exchange import Exchange
from lowlat.sim.faults import Faults
from lowlat.sim.volumes import Volumes
from lowlat.sim.wire import UNREADABLE, Request, Respond, failure, success

__all__ = ["Cancels"]

CANCEL_MAX: Final = 1000


class _CancelOne(msgspec.Struct, gc=False):
    orderID: str  # noqa: N815 - the venue's spelling


class _CancelMarket(msgspec.Struct, gc=False):
    market: str = ""
    asset_id: str = ""


_decode_cancel: Final = msgspec.json.Decoder(_CancelOne).decode
_decode_ids: Final = msgspec.json.Decoder(list[str]).decode
_decode_market: Final = msgspec.json.Decoder(_CancelMarket).decode


class Cancels:
    """The four ways to cancel."""

    def __init__(
        self, exchange: Exchange, credentials: Credentials, faults: Faults, volumes: Volumes
    ) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._faults = faults
        self._buckets = volumes.cancel_buckets()

    def cancel_order(self, request: Request, now_ns: int, respond: Respond) -> None:
        """DELETE /order."""

        def ids(_: ApiKey) -> list[str]:
            return [_decode_cancel(request.body).orderID]

        self._cancel(request, now_ns, respond, ids)

    def cancel_orders(self, request: Request, now_ns: int, respond: Respond) -> None:
        """DELETE /orders."""
        self._cancel(request, now_ns, respond, lambda _: _decode_ids(request.body))

    def cancel_all(self, request: Request, now_ns: int, respond: Respond) -> None:
        """DELETE /cancel-all."""
        self._cancel(request, now_ns, respond, self._open, extra_cost=1)

    def cancel_market(self, request: Request, now_ns: int, respond: Respond) -> None:
        """DELETE /cancel-market-orders."""

        def ids(key: ApiKey) -> list[str]:
            wanted = _decode_market(request.body)
            return self._open(key, wanted.market, wanted.asset_id)

        self._cancel(request, now_ns, respond, ids)

    def _open(self, key: ApiKey, condition: str = "", token: str = "") -> list[str]:
        markets = self._exchange.markets
        return [
            order.id
            for order in self._exchange.open_of.get(key.key, {}).values()
            if (not condition or markets[order.market].condition_id == condition)
            and (not token or markets[order.market].tokens[order.outcome] == token)
        ]

    def _cancel(
        self,
        request: Request,
        now_ns: int,
        respond: Respond,
        ids_of: Callable[[ApiKey], list[str]],
        extra_cost: int = 0,
    ) -> None:
        key = self._credentials.l2(request, now_ns)
        if key is None:
            respond(UNAUTHORIZED)
            return
        mode, _ = self._faults.mode(now_ns)
        if mode == "restart":
            respond(failure(425, "service not ready"))
            return
        try:
            ids = ids_of(key)
        except UNREADABLE:
            respond(failure(400, INVALID))
            return
        if len(ids) > CANCEL_MAX:
            text = f"Too many orders in payload: {len(ids)}, max allowed: {CANCEL_MAX}"
            respond(failure(400, text))
            return
        bucket = self._buckets.of(key.owner, now_ns)
        if not bucket.take(len(ids) + extra_cost, now_ns):
            respond(failure(429, "rate limit exceeded", bucket.headers(refused=True)))
            return
        canceled: list[str] = []
        not_canceled: dict[str, str] = {}
        for order_id in ids:
            reason = self._exchange.cancel(order_id, key.key, now_ns)
            if reason is None:
                canceled.append(order_id)
            else:
                not_canceled[order_id] = reason
        body = {"canceled": canceled, "not_canceled": not_canceled}
        respond(success(body, bucket.headers(refused=False)))
