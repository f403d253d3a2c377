"""Real connections are made when a role asks for them, once, and not before."""

import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig
from lowlat.app.ends import RealEnds, Sockets
from lowlat.core.config import decode_config
from lowlat.net._gate import SendGate
from lowlat.net.options import PollWatch


class Gauge:
    value = 0

    def set(self, value):
        self.value = value

    def max(self, value):
        self.value = max(self.value, value)

    def add(self, count):
        self.value += count


@pytest.fixture
def ends():
    config = decode_config(GOOD, EngineConfig)
    return RealEnds(config, PollWatch(Gauge()), SendGate([], []), lambda kind, sample: None)


def test_nothing_is_made_before_it_is_asked_for(ends):
    assert ends.clients == []
    assert ends.pool is None
    assert ends.host == "127.0.0.1:1"
    Sockets(ends).turn(1)


def test_each_host_is_asked_through_one_client(ends):
    assert ends.clob is not None
    assert ends.clob == ends.clob
    assert ends.gamma is not None
    assert len(ends.clients) == 2


def test_orders_have_connections_of_their_own(ends):
    assert ends.orders is ends.pool
    assert ends.orders is ends.pool
    assert ends.clients == []


def test_answers_reach_the_executor_that_was_made_behind_its_connections(ends):
    heard = []

    class Executor:
        def on_answer(self, *answer):
            heard.append(answer)

        def on_lost(self, *lost):
            heard.append(lost)

    ends.relay.executor = Executor()
    ends.relay.on_answer(1, 200, [], b"{}", 5)
    ends.relay.on_lost(2, 6)
    assert heard == [(1, 200, [], b"{}", 5), (2, 6)]
