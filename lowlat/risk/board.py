"""What risk shows: exposure by market, group and in all; what each module used and earned.

Run by RiskEngine when time allows, a few rows a turn. Rows 0 of the exposure table is the total;
a row whose market or group has no exposure any more is given to the next.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.layout import (
    EXPOSURE_ROW,
    SCORE_ROW,
    SLOT_HEAD_BYTES,
    ExposureScope,
    ScoreRow,
    Writer,
    record_id,
)
from lowlat.core.ports import Cell, TableWriter
from lowlat.core.recovered import Recovered
from lowlat.risk.equity import Equity
from lowlat.risk.scores import Record, Scores
from lowlat.risk.state import RiskState

__all__ = ["Board"]

_ROWS_A_TURN: Final = 4
_PPM: Final = 1_000_000
_LONG: Final = (int(ExposureScope.LONG), 0)
_WORKS, _STOPPED, _ORPHANED = range(3)


class Board:
    """The only writer of the tables ``exposure`` and ``scores``."""

    def __init__(
        self,
        state: RiskState,
        equity: Equity,
        exposure: TableWriter,
        scores: TableWriter,
        cell: Callable[[str], Cell],
    ) -> None:
        self._state = state
        self._equity = equity
        self._exposure = exposure
        self._scores = scores
        self._rows: dict[tuple[int, int], int] = {}
        """(scope, key) -> row of the exposure table."""
        self._free = list(range(exposure.rows - 1, 0, -1))
        self._no_row = cell("risk.exposure_rows_full")
        self._score_rows: dict[bytes, int] = {}
        self._long_said_e6 = -1

    # ------------------------------------------------------------------------------- restart
    def restore(self, recovered: Recovered | None) -> None:
        """Take peaks, the day's bankroll and the modules' scores from the last life of risk.

        ``recovered``: from the journal, where a reboot took the tables.
        """
        total = recovered.total if recovered is not None else None
        if self._exposure.read(0) > 0:
            total = EXPOSURE_ROW.unpack(self._exposure.buffer)
        if total is not None:
            self._equity.restore(
                total.day, total.bankroll_e6, total.equity_peak_e6, total.trailing_peak_e6
            )
        for row in range(1, self._exposure.rows):
            # Rows of markets and groups are told anew as they come; old ones count nothing.
            if self._exposure.read(row) > 0:
                found = EXPOSURE_ROW.unpack(self._exposure.buffer)
                self._write(row, found.scope, found.key, 0, 0, found.market, found.generation)
        for row in range(self._scores.rows):
            if self._scores.read(row) <= 0:
                continue
            said = SCORE_ROW.unpack(self._scores.buffer)
            self._restore_score(said)
            self._score_rows[said.module] = row
        for said in recovered.scores if recovered is not None else ():
            if said.module not in self._score_rows:
                self._restore_score(said)
        self._state.scores.set_limits(self._state.limits)

    def _restore_score(self, said: ScoreRow) -> None:
        scores = self._state.scores
        scores.score(said.module).stopped = said.state == _STOPPED
        record = scores.records[said.module]
        record.day_start_e6 = said.day_start_e6
        record.realized_e6, record.promised_e6 = said.realized_e6, said.promised_e6
        record.crossed_e6 = said.crossed_e6
        record.fills, record.lots = said.fills, said.lots

    # ------------------------------------------------------------------------------- exposure
    def publish(self) -> int:
        """Write a few changed rows and the total; return how many are still old."""
        exposure = self._state.exposure
        due = len(exposure.changed) + len(exposure.changed_bets)
        if not due and not exposure.total_due:
            return 0
        limits = self._state.limits
        for changed in exposure.take_changed(_ROWS_A_TURN):
            # A market that was forgotten meanwhile is told by who holds its row now.
            holding = exposure.holdings.get(changed.market)
            loss_e6 = holding.loss_e6 if holding is not None else 0
            # Of a market that nobody lists in this boot an order may still be open: number 0.
            generation = max(0, holding.generation) if holding is not None else 0
            self._tell(
                int(ExposureScope.MARKET),
                changed.market,
                loss_e6,
                limits.market_loss_max_ppm,
                market=changed.market,
                generation=generation,
            )
        by_scope = {
            ExposureScope.CORRELATED: limits.correlated_loss_max_ppm,
            ExposureScope.SERIES: limits.series_loss_max_ppm,
            ExposureScope.SOURCE: limits.source_loss_max_ppm,
        }
        for bet in exposure.take_changed_bets(_ROWS_A_TURN):
            self._tell(bet.scope, bet.key, bet.loss_e6, by_scope[ExposureScope(bet.scope)])
        if exposure.long_e6 != self._long_said_e6:
            self._long_said_e6 = exposure.long_e6
            self._tell(*_LONG, exposure.long_e6, limits.long_locked_max_ppm)
        self._write(
            0, int(ExposureScope.TOTAL), 0, exposure.total_e6, limits.total_loss_max_ppm, 0, 0
        )
        exposure.total_due = False
        return len(exposure.changed) + len(exposure.changed_bets)

    def _tell(
        self,
        scope: int,
        key: int,
        loss_e6: int,
        limit_ppm: int,
        *,
        market: int = 0,
        generation: int = 0,
    ) -> None:
        row = self._rows.get((scope, key))
        if row is None:
            if not loss_e6:
                return
            if not self._free:
                self._no_row.add(1)
                return
            row = self._rows[scope, key] = self._free.pop()
        self._write(row, scope, key, loss_e6, limit_ppm, market, generation)
        if not loss_e6:
            self._free.append(self._rows.pop((scope, key)))

    def _write(
        self,
        row: int,
        scope: int,
        key: int,
        loss_e6: int,
        limit_ppm: int,
        market: int,
        generation: int,
    ) -> None:
        state, equity = self._state, self._equity
        EXPOSURE_ROW.codec.pack_into(
            self._exposure.buffer,
            SLOT_HEAD_BYTES,
            record_id(Writer.RISK, 0, row),
            loss_e6,
            state.bankroll_e6 * limit_ppm // _PPM,
            state.bankroll_e6,
            equity.equity_e6,
            equity.peak_e6,
            state.now_ns,
            market,
            generation,
            equity.trailing_peak_e6,
            equity.day,
            key,
            scope,
            0,
            0,
        )
        self._exposure.write(row)

    # ------------------------------------------------------------------------------- modules
    def publish_scores(self) -> None:
        """Write the row of every module."""
        scores = self._state.scores
        owned = dict(scores.by_owner())
        for module, record in scores.records.items():
            row = self._score_rows.setdefault(module, len(self._score_rows))
            if row >= self._scores.rows:
                continue
            promised_open_e6 = sum(stake.promised_e6 for stake in owned[module])
            self._write_score(row, module, record, promised_open_e6, scores)

    def _write_score(
        self, row: int, module: bytes, record: Record, promised_open_e6: int, scores: Scores
    ) -> None:
        state = self._state
        bankroll_e6 = state.bankroll_e6
        score = record.score
        how = _STOPPED if score.stopped else _ORPHANED if scores.is_orphan(module) else _WORKS
        SCORE_ROW.codec.pack_into(
            self._scores.buffer,
            SLOT_HEAD_BYTES,
            record_id(Writer.RISK, 0, row),
            self._equity.day,
            record.day_start_e6,
            record.open_e6,
            bankroll_e6 * state.limits.module_loss_max_ppm // _PPM,
            bankroll_e6 * score.budget_ppm // _PPM,
            score.cost_e6 + score.in_flight_e6,
            record.promised_e6,
            record.realized_e6,
            promised_open_e6,
            record.crossed_e6,
            record.fills,
            record.lots,
            score.damp_ppm,
            how,
            module,
        )
        self._scores.write(row)
