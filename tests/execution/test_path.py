"""The compiled path against the readable one: same intents, same bytes, same books.

Two executors get the same wishes, ticks, answers and faults. One sends what it can by the compiled
path, the other everything by the checks and ``OrderSender.send``. Every row, report, request,
number and meter must agree.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo
from lowlat.core.ports import EMPTY, SEND_HALTED, SEND_NONE, SEND_PARTIAL
from lowlat.execution.params import ExecutorParams, HardLimits

SECOND = 1_000_000_000
KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
EXPIRATION_S = 1_795_305_600 + 1_000
PARAMS = ExecutorParams(
    limits=HardLimits(open_notional_max_e6=600_000_000),
    orders_burst=6,
    orders_headroom=1,
    template_rungs_e6=(10_000_000, 50_000_000),
)


class Readable:
    """Stands where PlainPath does and leaves everything to the engine."""

    def __init__(self, engine):
        self.engine = engine
        self.is_open, self.epoch = engine.path.is_open, engine.path.epoch

    def take(self, now_ns):
        reader, taken = self.engine._intents, 0
        while taken < self.engine._params.intents_per_turn:
            kind = reader.poll()
            if kind == EMPTY:
                break
            taken += 1
            self.engine.take(kind, now_ns)
        if taken:
            reader.release()
        return taken


def pair(make_desk, params=PARAMS):
    """Return a desk of each kind; the second never calls the compiled path."""
    desks = make_desk(params=params), make_desk(params=params)
    desks[1].engine.path = Readable(desks[1].engine)
    for desk in desks:
        desk.told = set()
    return desks


def everything(desk):
    """Return all that an executor did and knows."""
    engine, shared = desk.engine, desk.shared
    tables = (shared.orders, shared.positions, shared.cash, shared.groups)
    more = ("row", "market", "fees", "expires_ns", "lookup_ns", "matched_e6")
    names = lo.OrderRow._fields + more
    books = engine.desk
    return {
        "sent": desk.transport.sent,
        "rows": [table.store for table in tables],
        "reports": shared.reports.records,
        "orders": [[getattr(order, name) for name in names] for order in books.by_id.values()],
        "by_order_id": list(books.by_order_id),
        "unsettled": list(books.unsettled),
        "open": [order.id for order in books.open.all()],
        "cash": (books.accounts.cash_e6, books.accounts.reserved_e6),
        "in_flight": len(engine._in_flight),
        "bucket": engine.sender.bucket.available(desk.clock.now_ns, reserve=True),
        "pool": (engine.pool.hits, engine.pool.misses, sorted(engine.pool.ready)),
        "todo": engine.pool.ready.todo,
        "hot": {key: hot.expires_ns for key, hot in engine.pool._hot.items()},
        "salts": desk.salts.last,
        "meters": [
            meter.values if hasattr(meter, "values") else meter.value for meter in desk.meters
        ],
        "gap": books.ledger_gap,
        "halted": engine.halted,
    }


def agree(desks):
    compiled, readable = (everything(desk) for desk in desks)
    for name, value in compiled.items():
        assert value == readable[name], name


WISH = st.fixed_dictionaries(
    {
        "instrument": st.sampled_from([0, 0, 0, 1, 2]),
        "price_e4": st.sampled_from([4500, 4600, 4600, 4700, 5300, 5400, 9_900]),
        "size": st.sampled_from([10, 10, 50, 7, 320]),
        "action": st.sampled_from([0, 0, 0, 1]),
        "order_type": st.sampled_from([0, 1, 2, 3, 3]),
        "expiration_s": st.sampled_from([0, EXPIRATION_S]),
        "intent_flags": st.sampled_from([0, 0, 0, 1]),
        "spend_e6": st.sampled_from([0, 4_600_000, 23_000_000]),
    }
)
STEP = st.one_of(
    st.tuples(st.just("wish"), st.lists(WISH, min_size=1, max_size=3)),
    st.tuples(st.just("idle"), st.integers(1, 60)),
    st.tuples(st.just("wait"), st.sampled_from([1_000_000, SECOND, 7 * SECOND])),
    st.tuples(st.just("result"), st.sampled_from([SEND_NONE, SEND_PARTIAL, SEND_HALTED])),
    st.tuples(st.just("kill"), st.none()),
    st.tuples(st.just("fill"), st.none()),
    st.tuples(st.just("busy"), st.sampled_from([0, 12])),
    st.tuples(st.just("halt"), st.booleans()),
    st.tuples(st.just("book"), st.sampled_from([4600, 4700, 5300])),
    st.tuples(st.just("epoch"), st.none()),
)


def act(desk, step, argument):
    """Do one step to a desk."""
    if step == "wish":
        desk.wish(*(desk.intent(**wish) for wish in argument))
    elif step == "idle":
        desk.run(argument, 1_000)
    elif step == "wait":
        desk.run(3, argument)
    elif step == "result":
        desk.transport.results.append(argument)
    elif step == "busy":
        desk.transport.idle_count = argument
    elif step == "halt":
        if argument:
            desk.engine.halt("test", desk.clock.now_ns)
        else:
            desk.engine.resume(desk.clock.now_ns)
    elif step == "book":
        bids = [(argument - 100, 500), (argument - 200, 500)]
        desk.book(0, bids, [(argument, 120), (argument + 100, 300)])
    elif step == "epoch":
        desk.shared.intents.epoch += 1
    else:
        answer(desk, step)


def answer(desk, step):
    """Answer the newest order that waits for it: killed, or filled at its price."""
    left = [(key, body) for key, body in desk.posts() if key not in desk.told]
    if not left:
        return
    key, body = left[-1]
    desk.told.add(key)
    salt = body["order"]["salt"]
    order = next(each for each in desk.engine.desk.by_id.values() if each.salt == salt)
    if step == "kill":
        desk.answer(key, {"error": KILLED}, 400)
        return
    maker, taker = order.maker_amount_e6 / 1e6, order.taker_amount_e6 / 1e6
    cash, size = (maker, taker) if order.action == 0 else (taker, maker)
    desk.answer(key, desk.matched(order, size, cash, f"trade-{salt}"))


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=1, max_size=14), hot=st.booleans())
def test_compiled_path_does_exactly_what_the_readable_one_does(make_desk, steps, hot):
    desks = pair(make_desk)
    for desk in desks:
        desk.engine.desk.accounts.position(0, 1, bytes(32)).bought_e6 = 60_000_000
        if hot:
            desk.engine.nominate(0, 0)
            desk.run(40, 1_000)
    for step, argument in steps:
        for desk in desks:
            act(desk, step, argument)
        agree(desks)


def test_plain_orders_take_the_compiled_path(desk, monkeypatch):
    monkeypatch.setattr(desk.engine, "take", None)
    desk.engine.nominate(0, 0)
    desk.run(60, 1_000)
    desk.wish(desk.intent(0, 4600, size=10, order_type=2, spend_e6=4_600_000), desk.intent(2, 3200))
    assert len(desk.posts()) == 2
    assert (desk.engine.pool.hits, desk.engine.pool.misses) == (1, 1)
    assert desk.meters.template_hits.value == desk.meters.template_misses.value == 1
    assert desk.meters.orders.value == 2


def test_row_and_report_are_there_before_the_bytes_leave(desk):
    seen = []

    def before(request):
        if request.startswith(b"POST /order"):
            seen.append((desk.kinds()[-1], len(desk.shared.orders.store)))

    desk.transport.before_send = before
    desk.wish(desk.intent(0, 4600, size=10))
    assert seen == [("SENDING", 1)]


def test_report_without_room_is_a_gap_that_stops_orders(desk):
    desk.shared.reports.publish = lambda _: 0
    desk.boot()
    desk.ready()
    desk.wish(desk.intent(0, 4600, size=10))
    assert desk.engine.desk.ledger_gap
    assert desk.posts() == []
