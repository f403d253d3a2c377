"""Who lost too much buys nothing; each rule must be able to fail."""

import pytest

from lowlat.core.layout import (
    EXPOSURE_ROW,
    ORDER_ROW,
    SCORE_ROW,
    SLOT_HEAD_BYTES,
    STAKE_ROW,
    Action,
    ExposureScope,
    IntentFlag,
    OrderState,
)
from lowlat.risk.limits import LimitsParams
from lowlat.world.fuse import Fuse
from lowlat.world.losses import Losses
from lowlat.world.memory import Memory
from lowlat.world.rows import Violation

S = 1_000_000_000
E6 = 1_000_000
MODULE = b"latency".ljust(16, b"\0")
BANKROLL_E6 = 1_000 * E6
LIMITS = LimitsParams(
    bankroll_cap_e6=BANKROLL_E6, module_budgets_max_ppm={"latency": 100_000},
    drawdown_max_ppm=80_000, trailing_drawdown_max_ppm=200_000,
)  # fmt: skip


def blank(record, **values):
    empty = record.unpack(bytes(SLOT_HEAD_BYTES + record.size_bytes))
    return empty._replace(**values)


class Rig:
    """Tables that risk writes, and who looks at them from second 100 on."""

    def __init__(self):
        self.memory = Memory(Fuse(), {"exposure": 8, "scores": 8, "stakes": 8})
        self.writers = {}
        self.losses = Losses(LIMITS, BANKROLL_E6)
        self.losses.attach(self.memory)
        self.now_ns = 100 * S

    def write(self, table, record, row, **values):
        writer = self.writers.get(table)
        if writer is None:
            writer = self.writers[table] = self.memory.open_table_writer(table)
        record.pack(writer.buffer, blank(record, **values))
        writer.write(row)

    def second(self, *, equity=1_000, peak=1_000, trailing=1_000, lost=0, stopped=False):
        """Publish once, look, and let a second pass."""
        self.write(
            "exposure", EXPOSURE_ROW, 0, scope=ExposureScope.TOTAL, equity_e6=equity * E6,
            equity_peak_e6=peak * E6, trailing_peak_e6=trailing * E6, changed_ns=self.now_ns,
        )  # fmt: skip
        self.write(
            "scores", SCORE_ROW, 0, module=MODULE, open_e6=-lost * E6, state=int(stopped),
            fills=self.now_ns,
        )  # fmt: skip
        self.losses.look(self.now_ns, 10 * S)
        self.now_ns += S

    def leave(self, **values):
        order = blank(ORDER_ROW, **{
            "module": MODULE, "action": int(Action.BUY), "checked_ns": self.now_ns,
            "state": int(OrderState.SENDING), **values,
        })  # fmt: skip
        return self.losses.excess(order, [order])


BAD = [
    {"equity": 915},
    {"peak": 700, "equity": 790},
    {"lost": 51},
    {"stopped": True},
]


@pytest.mark.parametrize("bad", BAD)
def test_who_lost_too_much_for_seconds_and_buys_is_found(bad):
    rig = Rig()
    for _ in range(5):
        rig.second(**bad)
    assert rig.leave() == ""
    with pytest.raises(Violation, match="lost too much"):
        rig.second(**bad)


@pytest.mark.parametrize("bad", BAD)
def test_what_is_over_too_shortly_or_no_more_is_no_finding(bad):
    rig = Rig()
    for _ in range(2):
        rig.second(**bad)
    rig.leave()
    rig.second(**bad)
    for _ in range(4):
        rig.second(**bad)
    # Judged before it was bad: a leg, or an order that is sent again.
    rig.leave(checked_ns=101 * S)
    rig.leave(order_flags=int(IntentFlag.UNWIND))
    rig.leave(action=int(Action.SELL))
    rig.second(**bad)
    # Somebody resumed between the last word and the order.
    rig.leave()
    rig.second()
    rig.second(**bad)


@pytest.mark.parametrize("good", [{"equity": 921}, {"lost": 49}, {"lost": -500}, {"peak": 0}])
def test_losses_within_their_limits_are_no_finding(good):
    rig = Rig()
    for _ in range(6):
        rig.second(**good)
    rig.leave()
    rig.second(**good)


def test_a_start_is_blind_for_a_while():
    rig = Rig()
    for _ in range(8):
        rig.losses.look(rig.now_ns, rig.now_ns - 19 * S)
        rig.write("exposure", EXPOSURE_ROW, 0, scope=1, equity_e6=1, equity_peak_e6=E6,
                  changed_ns=rig.now_ns)  # fmt: skip
        rig.leave()
        rig.now_ns += S


def test_capital_of_a_module_is_what_it_owns_and_what_its_orders_may_take():
    rig = Rig()
    rig.write("stakes", STAKE_ROW, 0, owner=MODULE, size_e6=E6, cost_e6=60 * E6)
    rig.write("stakes", STAKE_ROW, 1, owner=b"x".ljust(16, b"\0"), size_e6=E6, cost_e6=900 * E6)
    rig.write("stakes", STAKE_ROW, 2, owner=MODULE, size_e6=0, cost_e6=900 * E6)
    assert rig.leave(reserved_e6=41 * E6) == ""
    assert rig.leave(reserved_e6=41 * E6 + 1) == "capital of latency: 101000001, allowed 101000000"
    assert rig.leave(reserved_e6=50 * E6, order_flags=int(IntentFlag.UNWIND)) == ""
