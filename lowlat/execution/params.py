"""What can be set about the executor. All of it may change live unless said otherwise."""

import msgspec

__all__ = ["ExecutorParams", "HardLimits"]

_MS: int = 1_000_000
_S: int = 1_000_000_000


class HardLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds that no order may pass, whatever risk said."""

    order_shares_max_e6: int = 10_000_000_000
    """Fat finger: shares of one order."""
    order_notional_max_e6: int = 1_000_000_000
    """Cash of one order."""
    open_notional_max_e6: int = 5_000_000_000
    """Cash that open orders and unwind reserves may hold together."""
    price_band_e4: int = 500
    """How far past the touch an order may reach."""
    price_min_e4: int = 1
    price_max_e4: int = 9_999
    book_age_max_ns: int = 0
    """Oldest book row to trade on; 0 = while its connection lives (a quiet market is fresh)."""


class ExecutorParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ExecutorEngine and what it drives. Units are in the names."""

    limits: HardLimits = HardLimits()
    # ------------------------------------------------------------------ pace
    orders_per_s: int = 40
    """Until the venue's headers name a tier. Source: polymarket.md 12.4."""
    orders_burst: int = 60
    orders_headroom: int = 10
    """Tokens of the order bucket that only unwinds may use."""
    cancels_per_s: int = 80
    cancels_burst: int = 120
    intents_per_turn: int = 16
    shard_silent_ns_max: int = 15 * _S
    """A shard that said nothing at all for so long is dead, and its books with it."""
    # ------------------------------------------------------------------ templates
    templates_max: int = 3_072
    template_rungs_e6: tuple[int, ...] = (10_000_000, 20_000_000, 50_000_000, 100_000_000)
    """Sizes kept signed, floored to the ladder of the tick; risk should size onto them."""
    template_fill_or_kill: bool = False
    """Keep FOK requests rendered; otherwise FAK. The other type costs a rendering."""
    template_reach_ticks: int = 2
    """Ticks on either side of the touch that are kept signed."""
    template_edge_ticks: int = 8
    """Ticks that far on the good side of the touch are too: an edge is a touch that jumps there."""
    template_age_max_ns: int = 60 * _S
    template_renew_s: int = 3
    """Idle turns renew the HMAC of templates older than this."""
    template_stale_s: int = 5
    """A template taken with an older HMAC is renewed on the spot."""
    hot_max: int = 128
    """(instrument, action) pairs kept signed."""
    hot_ttl_ns: int = 60 * _S
    rehearse: bool = True
    """Keep the way of orders in the caches where the executor's process never sleeps (ADR 0008)."""
    # ------------------------------------------------------------------ doubt
    answer_timeout_ns: int = 10 * _S
    """No answer and no word on the user channel for so long: look the order up."""
    terminal_timeout_ns: int = 3 * _S
    """A FOK or FAK with no final word for so long: look it up."""
    lookup_every_ns: int = 1 * _S
    unknown_window_ns: int = 30 * _S
    """Canceled by id and not found for so long: it never happened."""
    settle_timeout_ns: int = 30 * _S
    """A fill that is not final for so long is asked about."""
    lookups_max: int = 8
    """Look-ups in flight at a time."""
    # ------------------------------------------------------------------ errors
    breaker_errors_max: int = 5
    breaker_window_ns: int = 10 * _S
    breaker_open_ns: int = 5 * _S
    retry_count_max: int = 1
    """Times one intent is sent again after the venue said that it did not happen."""
    retry_budget_per_min: int = 30
    retry_delay_ns: int = 200 * _MS
    """Mean of the jittered wait before a retry."""
    # ------------------------------------------------------------------ groups
    group_batch: bool = True
    """All legs in one POST /orders; otherwise the thinnest first."""
    group_deadline_ns: int = 2 * _S
    """From leg one to legs that are equal, or unwinding."""
    group_dust_e6: int = 10_000
    unwind_deadline_ns: int = 2 * _S
    unwind_attempts_max: int = 4
    """Rounds of orders that one unwinding may send, each at the bounded worst price."""
    # ------------------------------------------------------------------ the rest
    markets_wait_ns: int = 10 * _S
    """After a reboot: how long to wait for the markets of what the journal says we hold."""
    heartbeat_every_ns: int = 5 * _S
    balance_check_every_ns: int = 60 * _S
    ended_check_every_ns: int = 5 * _S
    """Balances of tokens whose market is over, while any are held: they are paid out unasked."""
    trades_overlap_s: int = 120
    """Trades are read from this long before the first order that is not final."""
    cancel_foreign: bool = True
    """At start, cancel resting orders of this key that are not in our books."""
