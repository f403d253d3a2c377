"""The indexer's view: positions by wallet. Pure. Source: polymarket.md 11.2."""

from typing import Any

from lowlat.core.units import format_fixed
from lowlat.sim.exchange import Exchange
from lowlat.sim.wire import Request, Respond, failure, success

__all__ = ["DataApi"]


class DataApi:
    """Answers of the indexer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        del now_ns
        if request.method != "GET" or request.path not in {"/positions", "/v2/positions"}:
            respond(failure(404, "not found"))
            return
        user = request.arg("user").lower()
        if not user:
            respond(failure(400, "required query param 'user' not provided"))
            return
        legacy = request.path == "/positions"
        rows = [self._row(user, i, size, legacy=legacy) for i, size in self._held(user)]
        if legacy:
            respond(success(rows))
            return
        page = {"has_more": False, "next_cursor": None}
        respond(success({"data": rows, "pagination": page}))

    def _held(self, user: str) -> list[tuple[int, int]]:
        account = self._exchange.accounts.by_wallet.get(user)
        return [] if account is None else sorted(account.tokens_e6.items())

    def _row(self, user: str, instrument: int, size_e6: int, *, legacy: bool) -> dict[str, Any]:
        market = self._exchange.markets[instrument // 2]
        outcome = instrument % 2
        last = market.last_trade_e4 or 5000
        price = (last if outcome == 0 else 10_000 - last) / 10_000
        if legacy:
            return {
                "proxyWallet": user,
                "asset": market.tokens[outcome],
                "conditionId": market.condition_id,
                "size": size_e6 / 1e6,
                "curPrice": price,
                "title": market.question,
                "slug": market.slug,
                "eventSlug": market.event.slug,
                "outcome": market.outcomes[outcome],
                "outcomeIndex": outcome,
                "oppositeAsset": market.tokens[1 - outcome],
                "oppositeOutcome": market.outcomes[1 - outcome],
                "negativeRisk": market.rules.neg_risk,
                "redeemable": market.closed,
            }
        return {
            "proxy_wallet": user,
            "token_id": market.tokens[outcome],
            "condition_id": market.condition_id,
            "current_size": format_fixed(size_e6, 6),
            "current_price": str(price),
            "outcome": market.outcomes[outcome],
            "outcome_index": outcome,
            "opposite_token_id": market.tokens[1 - outcome],
            "negative_risk": market.rules.neg_risk,
            "redeemable": market.closed,
            "status": "REDEEMABLE" if market.closed else "OPEN",
        }
