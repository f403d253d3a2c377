"""Give shares that came or went without an order their cost and proceeds: what the wallet did.

The executor follows the venue's balances and only knows that shares came (a lot of cost 0, owner
human) or went (a closing without proceeds). The wallet's movements say why and for how much. Each
movement names as many shares of such lots and closings as it moved; one whose shares have not
been seen yet waits. Rules where the venue tells less than we keep:

* a split costs, and a merge brings, half a dollar a share on either side;
* a redemption pays the side of which its payout's worth of shares went, one dollar each; the
  other side brought nothing. One that pays both sides is booked on the first that has enough;
* a conversion of ours is told by token, each of which brought the same; a person's as cash alone;
* what was sold before its cost was known gets its part of the cost afterwards.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from lowlat.store.ledger.booking import Booking
from lowlat.store.ledger.lots import HUMAN, RECONCILED
from lowlat.store.ledger.schema import CLOSINGS, FILLS, LOTS, MOVEMENTS

__all__ = ["book_movements"]

WAITING: Final = 0
BOOKED: Final = 1
NOTHING_TO_BOOK: Final = 2
_SHARES: Final = ("trade", "split", "merge", "redeem", "convert")
_NAME_LOT: Final = (
    update(LOTS)
    .where(LOTS.c.lot == bindparam("key"))
    .values(
        cost_e6=LOTS.c.cost_e6 + bindparam("cost"),
        left_cost_e6=LOTS.c.left_cost_e6 + bindparam("left"),
        named_e6=LOTS.c.named_e6 + bindparam("named"),
        movement=bindparam("reference"),
    )
)
_NAME_CLOSING: Final = (
    update(CLOSINGS)
    .where(CLOSINGS.c.closing == bindparam("key"))
    .values(
        proceeds_e6=CLOSINGS.c.proceeds_e6 + bindparam("brought"),
        named_e6=CLOSINGS.c.named_e6 + bindparam("named"),
        why=bindparam("kind"),
        movement=bindparam("reference"),
    )
)
_MORE_COST: Final = (
    update(CLOSINGS)
    .where(CLOSINGS.c.closing == bindparam("key"))
    .values(cost_e6=CLOSINGS.c.cost_e6 + bindparam("cost"))
)


def book_movements(connection: Connection, booking: Booking) -> int:
    """Book what waits and can be booked now; return how many movements were."""
    waiting = connection.execute(
        select(MOVEMENTS)
        .where(MOVEMENTS.c.booked == WAITING)
        .order_by(MOVEMENTS.c.wall_ms, MOVEMENTS.c.reference)
    ).all()
    booked = 0
    for movement in waiting:
        state = _book(connection, booking, movement)
        if state != WAITING:
            booked += 1
            connection.execute(
                update(MOVEMENTS)
                .where(MOVEMENTS.c.reference == movement.reference)
                .values(booked=state)
            )
    return booked


def _book(connection: Connection, booking: Booking, movement: Any) -> int:
    is_bare = movement.kind == "convert" and not movement.token_id
    if is_bare or movement.kind not in _SHARES or _is_ours(connection, movement):
        return NOTHING_TO_BOOK
    if movement.kind == "redeem":
        return _redeem(connection, movement)
    legs = [token for token in (movement.token_id, movement.other_token_id) if token]
    rows = _lots if movement.size_e6 > 0 else _closings
    found = [rows(connection, token) for token in legs]
    size_e6 = abs(movement.size_e6)
    if not legs or any(_free(each) < size_e6 for each in found):
        return WAITING
    rest_e6 = abs(movement.cash_e6)
    for number, (token, each) in enumerate(zip(legs, found, strict=True)):
        share_e6 = rest_e6 // (len(legs) - number)
        rest_e6 -= share_e6
        if movement.size_e6 > 0:
            _add_cost(connection, each, size_e6, share_e6, movement.reference)
            booking.forget_token(token)
        else:
            _add_proceeds(connection, each, size_e6, share_e6, movement)
    return BOOKED


def _is_ours(connection: Connection, movement: Any) -> bool:
    """Whether a trade is one that our fills have booked already."""
    if movement.kind != "trade":
        return False
    found = connection.execute(
        select(FILLS.c.trade_id)
        .where(
            FILLS.c.transaction_hash == movement.transaction_hash,
            FILLS.c.token_id == movement.token_id,
        )
        .limit(1)
    ).first()
    return found is not None


def _redeem(connection: Connection, movement: Any) -> int:
    legs = [token for token in (movement.token_id, movement.other_token_id) if token]
    found = [_closings(connection, token) for token in legs]
    if not movement.cash_e6:
        # Worthless shares: what went is named, it brought nothing.
        seen = [each for each in found if each]
        for each in seen:
            _add_proceeds(connection, each, _free(each), 0, movement)
        return BOOKED if seen else WAITING
    for winner in found:
        if _free(winner) >= movement.cash_e6:
            _add_proceeds(connection, winner, movement.cash_e6, movement.cash_e6, movement)
            for loser in found:
                if loser is not winner and loser:
                    _add_proceeds(connection, loser, _free(loser), 0, movement)
            return BOOKED
    return WAITING


def _lots(connection: Connection, token_id: str) -> list[Any]:
    """Return lots of nobody's order that no movement has named yet."""
    return list(
        connection.execute(
            select(LOTS)
            .where(
                LOTS.c.token_id == token_id,
                LOTS.c.owner == HUMAN,
                LOTS.c.order_id == "",
                LOTS.c.named_e6 < LOTS.c.size_e6,
            )
            .order_by(LOTS.c.lot)
        )
    )


def _closings(connection: Connection, token_id: str) -> list[Any]:
    """Return closings without a sale that no movement has named yet."""
    return list(
        connection.execute(
            select(CLOSINGS)
            .join(LOTS, LOTS.c.lot == CLOSINGS.c.lot)
            .where(
                LOTS.c.token_id == token_id,
                CLOSINGS.c.order_id == "",
                CLOSINGS.c.why.in_((RECONCILED, "trade", "merge", "redeem", "convert")),
                CLOSINGS.c.named_e6 < CLOSINGS.c.size_e6,
            )
            .order_by(CLOSINGS.c.closing)
        )
    )


def _free(rows: Iterable[Any]) -> int:
    return sum(int(row.size_e6 - row.named_e6) for row in rows)


def _add_proceeds(
    connection: Connection, rows: list[Any], size_e6: int, brought_e6: int, movement: Any
) -> None:
    """Share proceeds out over closings, oldest first, to the last base unit."""
    for row in rows:
        if size_e6 <= 0:
            return
        taken_e6 = min(size_e6, row.size_e6 - row.named_e6)
        share_e6 = brought_e6 * taken_e6 // size_e6
        size_e6, brought_e6 = size_e6 - taken_e6, brought_e6 - share_e6
        values = {"key": row.closing, "brought": share_e6, "named": taken_e6}
        values |= {"kind": movement.kind, "reference": movement.reference}
        connection.execute(_NAME_CLOSING, values)


def _add_cost(
    connection: Connection, rows: list[Any], size_e6: int, cost_e6: int, reference: str
) -> None:
    """Share a cost out over lots, oldest first, and within each over what left it already."""
    for row in rows:
        if size_e6 <= 0:
            return
        taken_e6 = min(size_e6, row.size_e6 - row.named_e6)
        share_e6 = cost_e6 * taken_e6 // size_e6
        size_e6, cost_e6 = size_e6 - taken_e6, cost_e6 - share_e6
        left_e6 = share_e6 * row.left_e6 // row.size_e6
        values = {"key": row.lot, "cost": share_e6, "left": left_e6, "named": taken_e6}
        connection.execute(_NAME_LOT, values | {"reference": reference})
        _cost_of_closed(connection, row.lot, share_e6 - left_e6)


def _cost_of_closed(connection: Connection, lot: int, cost_e6: int) -> None:
    closings = connection.execute(
        select(CLOSINGS.c.closing, CLOSINGS.c.size_e6)
        .where(CLOSINGS.c.lot == lot, CLOSINGS.c.size_e6 > 0)
        .order_by(CLOSINGS.c.closing)
    ).all()
    size_e6 = sum(row.size_e6 for row in closings)
    for row in closings:
        share_e6 = cost_e6 * row.size_e6 // size_e6
        size_e6, cost_e6 = size_e6 - row.size_e6, cost_e6 - share_e6
        connection.execute(_MORE_COST, {"key": row.closing, "cost": share_e6})
