"""Decode a folder of recorded payloads with the engine's codecs; say what is unknown or refused.

    python tools/decode_recorded.py FOLDER

The folder has the layout that samples were collected in: ``polymarket/``, ``binance/``; wrappers
around frames are taken off by the shape of the file. Exit 1 when anything was refused or unknown.
"""

import json
import pathlib
import sys

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.binance import rest
from lowlat.venues.binance.sbe import decode_sbe
from lowlat.venues.binance.stream import StreamCodec
from lowlat.venues.polymarket import (
    gamma,
    market,
    prices,
)
from lowlat.venues.wire import Ignored

# What of a file's name says how its payloads are read; the first that fits.
ROUTES = (
    ("ws_market_resolved", "market"),
    ("ws_market", "market"),
    ("ws_book", "market"),
    ("ws_quotes", "market"),
    ("ws_last_trade", "market"),
    ("it_book", "market"),
    ("it_price_change", "market"),
    ("it_tick", "market"),
    ("it_last_trade", "market"),
    ("rtds_", "rtds"),
    ("gamma_event", "events"),
    ("gamma_market", "markets"),
    ("clob_book", "book"),
)


def events_of(value):
    """Return a decoder's value as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def frames_of(path):
    """Yield (payload, kind) of a file: lines or a document, without the collector's wrapper."""
    text = path.read_text()
    rows = [text] if path.suffix == ".json" else text.splitlines()
    for row in rows:
        if not row.strip():
            continue
        value = json.loads(row)
        wrapped = value if isinstance(value, list) else [value]
        if all(isinstance(each, dict) and "frame" in each for each in wrapped):
            for each in wrapped:
                inner = each.get("raw") or each["frame"]
                yield inner.encode() if isinstance(inner, str) else json.dumps(inner).encode()
        else:
            yield row.encode()


def decode_polymarket(name, payload):
    """Return the events of one payload, None when no decoder is chosen for it."""
    kind = next((kind for start, kind in ROUTES if name.startswith(start)), None)
    if kind == "market":
        return events_of(market.decode_any(payload))
    if kind == "rtds":
        return events_of(prices.decode_rtds(payload))
    if kind in {"events", "markets"}:
        page = (gamma.decode_events if kind == "events" else gamma.decode_markets)(payload)
        if page.rejected:
            raise RemoteProtocolError(page.rejected[0])
        return list(page.markets)
    if kind == "book":
        return [market.decode_book(payload)]
    return None


def decode_binance(name, payload):
    """The same for the spot exchange."""
    if name.startswith("ws_spot"):
        return events_of(StreamCodec("ms").decode(payload))
    if name.startswith("http_depth"):
        return [rest.decode_depth(payload, "BTCUSDT")]
    if name.startswith("http_server_time"):
        return [rest.decode_time(payload)]
    if name.startswith("http_exchange_info"):
        return [rest.decode_exchange_info(payload)]
    return None


def recorded_stream(path):
    """Yield the frames of a cryptofeed recording: ``time: frame`` after a line with the address."""
    for line in path.read_text().splitlines()[1:]:
        _, _, frame = line.partition(": ")
        if frame:
            yield frame.encode()


def look(folder, report):
    """Decode everything below a folder; report(file, payload, outcome)."""
    for path in sorted((folder / "polymarket").rglob("*.json*")):
        for payload in frames_of(path):
            report(path, lambda p=payload, n=path.name: decode_polymarket(n, p))
    for path in sorted((folder / "binance").rglob("*.json")):
        if "synthetic" in path.name:
            for each in json.loads(path.read_text()).get("messages", []):
                raw = bytes.fromhex(each["hex"])
                report(path, lambda raw=raw: events_of(decode_sbe(raw)))
            continue
        for payload in frames_of(path):
            report(path, lambda p=payload, n=path.name: decode_binance(n, p))
    for path in sorted((folder / "binance").rglob("*.ws.*.txt")):
        codec = StreamCodec("ms")
        for payload in recorded_stream(path):
            report(path, lambda p=payload, codec=codec: events_of(codec.decode(p)))


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    counts = {"decoded": 0, "no decoder": 0, "unknown": 0, "refused": 0}

    def report(path, decode):
        try:
            events = decode()
        except RemoteProtocolError as error:
            counts["refused"] += 1
            print(f"refused  {path.name}: {str(error)[:160]}")
            return
        if events is None:
            counts["no decoder"] += 1
            return
        for event in events:
            if isinstance(event, Ignored) or type(event).__name__ == "Ignored":
                counts["unknown"] += 1
                print(f"unknown  {path.name}: {event}")
            else:
                counts["decoded"] += 1

    look(pathlib.Path(sys.argv[1]), report)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["unknown"] or counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
