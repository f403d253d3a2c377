"""Token buckets an API key, orders and cancels apart, as the response headers tell them.

Source: polymarket.md 12.4.
"""

from typing import Final

__all__ = ["Bucket", "Buckets"]

NS: Final = 1_000_000_000


class Bucket:
    """Refills at ``rate`` a second up to ``burst``; integers of a billionth token."""

    __slots__ = ("_at_ns", "_burst_nano", "_rate", "_tokens_nano")

    def __init__(self, rate: int, burst: int, now_ns: int) -> None:
        self._rate = rate
        self._burst_nano = burst * NS
        self._tokens_nano = burst * NS
        self._at_ns = now_ns

    def take(self, cost: int, now_ns: int) -> bool:
        """Take ``cost`` tokens, all or none."""
        grown = max(0, now_ns - self._at_ns) * self._rate
        self._tokens_nano = min(self._burst_nano, self._tokens_nano + grown)
        self._at_ns = now_ns
        if self._tokens_nano < cost * NS:
            return False
        self._tokens_nano -= cost * NS
        return True

    def headers(self, *, refused: bool) -> tuple[tuple[str, str], ...]:
        """Return the headers every order answer carries; Retry-After on a refusal."""
        remaining = self._tokens_nano // NS
        reset_s = -(-(self._burst_nano - self._tokens_nano) // (self._rate * NS))
        headers = (
            ("Poly-RateLimit-Remaining", str(remaining)),
            ("Poly-RateLimit-Reset", str(reset_s)),
            ("Poly-RateLimit-Tier", "Standard"),
        )
        return (*headers, ("Retry-After", "1")) if refused else headers


class Buckets:
    """A bucket a signer, made when first seen."""

    def __init__(self, rate: int, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._by_owner: dict[str, Bucket] = {}

    def of(self, owner: str, now_ns: int) -> Bucket:
        """Return a signer's bucket."""
        bucket = self._by_owner.get(owner)
        if bucket is None:
            bucket = self._by_owner[owner] = Bucket(self._rate, self._burst, now_ns)
        return bucket
