"""Compiled price_change scanner: whatever it accepts is what msgspec reads, else it abstains."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.polymarket._frames import Change, PriceChange, scan_price_change
from lowlat.venues.polymarket.market import decode, decode_any

DATA = Path(__file__).parents[2] / "data" / "polymarket"
FRAMES = (DATA / "market_frames.jsonl").read_bytes().splitlines()
FRAME = FRAMES[3]

TEXT = st.text(alphabet='aZ09. /"\\\n\x00\x7fé\uff19\U0001f600', max_size=12)
NUMBER = st.from_regex(r"\A[0-9]{1,12}(\.[0-9]{1,6})?\Z")
CHANGE = st.fixed_dictionaries(
    {
        "asset_id": st.one_of(st.integers(0, 2**256 - 1).map(str), TEXT),
        "price": st.one_of(NUMBER, TEXT),
        "size": st.one_of(NUMBER, TEXT),
        "side": st.sampled_from(["BUY", "SELL"]),
        "best_bid": NUMBER,
        "best_ask": NUMBER,
    },
    optional={"hash": st.integers(0, 2**160 - 1).map(lambda value: f"{value:040x}"), "note": TEXT},
)
DOCUMENT = st.fixed_dictionaries(
    {
        "market": st.integers(0, 2**256 - 1).map(lambda value: f"0x{value:064x}"),
        "price_changes": st.lists(CHANGE, max_size=4),
        "timestamp": st.integers(1_577_836_800_000, 4_102_444_799_999).map(str),
        "event_type": st.just("price_change"),
    },
    optional={"note": TEXT},
)


def reference(payload):
    try:
        return list(decode_any(payload))
    except RemoteProtocolError:
        return RemoteProtocolError


def test_recorded_price_change_is_scanned():
    scanned = scan_price_change(FRAME)
    assert scanned is not None
    assert [scanned] == reference(FRAME)
    assert scanned.event_ns == 1_795_305_602_001_000_000
    assert scanned.timestamp == "1795305602001"


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("indent", [None, 0, 3])
def test_buffers_and_blanks_do_not_matter(form, indent):
    payload = json.dumps(json.loads(FRAME), indent=indent).encode() + b" \r\n\t"
    assert scan_price_change(form(payload)) == scan_price_change(FRAME)


@pytest.mark.parametrize("frame", FRAMES[:3] + FRAMES[4:] + [b"PONG", b"[]", b"", b"[" + FRAME])
def test_every_other_frame_is_left_to_msgspec(frame):
    assert scan_price_change(frame) is None


@pytest.mark.parametrize(
    "change",
    [
        (b'"0.49"', b'"0.4\\u0039"'),
        (b'"0.49"', '"0.4９"'.encode()),
        (b'"0.49"', b"0.49"),
        (b'"0.49"', b'"0.4\x019"'),
        (b'"BUY"', b'"HOLD"'),
        (b'"price":"0.49"', b'"price":"0.49","price":"0.48"'),
        (b'"hash"', b'"rank"'),
        (b'"market"', b'"market":"0x","market"'),
        (b"1795305602001", b"179530560200"),
        (b"1795305602001", b"9795305602001"),
        (b"1795305602001", b"17953056020o1"),
        (b'"size":"120",', b""),
        (b'"event_type":"price_change"', b'"event_type":"book"'),
        (b',"event_type":"price_change"', b""),
        (b'"price_change"}', b'"price_change",}'),
        (b'"price_change"}', b'"price_change"}}'),
        (b'"price_change"}', b'"price_change"} x'),
        (b'"price_change"}', b'"price_change"}\x00'),
    ],
)
def test_anything_unusual_is_left_to_msgspec(change):
    payload = FRAME.replace(*change)
    assert payload != FRAME
    assert scan_price_change(payload) is None


@settings(max_examples=60)
@given(document=DOCUMENT, ascii_only=st.booleans())
def test_any_price_change_reads_as_msgspec_reads_it(document, ascii_only):
    payload = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert list(decode(payload)) == reference(payload)


@given(data=st.data())
def test_mutated_frame_is_read_alike_or_left_alone(mangle, data):
    payload = mangle(data, FRAME)
    scanned = scan_price_change(payload)
    assert scanned is None or [scanned] == reference(payload)


@given(cut=st.integers(0, len(FRAME) - 1))
def test_truncated_frame_is_never_accepted(cut):
    assert scan_price_change(FRAME[:cut]) is None
    assert scan_price_change(memoryview(FRAME)[:cut]) is None


def test_shared_texts_are_right_whatever_came_before():
    """More distinct texts than the tables hold, each read back twice in another order."""
    frames = {}
    for i in range(18_000):
        asset, price, size = str(10**40 + i * 7919), f"0.{i:06d}", str(i)
        change = {"asset_id": asset, "price": price, "size": size, "side": "BUY",
                  "best_bid": price, "best_ask": ""}  # fmt: skip
        document = {"market": "0x" + f"{i:064x}", "price_changes": [change],
                    "timestamp": "1795305602001", "event_type": "price_change"}  # fmt: skip
        frames[(asset, price, size)] = json.dumps(document, separators=(",", ":")).encode()
    for order in (list(frames), list(frames)[::-1]):
        for asset, price, size in order:
            event = scan_price_change(frames[asset, price, size])
            assert event.price_changes == (Change(asset, price, size, "BUY", price, ""),)


def test_same_token_is_the_same_text_object():
    first, second = scan_price_change(FRAME), scan_price_change(FRAME)
    assert first.price_changes[0].asset_id is second.price_changes[0].asset_id


def test_values_compare_and_hash_by_content():
    change = Change("1", "0.5", "2", "BUY", "0.5", "0.6")
    assert change == Change("1", "0.5", "2", "BUY", "0.5", "0.6")
    assert change != Change("1", "0.5", "3", "BUY", "0.5", "0.6")
    assert change != "1"
    event = PriceChange("0x", 1, (change,))
    assert len({event, PriceChange("0x", 1, (change,))}) == 1
    assert event != PriceChange("0x", 2, (change,))
    with pytest.raises(AttributeError):
        change.price = "0.9"
    with pytest.raises(TypeError):
        Change("1", None, "2", "BUY", "0.5", "0.6")
