"""Every shipped sample of a venue's words is understood: nothing refused, nothing unknown.

Folders of samples that may not be shipped are read by tools/decode_recorded.py.
"""

import json
import pathlib

import pytest

from lowlat.venues.binance.stream import StreamCodec
from lowlat.venues.kalshi.stream import decode as decode_kalshi
from lowlat.venues.polymarket.market import decode_any
from lowlat.venues.polymarket.prices import decode_polybolt, decode_rtds
from lowlat.venues.wire import Ignored

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
LINES = [
    ("polymarket/market_frames.jsonl", decode_any),
    ("polymarket/rtds_frames.jsonl", decode_rtds),
    ("polymarket/polybolt_frames.jsonl", decode_polybolt),
    ("binance/stream_frames_us.jsonl", StreamCodec("us").decode),
    ("kalshi/stream_frames.jsonl", decode_kalshi),
]

UNUSED = {"price.crypto pyth None"}
"""Understood and left: another provider than the one that settles."""


def frames(path):
    for line in (DATA / path).read_text().splitlines():
        value = json.loads(line)
        if isinstance(value, dict) and "frame" in value:
            value = value["frame"]
        yield value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.mark.parametrize(("path", "decode"), LINES, ids=[path for path, _ in LINES])
def test_shipped_frames_are_all_understood(path, decode):
    count = 0
    for frame in frames(path):
        value = decode(frame)
        events = value if isinstance(value, list | tuple) else [value]
        unknown = [e for e in events if isinstance(e, Ignored) and e.kind not in UNUSED]
        assert not unknown, (frame[:200], unknown)
        count += 1
    assert count > 3
