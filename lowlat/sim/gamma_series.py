"""Series, related tags and profiles of the metadata service. Pure.

A series is the row of events that come back each five minutes, hour or day. Source: polymarket.md
11.1, feeds.md 3.1 (ids and slugs).
"""

import zlib
from typing import Any, Final

from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Event, iso

__all__ = ["profile", "recurrence_of", "related", "series_id", "series_json", "series_of"]

IDS: Final = {
    "btc-up-or-down-5m": "10684",
    "btc-up-or-down-15m": "10192",
    "btc-up-or-down-hourly": "10114",
    "btc-up-or-down-4h": "10331",
    "btc-up-or-down-daily": "41",
    "eth-up-or-down-5m": "10683",
    "eth-up-or-down-15m": "10191",
    "eth-up-or-down-daily": "40",
    "sol-up-or-down-daily": "10086",
}
"""Those seen live. Source: feeds.md 3.1."""


def series_id(slug: str) -> str:
    """Return the id of a series; of one that was never seen live it follows from its slug."""
    return IDS.get(slug) or str(20_000 + zlib.crc32(slug.encode()) % 80_000)


def recurrence_of(slug: str) -> str:
    """Return how often a series comes back, as its name ends."""
    return slug.rpartition("-")[2]


def series_json(slug: str) -> dict[str, Any]:
    """Return a series as events carry it."""
    return {
        "id": series_id(slug),
        "ticker": slug,
        "slug": slug,
        "title": slug.replace("-", " ").title(),
        "seriesType": "single",
        "recurrence": recurrence_of(slug),
        "active": True,
        "closed": False,
        "archived": False,
    }


def series_of(events: list[Event]) -> dict[str, list[Event]]:
    """Return the events of each series, by its slug."""
    found: dict[str, list[Event]] = {}
    for event in events:
        if event.series:
            found.setdefault(event.series, []).append(event)
    return found


def related(tag: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the links from a tag to those it appears with."""
    return [
        {
            "id": f"{tag['id']}{rank}",
            "tagID": int(tag["id"]),
            "relatedTagID": int(other["id"]),
            "rank": rank,
        }
        for rank, other in enumerate(others, 1)
    ]


def profile(account: Account, now_ns: int) -> dict[str, Any]:
    """Return what the site shows of a wallet: a pseudonym and nothing else."""
    return {
        "createdAt": iso(now_ns),
        "proxyWallet": account.wallet,
        "profileImage": "",
        "displayUsernamePublic": True,
        "bio": "",
        "pseudonym": f"Quiet-Trader-{account.wallet[2:8]}",
        "name": "",
        "users": [{"id": account.owner.lower(), "creator": False, "mod": False}],
        "xUsername": None,
        "verifiedBadge": False,
    }
