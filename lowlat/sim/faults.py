"""Fault knobs: what may go wrong, how often, and until when. Seeded, changed while running."""

from random import Random
from typing import Any, Final

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.sim.config import FEEDS, FaultConfig

__all__ = ["MODES", "Faults"]

MS: Final = 1_000_000
MODES: Final = (
    "normal",
    "restart",
    "post_only",
    "cancel_only",
    "disabled",
    "rate_limited",
    "error",
)
"""What order entry answers: 425, 503 with post_only_mode, two more 503, 429, 500."""
DRAWS_OF: Final = 10_000


class Faults:
    """Current knobs plus the windows opened by the control endpoint."""

    def __init__(self, config: FaultConfig, rng: Random) -> None:
        self.config = config
        self._rng = rng
        self._once: dict[str, int] = {}
        self._windows: list[tuple[str, int, int]] = []
        self.frozen_until_ns = 0
        """Sockets send no data before this, though PONG lives."""
        self.frozen_feeds: dict[str, int] = {}
        """The same, feed by feed."""
        self.hits: dict[str, int] = {}

    def change(self, values: dict[str, Any]) -> None:
        """Replace knobs by name; raises ConfigError for unknown names and wrong types."""
        unknown = sorted(set(values) - set(FaultConfig.__struct_fields__))
        if unknown:
            allowed = ", ".join(FaultConfig.__struct_fields__)
            raise ConfigError(f"faults.{unknown[0]} is unknown, allowed: {allowed}")
        merged = msgspec.to_builtins(self.config) | values
        try:
            config = msgspec.convert(merged, FaultConfig)
        except msgspec.ValidationError as error:
            raise ConfigError(f"faults: {error}") from error
        config.validate()
        self.config = config

    def wall_ns(self, now_ns: int) -> int:
        """Return what the venue's clock shows."""
        return now_ns + self.config.clock_skew_ms * MS

    def freeze(self, feed: str, until_ns: int) -> None:
        """Send no data on one feed, or with "" on any, before a time."""
        if not feed:
            self.frozen_until_ns = until_ns
        elif feed in FEEDS:
            self.frozen_feeds[feed] = until_ns
        else:
            raise ConfigError(f"feed was {feed!r}, allowed: {', '.join(FEEDS)}")

    def strikes(self, what: str, share_e4: int) -> bool:
        """Draw a share that belongs to a rule; hits are counted by name."""
        if not share_e4 or self._rng.randrange(DRAWS_OF) >= share_e4:
            return False
        self.hits[what] = self.hits.get(what, 0) + 1
        return True

    def arm(self, name: str, count: int) -> None:
        """Let the next ``count`` draws of a share knob hit for certain."""
        if name not in FaultConfig.__struct_fields__ or not name.endswith("_e4"):
            raise ConfigError(f"fault {name!r} cannot be armed, expected a knob ending in _e4")
        self._once[name] = self._once.get(name, 0) + count

    def may_hit(self, name: str) -> bool:
        """Say whether a fault could strike at all."""
        return bool(self._once.get(name) or getattr(self.config, name))

    def hit(self, name: str) -> bool:
        """Draw whether this fault strikes now."""
        armed = self._once.get(name, 0)
        if armed:
            self._once[name] = armed - 1
            strikes = True
        else:
            share = getattr(self.config, name)
            strikes = bool(share) and self._rng.randrange(DRAWS_OF) < share
        if strikes:
            self.hits[name] = self.hits.get(name, 0) + 1
        return strikes

    def open_window(self, mode: str, now_ns: int, duration_ns: int) -> None:
        """Answer order entry by ``mode`` for a while; a restart is followed by post-only."""
        if mode not in MODES:
            raise ConfigError(f"mode was {mode!r}, allowed: {', '.join(MODES)}")
        if mode == "normal":
            self._windows.clear()
            return
        self._windows.append((mode, now_ns, now_ns + duration_ns))
        if mode == "restart":
            end_ns = now_ns + duration_ns
            self._windows.append(("post_only", end_ns, end_ns + duration_ns))

    def mode(self, now_ns: int) -> tuple[str, int]:
        """Return the mode in force and the seconds until it ends (0 when normal)."""
        self._windows = [w for w in self._windows if now_ns < w[2]]
        for mode, start_ns, end_ns in self._windows:
            if start_ns <= now_ns:
                return mode, -(-(end_ns - now_ns) // 1_000_000_000)
        return "normal", 0

    def latency_ns(self) -> int:
        """Draw how long an order request waits before the venue looks at it."""
        config = self.config
        return self.draw_ns(config.latency_ms, config.latency_tail_e4, config.latency_tail_ms)

    def draw_ns(self, between_ms: tuple[int, int], tail_e4: int = 0, tail_ms: int = 0) -> int:
        """Draw a latency between its ends, or with a share from its long tail."""
        low, high = between_ms
        if not high and not tail_e4:
            return 0
        if tail_e4 and self._rng.randrange(DRAWS_OF) < tail_e4:
            low, high = high, max(high, tail_ms)
        return self._rng.randint(low * 1000, high * 1000) * 1000
