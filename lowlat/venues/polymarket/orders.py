"""Order bodies and pre-signed templates: from a signature to bytes ready for one write.

Run by the executor. A template is signed once; type, expiry and post-only are outside the
signature and rendered per request. A ready order is renewed when the second changes (HMAC covers
it) and taken when the moment comes. Source: polymarket.md 3.1, 3.4, 5.1, 5.2.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import Exchange, OrderType
from lowlat.venues.polymarket.replies import Sent
from lowlat.venues.polymarket.requests import ClobRequests, SignedRequest
from lowlat.venues.polymarket.signing import OrderFields, OrderSigner

__all__ = [
    "BATCH_ORDERS_MAX",
    "GTD_LEAD_S",
    "OrderTemplate",
    "PostParams",
    "order_body",
    "ready_batch",
    "ready_order",
    "sent_of",
    "sign_template",
]

BATCH_ORDERS_MAX: Final = 15
"""Orders in one POST /orders. Source: polymarket.md 5.2."""
GTD_LEAD_S: Final = 180
"""A GTD order expires at least this far ahead. Source: polymarket.md 3.4."""

_ORDER_PATH: Final = "/order"
_BATCH_PATH: Final = "/orders"


class OrderTemplate(NamedTuple):
    """A signed order, without what the signature does not cover.

    ``head`` and ``tail`` are the body around the expiration, rendered once.
    """

    order_id: bytes
    exchange: Exchange
    order: OrderFields
    head: bytes
    tail: bytes

    def __repr__(self) -> str:
        """Leave the signature out: whoever has it can execute the order."""
        return f"OrderTemplate(0x{self.order_id.hex()}, {self.order}, signature=***)"


class PostParams(NamedTuple):
    """What may differ each time a template is posted. ``expiration_s`` is 0 except for GTD."""

    order_type: OrderType
    expiration_s: int = 0
    post_only: bool = False


def sign_template(signer: OrderSigner, exchange: Exchange, order: OrderFields) -> OrderTemplate:
    """Sign an order and render its body around the expiration. One signature plus some 3 us."""
    order_id, signature = signer.sign(exchange, order)
    head = (
        f'{{"order":{{"salt":{order.salt},"maker":"{signer.maker}","signer":"{signer.signer}",'
        f'"tokenId":"{order.token_id}","makerAmount":"{order.maker_e6}",'
        f'"takerAmount":"{order.taker_e6}","side":"{order.action.name}","expiration":"'
    )
    tail = (
        f'","signatureType":{int(signer.signature_type)},"timestamp":"{order.timestamp_ms}",'
        f'"metadata":"0x{order.metadata.hex()}","builder":"0x{order.builder.hex()}",'
        f'"signature":"{signature}"}},"owner":"'
    )
    return OrderTemplate(order_id, exchange, order, head.encode(), tail.encode())


def order_body(template: OrderTemplate, owner: str, params: PostParams) -> bytes:
    """Render the body of POST /order, byte for byte as the official client does.

    Raises LocalProtocolError for a combination the venue refuses.
    """
    gtd = params.order_type == OrderType.GTD
    if gtd != (params.expiration_s > 0):
        raise LocalProtocolError(
            f"expiration_s was {params.expiration_s} for {params.order_type!r}, "
            "expected above 0 for GTD and 0 for the rest"
        )
    if params.post_only and params.order_type in (OrderType.FOK, OrderType.FAK):
        raise LocalProtocolError(f"post_only with {params.order_type!r}, expected GTC or GTD")
    return (
        template.head
        + b"%d" % params.expiration_s
        + template.tail
        + owner.encode()
        + b'","orderType":"'
        + params.order_type.name.encode()
        + b'","deferExec":false,"postOnly":'
        + (b"true}" if params.post_only else b"false}")
    )


def ready_order(
    requests: ClobRequests, template: OrderTemplate, params: PostParams, timestamp_s: int
) -> SignedRequest:
    """Render POST /order for a template, signed for this second."""
    _check_expiration(params, timestamp_s)
    request = requests.signed("POST", _ORDER_PATH, order_body(template, requests.api_key, params))
    request.renew(timestamp_s)
    return request


def ready_batch(
    requests: ClobRequests,
    legs: Sequence[tuple[OrderTemplate, PostParams]],
    timestamp_s: int,
) -> SignedRequest:
    """Render POST /orders for 1 to 15 templates; the answer is in the same order."""
    if not 0 < len(legs) <= BATCH_ORDERS_MAX:
        raise LocalProtocolError(f"batch of {len(legs)} orders, expected 1 to {BATCH_ORDERS_MAX}")
    if len({template.order_id for template, _ in legs}) != len(legs):
        raise LocalProtocolError("batch holds one order twice")
    for _, params in legs:
        _check_expiration(params, timestamp_s)
    owner = requests.api_key
    bodies = [order_body(template, owner, params) for template, params in legs]
    request = requests.signed("POST", _BATCH_PATH, b"[" + b",".join(bodies) + b"]")
    request.renew(timestamp_s)
    return request


def sent_of(template: OrderTemplate, params: PostParams) -> Sent:
    """Return what the answer to this post is read against."""
    order = template.order
    return Sent(template.order_id, order.action, order.maker_e6, order.taker_e6, params.order_type)


def _check_expiration(params: PostParams, timestamp_s: int) -> None:
    if params.order_type == OrderType.GTD and params.expiration_s < timestamp_s + GTD_LEAD_S:
        raise LocalProtocolError(
            f"expiration_s was {params.expiration_s}, expected at least {GTD_LEAD_S} s "
            f"after {timestamp_s}"
        )
