"""Market objects as the order-book service writes them, and the prices they carry. Pure.

Source: polymarket.md 1.2.
"""

from typing import Any, Final

from lowlat.core.units import ONE_E4
from lowlat.sim.catalog import Market, iso
from lowlat.sim.contracts import PUSD
from lowlat.sim.ladder import YES

__all__ = ["best_e4", "compact_market", "long_market", "mid_e5", "simplified_market"]

CENT_E4: Final = 100


def compact_market(market: Market) -> dict[str, Any]:
    """Return the compact object. Source: 1.2."""
    rules = market.rules
    value: dict[str, Any] = {
        "c": market.condition_id,
        "t": [
            {"t": token, "o": name}
            for token, name in zip(market.tokens, market.outcomes, strict=True)
        ],
        "mts": market.tick_e4 / ONE_E4,
        "mos": rules.min_size_e6 // 1_000_000,
        "r": _compact_rewards(market),
        "ao": market.accepting,
        "aot": iso(market.start_ns),
        "rfqe": False,
        "ibce": False,
        "v": market.version,
    }
    if rules.neg_risk:
        value["nr"] = True
    if rules.fee_rate_e4:
        value["fd"] = {"r": rules.fee_rate_e4 / ONE_E4, "e": 1, "to": True}
        value["mbf"] = value["tbf"] = 1000
    if rules.sd_s:
        value["sd"] = rules.sd_s
    if rules.itode:
        value["itode"] = True
    return value


def simplified_market(market: Market) -> dict[str, Any]:
    """Return the simplified object."""
    row = long_market(market)
    keys = ("condition_id", "rewards", "tokens", "active", "closed", "archived", "accepting_orders")
    return {key: row[key] for key in keys}


def long_market(market: Market) -> dict[str, Any]:
    """Return the long object."""
    rules = market.rules
    mid = mid_e5(market, YES)
    yes = 0.5 if mid is None else mid / 100_000
    return {
        "enable_order_book": True,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "accepting_orders": market.accepting,
        "accepting_order_timestamp": iso(market.start_ns),
        "minimum_order_size": rules.min_size_e6 // 1_000_000,
        "minimum_tick_size": market.tick_e4 / ONE_E4,
        "condition_id": market.condition_id,
        "question_id": market.question_id,
        "question": market.question,
        "description": market.question,
        "market_slug": market.slug,
        "end_date_iso": iso(market.end_ns) if market.end_ns else None,
        "game_start_time": None,
        "seconds_delay": rules.sd_s,
        "fpmm": "",
        "maker_base_fee": 0,
        "taker_base_fee": 0,
        "notifications_enabled": True,
        "neg_risk": rules.neg_risk,
        "neg_risk_market_id": market.event.neg_risk_id,
        "neg_risk_request_id": market.question_id if rules.neg_risk else "",
        "icon": "",
        "image": "",
        "rewards": _long_rewards(market),
        "is_50_50_outcome": False,
        "tokens": [
            {
                "token_id": token,
                "outcome": market.outcomes[outcome],
                "price": yes if outcome == YES else 1 - yes,
                "winner": market.winner == outcome,
            }
            for outcome, token in enumerate(market.tokens)
        ],
        "tags": [rules.category],
    }


def mid_e5(market: Market, outcome: int) -> int | None:
    """Return the midpoint (1e-5 dollar), None when a side is empty."""
    bid, ask = best_e4(market, outcome)
    return None if bid is None or ask is None else (bid + ask) * 5


def best_e4(market: Market, outcome: int) -> tuple[int | None, int | None]:
    """Return a token's best bid and ask, None for an empty side."""
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    if outcome == YES:
        return bid, ask
    return None if ask is None else ONE_E4 - ask, None if bid is None else ONE_E4 - bid


def _compact_rewards(market: Market) -> dict[str, Any] | None:
    """Return the reward terms of the compact object. Source: 1.2.

    Without rewards it is empty, as the vendor's specification shows it, and null on protocol v2.
    """
    rules = market.rules
    if not rules.reward_daily_e6:
        return {} if market.version == "v1" else None
    return {
        "mi": rules.reward_min_size_e6 // 1_000_000,
        "ma": rules.reward_spread_e4 / CENT_E4,
        "e": True,
        "moas": rules.reward_age_ms / 1000,
        "smoa": False,
    }


def _long_rewards(market: Market) -> dict[str, Any]:
    rules = market.rules
    if not rules.reward_daily_e6:
        return {"rates": None, "min_size": 0, "max_spread": 0}
    rate = {"asset_address": PUSD, "rewards_daily_rate": rules.reward_daily_e6 / 1e6}
    return {
        "rates": [rate],
        "min_size": rules.reward_min_size_e6 // 1_000_000,
        "max_spread": rules.reward_spread_e4 / CENT_E4,
    }
