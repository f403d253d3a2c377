"""Cancelling without the engine: against a venue that fails, lists late and lies about pages."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lowlat.app import panic
from lowlat.app.panic import KEY, CancelCredentials, Canceller, load_cancel_credentials
from lowlat.core.errors import ConfigError

GOOD = {
    "api_key": "01234567-89ab-cdef-0123-456789abcdef",
    "api_secret": "c2VjcmV0c2VjcmV0c2VjcmV0",
    "api_passphrase": "open-sesame",
    "address": "0x" + "ab" * 20,
}
ORDER = "0x" + "cd" * 32


def write(path, values, mode=0o600):
    path.write_text(json.dumps(values))
    path.chmod(mode)
    return str(path)


def test_credentials_are_read_and_never_shown(tmp_path):
    found = load_cancel_credentials(write(tmp_path / "c", GOOD))
    assert found == CancelCredentials(**GOOD)
    assert "secret" not in repr(found).replace("secrets", "")
    assert GOOD["api_key"] not in repr(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"private_key": "0x" + "11" * 32}, "not a JSON object with just api_key"),
        ({"api_key": 5}, "not a JSON object with just"),
        ({"api_key": "nonsense"}, "api_key is not a UUID"),
        ({"api_secret": "§"}, "secret is not base64"),
        ({"address": "0x12"}, "address"),
    ],
)
def test_bad_credentials_are_named_without_their_values(tmp_path, change, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_cancel_credentials(write(tmp_path / "c", GOOD | change))
    said = str(caught.value)
    assert said.startswith(KEY)
    for secret in (GOOD["api_secret"], GOOD["api_passphrase"], "11" * 32):
        assert secret not in said


def test_a_file_that_others_may_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has mode 0644"):
        load_cancel_credentials(write(tmp_path / "c", GOOD, 0o644))


class Venue:
    """Answers from a script of (cancel answer, listings), the last of which repeats."""

    def __init__(self, *script):
        self.script = list(script)
        self.calls = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_DELETE(self):
                outer.calls.append((self.path, dict(self.headers)))
                if len(outer.script) > 1 and any(p == "/cancel-all" for p, _ in outer.calls[:-1]):
                    outer.script.pop(0)
                self.answer(outer.script[0][0])

            def do_GET(self):
                outer.calls.append((self.path, dict(self.headers)))
                last = "LAST" in self.path
                self.answer(outer.script[0][1][1 if last else 0])

            def answer(self, value):
                status, body = value
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def clear(self, seconds=4.0):
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        said = []
        return Canceller(url, "", CancelCredentials(**GOOD)).clear(seconds, said.append), said


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(panic, "_QUIET_S", 0.02)
    monkeypatch.setattr(panic, "_PAUSE_S", 0.01)


def page(*rows, cursor="LTE="):
    return (200, {"data": list(rows), "next_cursor": cursor})


ROW = {
    "id": ORDER,
    "status": "LIVE",
    "market": "0x" + "ef" * 32,
    "asset_id": "123",
    "side": "BUY",
    "original_size": "5",
    "size_matched": "0",
    "price": "0.5",
    "outcome": "Yes",
    "owner": GOOD["api_key"],
    "maker_address": GOOD["address"],
    "expiration": "0",
    "order_type": "GTC",
    "associate_trades": [],
    "created_at": 1_700_000_000,
}
NONE = (200, {"canceled": [], "not_canceled": {}})
ONE = (200, {"canceled": [ORDER], "not_canceled": {}})
EMPTY = page()


def test_everything_is_canceled_and_listed_empty_twice():
    with Venue((ONE, [EMPTY]), (NONE, [EMPTY])) as venue:
        cleared, said = venue.clear()
    assert cleared.ok
    assert (cleared.canceled, cleared.left, cleared.requests) == (1, 0, 2)
    assert said == ["1 canceled, 0 open", "1 canceled, 0 open"]
    paths = [path.split("?")[0] for path, _ in venue.calls]
    assert paths == ["/cancel-all", "/data/orders"] * 2
    _, headers = venue.calls[0]
    assert headers["POLY_API_KEY"] == GOOD["api_key"]
    assert len(headers["POLY_SIGNATURE"]) == 44


def test_an_order_that_lands_late_is_canceled_too():
    """The first listing is empty, then what was on its way appears."""
    with Venue((NONE, [EMPTY]), (NONE, [page(ROW)]), (ONE, [EMPTY]), (NONE, [EMPTY])) as venue:
        cleared, _ = venue.clear()
    assert cleared.ok
    assert (cleared.canceled, cleared.requests) == (1, 4)


def test_all_pages_are_counted():
    with Venue((NONE, [page(ROW, cursor="LAST"), page(ROW, ROW)]), (NONE, [EMPTY])) as venue:
        cleared, said = venue.clear()
    assert "3 open" in said[0]
    assert cleared.ok


@pytest.mark.parametrize(
    "fault",
    [
        (500, {"error": "oops"}),
        (425, b""),
        (429, {"error": "too many"}),
        (200, b"not json"),
        (200, b"\xff\xfe"),
        (401, {"error": "Unauthorized/Invalid api key"}),
    ],
)
def test_a_fault_is_said_and_tried_again(fault):
    with Venue((fault, [EMPTY]), (NONE, [fault]), (NONE, [EMPTY])) as venue:
        cleared, said = venue.clear()
    assert cleared.ok
    assert [each.startswith("not yet: ") for each in said] == [True, True, False, False]


def test_a_venue_that_never_lists_nothing_is_not_believed():
    with Venue((NONE, [page(ROW)])) as venue:
        cleared, _ = venue.clear(0.3)
    assert not cleared.ok
    assert cleared.left == 1
    assert "did not list twice" in cleared.error


def test_a_dead_venue_is_an_error_not_a_crash():
    with Venue((NONE, [EMPTY])) as venue:
        port = venue.server.server_address[1]
    said = []
    canceller = Canceller(f"http://127.0.0.1:{port}", "", CancelCredentials(**GOOD))
    cleared = canceller.clear(0.2, said.append)
    assert not cleared.ok
    assert cleared.left == -1
    assert "ConnectionRefusedError" in cleared.error


def test_no_signer_is_reachable_from_the_canceller():
    """Loading it in a process of its own must not load anything that signs orders."""
    import subprocess
    import sys

    code = """
import sys
import lowlat.app.panic
print([name for name in sys.modules if name.endswith(("polymarket.signing", "execution.engine"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"
