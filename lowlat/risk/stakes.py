"""Who owns what: book fills to modules, keep the stakes table, find it again after a death.

Run by Account, behind the executor's reports. A stake's row is written as soon as it changes,
before the report's slot is given back; a report that is read twice is known by its name. What a
death lost all the same shows as a difference to the executor's position, and belongs to nobody.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from lowlat.core.layout import SLOT_HEAD_BYTES, STAKE_ROW, Action
from lowlat.core.ports import Cell, TableWriter
from lowlat.core.recovered import Owned
from lowlat.core.units import E6
from lowlat.risk.scores import Stake
from lowlat.risk.state import RiskState

__all__ = ["Moved", "StakeBook"]

_BUY: Final = int(Action.BUY)


class Moved(NamedTuple):
    """Shares and cash that one report says were moved."""

    report: int
    module: bytes
    instrument: int
    generation: int
    action: int
    size_e6: int
    cash_e6: int
    fee_e6: int


class StakeBook:
    """Books to ``state.scores`` and keeps the table in step."""

    def __init__(self, state: RiskState, stakes: TableWriter, cell: Callable[[str], Cell]) -> None:
        self._state = state
        self._scores = state.scores
        self._table = stakes
        self._rows: dict[tuple[bytes, int], int] = {}
        self._free = list(range(stakes.rows - 1, -1, -1))
        self._no_row = cell("risk.stake_rows_full")
        self._nobodys = cell("risk.shares_of_nobody")
        self.owned: dict[bytes, list[Owned]] = {}
        """By token, what modules owned before a reboot, until the token has its row again."""

    def restore(self) -> None:
        """Take the stakes that the last life of risk wrote."""
        for row in range(self._table.rows):
            if self._table.read(row) <= 0:
                continue
            found = STAKE_ROW.unpack(self._table.buffer)
            key = found.owner, found.instrument
            if not found.size_e6 or key in self._scores.stakes:
                continue
            stake = Stake(found.owner, found.instrument, found.generation, found.opened_ns)
            stake.size_e6, stake.cost_e6 = found.size_e6, found.cost_e6
            stake.promised_e6, stake.booked = found.promised_e6, found.id
            self._scores.put(stake)
            self._rows[key] = row
            self._free.remove(row)

    def recall(self, token_id: bytes, instrument: int, generation: int) -> None:
        """Give a token's owners of before a reboot what they had; nothing where some are known."""
        owned = self.owned.pop(token_id, ())
        if any(stake.size_e6 for stake in self._scores.of_token(instrument)):
            return
        for each in owned:
            self._scores.recall(each, instrument, generation)
        self.write_changed()

    def take(self, moved: Moved, promise_e6: int, *, failed: bool) -> None:
        """Book a fill, a correction of one (negative sizes), or a fill that failed."""
        scores = self._scores
        sign = -1 if failed else 1
        size_e6 = sign * moved.size_e6
        wall_ns = self._state.wall_ns
        token = moved.instrument, moved.generation
        scores.score(moved.module)
        if moved.action == _BUY:
            cost_e6 = sign * (moved.cash_e6 + moved.fee_e6)
            if size_e6 >= 0:
                scores.bought(
                    moved.module, *token, size_e6, cost_e6, promise_e6, moved.report, wall_ns
                )
            else:
                scores.undone(moved.module, moved.instrument, -size_e6, -cost_e6, moved.report)
        else:
            proceeds_e6 = sign * (moved.cash_e6 - moved.fee_e6)
            if size_e6 > 0:
                scores.left(moved.module, moved.instrument, size_e6, proceeds_e6, moved.report)
            elif size_e6 < 0:
                # They come back for what they brought: what was realized then stays realized.
                scores.bought(
                    moved.module, *token, -size_e6, -proceeds_e6, 0, moved.report, wall_ns
                )
        self.write_changed()

    def level(self, instrument: int, generation: int, size_e6: int) -> None:
        """Let stakes add up to the executor's position."""
        scores = self._scores
        known_e6 = sum(stake.size_e6 for stake in scores.of_token(instrument))
        if known_e6 == size_e6:
            return
        self._nobodys.add(1)
        payout_e6 = self._payout_e6(instrument)
        scores.level(instrument, generation, size_e6, payout_e6, self._state.wall_ns)
        self.write_changed()

    def level_all(self, unplaced: Collection[int]) -> None:
        """Do so for all tokens, from what is counted as held.

        ``unplaced``: instruments that are not counted yet, whatever is held of them.
        """
        # Shares of a market that nobody lists in this boot are kept under number 0.
        held = {
            2 * market + outcome: (max(0, holding.generation), holding.shares_e6[outcome])
            for market, holding in self._state.exposure.holdings.items()
            for outcome in (0, 1)
        }
        owned = {stake.instrument for stake in self._scores.stakes.values() if stake.size_e6}
        owned |= {each for each, (_, size) in held.items() if size}
        for instrument in sorted(owned.difference(unplaced)):
            generation, size_e6 = held.get(instrument, (0, 0))
            self.level(instrument, generation, size_e6)

    def _payout_e6(self, instrument: int) -> int | None:
        """Return what a share of a resolved market paid; None while nobody knows."""
        facts = self._state.facts.get(instrument >> 1)
        if facts is None or not facts.winner:
            return None
        return E6 if facts.winner - 1 == instrument & 1 else 0

    def write_changed(self) -> None:
        """Bring the rows of changed stakes up to date."""
        changed = self._scores.changed
        if not changed:
            return
        for key, stake in changed.items():
            row = self._rows.get(key)
            if row is None:
                if not stake.size_e6:
                    continue
                if not self._free:
                    self._no_row.add(1)
                    continue
                row = self._rows[key] = self._free.pop()
            self._write(row, stake)
            if not stake.size_e6:
                self._free.append(self._rows.pop(key))
        changed.clear()

    def _write(self, row: int, stake: Stake) -> None:
        STAKE_ROW.codec.pack_into(
            self._table.buffer,
            SLOT_HEAD_BYTES,
            stake.booked,
            stake.size_e6,
            stake.cost_e6,
            stake.promised_e6,
            stake.opened_ns,
            stake.instrument,
            stake.generation,
            stake.owner,
        )
        self._table.write(row)

    def worth_e6(self, stakes: Iterable[Stake], marks: Callable[[int], int]) -> int:
        """Return the marks of stakes, or what their worst outcome pays when that is more.

        ``marks(instrument)``: what all shares of a token that are held are worth.
        """
        exposure = self._state.exposure
        by_bucket: dict[bytes | int, dict[int, list[int]]] = {}
        worth: dict[bytes | int, int] = {}
        for stake in stakes:
            market, outcome = stake.instrument >> 1, stake.instrument & 1
            holding = exposure.holdings.get(market)
            held_e6 = holding.shares_e6[outcome] if holding is not None else 0
            if holding is None or not held_e6:
                continue
            key = holding.bucket.key
            mark_e6 = marks(stake.instrument) * min(stake.size_e6, held_e6) // held_e6
            worth[key] = worth.get(key, 0) + mark_e6
            pair = by_bucket.setdefault(key, {}).setdefault(market, [0, 0])
            pair[outcome] += stake.size_e6
        total_e6 = 0
        for key, markets in by_bucket.items():
            bucket = exposure.buckets[key]
            floor_e6 = _floor_e6(
                list(markets.values()), bucket.event_markets, exhaustive=bucket.exhaustive
            )
            total_e6 += max(worth[key], floor_e6)
        return total_e6


def _floor_e6(pairs: list[list[int]], event_markets: int, *, exhaustive: bool) -> int:
    """Return what shares of one event pay in its worst outcome; as Bucket.floor_e6 does."""
    if event_markets == 1:
        return min(pairs[0])
    all_no_e6 = sum(no for _, no in pairs)
    states = [all_no_e6 - no + yes for yes, no in pairs]
    if len(pairs) < event_markets or not exhaustive:
        states.append(all_no_e6)
    return min(states)
