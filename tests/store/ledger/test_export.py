"""Exports against the ledger: whatever was traded, the files add up to it, to the base unit."""

import csv
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rig import rows
from sqlalchemy import create_engine

from lowlat.core.layout import Action
from lowlat.store.ledger import schema
from lowlat.store.ledger.audit import audit
from lowlat.store.ledger.booking import FillChange
from lowlat.store.ledger.export import FORMATS, export
from lowlat.store.ledger.notes import IncomeNote, MovementNote, TradeNote
from lowlat.store.ledger.writer import Ledger

TOKENS = ("11", "22")
START_MS = 1_795_305_600_000

trades = st.lists(
    st.tuples(
        st.sampled_from(TOKENS),
        st.sampled_from(("buy", "sell", "fail", "came", "went")),
        st.integers(1, 50_000_000),
        st.integers(0, 40_000_000),
        st.integers(0, 900_000),
        st.sampled_from(("arbitrage", "bonds")),
    ),
    max_size=25,
)


def change(number, token, kind, size_e6, cash_e6, fee_e6, module, held_e6):
    action = Action.SELL if kind == "sell" else Action.BUY
    fill = (f"0x{number:064x}", f"trade-{number}") if kind in ("buy", "sell") else ("", "")
    state = "MATCHED" if kind in ("buy", "sell") else "RECONCILED"
    if kind in ("sell", "went"):
        size_e6 = min(size_e6, held_e6)
    signed = -size_e6 if kind in ("sell", "went") else size_e6
    reported = signed if state == "RECONCILED" else size_e6
    owner = module if state == "MATCHED" else ""
    after = held_e6 + signed
    return FillChange(
        *fill, token, owner, state, action, 0, 5_000, reported, cash_e6, fee_e6, after
    ), after


def play(ledger, engine, steps):
    """Book steps as the writer does; return what money and shares must have become."""
    held = dict.fromkeys(TOKENS, 0)
    bought, fees, flow = {}, 0, 0
    for number, (token, kind, size_e6, cash_e6, fee_e6, module) in enumerate(steps):
        if kind == "fail":
            known = [each for each in bought.values() if each.token_id == token]
            if not known or known[-1].size_e6 > held[token]:
                continue
            last = known[-1]
            del bought[last.order_id]
            one = last._replace(state="FAILED", position_e6=held[token] - last.size_e6)
            held[token] -= last.size_e6
            fees -= last.fee_e6
            flow += last.cash_e6 + last.fee_e6
        else:
            if kind in ("sell", "went") and not held[token]:
                continue
            one, held[token] = change(
                number, token, kind, size_e6, cash_e6, fee_e6, module, held[token]
            )
            if one.state == "MATCHED":
                fees += one.fee_e6
                flow += (-one.cash_e6 if kind == "buy" else one.cash_e6) - one.fee_e6
            if kind == "buy":
                bought[one.order_id] = one
        with engine.begin() as connection:
            ledger._booking.take(connection, [one], START_MS + number)
    return held, fees, flow


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@settings(max_examples=25)
@given(steps=trades)
def test_lots_and_fills_add_up_to_what_was_traded(tmp_path, steps):
    engine = create_engine("sqlite://")
    schema.METADATA.create_all(engine)
    held, fees, flow = play(Ledger(engine), engine, steps)
    assert not [each for each in audit(engine) if each.kind == "lot"]
    written = {path.stem: read_csv(path) for path, _ in export(engine, tmp_path, "csv")}
    lots = written["lots"]

    def total(name, of=lots):
        return sum(int(row[name]) for row in of)

    for token in TOKENS:
        left = [row for row in lots if row["token_id"] == token and row["state"] == "open"]
        assert total("size_e6", left) == held[token]
    assert total("buy_fee_e6") + total("sell_fee_e6") == fees
    # What came without an order cost nothing yet, so all cost and proceeds are those of fills.
    assert total("proceeds_e6") - total("cost_e6") == flow
    assert (
        total("realized_e6") + sum(-int(row["cost_e6"]) for row in lots if row["state"] == "open")
        == flow
    )
    kept = [row for row in written["fills"] if row["state"] != "FAILED"]
    signs = {"BUY": -1, "SELL": 1}
    assert sum(signs[r["action"]] * int(r["cash_e6"]) - int(r["fee_e6"]) for r in kept) == flow
    for row in lots:
        assert Decimal(row["cost"]) * 10**6 == int(row["cost_e6"])
        assert row["opened_utc"].startswith("2026-11-2")
        assert (row["closed_utc"] == "") == (row["state"] == "open")
        assert (row["closed_wall_ms"] == "") == (row["state"] == "open")
    sums = {(row["sheet"], row["amount"]): int(row["total_e6"]) for row in written["sums"]}
    assert sums["lots", "cost_e6"] == total("cost_e6")
    assert sums["fills", "cash_e6"] == total("cash_e6", written["fills"])
    assert {row["sheet"]: int(row["rows"]) for row in written["sums"]} == {
        name: len(sheet) for name, sheet in written.items() if name != "sums"
    }
    engine.dispose()


def test_both_formats_say_the_same(database, ledger, tmp_path):
    steps = [
        (TOKENS[0], "buy", 10_000_000, 4_600_000, 20_000, "arbitrage"),
        (TOKENS[0], "came", 5_000_000, 0, 0, "arbitrage"),
        (TOKENS[0], "sell", 12_345_678, 7_000_001, 33, "arbitrage"),
    ]
    play(ledger, database, steps)
    ledger.note(
        [
            IncomeNote("r1", "maker_rebate", "0xcid", START_MS, 1_234_567, "0xaa"),
            MovementNote("m1", "deposit", START_MS, "", "", "", 0, 50_000_000, "0xbb"),
            TradeNote(f"0x{0:064x}", "trade-0", "0xcc"),
        ]
    )
    texts = {path.stem: read_csv(path) for path, _ in export(database, tmp_path, "csv")}
    for path, sheet in export(database, tmp_path, "parquet"):
        table = pq.read_table(path).to_pylist()
        assert len(table) == len(texts[path.stem]) == len(sheet.rows)
        for ours, theirs in zip(table, texts[path.stem], strict=True):
            for name, value in ours.items():
                if name.endswith("utc"):
                    moment = value.isoformat(timespec="milliseconds") if value else ""
                    assert moment == theirs[name]
                elif value is None:
                    assert theirs[name] == "", "what did not happen has no time"
                else:
                    assert str(value) == theirs[name] or Decimal(value) == Decimal(theirs[name])
    (income,) = texts["income"]
    assert (income["amount_e6"], income["amount"], income["transaction_hash"]) == (
        "1234567", "1.234567", "0xaa",
    )  # fmt: skip
    assert {row["buy_transaction_hash"] for row in texts["lots"]} == {"0xcc", ""}
    assert sum(int(row["size_e6"]) for row in texts["lots"] if row["state"] == "open") == 2_654_322


def test_the_movements_give_what_came_and_went_its_money(database, ledger, tmp_path):
    """A split of 10, of which 4 are sold and 6 merged; then a deposit of a person's own buy."""
    yes, no = TOKENS
    for token in TOKENS:
        play(ledger, database, [(token, "came", 10_000_000, 0, 0, "")])
    split = MovementNote("s", "split", START_MS, "0xcid", yes, no, 10_000_000, -10_000_000, "0x1")
    assert ledger.note([split]) == 1
    assert ledger.note([split]) == 0, "told twice, booked once"
    assert {lot.cost_e6 for lot in rows(database, schema.LOTS)} == {5_000_000}
    with database.begin() as connection:
        for number, token in enumerate(TOKENS):
            gone = FillChange(
                "", "", token, "", "RECONCILED", Action.BUY, 0, 0, -6_000_000, 0, 0, 4_000_000
            )
            ledger._booking.take(connection, [gone], START_MS + 10 + number)
    merge = MovementNote("m", "merge", START_MS + 9, "0xcid", yes, no, -6_000_000, 6_000_001, "0x2")
    assert ledger.note([merge]) == 1
    (lots, *_rest) = export(database, tmp_path, "csv")
    closed = [row for row in lots[1].rows if row["state"] == "merge"]
    assert sorted(row["proceeds_e6"] for row in closed) == [3_000_000, 3_000_001]
    assert [row["cost_e6"] for row in closed] == [3_000_000, 3_000_000]
    assert {row["sell_transaction_hash"] for row in closed} == {"0x2"}
    assert audit(database) == [] or {each.kind for each in audit(database)} == {"position"}


def test_a_movement_waits_for_its_shares(database, ledger):
    yes, _ = TOKENS
    buy = MovementNote("t", "trade", START_MS, "0xcid", yes, "", 5_000_000, -2_000_000, "0x9")
    assert ledger.note([buy]) == 0
    play(ledger, database, [(yes, "came", 5_000_000, 0, 0, "")])
    assert ledger.note([]) == 1
    (lot,) = rows(database, schema.LOTS)
    assert (lot.owner, lot.cost_e6, lot.left_cost_e6, lot.movement) == (
        "human", 2_000_000, 2_000_000, "t",
    )  # fmt: skip


def test_cost_that_comes_late_reaches_what_was_sold_before(database, ledger):
    yes, _ = TOKENS
    play(
        ledger,
        database,
        [(yes, "came", 9_000_000, 0, 0, ""), (yes, "sell", 3_000_000, 2_000_000, 0, "bonds")],
    )
    ledger.note([MovementNote("t", "trade", START_MS, "", yes, "", 9_000_000, -900_001, "0x9")])
    (lot,) = rows(database, schema.LOTS)
    (closing,) = rows(database, schema.CLOSINGS)
    assert lot.cost_e6 == 900_001
    assert lot.left_cost_e6 == 600_000
    assert closing.cost_e6 == 300_001
    assert not [each for each in audit(database) if each.kind == "lot"]


@pytest.mark.parametrize("kind", ["redeemed side", "lost side", "nothing won"])
def test_a_redemption_pays_the_side_that_won(database, ledger, kind):
    yes, no = TOKENS
    for token, size in ((yes, 7_000_000), (no, 4_000_000)):
        play(ledger, database, [(token, "buy", size, 2_000_000, 0, "bonds")])
    with database.begin() as connection:
        for token, size in ((yes, 7_000_000), (no, 4_000_000)):
            gone = FillChange("", "", token, "", "RECONCILED", Action.BUY, 0, 0, -size, 0, 0, 0)
            ledger._booking.take(connection, [gone], START_MS + 5)
    paid = {"redeemed side": 7_000_000, "lost side": 4_000_000, "nothing won": 0}[kind]
    note = MovementNote("r", "redeem", START_MS, "0xcid", yes, no, -1, paid, "0x3")
    assert ledger.note([note]) == 1
    by_lot = {lot.lot: lot.token_id for lot in rows(database, schema.LOTS)}
    brought = {by_lot[c.lot]: c.proceeds_e6 for c in rows(database, schema.CLOSINGS)}
    assert sum(brought.values()) == paid
    assert brought[yes] in (paid, 0)
    assert {c.why for c in rows(database, schema.CLOSINGS)} == {"redeem"}


def test_our_own_trades_in_the_wallets_history_are_not_booked_twice(database, ledger):
    play(ledger, database, [(TOKENS[0], "buy", 5_000_000, 2_000_000, 0, "bonds")])
    ledger.note([TradeNote(f"0x{0:064x}", "trade-0", "0xabc")])
    note = MovementNote("t", "trade", START_MS, "", TOKENS[0], "", 5_000_000, -2_000_000, "0xabc")
    assert ledger.note([note]) == 1
    (lot,) = rows(database, schema.LOTS)
    assert (lot.owner, lot.cost_e6) == ("bonds", 2_000_000)
    (movement,) = rows(database, schema.MOVEMENTS)
    assert movement.booked == 2
    assert set(FORMATS) == {"csv", "parquet"}
