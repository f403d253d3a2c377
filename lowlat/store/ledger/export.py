"""The ledger as files for a spreadsheet or the tax office: CSV or Parquet, one a subject.

* ``lots``: FIFO. One row a piece of a lot: what closed, with proceeds and result, and what is open;
* ``fills``: every fill, also those that failed, with its transaction;
* ``income``: rebates, rewards, yield;
* ``movements``: splits, merges, redemptions, conversions, transfers, a person's own trades;
* ``sums``: the total of every amount in the others, to hold a copy of them against.

Each amount is there twice: ``*_e6`` in base units, exact, and as a decimal. Fees are inside cost
and proceeds; ``buy_fee`` and ``sell_fee`` say how much of them. Times are UTC. Sums over the files
equal the ledger to the base unit: fees are shared out by size, the last piece takes the rest.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.core.errors import ConfigError, LedgerError
from lowlat.core.layout import Action
from lowlat.core.units import format_fixed
from lowlat.store.ledger.database import said
from lowlat.store.ledger.lots import SOLD
from lowlat.store.ledger.schema import CLOSINGS, FILLS, INCOME, LOTS, MOVEMENTS

__all__ = ["FORMATS", "Sheet", "export", "read_sheets"]

FORMATS: Final = ("csv", "parquet")
_FAILED: Final = "FAILED"
_TOTAL: Final = "total_e6"
_NO_TIME: Final = 0
"""Empty in the files."""
Row = dict[str, Any]


class Sheet:
    """One subject: rows of plain values. ``*_ms`` becomes a time, ``*_e6`` gets a decimal."""

    def __init__(self, name: str, columns: tuple[str, ...], rows: list[Row]) -> None:
        self.name = name
        self.columns = columns
        self.rows = rows

    @property
    def sums(self) -> dict[str, int]:
        """Return the total of every amount; totals are not added up again."""
        names = [name for name in self.columns if name.endswith("_e6") and name != _TOTAL]
        return {name: sum(row[name] for row in self.rows) for name in names}


def export(
    engine: Engine, directory: Path, kind: Literal["csv", "parquet"]
) -> list[tuple[Path, Sheet]]:
    """Write every sheet into directory, which is made; return the files and what is in them.

    Raises ConfigError when it cannot be written to and LedgerError when the ledger cannot be read.
    """
    sheets = read_sheets(engine)
    sheets.append(_sums(sheets))
    write: Callable[[Path, Sheet], None] = _write_csv if kind == "csv" else _write_parquet
    written = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for sheet in sheets:
            path = directory / f"{sheet.name}.{kind}"
            draft = path.with_name(f".{path.name}.new")
            write(draft, sheet)
            draft.replace(path)
            written.append((path, sheet))
    except OSError as error:
        raise ConfigError(f"--out {directory}: {error.strerror or error}") from error
    return written


def read_sheets(engine: Engine) -> list[Sheet]:
    """Read everything in one transaction."""
    try:
        with engine.connect() as connection:
            return [
                _lots(connection),
                _fills(connection),
                _table(connection, "income", INCOME),
                _table(connection, "movements", MOVEMENTS),
            ]
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error


def _sums(sheets: list[Sheet]) -> Sheet:
    rows = [
        {"sheet": each.name, "rows": len(each.rows), "amount": amount, _TOTAL: total_e6}
        for each in sheets
        for amount, total_e6 in each.sums.items()
    ]
    return Sheet("sums", ("sheet", "rows", "amount", _TOTAL), rows)


def _table(connection: Connection, name: str, table: Any) -> Sheet:
    rows = connection.execute(select(table).order_by(table.c.wall_ms, table.c.reference))
    columns = tuple(column.name for column in table.columns if column.name != "booked")
    return Sheet(name, columns, [{key: row[key] for key in columns} for row in rows.mappings()])


def _fills(connection: Connection) -> Sheet:
    columns = tuple(column.name for column in FILLS.columns)
    rows = connection.execute(select(FILLS).order_by(FILLS.c.wall_ms, FILLS.c.trade_id))
    found = []
    for each in rows.mappings():
        row = {key: each[key] for key in columns}
        row["action"] = Action(row["action"]).name
        found.append(row)
    return Sheet("fills", columns, found)


# --------------------------------------------------------------------------- lots
_LOT_COLUMNS: Final = (
    "lot",
    "token_id",
    "owner",
    "exit_plan",
    "state",
    "opened_wall_ms",
    "closed_wall_ms",
    "size_e6",
    "cost_e6",
    "proceeds_e6",
    "realized_e6",
    "buy_fee_e6",
    "sell_fee_e6",
    "buy_order_id",
    "buy_trade_id",
    "buy_transaction_hash",
    "sell_order_id",
    "sell_trade_id",
    "sell_transaction_hash",
    "movement",
)


def _lots(connection: Connection) -> Sheet:
    """Return lots cut into what closed and what is open."""
    fills = {(row.order_id, row.trade_id): row for row in connection.execute(select(FILLS))}
    hashes = {
        row.reference: row.transaction_hash
        for row in connection.execute(select(MOVEMENTS.c.reference, MOVEMENTS.c.transaction_hash))
    }
    closings: dict[int, list[Any]] = defaultdict(list)
    for closing in connection.execute(select(CLOSINGS).order_by(CLOSINGS.c.closing)):
        closings[closing.lot].append(closing)
    rows: list[Row] = []
    for lot in connection.execute(select(LOTS).order_by(LOTS.c.lot)):
        pieces = [_closed(lot, each, hashes) for each in closings[lot.lot]]
        if lot.left_e6 or not pieces:
            pieces.append(_open(lot, hashes))
        _share(pieces, "buy_fee_e6", _fee_e6(fills.get((lot.order_id, lot.trade_id)), Action.BUY))
        rows += pieces
    _sell_fees(rows, fills)
    for row in rows:
        row["buy_transaction_hash"] = row["buy_transaction_hash"] or _hash(fills, row, "buy")
        row["sell_transaction_hash"] = row["sell_transaction_hash"] or _hash(fills, row, "sell")
    return Sheet("lots", _LOT_COLUMNS, rows)


def _piece(lot: Any) -> Row:
    return {
        "lot": lot.lot,
        "token_id": lot.token_id,
        "owner": lot.owner,
        "exit_plan": lot.exit_plan,
        "opened_wall_ms": lot.opened_wall_ms,
        "buy_fee_e6": 0,
        "sell_fee_e6": 0,
        "buy_order_id": lot.order_id,
        "buy_trade_id": lot.trade_id,
    }


def _closed(lot: Any, closing: Any, hashes: dict[str, str]) -> Row:
    return _piece(lot) | {
        "state": closing.why,
        "closed_wall_ms": closing.wall_ms,
        "size_e6": closing.size_e6,
        "cost_e6": closing.cost_e6,
        "proceeds_e6": closing.proceeds_e6,
        "realized_e6": closing.proceeds_e6 - closing.cost_e6,
        "sell_order_id": closing.order_id,
        "sell_trade_id": closing.trade_id,
        "buy_transaction_hash": hashes.get(lot.movement, ""),
        "sell_transaction_hash": hashes.get(closing.movement, ""),
        "movement": closing.movement,
    }


def _open(lot: Any, hashes: dict[str, str]) -> Row:
    return _piece(lot) | {
        "state": "open",
        "closed_wall_ms": _NO_TIME,
        "size_e6": lot.left_e6,
        "cost_e6": lot.left_cost_e6,
        "proceeds_e6": 0,
        "realized_e6": 0,
        "sell_order_id": "",
        "sell_trade_id": "",
        "buy_transaction_hash": hashes.get(lot.movement, ""),
        "sell_transaction_hash": "",
        "movement": lot.movement,
    }


def _fee_e6(fill: Any, action: Action) -> int:
    """Return the fee of a fill that counts, 0 for one of the other side or none."""
    if fill is None or fill.state == _FAILED or fill.action != action:
        return 0
    return int(fill.fee_e6)


def _sell_fees(rows: list[Row], fills: dict[tuple[str, str], Any]) -> None:
    """Share the fee of each sale out over what it closed."""
    sales: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["state"] == SOLD:
            sales[row["sell_order_id"], row["sell_trade_id"]].append(row)
    for fill, pieces in sales.items():
        _share(pieces, "sell_fee_e6", _fee_e6(fills.get(fill), Action.SELL))


def _share(pieces: list[Row], name: str, total_e6: int) -> None:
    """Share an amount out by size; the last piece takes what the division leaves."""
    size_e6 = sum(piece["size_e6"] for piece in pieces)
    for piece in pieces[:-1]:
        piece[name] = total_e6 * piece["size_e6"] // size_e6 if size_e6 else 0
        size_e6 -= piece["size_e6"]
        total_e6 -= piece[name]
    if pieces:
        pieces[-1][name] = total_e6


def _hash(fills: dict[tuple[str, str], Any], row: Row, side: str) -> str:
    fill = fills.get((row[f"{side}_order_id"], row[f"{side}_trade_id"]))
    return fill.transaction_hash if fill is not None else ""


# --------------------------------------------------------------------------- files
def _headings(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Return (column of the row, heading); times and amounts have two each."""
    found = []
    for name in columns:
        found.append((name, name))
        if name.endswith("_wall_ms") or name == "wall_ms":
            found.append((name, f"{name[: -len('wall_ms')]}utc"))
        elif name.endswith("_e6"):
            found.append((name, name.removesuffix("_e6")))
    return found


def _utc(wall_ms: int) -> datetime | None:
    """Return a time in UTC; None for what did not happen."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC) if wall_ms else None


def _write_csv(path: Path, sheet: Sheet) -> None:
    headings = _headings(sheet.columns)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([heading for _, heading in headings])
        writer.writerows(
            [_csv_value(row[name], name, heading) for name, heading in headings]
            for row in sheet.rows
        )


def _csv_value(value: Any, name: str, heading: str) -> Any:
    if heading == name:
        return "" if value == _NO_TIME and name.endswith("_ms") else value
    if name.endswith("_e6"):
        return format_fixed(value, 6)
    moment = _utc(value)
    return moment.isoformat(timespec="milliseconds") if moment else ""


def _write_parquet(path: Path, sheet: Sheet) -> None:
    # Half a second of import that CSV does without.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = {}
    for name, heading in _headings(sheet.columns):
        values = [row[name] for row in sheet.rows]
        if name.endswith("_ms"):
            values = [None if value == _NO_TIME else value for value in values]
        if heading == name:
            kind = pa.int64() if _is_number(name) else pa.string()
            columns[heading] = pa.array(values, kind)
        elif name.endswith("_e6"):
            decimals = [Decimal(value).scaleb(-6) for value in values]
            columns[heading] = pa.array(decimals, pa.decimal128(38, 6))
        else:
            moments = [_utc(row[name]) for row in sheet.rows]
            columns[heading] = pa.array(moments, pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table(columns), path, compression="zstd")


def _is_number(name: str) -> bool:
    return name.endswith(("_ms", "_e6", "_e4")) or name in {"lot", "group_id", "rows"}
