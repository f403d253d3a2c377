"""Fuzz the engine's decoders, guided by coverage: a value or RemoteProtocolError, nothing else.

    python tools/fuzz_decoders.py --list
    python tools/fuzz_decoders.py rtds --seconds 600 --corpus fuzz/rtds
    python tools/fuzz_decoders.py --all --seconds 60

Needs atheris (`pip install atheris`). What raised coverage stays in the corpus; an input that
breaks the promise is written beside it as crash-*, one that takes long as timeout-*.
"""

import argparse
import contextlib
import importlib.util
import json
import pathlib
import subprocess
import sys

from lowlat.core.errors import RemoteProtocolError

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
MODULES = ["lowlat.venues"]


def decoders():
    """Return every decoder of outside bytes by a short name, as a function of the payload."""
    from lowlat.core.layout import Action, OrderType
    from lowlat.venues.binance import rest, sbe, stream
    from lowlat.venues.polymarket import (
        account,
        clob_markets,
        gamma,
        lookups,
        market,
        prices,
        replies,
        resolution,
        tags,
        user,
        wallet,
        wallets,
    )

    us = account.Account("00000000-0000-0000-0000-000000000001", "0x" + "11" * 20)
    sent = replies.Sent(b"\xab" * 32, Action.BUY, 1_450_000, 5_000_000, OrderType.GTC)
    codec = stream.StreamCodec("us")
    at_ns = 1_795_305_600_000_000_000
    return {
        "market": market.decode_any,
        "market-scan": market.decode,
        "user": user.UserCodec(us).decode,
        "book": market.decode_book,
        "books": lambda payload: [
            (market.name_book(raw), market.decode_book(raw)) for raw in market.split_books(payload)
        ],
        "rtds": prices.decode_rtds,
        "polybolt": prices.decode_polybolt,
        "gamma-events": gamma.decode_events,
        "gamma-markets": gamma.decode_markets,
        "clob-market": clob_markets.decode_clob_market,
        "resolution": resolution.decode_resolution,
        "orders-page": lambda payload: lookups.decode_orders_page(200, payload),
        "trades-page": lambda payload: lookups.decode_trades_page(200, payload, us),
        "order-reply": lambda payload: replies.decode_order_reply(200, payload, sent),
        "batch-reply": lambda payload: replies.decode_batch_reply(200, payload, [sent, sent]),
        "fee-rate": lambda payload: lookups.decode_fee_rate(200, payload),
        "server-time": lambda payload: lookups.decode_server_time(200, payload),
        "condition": lambda payload: wallet.decode_condition(200, payload),
        "tags": tags.decode_tags,
        "order": lambda payload: lookups.decode_order(200, payload),
        "balance": lambda payload: lookups.decode_balance(200, payload),
        "heartbeat": lambda payload: lookups.decode_heartbeat_reply(200, payload),
        "cancel-reply": lambda payload: replies.decode_cancel_reply(200, payload),
        "activity": lambda payload: wallet.decode_activity_page(200, payload),
        "holdings": lambda payload: wallet.decode_holdings_page(200, payload),
        "wallet-trades": wallets.decode_wallet_trades,
        "leaders": wallets.decode_leaders,
        "holders": wallets.decode_holders,
        "binance-stream": codec.decode,
        "binance-sbe": sbe.decode_sbe,
        "binance-depth": lambda payload: rest.decode_depth(payload, "BTCUSDT"),
        "binance-klines": lambda payload: rest.decode_klines(payload, "BTCUSDT", "1m", at_ns),
        "binance-info": rest.decode_exchange_info,
        "binance-ticker": rest.decode_book_ticker,
        "binance-trades": lambda payload: rest.decode_trades(payload, "BTCUSDT"),
        "binance-time": rest.decode_time,
    }


def seeds(name):
    """Yield shipped samples to begin with: whole files, single lines, and what they hold."""
    files = {
        "market": ["polymarket/market_frames.jsonl"],
        "market-scan": ["polymarket/market_frames.jsonl"],
        "book": ["polymarket/rest_books.json"],
        "books": ["polymarket/rest_books.json"],
        "rtds": ["polymarket/rtds_frames.jsonl"],
        "polybolt": ["polymarket/polybolt_frames.jsonl"],
        "gamma-events": ["polymarket/gamma_event.json", "polymarket/gamma_updown.json"],
        "gamma-markets": ["polymarket/gamma_event.json"],
        "clob-market": ["polymarket/clob_market.json"],
        "binance-stream": ["binance/stream_frames_us.jsonl"],
        "binance-depth": ["binance/rest.json"],
        "binance-klines": ["binance/rest.json"],
        "binance-info": ["binance/rest.json"],
    }
    for file in files.get(name, []):
        raw = (DATA / file).read_bytes()
        yield raw
        if file.endswith(".jsonl"):
            yield from raw.splitlines()
        else:
            value = json.loads(raw)
            parts = value.values() if isinstance(value, dict) else value
            yield from (json.dumps(part).encode() for part in parts)
    # What a page of the indexer holds, in small: there is no recording to begin with.
    wallet = '"0x' + "ab" * 20 + '"'
    hash32 = '"0x' + "22" * 32 + '"'
    rows = {
        "activity": f'"type":"TRADE","timestamp":1795305600,"transaction_hash":{hash32},'
        f'"condition_id":{hash32},"token_id":"7","side":"BUY","size":"1.5","usdc_size":"0.75"',
        "holdings": f'"token_id":"7","condition_id":{hash32},"current_size":"1.5","status":"OPEN"',
        "wallet-trades": f'"proxy_wallet":{wallet},"token_id":"7","condition_id":{hash32},'
        f'"side":"SELL","size":1.5,"price":"0.5","timestamp":1795305600,'
        f'"transaction_hash":{hash32},"outcome_index":1',
        "leaders": f'"rank":"1","user_id":{wallet},"pnl":-1.5,"volume":"2E3"',
        "holders": f'"token_id":"7","holders":[{{"proxy_wallet":{wallet},"amount":"1E5"}}]',
    }
    if name in rows:
        page = '"pagination":{"has_more":true,"next_cursor":"Mg=="}'
        yield ('{"data":[{' + rows[name] + "}]," + page + "}").encode()
    if name == "binance-sbe":
        raw = (DATA / "binance/sbe_vectors.json").read_text()
        yield from (bytes.fromhex(text) for text in hex_words(json.loads(raw)))


def hex_words(value):
    """Yield every even run of hex digits in a document."""
    if isinstance(value, str):
        if len(value) >= 32 and len(value) % 2 == 0:
            with contextlib.suppress(ValueError):
                bytes.fromhex(value)
                yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from hex_words(each)


def fuzz(name, seconds, corpus):
    """Fuzz one decoder in this process; libFuzzer ends it."""
    import atheris

    # Only what is imported in here is seen by the fuzzer.
    with atheris.instrument_imports(include=MODULES):
        known = decoders()
    if name not in known:
        sys.exit(f"decoder was {name!r}, allowed: {', '.join(known)}")
    decode = known[name]

    def one(payload):
        with contextlib.suppress(RemoteProtocolError):
            decode(payload)

    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-timeout=5", "-max_len=65536", "-verbosity=0"]
    options += ["-print_final_stats=1", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=pathlib.Path, default=None)
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(decoders()))
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: pip install atheris")
    if chosen.all:
        return fuzz_all(list(decoders()), chosen.seconds, chosen.corpus or ROOT / "build" / "fuzz")
    if chosen.name is None:
        parser.error("which decoder? see --list")
    fuzz(chosen.name, chosen.seconds, chosen.corpus or ROOT / "build" / "fuzz" / chosen.name)
    return 0


def fuzz_all(names, seconds, corpus):
    """Fuzz each decoder in a process of its own; return 1 when one broke its promise."""
    failed = []
    for name in names:
        command = [sys.executable, __file__, name, "--seconds", str(seconds)]
        command += ["--corpus", str(corpus / name)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
        count = runs[0].split()[-1] if runs else "?"
        broken = [path for path in artifacts(corpus / name) if breaks(name, path.read_bytes())]
        # The fuzzer itself sometimes dies while it ends; only an input that fails again counts.
        word = "BROKEN" if broken or not runs else "ok"
        print(f"{name:<16} {count:>9} inputs  {word}", flush=True)
        if word != "ok":
            failed.append(name)
            print(*(broken or [ended.stderr[-2000:]]), sep="\n")
    return 1 if failed else 0


def artifacts(folder):
    """Return what libFuzzer wrote down as wrong."""
    return [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]


def breaks(name, payload):
    """Say whether an input breaks the promise without the fuzzer around it."""
    try:
        decoders()[name](payload)
    except RemoteProtocolError:
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is, it breaks the promise
        print(f"{name}: {type(error).__name__}: {error}")
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
