"""What the venue tells about rewards and rebates: terms by market, earnings by user and day. Pure.

Source: polymarket.md 1.1, 7.2, 7.4.
"""

from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim.catalog import Market, iso
from lowlat.sim.contracts import PUSD
from lowlat.sim.credentials import ApiKey
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import YES
from lowlat.sim.market_rows import mid_e5
from lowlat.sim.pages import page
from lowlat.sim.rewards import Rewards
from lowlat.sim.verify import checksum_address
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["RewardReads"]

DAY_S: Final = 86_400
CENT_E4: Final = 100
BAD_DATE: Final = failure(400, "Invalid date")
IDS_MAX: Final = 1000
_decode_ids: Final = msgspec.json.Decoder(list[str]).decode


class RewardReads:
    """Answers about income."""

    def __init__(self, exchange: Exchange, rewards: Rewards) -> None:
        self._exchange = exchange
        self._rewards = rewards

    # ----------------------------------------------------------------------------- terms
    def current(self, request: Request) -> Response:
        """GET /rewards/markets/current."""
        return page(request, self._markets(), _terms)

    def multi(self, request: Request) -> Response:
        """GET /rewards/markets/multi: the same with what a browser of markets shows."""
        size = request.arg("page_size", "100")
        if not (size.isascii() and size.isdecimal() and 1 <= int(size) <= 500):
            return failure(400, "Invalid page size")
        return page(request, self._markets(), _discovery, int(size))

    def of_market(self, request: Request, condition_id: str) -> Response:
        """GET /rewards/markets/{cid}: one row, none for a market without rewards."""
        market = self._exchange.conditions.get(condition_id)
        if market is None:
            return failure(404, "market not found")
        rows = [market] if market.rules.reward_daily_e6 and not market.closed else []
        return page(request, rows, _market_reward)

    def _markets(self) -> list[Market]:
        markets = self._exchange.markets
        return [m for m in markets if m.rules.reward_daily_e6 and not m.closed]

    # ----------------------------------------------------------------------------- scoring
    def order_scoring(self, key: ApiKey, request: Request, now_ns: int) -> Response:
        """GET /order-scoring."""
        return success({"scoring": self._scores(key, request.arg("order_id"), now_ns)})

    def orders_scoring(self, key: ApiKey, request: Request, now_ns: int) -> Response:
        """POST /orders-scoring: a flag by order id."""
        try:
            ids = _decode_ids(request.body)
        except UNREADABLE:
            return failure(400, "Invalid payload")
        if len(ids) > IDS_MAX:
            return failure(400, "Payload exceeds the limit")
        return success({each: self._scores(key, each, now_ns) for each in ids})

    def _scores(self, key: ApiKey, order_id: str, now_ns: int) -> bool:
        order = self._exchange.orders.get(order_id)
        own = order is not None and order.owner == key.key
        return own and order is not None and self._rewards.scoring(order, now_ns)

    # ----------------------------------------------------------------------------- earnings
    def rebates(self, request: Request) -> Response:
        """GET /rebates/current?date=&maker_address=."""
        day, wallet = _day(request), request.arg("maker_address").lower()
        if day is None or len(wallet) != 42:
            return BAD_DATE if day is None else failure(400, "Invalid maker address")
        rows = [
            {
                "date": request.arg("date"),
                "condition_id": self._exchange.markets[market].condition_id,
                "asset_address": PUSD,
                "maker_address": checksum_address(wallet),
                "rebated_fees_usdc": format_fixed(amount_e6, 6),
            }
            for market, amount_e6 in self._rewards.rebates(day, wallet).items()
        ]
        return success(rows or None)

    def user(self, key: ApiKey, request: Request) -> Response:
        """GET /rewards/user: a day's earnings by market."""
        day = _day(request)
        if day is None:
            return BAD_DATE
        wallet = self._wallet(key, request)
        rows = list(self._rewards.earnings(day, wallet).items())
        return page(
            request,
            rows,
            lambda row: {
                "date": _iso_day(day),
                "condition_id": self._exchange.markets[row[0]].condition_id,
                "asset_address": PUSD,
                "maker_address": checksum_address(wallet),
                "earnings": row[1] / 1e6,
                "asset_rate": 1,
            },
        )

    def user_total(self, key: ApiKey, request: Request) -> Response:
        """GET /rewards/user/total: a day's earnings by asset."""
        day = _day(request)
        if day is None:
            return BAD_DATE
        wallet = self._wallet(key, request)
        total_e6 = sum(self._rewards.earnings(day, wallet).values())
        row = {
            "date": _iso_day(day),
            "asset_address": PUSD,
            "maker_address": checksum_address(wallet),
            "earnings": total_e6 / 1e6,
            "asset_rate": 1,
        }
        return success([row] if total_e6 else [])

    def user_markets(self, key: ApiKey, request: Request) -> Response:
        """GET /rewards/user/markets: terms, earnings and share of each market."""
        day = _day(request)
        if day is None:
            return BAD_DATE
        wallet = self._wallet(key, request)
        earned = self._rewards.earnings(day, wallet)
        rows = self._markets()

        def shape(market: Market) -> dict[str, Any]:
            earning = {
                "asset_address": PUSD,
                "earnings": earned.get(market.index, 0) / 1e6,
                "asset_rate": 1,
            }
            return _market_reward(market) | {
                "maker_address": checksum_address(wallet),
                "earning_percentage": self._percent(market, wallet),
                "earnings": [earning],
                "image": "",
                "market_competitiveness": float(len(self._rewards.shares(market))),
            }

        return page(request, rows, shape, total_count=len(rows))

    def user_percentages(self, key: ApiKey, request: Request) -> Response:
        """GET /rewards/user/percentages: the share of each market's score held now."""
        wallet = self._wallet(key, request)
        shares = {m.condition_id: self._percent(m, wallet) for m in self._markets()}
        return success({condition: share for condition, share in shares.items() if share})

    def _percent(self, market: Market, wallet: str) -> float:
        scores = self._rewards.shares(market)
        return 100 * scores[wallet] / sum(scores.values()) if scores.get(wallet) else 0.0

    def _wallet(self, key: ApiKey, request: Request) -> str:
        kind = request.arg("signature_type", "0")
        return next((w for w, each in key.wallets.items() if str(each) == kind), key.owner)


def _day(request: Request) -> int | None:
    try:
        given = date.fromisoformat(request.arg("date"))
    except ValueError:
        return None
    return (given - date(1970, 1, 1)).days


def _iso_day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _config(market: Market) -> dict[str, Any]:
    rate = market.rules.reward_daily_e6 / 1e6
    return {
        "id": market.index + 1,
        "asset_address": PUSD,
        "start_date": iso(market.start_ns)[:10],
        "end_date": "2500-12-31",
        "rate_per_day": rate,
        "total_rewards": rate * 365,
    }


def _terms(market: Market) -> dict[str, Any]:
    rate = market.rules.reward_daily_e6 / 1e6
    return {
        "condition_id": market.condition_id,
        "rewards_max_spread": market.rules.reward_spread_e4 / CENT_E4,
        "rewards_min_size": market.rules.reward_min_size_e6 // 1_000_000,
        "rewards_config": [_config(market)],
        "sponsored_daily_rate": 0,
        "sponsors_count": 0,
        "native_daily_rate": rate,
        "total_daily_rate": rate,
    }


def _market_reward(market: Market) -> dict[str, Any]:
    middle = mid_e5(market, YES)
    yes = 0.5 if middle is None else middle / 100_000
    return {
        "condition_id": market.condition_id,
        "question": market.question,
        "market_slug": market.slug,
        "event_slug": market.event.slug,
        "image": "",
        "rewards_max_spread": market.rules.reward_spread_e4 / CENT_E4,
        "rewards_min_size": market.rules.reward_min_size_e6 // 1_000_000,
        "market_competitiveness": 0.0,
        "tokens": [
            {
                "token_id": token,
                "outcome": market.outcomes[outcome],
                "price": yes if outcome == YES else 1 - yes,
            }
            for outcome, token in enumerate(market.tokens)
        ],
        "rewards_config": [_config(market)],
    }


def _discovery(market: Market) -> dict[str, Any]:
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    spread_e4 = ONE_E4 if bid is None or ask is None else ask - bid
    return _market_reward(market) | {
        "market_id": market.id,
        "spread": spread_e4 / ONE_E4,
        "group_item_title": market.group_item,
        "volume_24hr": market.volume_e6 / 1e6,
        "event_id": market.event.id,
        "created_at": iso(market.start_ns),
        "one_day_price_change": 0,
        "end_date": iso(market.end_ns),
    }
