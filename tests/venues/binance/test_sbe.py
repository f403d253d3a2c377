"""SBE streams: the vectors of the field table, appended fields, mutations."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.core.units import parse_fixed
from lowlat.venues.binance.events import Depth, DepthSnapshot, Ignored, Top, Trade
from lowlat.venues.binance.sbe import decode_sbe

DATA = Path(__file__).parents[2] / "data" / "binance"
VECTORS = {v["name"]: v for v in json.loads((DATA / "sbe_vectors.json").read_text())["vectors"]}
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS.values()]


def e8(text):
    return parse_fixed(text, 8)


def levels(rows):
    return [(e8(price), e8(qty)) for price, qty in rows]


@pytest.mark.parametrize("name", ["BestBidAskStreamEvent", "BestBidAskStreamEvent_forward_compat"])
def test_best_bid_ask_decodes_also_with_appended_fields(name):
    want = VECTORS[name]["decoded"]
    assert decode_sbe(bytes.fromhex(VECTORS[name]["hex"])) == (
        Top(
            want["symbol"], want["bookUpdateId"], e8(want["bidPrice"]), e8(want["bidQty"]),
            e8(want["askPrice"]), e8(want["askQty"]), want["eventTime_us"] * 1000,
        ),
    )  # fmt: skip


def test_trades_decode():
    vector = VECTORS["TradesStreamEvent"]
    want = vector["decoded"]
    assert decode_sbe(bytes.fromhex(vector["hex"])) == tuple(
        Trade(
            want["symbol"], one["id"], e8(one["price"]), e8(one["qty"]),
            Action.SELL if one["isBuyerMaker"] else Action.BUY,
            want["transactTime_us"] * 1000, want["eventTime_us"] * 1000,
        )
        for one in want["trades"]
    )  # fmt: skip


def test_depth_diff_and_snapshot_decode():
    diff = VECTORS["DepthDiffStreamEvent"]
    want = diff["decoded"]
    assert decode_sbe(bytes.fromhex(diff["hex"])) == (
        Depth(want["symbol"], want["firstBookUpdateId"], want["lastBookUpdateId"],
              levels(want["bids"]), levels(want["asks"]), want["eventTime_us"] * 1000),
    )  # fmt: skip
    snapshot = VECTORS["DepthSnapshotStreamEvent"]
    want = snapshot["decoded"]
    assert decode_sbe(memoryview(bytes.fromhex(snapshot["hex"]))) == (
        DepthSnapshot(want["symbol"], want["bookUpdateId"], levels(want["bids"]),
                      levels(want["asks"]), want["eventTime_us"] * 1000),
    )  # fmt: skip


def test_appended_bytes_in_group_entries_are_skipped():
    frame = bytes.fromhex(VECTORS["TradesStreamEvent"]["hex"])
    body, entries, tail = frame[:26], frame[32:82], frame[82:]
    wider = struct.pack("<HI", 28, 2) + entries[:25] + b"\xaa" * 3 + entries[25:] + b"\xaa" * 3
    assert decode_sbe(body + wider + tail) == decode_sbe(frame)


def test_unknown_template_and_schema_are_ignored():
    frame = bytearray(FRAMES[0])
    struct.pack_into("<H", frame, 2, 10009)
    assert decode_sbe(bytes(frame)) == (Ignored("sbe template 10009"),)
    struct.pack_into("<H", frame, 4, 3)
    assert decode_sbe(bytes(frame)) == (Ignored("sbe schema 3"),)


@pytest.mark.parametrize("cut", range(66))
def test_truncated_frame_is_a_protocol_error(cut):
    with pytest.raises(RemoteProtocolError):
        decode_sbe(FRAMES[0][:cut])


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(0, "<H", 49), (8, "<q", -1), (16, "<q", -1), (24, "<b", -9), (24, "<b", 9),
     (26, "<q", -1), (34, "<q", -5), (26, "<q", 2**63 - 1), (58, "<B", 0), (58, "<B", 200),
     (59, "<B", 0x22)],
)  # fmt: skip
def test_value_out_of_range_is_a_protocol_error(offset, form, value):
    frame = bytearray(FRAMES[0])
    struct.pack_into(form, frame, offset, value)
    with pytest.raises(RemoteProtocolError):
        decode_sbe(bytes(frame))


def test_group_count_beyond_the_frame_ends_at_once():
    frame = bytearray(bytes.fromhex(VECTORS["TradesStreamEvent"]["hex"]))
    struct.pack_into("<I", frame, 28, 2**32 - 1)
    with pytest.raises(RemoteProtocolError, match="longer than its frame"):
        decode_sbe(bytes(frame))


def test_zero_step_with_entries_is_a_protocol_error():
    frame = bytearray(bytes.fromhex(VECTORS["DepthDiffStreamEvent"]["hex"]))
    struct.pack_into("<HH", frame, 34, 0, 65535)
    with pytest.raises(RemoteProtocolError, match="group entry"):
        decode_sbe(bytes(frame))


@given(data=st.data(), frame=st.sampled_from(FRAMES))
def test_mutated_frame_gives_events_or_protocol_error(mangle_bytes, keeps_promise, data, frame):
    events = keeps_promise(decode_sbe, mangle_bytes(data, frame))
    assert events is None or isinstance(events, tuple)


@given(st.binary(max_size=120), st.sampled_from([10000, 10001, 10002, 10003]))
def test_garbage_gives_events_or_protocol_error(keeps_promise, body, template):
    keeps_promise(decode_sbe, body)
    keeps_promise(decode_sbe, struct.pack("<HHHH", 18, template, 1, 0) + body)
