"""The indexer's old paths: bare camelCase lists, still answered beside the new ones. Pure.

Source: polymarket.md 11.2; field names as polymarket-apis 0.5 reads them.
"""

from typing import Any, Final

from lowlat.core.units import ONE_E4
from lowlat.sim import data_rows as rows
from lowlat.sim.catalog import iso
from lowlat.sim.indexer import Deed

__all__ = ["activity", "closed_position", "holders", "leader", "position", "trade"]

NS: Final = 1_000_000_000


def trade(deed: Deed) -> dict[str, Any]:
    """Return a row of /trades."""
    row = rows.trade(deed)
    return {
        "proxyWallet": row["proxy_wallet"],
        "asset": row["token_id"],
        "conditionId": row["condition_id"],
        "side": row["side"],
        "size": deed.size_e6 / 1e6,
        "price": deed.price_e4 / ONE_E4,
        "timestamp": row["timestamp"],
        "transactionHash": row["transaction_hash"],
        "title": row["title"],
        "slug": row["slug"],
        "eventSlug": row["event_slug"],
        "outcome": row["outcome"],
        "outcomeIndex": row["outcome_index"],
        "name": "",
        "pseudonym": row["pseudonym"],
        "bio": "",
        "icon": "",
        "profileImage": "",
        "profileImageOptimized": "",
    }


def activity(deed: Deed) -> dict[str, Any]:
    """Return a row of /activity."""
    return trade(deed) | {"type": deed.kind, "usdcSize": deed.cash_e6 / 1e6}


def position(row: rows.Position) -> dict[str, Any]:
    """Return a row of /positions."""
    market = row.market
    return {
        **_head(row),
        "size": row.size_e6 / 1e6,
        "initialValue": row.cost_e6 / 1e6,
        "currentValue": row.value_e6 / 1e6,
        "cashPnl": row.gained_e6 / 1e6,
        "percentPnl": rows.percent(row.gained_e6, row.cost_e6),
        "percentRealizedPnl": rows.percent(row.realized_e6, row.cost_e6),
        "redeemable": row.is_a("REDEEMABLE"),
        "mergeable": row.mergeable,
        "eventId": market.event.id,
        "negativeRisk": market.rules.neg_risk,
    }


def closed_position(row: rows.Position) -> dict[str, Any]:
    """Return a row of /closed-positions."""
    assert row.stake is not None, "a closed position has a history"
    return {**_head(row), "timestamp": row.stake.last_ns // NS}


def _head(row: rows.Position) -> dict[str, Any]:
    market, outcome = row.market, row.outcome
    return {
        "proxyWallet": row.wallet,
        "asset": market.tokens[outcome],
        "conditionId": market.condition_id,
        "avgPrice": row.average,
        "totalBought": row.bought_e6 / 1e6,
        "realizedPnl": row.realized_e6 / 1e6,
        "curPrice": row.price_e4 / ONE_E4,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "eventSlug": market.event.slug,
        "outcome": market.outcomes[outcome],
        "outcomeIndex": outcome,
        "oppositeAsset": market.tokens[1 - outcome],
        "oppositeOutcome": market.outcomes[1 - outcome],
        "endDate": iso(market.end_ns)[:10] if market.end_ns else "",
    }


def holders(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of /holders."""
    return {
        "token": row["token_id"],
        "holders": [
            {
                "proxyWallet": each["proxy_wallet"],
                "asset": each["token_id"],
                "amount": float(each["amount"]),
                "outcomeIndex": each["outcome_index"],
                "name": "",
                "pseudonym": each["pseudonym"],
                "bio": "",
                "profileImage": "",
                "profileImageOptimized": "",
                "displayUsernamePublic": True,
                "verified": False,
            }
            for each in row["holders"]
        ],
    }


def leader(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of /v1/leaderboard."""
    return {
        "rank": str(row["rank"]),
        "proxyWallet": row["user_id"],
        "userName": row["user_name"],
        "xUsername": "",
        "verifiedBadge": False,
        "vol": row["volume"],
        "pnl": row["pnl"],
        "profileImage": "",
    }
