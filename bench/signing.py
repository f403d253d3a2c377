"""What an order costs to sign, to take from the pool, and to renew.

A regression of ``sign`` means that orders nobody foresaw leave later, of ``template-take`` that all
orders do, of ``template-renew`` that idle turns keep fewer templates current. Floors: the bare
libsecp256k1 signature of 32 bytes, an empty call, one HMAC-SHA256 of the same message.
``template-take`` is what the executor itself records for each order it sends, in the stages that
bench/stages.py runs; legs of a group are taken one by one from Python, which its notes show.
"""

import hmac
from collections.abc import Callable

import coincurve
import numpy as np

from bench.harness import Row, paired, timed_ns
from bench.markets import market_ids
from bench.stages import stage_samples
from bench.stages_engine import ASK_E4, CRYPTO, StageBench
from bench.wire_engine import ACCOUNT, KEY
from lowlat.core.clock import monotonic_ns, wall_ns
from lowlat.core.layout import Action, Exchange, OrderType
from lowlat.execution.params import ExecutorParams
from lowlat.venues.polymarket.amounts import Amounts
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.orders import (
    OrderTemplate,
    PostParams,
    order_body,
    ready_order,
    sign_template,
)
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderFields, OrderSigner

ROWS = ("sign", "template-take", "template-renew")
SIGN_NS_MAX, TAKE_NS_MAX = 60_000, 3_000
LOOPS = 50
FOK, FAK = PostParams(OrderType.FOK), PostParams(OrderType.FAK)
SIZES_E6 = (10_000_000, 20_000_000, 50_000_000, 100_000_000)
"""Rungs that the pool keeps signed by default."""


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    makers = {"sign": _sign, "template-take": _take, "template-renew": _renew}
    return [makers[name]() for name in names]


TOKEN = int(market_ids(0)[1])


def fresh_order(signer: OrderSigner, salt: int) -> OrderTemplate:
    """Sign an order of type 0 that nobody signed before."""
    fields = OrderFields(salt, TOKEN, 27_000_000, 50_000_000, Action.BUY, wall_ns() // 1_000_000)
    return sign_template(signer, Exchange.STANDARD, fields)


def new_signer() -> OrderSigner:
    """Return a signer of the bench account."""
    return OrderSigner(bytes.fromhex(KEY), 0, ACCOUNT.funder)


def _sign() -> Row:
    signer, key = new_signer(), coincurve.PrivateKey(bytes.fromhex(KEY))
    owner, digest = ACCOUNT.api_key, bytes(range(32))

    def ours(loops: int) -> None:
        for salt in range(1, loops + 1):
            order_body(fresh_order(signer, salt), owner, FOK)

    def floor(loops: int) -> None:
        sign = key.sign_recoverable
        for _ in range(loops):
            sign(digest, hasher=None)

    row = paired(
        "sign",
        lambda: timed_ns(ours, LOOPS),
        lambda: timed_ns(floor, LOOPS),
        floor_name="libsecp256k1 sign of 32 bytes",
        target="<= 60 us",
    )
    row.met = row.p50_ns <= SIGN_NS_MAX
    row.notes["is"] = "hash, signature and body of a new order"
    return row


def _take() -> Row:
    bench = StageBench(pumped=False)
    row = paired(
        "template-take",
        lambda: np.array(stage_samples(bench, cold=False)["template"]),
        _empty_samples,
        floor_name="empty call",
        target="<= 3 us",
    )
    row.met = row.p50_ns <= TAKE_NS_MAX
    row.notes["is"] = "template found, request current, ready for the write"
    pool = bench.trading.executor.pool
    row.notes["templates"] = f"{pool.hits} hits, {pool.misses} misses"
    cold = stage_samples(bench, cold=True)["template"]
    row.notes["cold p50 ns"] = round(float(np.median(cold)))
    taker = _Taker(bench)
    kept, other = (FOK, FAK) if ExecutorParams().template_fill_or_kill else (FAK, FOK)
    for name, post in (("for a group's leg", kept), ("rendered anew", other)):
        found = np.concatenate([taker.samples(post) for _ in range(3)])
        row.notes[f"{name}, p50 ns"] = round(float(np.median(found)))
    assert not taker.missed, f"{taker.missed} of the templates taken were not ready"
    return row


class _Taker:
    """Takes every ready order at the touch once, as a group does; idle turns sign anew."""

    def __init__(self, bench: StageBench) -> None:
        self.bench = bench
        self.missed = 0
        for market in range(CRYPTO):
            assert bench.trading.executor.nominate(2 * market, Action.BUY), "the hot set is full"

    def samples(self, post: PostParams) -> np.ndarray:
        """Nanoseconds a take, each with its own clock pair."""
        executor = self.bench.trading.executor
        take, samples = executor.pool.take, []
        self.bench.settle()
        for market in range(CRYPTO):
            token = int(market_ids(market)[1])
            for size_e6 in SIZES_E6:
                amounts = Amounts(size_e6 * ASK_E4 // 10_000, size_e6)
                begin = monotonic_ns()
                taken = take(2 * market, Action.BUY, amounts, Exchange.STANDARD, token, post)
                samples.append(monotonic_ns() - begin)
                assert taken.request, "a template was taken without its bytes"
                self.missed += not taken.hit
        return np.array(samples[len(SIZES_E6) :], dtype=np.float64)


def _empty_samples() -> np.ndarray:
    empty: Callable[[], None] = _nothing
    samples = np.empty(200)
    for i in range(len(samples)):
        begin = monotonic_ns()
        empty()
        samples[i] = monotonic_ns() - begin
    return samples


def _nothing() -> None:
    """Do nothing, to be the floor."""


def _renew() -> Row:
    credentials = ApiCredentials(ACCOUNT.api_key, ACCOUNT.api_secret, ACCOUNT.api_passphrase)
    requests = ClobRequests("clob.polymarket.com", L2Auth(ACCOUNT.address, credentials))
    second = wall_ns() // 1_000_000_000
    template = fresh_order(new_signer(), 1)
    request = ready_order(requests, template, FOK, second)
    message = b"%dPOST/order" % second + order_body(template, ACCOUNT.api_key, FOK)
    secret = credentials.secret_bytes()

    def ours(loops: int) -> None:
        for i in range(loops):
            request.renew(second + i)

    def floor(loops: int) -> None:
        digest = hmac.digest
        for _ in range(loops):
            digest(secret, message, "sha256")

    row = paired(
        "template-renew",
        lambda: timed_ns(ours, 20 * LOOPS),
        lambda: timed_ns(floor, 20 * LOOPS),
        floor_name="hmac.digest of the same bytes",
    )
    row.notes["is"] = f"HMAC, base64 and request of {len(request.wire)} bytes"
    return row
