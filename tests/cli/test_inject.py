"""Which market `lowlat inject` takes when nobody names one."""

import os
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import Instance, blank

from lowlat.app.wish import Wish, offers
from lowlat.core.errors import SegmentError
from lowlat.core.layout import MARKET_ROW, SettleRule
from lowlat.core.resolution import assess
from lowlat.risk.limits import LimitsParams
from lowlat.shm.attach import attach

LIMITS = LimitsParams()


def test_nobody_named_one_so_it_is_none_that_risk_doubts(instance):
    fed = {"settle_rule": SettleRule.BINANCE_CANDLE_UP, "end_ns": time.time_ns() + 10**12}
    assert (
        assess(blank(MARKET_ROW)._replace(**fed), time.time_ns()).score
        <= LIMITS.resolution_score_full
    )
    assert assess(blank(MARKET_ROW), time.time_ns()).score > LIMITS.resolution_score_full
    with Instance(instance) as made:
        made.market(0, "tight-but-doubtful")
        made.book(0, 4_600, 4_700)
        attached = attach(instance)
        with pytest.raises(SegmentError, match="no market of"):
            offers(attached, Wish(), LIMITS)
        made.market(1, "wide-and-clear", **fed)
        made.book(1, 4_500, 4_800)
        made.market(2, "tight-clear-and-far", **fed | {"end_ns": time.time_ns() + 10**18})
        made.book(2, 4_600, 4_650)
        found = offers(attached, Wish(), LIMITS)
        assert [(row.market, price_e4) for row, price_e4 in found] == [(1, 4_800), (2, 4_650)]
        # Who names one gets it: what risk says of it is then the answer.
        ((row, price_e4),) = offers(attached, Wish("doubtful"), LIMITS)
        assert (row.market, price_e4) == (0, 4_700)
