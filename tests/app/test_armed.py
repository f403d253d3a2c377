"""Armed limits: the values processes run on, and what the tables say is used."""

import pytest
from config_text import GOOD

from lowlat.app.armed import armed_generation, armed_limits
from lowlat.app.config import EngineConfig
from lowlat.app.generations import write_generation
from lowlat.app.names import GENERATION
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config
from lowlat.core.errors import SegmentError
from lowlat.core.layout import CASH_ROW, EXPOSURE_ROW, ORDER_ROW, ExposureScope, OrderState
from lowlat.shm.attach import attach
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

BLANK = {
    record.name: record.row._make(record.codec.unpack(bytes(record.codec.size)))
    for record in (CASH_ROW, ORDER_ROW)
}


@pytest.fixture
def running(instance):
    segments = create_segments(instance, stats=["executor", "engine"])
    with Attachment(instance, "engine") as attachment:
        yield instance, attachment, attachment.open_stats()
    segments.unlink()


def config(instance, extra=""):
    return decode_config(GOOD.replace('"t1"', f'"{instance}"') + extra, EngineConfig)


def test_values_are_those_of_the_generation_that_is_acknowledged(running):
    instance, _, stats = running
    with pytest.raises(SegmentError, match="no process that says"):
        armed_generation(attach(instance))
    write_generation(instance, 1, config(instance), 1)
    write_generation(instance, 2, config(instance, "[limits]\norders_per_s = 7"), 2)
    stats.gauge(GENERATION).set(1)
    found = armed_generation(attach(instance))
    assert (found.number, found.config.limits.orders_per_s) == (1, 30)
    stats.gauge(GENERATION).set(2)
    found = armed_generation(attach(instance))
    limits = {each.key: each for each in armed_limits(attach(instance), found.config)}
    assert limits["limits.orders_per_s"].value == 7
    assert limits["limits.orders_per_s"].share == 0.0
    assert limits["limits.total_loss_max_ppm"].share is None, "risk wrote nothing: not nothing used"


def test_two_generations_at_once_are_said(running):
    instance, _, stats = running
    write_generation(instance, 2, spread(instance), 2)
    stats.gauge(GENERATION).set(2)
    with Attachment(instance, "executor") as other:
        other.open_stats().gauge(GENERATION).set(1)
        with pytest.raises(SegmentError, match="two generations are armed"):
            armed_generation(attach(instance))


def spread(instance):
    """Executor apart, everything else in one process."""
    return config(
        instance,
        """
[topology.recorder]
engines = ["recorder"]
[topology.executor]
engines = ["executor"]
[topology.engine]
engines = ["metadata", "binance", "prices", "polymarket", "risk", "signals"]
""",
    )


def test_use_is_read_from_the_tables(running):
    instance, attachment, _ = running
    exposure = attachment.open_table_writer("exposure")
    scopes = [ExposureScope.TOTAL, *[ExposureScope.MARKET] * 2, *[ExposureScope.CORRELATED] * 2]
    losses = (300_000_000, 40_000_000, 50_000_000, 75_000_000, 60_000_000)
    for row, (loss, scope) in enumerate(zip(losses, scopes, strict=True)):
        values = dict.fromkeys(EXPOSURE_ROW.row._fields, 0) | {
            "worst_loss_e6": loss,
            "bankroll_e6": 2_000_000_000,
            "equity_e6": 920_000_000,
            "equity_peak_e6": 1_000_000_000,
            "market": row,
            "generation": 1,
            "scope": int(scope),
        }
        EXPOSURE_ROW.pack(exposure.buffer, EXPOSURE_ROW.row(**values))
        exposure.write(row)
    cash = attachment.open_table_writer("cash")
    CASH_ROW.pack(cash.buffer, BLANK["CASH_ROW"]._replace(reserved_e6=250_000_000))
    cash.write(0)
    orders = attachment.open_table_writer("orders")
    for row, (state, age_s) in enumerate(
        [(OrderState.LIVE, 0.1), (OrderState.UNKNOWN, 5), (OrderState.MATCHED, 0.2)]
    ):
        sent_ns = monotonic_ns() - int(age_s * 1e9)
        ORDER_ROW.pack(orders.buffer, BLANK["ORDER_ROW"]._replace(state=state, sent_ns=sent_ns))
        orders.write(row)
    limits = {each.key: each for each in armed_limits(attach(instance), config(instance))}
    assert limits["limits.total_loss_max_ppm"].bound_e6 == 1_000_000_000
    assert limits["limits.total_loss_max_ppm"].share == 0.3
    assert limits["limits.market_loss_max_ppm"].share == 0.5
    assert limits["limits.correlated_loss_max_ppm"].share == 0.25
    assert limits["limits.drawdown_max_ppm"].used == 80_000
    assert limits["limits.drawdown_max_ppm"].share == 1.0
    assert limits["limits.open_orders_max"].used == 2
    assert limits["limits.orders_per_s"].used == 2
    assert limits["execution.limits.open_notional_max_e6"].share == 0.05
    assert limits["limits.cash_locked_max_ppm"].used == 250_000_000
    assert limits["limits.order_notional_e6_max"].share is None
