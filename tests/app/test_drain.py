"""The orderly end: it waits for rest, and says so when it could not wait any longer."""

from types import SimpleNamespace

from lowlat.app.drain import Drain
from lowlat.core.clock import VirtualClock

S = 1_000_000_000


class Trading:
    """Comes to rest when told; remembers what was canceled."""

    def __init__(self):
        self.resting = False
        self.drained = 0
        self.canceled = []
        self.checks = []
        order = SimpleNamespace(id=7, open=True)
        self.executor = SimpleNamespace(
            desk=SimpleNamespace(by_id={7: order}, unsettled={7: order}),
            groups=SimpleNamespace(active={}),
            reconciler=SimpleNamespace(agreed_ns=0),
        )
        self.cancel = self.canceled.append
        self.check_balances = self.checks.append

    def drain(self):
        self.drained += 1

    def open_orders(self):
        return 1

    def at_rest(self):
        return self.resting


def drain_of(trading):
    drain, done = Drain(trading, VirtualClock()), []
    drain.done = lambda: done.append(drain.late)
    drain.start()
    return drain, done


def test_nothing_happens_before_it_is_asked():
    drain, done = drain_of(Trading())
    drain.turn(100 * S)
    assert done == []


def test_end_at_rest_is_in_time():
    trading = Trading()
    drain, done = drain_of(trading)
    drain.begin(S)
    drain.begin(2 * S)
    drain.turn(2 * S)
    drain.turn(2 * S + 1)
    assert (trading.drained, trading.canceled, done) == (1, [7], [])
    trading.resting = True
    drain.turn(4 * S)
    drain.turn(4 * S + 1)
    assert (trading.checks, done) == ([4 * S], [])
    # Balances compared from here on agree: nothing that was paid out is missing.
    trading.executor.reconciler.agreed_ns = 4 * S + 1
    drain.turn(4 * S + 2)
    assert done == [False]


def test_a_round_of_balances_from_before_the_rest_is_not_enough():
    trading = Trading()
    drain, done = drain_of(trading)
    drain.begin(S)
    trading.resting = True
    drain.turn(4 * S)
    trading.resting = False
    drain.turn(5 * S)
    trading.executor.reconciler.agreed_ns = 5 * S
    trading.resting = True
    drain.turn(6 * S)
    assert (trading.checks, done) == ([4 * S, 6 * S], [])


def test_a_venue_that_tells_no_balances_does_not_keep_us(caplog):
    trading = Trading()
    drain, done = drain_of(trading)
    drain.begin(S)
    trading.resting = True
    drain.turn(2 * S)
    drain.turn(7 * S - 1)
    assert done == []
    drain.turn(7 * S)
    assert done == [False]
    assert "drained balances=False" in caplog.text


def test_deadline_with_something_open_is_late_and_says_so(caplog):
    drain, done = drain_of(Trading())
    drain.begin(S)
    drain.turn(40 * S)
    assert done == []
    drain.turn(41 * S)
    assert done == [True]
    assert "drain deadline passed open=1 unsettled=1 groups=0" in caplog.text
