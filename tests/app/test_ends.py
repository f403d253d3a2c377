"""Real connections are made when a role asks for them, once, and not before."""

import json

import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig
from lowlat.app.ends import RealEnds, Sockets
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
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

    ends.relay.inbox = Executor()
    ends.relay.on_answer(1, 200, [], b"{}", 5)
    ends.relay.on_lost(2, 6)
    assert heard == [(1, 200, [], b"{}", 5), (2, 6)]


POLYBOLT = GOOD.replace(
    "[account]",
    'polybolt_ws_url = "ws://127.0.0.1:1/ws"\n[prices]\nsources = [0, 1, 2]\n[account]',
)


def with_prices(tmp_path, mode=0o600, text=None):
    path = tmp_path / "prices.json"
    path.write_text(text or '{"api_key": "k", "api_secret": "s", "api_passphrase": "p"}')
    path.chmod(mode)
    config = POLYBOLT.replace("[account]", f'[account]\nprice_credentials_file = "{path}"')
    loaded = decode_config(config, EngineConfig)
    return RealEnds(loaded, None, SendGate([], []), lambda kind, sample: None)


def test_the_newer_price_socket_is_greeted_with_its_own_credentials(ends, tmp_path):
    assert ends.prices_auth is None, "it is no source by default"
    frame = json.loads(with_prices(tmp_path).prices_auth())
    assert frame["op"] == "auth"
    assert frame["auth"] == {"apiKey": "k", "secret": "s", "passphrase": "p"}


def test_price_credentials_that_others_can_read_are_refused_and_never_shown(tmp_path):
    with pytest.raises(ConfigError, match=r"price_credentials_file .* 0644"):
        _ = with_prices(tmp_path, 0o644).prices_auth
    with pytest.raises(ConfigError, match="just api_key") as error:
        _ = with_prices(tmp_path, text='{"api_key": "hidden"}').prices_auth
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (POLYBOLT, "account.price_credentials_file was empty"),
        (POLYBOLT.replace('polybolt_ws_url = "ws://127.0.0.1:1/ws"\n', ""), "polybolt_ws_url was"),
        (POLYBOLT.replace('ws://127.0.0.1:1/ws"\n[p', 'http://127.0.0.1:1"\n[p'), "expected ws"),
    ],
)
def test_the_newer_price_socket_needs_address_and_credentials(text, key):
    with pytest.raises(ConfigError, match=key):
        decode_config(text, EngineConfig)


SBE = GOOD.replace("[account]", 'binance_sbe_ws_url = "ws://127.0.0.1:1"\n[account]')


def with_key(tmp_path, mode=0o600, text='{"api_key": "the-key"}'):
    path = tmp_path / "binance.json"
    path.write_text(text)
    path.chmod(mode)
    config = SBE.replace("[account]", f'[account]\nbinance_key_file = "{path}"')
    return RealEnds(
        decode_config(config, EngineConfig), None, SendGate([], []), lambda kind, sample: None
    )


def test_binary_streams_are_asked_for_with_the_key_in_a_header(ends, tmp_path):
    assert ends.binance_ws._options.headers == ()
    assert "bookTicker" in ends.binance_ws._url
    dial = with_key(tmp_path).binance_ws
    assert dial._options.headers == (("X-MBX-APIKEY", "the-key"),)
    assert dial._url.startswith("ws://127.0.0.1:1/stream?streams=btcusdt@bestBidAsk/btcusdt@trade/")
    assert "btcusdt@depth/" in dial._url


@pytest.mark.parametrize(
    ("mode", "text", "words"),
    [
        (0o644, '{"api_key": "hidden"}', "binance_key_file .* 0644"),
        (0o600, '{"key": "hidden"}', "just api_key"),
    ],
)
def test_a_key_file_that_is_wrong_is_refused_and_never_shown(tmp_path, mode, text, words):
    with pytest.raises(ConfigError, match=words) as error:
        _ = with_key(tmp_path, mode, text).binance_ws
    assert "hidden" not in str(error.value)


def test_binary_streams_need_address_and_key():
    with pytest.raises(ConfigError, match=r"binance_key_file was empty.*sbe_ws_url is set"):
        decode_config(SBE, EngineConfig)
    alone = GOOD.replace("[account]", '[account]\nbinance_key_file = "somewhere"')
    with pytest.raises(ConfigError, match="binance_sbe_ws_url was empty"):
        decode_config(alone, EngineConfig)
