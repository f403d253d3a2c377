"""What the indexer says of markets: interest, volume, tokens, resolutions, prices, builders. Pure.

Source: polymarket.md 11.2.
"""

from collections.abc import Callable
from typing import Any, Final

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim.catalog import Event, Market, iso
from lowlat.sim.data_query import NS, BadQuery, bare, conditions_of, events_of, ids, number, page
from lowlat.sim.exchange import Exchange
from lowlat.sim.history import INTERVALS_S, History
from lowlat.sim.indexer import Indexer
from lowlat.sim.ladder import YES
from lowlat.sim.wire import Request, Response, success

__all__ = ["MarketReads"]

WINDOW_S_MAX: Final = 15 * 86_400
BUCKETS_S: Final = {"max": 600, "all": 600, "1m": 600, "1w": 300}
"""The shortest bucket of an interval; of all others a minute."""
BUCKET_S_MAX: Final = 86_400
POINTS_MAX: Final = 10_000
TOKENS_MAX: Final = 50
CONDITIONS_MAX: Final = 10
WORD_DIGITS: Final = 64


class MarketReads:
    """Answers about markets."""

    def __init__(
        self, exchange: Exchange, indexer: Indexer, history: History, events: list[Event]
    ) -> None:
        self._exchange = exchange
        self._indexer = indexer
        self._history = history
        self._events = events
        self.routes: dict[str, Callable[[Request, int], Response]] = {
            "/v2/oi": lambda r, _: success({"data": self._interest(r, "condition_id")}),
            "/oi": lambda r, _: success(self._interest(r, "market")),
            "/v2/live-volume": lambda r, _: success({"data": self._taken(r)}),
            "/live-volume": lambda r, _: self._old_taken(r),
            "/v2/tokens": lambda r, _: success({"data": self._tokens(r)}),
            "/v2/resolutions": lambda r, now: success({"data": self._resolutions(r, now)}),
            "/v2/prices-history": self._prices,
            "/v2/builders/leaderboard": lambda r, _: page(r, self._builders(), lambda row: row),
            "/v2/builders/volume": self._builder_volumes,
            "/v1/builders/leaderboard": lambda r, _: bare(r, self._builders(), _old_builder),
            "/v1/builders/volume": lambda _, now: success(
                [{"dt": iso(now)[:10] + "T00:00:00Z", **_old_builder(b)} for b in self._builders()]
            ),
        }

    # ----------------------------------------------------------------------------- totals
    def _interest(self, request: Request, name: str) -> list[dict[str, Any]]:
        """Return the dollars behind the pairs of each market asked for, else of all together."""
        exchange = self._exchange
        wanted = conditions_of(request)
        if not wanted:
            total_e6 = exchange.accounts.collateral_total_e6
            return [{name: "GLOBAL", "value": total_e6 / 1e6}]
        return [
            {name: market.condition_id, "value": behind.get(market.index, 0) / 1e6}
            for behind in (exchange.accounts.collateral_e6,)
            for market in exchange.markets
            if market.condition_id in wanted
        ]

    def _taken(self, request: Request) -> dict[str, Any]:
        wanted = events_of(request) or ids(request, "id")
        if not wanted:
            raise BadQuery("required query param 'event_id' not provided")
        taken = self._indexer.taken_e6
        rows = [
            (market, taken.get(market.index, 0))
            for event in self._events
            if event.id in wanted
            for market in event.markets
        ]
        return {
            "taker_volume_total": sum(size_e6 for _, size_e6 in rows) / 1e6,
            "conditions": [
                {"condition_id": market.condition_id, "taker_volume": size_e6 / 1e6}
                for market, size_e6 in rows
            ],
        }

    def _old_taken(self, request: Request) -> Response:
        value = self._taken(request)
        markets = [
            {"market": row["condition_id"], "value": row["taker_volume"]}
            for row in value["conditions"]
        ]
        return success([{"total": value["taker_volume_total"], "markets": markets}])

    # ----------------------------------------------------------------------------- facts
    def _tokens(self, request: Request) -> list[dict[str, Any]]:
        tokens = ids(request, "token_id", limit=TOKENS_MAX)
        conditions = ids(request, "condition", limit=CONDITIONS_MAX)
        if bool(tokens) == bool(conditions):
            raise BadQuery("exactly one of token_id and condition is required")
        return [
            _token(market, outcome)
            for market in self._exchange.markets
            for outcome, token in enumerate(market.tokens)
            if token in tokens or market.condition_id in conditions
        ]

    def _resolutions(self, request: Request, now_ns: int) -> list[dict[str, Any]]:
        question = request.arg("question_id")
        conditions, events = conditions_of(request), events_of(request)
        if sum(map(bool, (question, conditions, events))) != 1:
            raise BadQuery("exactly one of question_id, condition_id and event_id is required")
        return [
            _resolution(market, now_ns)
            for market in self._exchange.markets
            if market.question_id == question
            or market.condition_id in conditions
            or market.event.id in events
        ]

    def _prices(self, request: Request, now_ns: int) -> Response:
        """Return the last price of each bucket of a token, or the price as of a second."""
        found = self._exchange.tokens.get(request.arg("token_id"))
        if found is None:
            raise BadQuery("invalid token_id")
        market, outcome = found
        interval, as_of = request.arg("interval"), number(request, "as_of", 0)
        start_s, now_s = number(request, "start", 0), now_ns // NS
        end_s = number(request, "end", now_s)
        if sum(map(bool, (interval, start_s, as_of))) != 1:
            raise BadQuery("exactly one of interval, start and as_of is required")
        points = self._history.points(market)
        if as_of:
            before = [point for point in points if point[0] <= as_of][-1:]
            return page(request, before, lambda point: _price(point, outcome, 0), 1)
        if interval:
            if interval not in INTERVALS_S:
                raise BadQuery(f"interval must be one of {', '.join(INTERVALS_S)}")
            start_s = max(0, now_s - INTERVALS_S[interval])
        elif not 0 <= end_s - start_s <= WINDOW_S_MAX:
            raise BadQuery("the window must not end before it starts or exceed 15 days")
        least_s = BUCKETS_S.get(interval, 60)
        bucket_s = number(request, "bucket_seconds", least_s)
        if not least_s <= bucket_s <= BUCKET_S_MAX:
            raise BadQuery(f"bucket_seconds must be between {least_s} and {BUCKET_S_MAX}")
        kept = {
            second // bucket_s: (second, yes_e4)
            for second, yes_e4 in points
            if start_s <= second <= end_s
        }
        rows = [(bucket * bucket_s, yes_e4) for bucket, (_, yes_e4) in kept.items()]
        return page(
            request, rows, lambda point: _price(point, outcome, bucket_s), POINTS_MAX, POINTS_MAX
        )

    # ----------------------------------------------------------------------------- builders
    def _builders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for code, trades in self._exchange.trades_by_builder.items():
            rows.append(
                {
                    "builder_name": f"builder {code[:10]}",
                    "builder_code": code,
                    "profile_image": "",
                    "verified": False,
                    "volume": sum(trade.size_e6 for trade in trades) / 1e6,
                    "active_users": len({trade.taker.account for trade in trades}),
                }
            )
        rows.sort(key=lambda row: row["volume"], reverse=True)
        return [{"rank": rank, **row} for rank, row in enumerate(rows, 1)]

    def _builder_volumes(self, request: Request, now_ns: int) -> Response:
        """Return one bucket, today's: no run lasts longer than what it has seen."""
        del request
        today = iso(now_ns)[:10]
        return success({"data": [{**row, "date": today} for row in self._builders()]})


def _old_builder(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the old builder paths."""
    return {
        "rank": str(row["rank"]),
        "builder": row["builder_name"],
        "volume": row["volume"],
        "activeUsers": row["active_users"],
        "verified": row["verified"],
        "builderLogo": row["profile_image"],
    }


def _price(point: tuple[int, int], outcome: int, bucket_s: int) -> dict[str, Any]:
    second, yes_e4 = point
    price_e4 = yes_e4 if outcome == YES else ONE_E4 - yes_e4
    price = format_fixed(price_e4, 4)
    return {"timestamp": second, "price": price, "resolution_seconds": bucket_s}


def _word(condition_id: str) -> str:
    """Return a condition as 32 bytes; those of protocol v2 have 31."""
    return "0x" + condition_id[2:].ljust(WORD_DIGITS, "0")


def _token(market: Market, outcome: int) -> dict[str, Any]:
    rules, event = market.rules, market.event
    module = "v1_ctf" if market.version == "v1" else "neg_risk" if rules.neg_risk else "binary"
    payout = None if market.winner is None else "1" if market.winner == outcome else "0"
    return {
        "token_id": market.tokens[outcome],
        "condition_id": _word(market.condition_id),
        "structural_condition_id": None if module == "v1_ctf" else _word(market.condition_id),
        "module": module,
        "outcome_index": outcome,
        "clob_index": outcome,
        "outcome": market.outcomes[outcome],
        "opposite_token_id": market.tokens[1 - outcome],
        "resolved": market.winner is not None,
        "final_price": payout,
        "title": market.question,
        "market_slug": market.slug,
        "closed": market.closed,
        "neg_risk": rules.neg_risk,
        "neg_risk_market_id": _word(event.neg_risk_id) if rules.neg_risk else None,
        "question_index": event.markets.index(market) if rules.neg_risk else None,
        "event_id": int(event.id),
        "event_slug": event.slug,
    }


def _resolution(market: Market, now_ns: int) -> dict[str, Any]:
    value: dict[str, Any] = {
        "question_id": market.question_id,
        "condition_id": market.condition_id,
        "status": "initialized" if market.winner is None else "resolved",
        "extended_review": False,
        "was_disputed": False,
        "new_version_q": False,
        "proposed_price": "69",
        "reproposed_price": "69",
        "price": "69",
        "transaction_hash": "",
        "log_index": None,
        "last_update_timestamp": min(now_ns, market.end_ns or now_ns) // NS,
        "market_type": "INCREMENTAL_NEGRISK" if market.rules.neg_risk else "BINARY",
    }
    if market.winner is not None:
        value |= {
            "price": "1" if market.winner == YES else "0",
            "payouts": [1_000_000, 0] if market.winner == YES else [0, 1_000_000],
            "resolution_source": "reported",
            "reporter": "CHAINLINK" if market.kind == "twap" else "UMA_OO",
            "was_arbitrated": False,
            "resolved_at": iso(market.end_ns or now_ns),
        }
    return value
