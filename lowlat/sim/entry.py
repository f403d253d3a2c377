"""Order entry as the venue answers it: authentication, modes, limits, shapes, words.

Pure: a request and a time in, one answer out, perhaps later. Order of checks: polymarket.md 18.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

import msgspec

from lowlat.core.units import format_fixed
from lowlat.sim import rules
from lowlat.sim.catalog import Market
from lowlat.sim.credentials import ApiKey, Credentials
from lowlat.sim.exchange import Exchange, Placed
from lowlat.sim.faults import Faults
from lowlat.sim.ladder import BUY, SELL, Order
from lowlat.sim.timers import Timers
from lowlat.sim.verify import OrderVerifier, SignedOrder
from lowlat.sim.volumes import Volumes
from lowlat.sim.wire import LOST, RESET, UNREADABLE, Request, Respond, Response, failure, success

__all__ = ["INVALID", "UNAUTHORIZED", "Entry"]

MS: Final = 1_000_000
BATCH_MAX: Final = 15
AMOUNT_MAX_E6: Final = 10**15
ZERO32: Final = "0x" + "00" * 32
EXPIRATION: Final = re.compile(r"[0-9]{1,12}")
UNAUTHORIZED: Final = failure(401, "Unauthorized/Invalid api key")
INVALID: Final = "Invalid order payload"


class PostOrder(msgspec.Struct, gc=False):
    """Body of POST /order, one element of POST /orders."""

    order: SignedOrder
    owner: str
    orderType: Literal["GTC", "GTD", "FOK", "FAK"]  # noqa: N815 - the venue's spelling
    deferExec: bool = False  # noqa: N815
    postOnly: bool = False  # noqa: N815


_decode_one: Final = msgspec.json.Decoder(PostOrder).decode
_decode_any: Final = msgspec.json.Decoder().decode


class Entry:
    """Order entry of one exchange for all API keys."""

    def __init__(
        self,
        exchange: Exchange,
        credentials: Credentials,
        timers: Timers,
        faults: Faults,
        volumes: Volumes,
    ) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._timers = timers
        self._faults = faults
        self._verifier = OrderVerifier(exchange.config.chain_id)
        self._buckets = volumes.order_buckets()

    # ----------------------------------------------------------------------------- orders
    def post_order(self, request: Request, now_ns: int, respond: Respond) -> None:
        """POST /order."""
        self._post(request, now_ns, respond, self._one)

    def post_orders(self, request: Request, now_ns: int, respond: Respond) -> None:
        """POST /orders: at most 15, no atomicity, one result a leg in request order."""
        self._post(request, now_ns, respond, self._batch)

    def _post(
        self,
        request: Request,
        now_ns: int,
        respond: Respond,
        action: Callable[[Request, ApiKey, int, Respond], None],
    ) -> None:
        key = self._credentials.l2(request, now_ns)
        if key is None:
            respond(UNAUTHORIZED)
            return
        if self._faults.hit("reset_mid_request_e4"):
            respond(Response(RESET, b""))
            return
        if self._faults.hit("answer_lost_e4"):
            respond = partial(_lose, respond)
        latency_ns = self._faults.latency_ns()
        if latency_ns:
            due_ns = now_ns + latency_ns
            self._timers.at(due_ns, lambda at_ns: action(request, key, at_ns, respond))
        else:
            action(request, key, now_ns, respond)

    def _one(self, request: Request, key: ApiKey, now_ns: int, respond: Respond) -> None:
        refusal = self._mode_refusal(request, now_ns)
        if refusal is not None:
            respond(refusal)
            return
        bucket = self._buckets.of(key.owner, now_ns)
        if not bucket.take(1, now_ns):
            respond(failure(429, "rate limit exceeded", bucket.headers(refused=True)))
            return
        headers = bucket.headers(refused=False)
        try:
            post = _decode_one(request.body)
        except UNREADABLE:
            respond(failure(400, _shape_error(request.body), headers))
            return
        self._place(post, key, now_ns, lambda placed: respond(_answer(placed, headers)))

    def _batch(self, request: Request, key: ApiKey, now_ns: int, respond: Respond) -> None:
        refusal = self._mode_refusal(request, now_ns)
        if refusal is not None:
            respond(refusal)
            return
        try:
            legs = _decode_any(request.body)
        except UNREADABLE:
            legs = None
        if not isinstance(legs, list) or not legs:
            respond(failure(400, INVALID))
            return
        if len(legs) > BATCH_MAX:
            text = f"Too many orders in payload: {len(legs)}, max allowed: {BATCH_MAX}"
            respond(failure(400, text))
            return
        bucket = self._buckets.of(key.owner, now_ns)
        if not bucket.take(len(legs), now_ns):
            respond(failure(429, "rate limit exceeded", bucket.headers(refused=True)))
            return
        _Batch(self, legs, key, bucket.headers(refused=False), respond).place(now_ns)

    def _mode_refusal(self, request: Request, now_ns: int) -> Response | None:
        """Return the answer of a venue that is not in normal mode. Source: 6, 12.3."""
        mode, left_s = self._faults.mode(now_ns)
        retry = (("Retry-After", str(left_s)),)
        if mode == "normal" or (mode == "post_only" and _all_post_only(request.body)):
            return None
        if mode == "post_only":
            text = "post-only mode: only post-only orders and cancels are allowed"
            extra = {"code": "post_only_mode", "retry_after_seconds": left_s}
            return failure(503, text, retry, **extra)
        return {
            "restart": failure(425, "service not ready"),
            "rate_limited": failure(429, "rate limit exceeded", retry),
            "error": failure(500, "could not run the execution"),
            "disabled": failure(
                503, "Trading is currently disabled. Check polymarket.com for updates"
            ),
            "cancel_only": failure(
                503,
                "Trading is currently cancel-only. New orders are not accepted, "
                "but cancels are allowed.",
            ),
        }[mode]

    def place_leg(
        self, leg: Any, key: ApiKey, now_ns: int, reply: Callable[[Placed], None]
    ) -> None:
        """Place one element of a batch; a malformed one is that leg's refusal."""
        try:
            post = msgspec.convert(leg, PostOrder)
        except msgspec.ValidationError:
            reply(Placed(400, INVALID))
            return
        self._place(post, key, now_ns, reply)

    def _place(
        self, post: PostOrder, key: ApiKey, now_ns: int, reply: Callable[[Placed], None]
    ) -> None:
        """Check identity and signature, then hand the order to the exchange."""
        error = self._identity_error(post, key, now_ns)
        if error is not None:
            reply(Placed(400, error))
            return
        found = self._exchange.tokens.get(post.order.tokenId)
        if found is None or found[0].closed:
            reply(Placed(404, "No orderbook exists for the requested token id"))
            return
        market, outcome = found
        order_id, error = self._signature_error(post.order, market, key, now_ns)
        if error is not None:
            reply(Placed(400, error))
            return
        order = _build(post, key, market, outcome, order_id)
        self._exchange.submit(order, int(post.order.takerAmount), now_ns, reply)

    def _signature_error(
        self, signed: SignedOrder, market: Market, key: ApiKey, now_ns: int
    ) -> tuple[str, str | None]:
        """Return the order id, and the refusal of its signature, amounts or times."""
        try:
            order_hash, signer = self._verifier.check(signed, market.exchange)
        except ValueError:
            return "", INVALID
        order_id = "0x" + order_hash.hex()
        error = None
        age_max_ns = self._faults.config.order_age_max_ms * MS
        if signer != key.owner:
            error = "invalid signature"
        elif not (
            0 < int(signed.makerAmount) < AMOUNT_MAX_E6
            and 0 < int(signed.takerAmount) < AMOUNT_MAX_E6
        ):
            error = INVALID
        elif age_max_ns and now_ns - int(signed.timestamp) * MS > age_max_ns:
            error = f"order {order_id} is invalid. Timestamp too old."
        elif not EXPIRATION.fullmatch(signed.expiration):
            error = "invalid expiration"
        return order_id, error

    def _identity_error(self, post: PostOrder, key: ApiKey, now_ns: int) -> str | None:
        signed = post.order
        if post.owner != key.key:
            return "the order owner has to be the owner of the API KEY"
        maker = signed.maker.lower()
        signer = signed.signer.lower()
        kind = key.wallets.get(maker)
        if kind is None and self._credentials.signs_for(key.owner, maker, now_ns):
            kind = 3
        if signer != (maker if signed.signatureType == 3 else key.owner):
            return "the order signer address has to be the address of the API KEY"
        if kind is None or kind != signed.signatureType:
            return "invalid signature"
        if kind not in self._exchange.config.wallet_types:
            return "maker address not allowed, please use the deposit wallet flow"
        return self._account_error(signed, key)

    def _account_error(self, signed: SignedOrder, key: ApiKey) -> str | None:
        """Refuse whom the venue banned, and the BUYs of whom it lets only close."""
        restriction = self._credentials.restriction(key.owner)
        if restriction == "banned":
            return f"'{signed.maker}' address banned"
        # Whether closing by a BUY of the other outcome is allowed is unknown: here it is not.
        if restriction == "closed_only" and signed.side == "BUY":
            return f"'{signed.maker}' address in closed only mode"
        return None


class _Batch:
    """Collects the legs of one POST /orders; some may be held for the taker delay."""

    __slots__ = ("_entry", "_headers", "_key", "_left", "_legs", "_respond", "_results")

    def __init__(
        self,
        entry: Entry,
        legs: list[Any],
        key: ApiKey,
        headers: tuple[tuple[str, str], ...],
        respond: Respond,
    ) -> None:
        self._entry = entry
        self._legs = legs
        self._key = key
        self._headers = headers
        self._respond = respond
        self._left = len(legs)
        self._results: list[dict[str, Any]] = [{} for _ in legs]

    def place(self, now_ns: int) -> None:
        """Place every leg; answer when the last result is in."""
        for index, leg in enumerate(self._legs):
            self._entry.place_leg(leg, self._key, now_ns, partial(self._done, index))

    def _done(self, index: int, placed: Placed) -> None:
        # A refused leg comes back as success with the reason in errorMsg. Source: 5.2.
        self._results[index] = _body(placed)
        self._left -= 1
        if not self._left:
            self._respond(success(self._results, self._headers))


def _build(
    post: PostOrder,
    key: ApiKey,
    market: Market,
    outcome: int,
    order_id: str,
) -> Order:
    """Make the exchange's order. An ungridded price becomes 0: the exchange refuses it in words."""
    signed = post.order
    maker_e6, taker_e6 = int(signed.makerAmount), int(signed.takerAmount)
    side = BUY if signed.side == "BUY" else SELL
    is_market = post.orderType in {"FOK", "FAK"}
    price_e4 = rules.limit_price(side, maker_e6, taker_e6, market.tick_e4, is_market=is_market)
    order = Order(
        order_id,
        signed.maker.lower(),
        key.key,
        market.index,
        outcome,
        side,
        price_e4 or 0,
        taker_e6 if side == BUY else maker_e6,
        post.orderType,
    )
    order.maker_amount_e6 = maker_e6
    order.post_only = post.postOnly
    order.builder = "" if signed.builder == ZERO32 else signed.builder.lower()
    order.expiration_s = int(signed.expiration)
    return order


def _body(placed: Placed) -> dict[str, Any]:
    matched = placed.making_e6 > 0
    return {
        "errorMsg": placed.error,
        "orderID": placed.order_id,
        "takingAmount": format_fixed(placed.taking_e6, 6) if matched else "",
        "makingAmount": format_fixed(placed.making_e6, 6) if matched else "",
        "status": placed.status,
        "success": True,
        "transactionsHashes": [],
        "tradeIDs": list(placed.trade_ids),
    }


def _answer(placed: Placed, headers: tuple[tuple[str, str], ...]) -> Response:
    if placed.error:
        return failure(placed.http_status, placed.error, headers)
    return success(_body(placed), headers)


def _shape_error(body: bytes) -> str:
    """Tell a V1 order (nonce and fee rate, no timestamp) from plain rubbish. Source: 6."""
    try:
        value = _decode_any(body)
    except UNREADABLE:
        return INVALID
    order = value.get("order") if isinstance(value, dict) else None
    if isinstance(order, dict) and "nonce" in order and "timestamp" not in order:
        return "order_version_mismatch"
    return INVALID


def _all_post_only(body: bytes) -> bool:
    try:
        value = _decode_any(body)
    except UNREADABLE:
        return False
    legs = value if isinstance(value, list) else [value]
    return bool(legs) and all(isinstance(leg, dict) and leg.get("postOnly") is True for leg in legs)


def _lose(respond: Respond, response: Response) -> None:
    respond(Response(LOST, response.body))
