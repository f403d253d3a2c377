"""Rate limits: sliding windows an address, token buckets a signer with their response headers.

Source: polymarket.md 12.4.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from lowlat.sim.wire import Request

__all__ = [
    "DATA_LIMITS",
    "GAMMA_LIMITS",
    "TIERS",
    "Bucket",
    "Buckets",
    "IpLimits",
    "Tier",
    "tier_of",
]

NS: Final = 1_000_000_000


class Tier(NamedTuple):
    """What a signer may do a second, by its volume of 30 days."""

    name: str
    volume_e6: int
    order_rate: int
    order_burst: int
    cancel_rate: int
    cancel_burst: int


TIERS: Final = (
    Tier("Standard", 0, 40, 60, 80, 120),
    Tier("Copper", 30_000 * 10**6, 60, 90, 120, 180),
    Tier("Bronze", 50_000 * 10**6, 80, 120, 160, 240),
    Tier("Silver", 100_000 * 10**6, 200, 300, 400, 600),
    Tier("Gold", 500_000 * 10**6, 400, 600, 800, 1_200),
    Tier("Platinum", 2_500_000 * 10**6, 450, 675, 900, 1_350),
    Tier("Diamond", 5_000_000 * 10**6, 525, 787, 1_050, 1_575),
    Tier("Elite", 10_000_000 * 10**6, 600, 900, 1_200, 1_800),
)


def tier_of(volume_e6: int) -> Tier:
    """Return the tier of a 30-day volume."""
    return next(tier for tier in reversed(TIERS) if volume_e6 >= tier.volume_e6)


class Bucket:
    """Refills at ``rate`` a second up to ``burst``; integers of a billionth token."""

    __slots__ = ("_at_ns", "_burst_nano", "_rate", "_tokens_nano", "_warned", "_warns", "tier")

    def __init__(
        self, tier: str, rate: int, burst: int, now_ns: int, *, warns: bool = False
    ) -> None:
        self.tier = tier
        self._warns = warns
        """Too much is let through with a warning, as in the weeks before the venue enforced it."""
        self._warned = False
        self._rate = rate
        self._burst_nano = burst * NS
        self._tokens_nano = burst * NS
        self._at_ns = now_ns

    def take(self, cost: int, now_ns: int) -> bool:
        """Take ``cost`` tokens, all or none."""
        grown = max(0, now_ns - self._at_ns) * self._rate
        self._tokens_nano = min(self._burst_nano, self._tokens_nano + grown)
        self._at_ns = now_ns
        self._warned = self._warns and self._tokens_nano < cost * NS
        if self._tokens_nano < cost * NS and not self._warns:
            return False
        self._tokens_nano = max(0, self._tokens_nano - cost * NS)
        return True

    def headers(self, *, refused: bool) -> tuple[tuple[str, str], ...]:
        """Return the headers every order answer carries; Retry-After on a refusal."""
        remaining = self._tokens_nano // NS
        reset_s = -(-(self._burst_nano - self._tokens_nano) // (self._rate * NS))
        headers: tuple[tuple[str, str], ...] = (
            ("Poly-RateLimit-Remaining", str(remaining)),
            ("Poly-RateLimit-Reset", str(reset_s)),
            ("Poly-RateLimit-Tier", self.tier),
        )
        if self._warned:
            headers = (*headers, ("Poly-RateLimit-Warning", "true"))
        return (*headers, ("Retry-After", "1")) if refused else headers

    def grow(self, tier: str, rate: int, burst: int) -> None:
        """Move to another tier; what is left stays left."""
        self.tier = tier
        self._rate = rate
        self._burst_nano = burst * NS


class Buckets:
    """A bucket a signer, made when first seen, of the tier its volume gives now."""

    def __init__(
        self, terms_of: Callable[[str, int], tuple[str, int, int]], *, warns: bool
    ) -> None:
        self._terms_of = terms_of
        self._warns = warns
        self._by_owner: dict[str, Bucket] = {}

    def of(self, owner: str, now_ns: int) -> Bucket:
        """Return a signer's bucket."""
        terms = self._terms_of(owner, now_ns)
        bucket = self._by_owner.get(owner)
        if bucket is None:
            bucket = self._by_owner[owner] = Bucket(*terms, now_ns, warns=self._warns)
        elif bucket.tier != terms[0]:
            bucket.grow(*terms)
        return bucket


Limits = Mapping[str, tuple[tuple[int, int], ...]]
LEDGER: Final = "/data/"
_TEN: Final = 10
_TEN_MINUTES: Final = 600
CLOB_LIMITS: Final[Limits] = {
    "": ((9_000, _TEN),),
    **dict.fromkeys(("/book", "/price", "/midpoint"), ((1_500, _TEN),)),
    **dict.fromkeys(("/books", "/prices", "/midpoints"), ((500, _TEN),)),
    "/prices-history": ((1_000, _TEN),),
    "/tick-size": ((200, _TEN),),
    "/ok": ((100, _TEN),),
    LEDGER: ((900, _TEN),),
    **dict.fromkeys(("/data/orders", "/data/trades"), ((500, _TEN),)),
    "/balance-allowance": ((200, _TEN),),
    "/balance-allowance/update": ((50, _TEN),),
    "/auth/api-key": ((100, _TEN),),
    "/auth/derive-api-key": ((100, _TEN),),
    "POST /order": ((5_000, _TEN), (120_000, _TEN_MINUTES)),
    "DELETE /order": ((5_000, _TEN), (120_000, _TEN_MINUTES)),
    "POST /orders": ((2_000, _TEN), (21_000, _TEN_MINUTES)),
    "DELETE /orders": ((2_000, _TEN), (15_000, _TEN_MINUTES)),
    "/cancel-all": ((250, _TEN), (6_000, _TEN_MINUTES)),
    "/cancel-market-orders": ((1_500, _TEN), (21_000, _TEN_MINUTES)),
}
"""Requests an address within so many seconds: in all (""), of the ledger in all (``/data/``), by
path or by method and path."""
GAMMA_LIMITS: Final[Limits] = {
    "": ((4_000, _TEN),),
    **dict.fromkeys(("/events", "/events/keyset"), ((500, _TEN),)),
    **dict.fromkeys(("/markets", "/markets/keyset"), ((300, _TEN),)),
}
DATA_LIMITS: Final[Limits] = {
    "": ((1_000, _TEN),),
    **dict.fromkeys(("/trades", "/v2/trades"), ((200, _TEN),)),
    **dict.fromkeys(("/positions", "/v2/positions"), ((150, _TEN),)),
}


class _Window:
    """Counts within a sliding window: this interval, and the last one by what is left of it."""

    __slots__ = ("_count", "_interval", "_last", "_length_ns", "_limit")

    def __init__(self, limit: int, length_s: int) -> None:
        self._limit = limit
        self._length_ns = length_s * NS
        self._interval = 0
        self._count = 0
        self._last = 0

    def take(self, now_ns: int) -> bool:
        interval, into_ns = divmod(now_ns, self._length_ns)
        if interval != self._interval:
            self._last = self._count if interval == self._interval + 1 else 0
            self._count = 0
            self._interval = interval
        weighted = self._count + self._last * (self._length_ns - into_ns) // self._length_ns
        if weighted >= self._limit:
            return False
        self._count += 1
        return True


class IpLimits:
    """Windows by address and path; an address that asks too often is told 429."""

    def __init__(self, limits: Limits = CLOB_LIMITS) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], list[_Window]] = {}

    def take(self, request: Request, now_ns: int) -> bool:
        """Count a request; False when a window is full."""
        path = request.path
        if path not in self._limits:
            path = LEDGER if path.startswith(LEDGER) else f"{request.method} {path}"
        windows = self._of(request.address, path if path in self._limits else "")
        fit = True
        for window in windows:
            fit &= window.take(now_ns)
        return fit

    def _of(self, address: str, path: str) -> list[_Window]:
        windows = self._windows.get((address, path))
        if windows is None:
            windows = [_Window(*each) for each in self._limits[path]]
            if path:
                above = LEDGER if path.startswith(LEDGER) and path != LEDGER else ""
                windows = [*self._of(address, above), *windows]
            self._windows[address, path] = windows
        return windows
