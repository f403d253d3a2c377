"""`lowlat doctor --config`: every line against a venue that is there, is not, or is in the past."""

import http.server
import threading
import time

import pytest

from lowlat.cli import _doctor_config
from lowlat.cli._finding import FAIL, OK, WARN
from lowlat.cli.doctor import examine

CONFIG = """
instance = "x"
mode = "sim"
[endpoints]
clob_url = "http://127.0.0.1:{port}"
market_ws_url = "ws://127.0.0.1:{port}/ws/market"
user_ws_url = "ws://127.0.0.1:{port}/ws/user"
gamma_url = "http://127.0.0.1:{port}"
prices_ws_url = "ws://127.0.0.1:{port}"
binance_ws_url = "ws://127.0.0.1:{port}"
binance_rest_url = "http://127.0.0.1:{port}"
[account]
credentials_file = "{credentials}"
[modules.arbitrage]
mode = "paper"
"""


class Venue(http.server.BaseHTTPRequestHandler):
    ahead_s = 0
    answer = None

    def do_GET(self):
        assert self.path == "/time"
        text = self.answer or str(int(time.time()) + self.ahead_s)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def venue():
    kind = type("OwnVenue", (Venue,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kind.port = server.server_address[1]
    yield kind
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def credentials(tmp_path):
    path = tmp_path / "credentials.json"
    path.write_text("{}")
    path.chmod(0o600)
    return path


def findings(tmp_path, port, credentials):
    path = tmp_path / "engine.toml"
    path.write_text(CONFIG.format(port=port, credentials=credentials))
    return {finding.check: finding for finding in examine(str(path))}


def test_a_venue_that_is_there_is_measured_once_a_host(tmp_path, venue, credentials):
    found = findings(tmp_path, venue.port, credentials)
    ways = [check for check in found if check.startswith("way to")]
    assert ways == [f"way to 127.0.0.1:{venue.port}"]
    assert found[ways[0]].state == OK
    assert " ms, worst " in found[ways[0]].have
    assert found["venue clock"].state == OK
    assert found["config"].state == OK
    assert found["credentials"].state == OK


def test_a_venue_in_the_past_fails_the_clock(tmp_path, venue, credentials):
    venue.ahead_s = -30
    clock = findings(tmp_path, venue.port, credentials)["venue clock"]
    assert clock.state == FAIL
    # Seconds of a slow answer make it uncertain by half as much.
    assert float(clock.have.split()[2]) == pytest.approx(30, abs=10)


def test_a_stranger_at_the_address_is_not_believed(tmp_path, venue, credentials):
    venue.answer = "<html>"
    clock = findings(tmp_path, venue.port, credentials)["venue clock"]
    assert clock.state == WARN
    assert "<html>" in clock.have


def test_nobody_there_is_a_failure_that_says_so(tmp_path, credentials):
    found = findings(tmp_path, 1, credentials)
    assert found["way to 127.0.0.1:1"].state == FAIL
    assert "refused" in found["way to 127.0.0.1:1"].have
    assert found["venue clock"].state == FAIL


def test_credentials_that_others_may_read_fail_unread(tmp_path, venue, credentials):
    credentials.chmod(0o644)
    found = findings(tmp_path, venue.port, credentials)["credentials"]
    assert found.state == FAIL
    assert "0644" in found.have
    assert "chmod 600" in found.mend


def test_missing_credentials_are_named(tmp_path, venue):
    found = findings(tmp_path, venue.port, tmp_path / "none.json")["credentials"]
    assert found.state == FAIL
    assert "none.json" in found.have


def test_a_broken_config_is_one_line_and_no_venue_is_dialled(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text('instance = "x"\nmodus = "sim"\n')
    found = {finding.check: finding for finding in examine(str(path))}
    assert found["config"].state == FAIL
    assert "mod" in found["config"].have
    assert not any(check.startswith("way to") for check in found)
    assert _doctor_config.of_config(str(path)) == []


def test_every_line_that_is_not_ok_says_how_to_mend_it(tmp_path, credentials):
    for finding in findings(tmp_path, 1, credentials).values():
        assert finding.state == OK or finding.mend, finding
