"""Both sides of the account: engine's tables in shared memory, a venue behind HTTP."""

import json
import select
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lowlat.app.agreement import Agreement, Side, VenueDoor, compare, read_engine
from lowlat.app.child import ChildProcess, ChildSpec, module_argv
from lowlat.core.errors import RemoteProtocolError, SegmentError
from lowlat.core.layout import CASH_ROW, POSITION_ROW, TABLES, CashRow, PositionRow
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

WALLET = "0xAbC0000000000000000000000000000000000001"
TOKEN = 7 << 200
OTHER = 9 << 200


@pytest.fixture
def engine(instance):
    """Write the engine's rows; returns ``write(cash_e6, {row: (token, size_e6)})``."""
    made = create_segments(
        instance, streams={}, tables={name: TABLES[name] for name in ("cash", "positions")}
    )
    attachment = Attachment(instance, "engine")
    cash = attachment.open_table_writer("cash")
    positions = attachment.open_table_writer("positions")

    def write(cash_e6, held):
        for row, (token, size_e6) in held.items():
            fields = PositionRow._make(0 for _ in PositionRow._fields)
            fields = fields._replace(
                size_e6=size_e6, instrument=row, token_id=token.to_bytes(32, "big")
            )
            POSITION_ROW.pack(positions.buffer, fields)
            positions.write(row)
        fields = CashRow._make(0 for _ in CashRow._fields)._replace(cash_e6=cash_e6)
        CASH_ROW.pack(cash.buffer, fields)
        cash.write(0)

    yield write
    attachment.close()
    made.unlink()


@pytest.fixture
def venue():
    """A venue that answers ``/sim/state`` with what ``venue.account`` holds."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"accounts": [self.server.account]}).encode()
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.status = 200
    server.account = account(0, {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.door = VenueDoor(f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def account(cash_e6, held, *, pending=None, cash_pending_e6=0):
    return {
        "wallet": WALLET.lower(),
        "cash_e6": cash_e6,
        "cash_pending_e6": cash_pending_e6,
        "positions_e6": {str(token): size for token, size in held.items()},
        "positions_pending_e6": {str(token): size for token, size in (pending or {}).items()},
    }


def test_equal_books_agree_and_both_sides_numbers_are_shown(instance, engine, venue):
    engine(9_000_000, {4: (TOKEN, 5_000_000), 5: (OTHER, 0)})
    venue.account = account(9_000_000, {TOKEN: 5_000_000})
    found = compare(instance, venue.door, WALLET)
    assert found.holds
    assert found.differences() == []
    side = {"cash_e6": 9_000_000, "positions": {str(TOKEN): 5_000_000}}
    assert found.as_json() == {"positions": True, "cash": True, "engine": side, "venue": side}


def test_what_the_venue_has_matched_but_not_mined_is_its_own(instance, engine, venue):
    engine(9_000_000, {4: (TOKEN, 5_000_000)})
    venue.account = account(
        8_000_000, {TOKEN: 1_000_000}, pending={TOKEN: 4_000_000}, cash_pending_e6=1_000_000
    )
    assert compare(instance, venue.door, WALLET).holds


@pytest.mark.parametrize(
    ("cash_e6", "size_e6", "verdict"),
    [
        (9_000_001, 5_000_000, (False, True)),
        (8_999_999, 5_000_000, (False, True)),
        (9_000_000, 5_000_001, (True, False)),
        (9_000_000, 0, (True, False)),
    ],
)
def test_one_base_unit_turns_it_false(instance, engine, venue, cash_e6, size_e6, verdict):
    engine(9_000_000, {4: (TOKEN, 5_000_000)})
    venue.account = account(cash_e6, {TOKEN: size_e6} if size_e6 else {})
    found = compare(instance, venue.door, WALLET)
    assert (found.cash, found.positions) == verdict
    assert not found.holds
    assert len(found.differences()) == 1


def test_a_token_only_one_side_has_is_a_difference():
    ours, theirs = Side(0, {"1": 1}), Side(0, {"2": 1})
    assert Agreement(ours, theirs).differences() == [
        "token 1: engine 1, venue 0",
        "token 2: engine 0, venue 1",
    ]


def test_an_engine_that_never_wrote_cash_is_not_zero(instance, engine):
    with pytest.raises(SegmentError, match="has no cash yet"):
        read_engine(instance)


def test_a_wallet_the_venue_does_not_know_is_an_error(instance, engine, venue):
    with pytest.raises(RemoteProtocolError, match="knows no wallet 0x00"):
        venue.door.account("0x00")


@pytest.mark.parametrize("field", ["cash_e6", "positions_e6", "cash_pending_e6"])
def test_a_missing_field_is_never_replaced_by_a_default(venue, field):
    del venue.account[field]
    with pytest.raises(RemoteProtocolError, match=field):
        venue.door.account(WALLET)


def test_a_wrong_type_is_an_error(venue):
    venue.account["cash_e6"] = "9000000"
    with pytest.raises(RemoteProtocolError, match="Expected `int`"):
        venue.door.account(WALLET)


def test_a_refusing_venue_is_an_error_with_its_words(venue):
    venue.status = 503
    with pytest.raises(RemoteProtocolError, match="status 503"):
        venue.door.account(WALLET)


def test_a_base_unit_the_simulator_brings_in_secretly_is_found(instance, engine, tmp_path):
    """The real simulator in a process of its own; its control door plants the difference."""
    argv = module_argv("lowlat.sim", "--tape", "none", "--markets", "5", "--neg-risk-events", "1")
    sim = ChildProcess.spawn(ChildSpec("sim", argv, segments=False), tmp_path / "sim.log")
    try:
        while sim.ready is None and not sim.gone:
            select.select(sim.descriptors(), [], [], 10)
            sim.poll()
        assert sim.ready, sim.last_words()
        door = VenueDoor(sim.ready["urls"]["control"])
        wallet = door.control("account", owner="0x" + "11" * 20)["wallets"]["0"]
        engine(door.account(wallet).cash_e6, {})
        assert compare(instance, door, wallet).holds
        door.control("skew", wallet=wallet)
        found = compare(instance, door, wallet)
        assert (found.cash, found.positions) == (False, True)
        assert found.venue.cash_e6 - found.engine.cash_e6 == 1
    finally:
        sim.send(signal.SIGKILL)
        while not sim.gone:
            select.select([sim.pidfd], [], [], 10)
            sim.poll()
