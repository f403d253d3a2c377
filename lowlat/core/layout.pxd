# Generated from lowlat/core/layout.py by tools/layout_header.py. Do not edit.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "layout.h" nogil:
    enum:
        LL_LAYOUT_VERSION
        LL_SLOT_HEAD_BYTES
        LL_BOOK_LEVELS
        LL_BOOK_TOP_LEVELS
        LL_SIGNAL_METADATA_BYTES
        LL_FRAME_DATA_BYTES
        LL_BOOKFLAG_STALE
        LL_BOOKFLAG_CROSSED
        LL_BOOKFLAG_LOCKED
        LL_BOOKFLAG_DIVERGED
        LL_BOOKFLAG_TRUNCATED
        LL_BOOKFLAG_CONFIRMED
        LL_ACTION_BUY
        LL_ACTION_SELL
        LL_OUTCOME_YES
        LL_OUTCOME_NO
        LL_KNOWN_TICK
        LL_KNOWN_FEE
        LL_KNOWN_DELAY
        LL_KNOWN_NEG_RISK
        LL_KNOWN_MIN_SIZE
        LL_KNOWN_STATUS
        LL_KNOWN_SETTLE_RULE
        LL_KNOWN_START_PRICE
        LL_KIND_BOOK_TOP
        LL_KIND_MARKET_STATE
        LL_KIND_RESET
        LL_KIND_SPOT_TOP
        LL_KIND_SETTLE
        LL_KIND_TRADE
        LL_KIND_FRAME
        LL_KIND_SIGNAL
        LL_KIND_INTENT
        LL_KIND_DECISION
        LL_KIND_REPORT
        LL_KIND_TURN
        LL_KIND_LISTING
        LL_KIND_DOSSIER
        LL_KIND_BOOK_ROW
        LL_KIND_MARKET_ROW
        LL_KIND_SHARD_ROW
        LL_KIND_ORDER_ROW
        LL_KIND_GROUP_ROW
        LL_KIND_POSITION_ROW
        LL_KIND_CASH_ROW
        LL_KIND_EXPOSURE_ROW
        LL_KIND_INTEREST_ROW
        LL_KIND_SCORE_ROW
        LL_KIND_STAKE_ROW
        LL_KIND_WANT_ROW

    ctypedef struct ll_book_top:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t version
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        uint32_t market
        uint32_t generation
        uint16_t book_flags
        uint16_t bid_count
        uint16_t ask_count
        uint8_t venue
        uint8_t changed_sides
        int32_t bid_price_e4[5]
        int32_t ask_price_e4[5]
        int64_t bid_size_e6[5]
        int64_t ask_size_e6[5]

    ctypedef struct ll_market_state:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t version
        int64_t event_ns
        int64_t recv_ns
        uint32_t market
        uint32_t generation
        uint16_t reason
        uint16_t status
        uint32_t tick_e4

    ctypedef struct ll_reset:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t recv_ns
        uint32_t previous_epoch
        uint32_t shard

    ctypedef struct ll_spot_top:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t update_id
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t bid_price_e8
        int64_t bid_size_e8
        int64_t ask_price_e8
        int64_t ask_size_e8
        uint16_t coin
        uint16_t venue
        uint32_t connection_generation
        int64_t lead_ppb

    ctypedef struct ll_settle:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t stamp_ns
        int64_t event_ns
        int64_t recv_ns
        int64_t published_ns
        int64_t price_e8
        int64_t price_rest_e18
        uint16_t coin
        uint16_t series
        uint8_t history

    ctypedef struct ll_trade:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t trade_id
        int64_t event_ns
        int64_t recv_ns
        int64_t published_ns
        int64_t price
        int64_t size
        uint32_t instrument
        uint32_t generation
        uint16_t coin
        uint8_t venue
        uint8_t taker_side

    ctypedef struct ll_frame:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t recv_ns
        int64_t wall_ns
        uint32_t connection
        uint32_t frame_bytes
        uint16_t part
        uint16_t parts
        uint16_t data_bytes
        uint8_t venue
        uint8_t direction
        uint8_t data[968]

    ctypedef struct ll_signal:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t expires_ns
        double confidence
        double expected_value
        int64_t size_suggestion_e6
        uint64_t group
        uint8_t market_id[32]
        uint8_t token_id[32]
        uint8_t module[16]
        uint32_t instrument
        uint32_t generation
        int32_t limit_price_e4
        uint8_t action
        uint8_t urgency
        uint8_t leg
        uint8_t legs
        uint16_t metadata_bytes
        uint16_t mode
        uint8_t metadata[300]

    ctypedef struct ll_intent:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t group
        uint64_t target
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t checked_ns
        int64_t expires_ns
        int64_t size_e6
        int64_t spend_e6
        int64_t unwind_reserve_e6
        int32_t unwind_price_e4
        int32_t limit_price_e4
        int32_t touch_price_e4
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint32_t expiration_s
        uint8_t action
        uint8_t order_type
        uint8_t urgency
        uint8_t intent_flags
        uint8_t leg
        uint8_t legs
        uint16_t mode
        uint8_t module[16]

    ctypedef struct ll_decision:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t intent
        int64_t decided_ns
        int64_t checked_ns
        int64_t size_suggestion_e6
        int64_t size_e6
        int64_t limit
        int64_t was
        double expected_value
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint16_t rule
        uint8_t approved
        uint8_t action
        int32_t limit_price_e4
        uint32_t group
        uint8_t module[16]

    ctypedef struct ll_report:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        uint64_t intent
        uint64_t group
        int64_t at_ns
        uint8_t order_id[32]
        uint8_t trade_id[16]
        int32_t price_e4
        uint32_t instrument
        uint32_t generation
        uint16_t reason
        uint8_t kind
        uint8_t order_state
        int64_t size_e6
        int64_t cash_e6
        int64_t fee_e6
        int64_t filled_e6
        int64_t position_e6
        int64_t cash_after_e6
        int64_t reserved_e6
        uint8_t action
        uint8_t order_type
        uint8_t leg
        uint8_t legs
        uint32_t group_state
        uint8_t module[16]
        uint8_t trade_text[40]
        uint32_t order_row

    ctypedef struct ll_turn:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t now_ns
        uint64_t market_cursor
        uint64_t spot_cursor
        uint64_t input_cursor
        uint64_t metadata_cursor
        uint64_t reports_cursor
        int64_t wall_offset_ns
        uint32_t writer

    ctypedef struct ll_listing:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        int64_t at_ns
        uint8_t condition_id[32]
        uint16_t reason
        uint16_t priority
        uint32_t score_usd
        uint8_t slug[64]

    ctypedef struct ll_dossier:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint8_t condition_id[32]
        uint64_t dossier_hash
        uint32_t market
        uint32_t generation
        uint32_t dossier_bytes
        uint16_t part
        uint16_t parts
        uint16_t data_bytes
        uint16_t spare
        uint8_t data[948]

    ctypedef struct ll_book_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t snapshot_event_ns
        uint32_t market
        uint32_t generation
        uint32_t connection_generation
        uint16_t shard
        uint16_t book_flags
        uint32_t tick_e4
        uint16_t bid_count
        uint16_t ask_count
        int32_t last_trade_price_e4
        uint32_t changes
        int64_t bid_depth_e6
        int64_t ask_depth_e6
        int32_t bid_price_e4[32]
        int32_t ask_price_e4[32]
        int64_t bid_size_e6[32]
        int64_t ask_size_e6[32]

    ctypedef struct ll_market_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t updated_ns
        uint8_t condition_id[32]
        uint8_t yes_token_id[32]
        uint8_t no_token_id[32]
        uint8_t event_id[32]
        uint64_t correlation_id
        int64_t start_ns
        int64_t end_ns
        int64_t min_size_e6
        int64_t fee_rate_e6
        int64_t start_price_e8
        int64_t start_price_rest_e18
        int64_t strike_e8
        uint32_t market
        uint32_t generation
        uint32_t known
        uint32_t tick_e4
        uint32_t taker_delay_ms
        uint32_t event_market_count
        uint16_t fee_exponent
        uint8_t fee_taker_only
        uint8_t status
        uint8_t exchange
        uint8_t neg_risk
        uint8_t neg_risk_augmented
        uint8_t winner
        uint8_t settle_rule
        uint8_t coin
        uint16_t settle_lookback_s
        uint8_t slug[64]
        uint8_t question[96]
        uint32_t wording
        int64_t listed_ns
        uint64_t rules_hash
        uint64_t source_hash
        uint64_t series_hash
        int64_t volume_e6
        int64_t liquidity_e6
        uint8_t dispute
        uint8_t dispute_count
        uint8_t rules_changes
        uint8_t category
        uint32_t reward_spread_e4
        int64_t reward_size_e6
        int64_t reward_day_e6
        uint32_t rebate_rate_e6
        uint32_t score_usd
        uint16_t priority
        uint8_t watch
        uint8_t rule_doubt

    ctypedef struct ll_shard_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t last_data_ns
        int64_t connected_ns
        uint32_t connection_generation
        uint16_t connections_alive
        uint8_t venue
        uint8_t alive
        uint32_t instruments
        uint32_t reconnects

    ctypedef struct ll_order_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        uint64_t signal
        uint64_t group
        uint8_t order_id[32]
        uint8_t token_id[32]
        int64_t event_ns
        int64_t recv_ns
        int64_t decoded_ns
        int64_t published_ns
        int64_t decided_ns
        int64_t checked_ns
        int64_t sent_ns
        int64_t acked_ns
        int64_t filled_ns
        int64_t size_e6
        int64_t maker_amount_e6
        int64_t taker_amount_e6
        int64_t filled_e6
        int64_t cash_e6
        int64_t fee_e6
        int64_t reserved_e6
        int32_t price_e4
        uint32_t instrument
        uint32_t generation
        uint32_t config_generation
        uint16_t reason
        uint8_t state
        uint8_t action
        uint8_t order_type
        uint8_t order_flags
        uint8_t leg
        uint8_t legs
        uint8_t module[16]
        int64_t confirmed_e6
        uint32_t expiration_s
        uint32_t lookups
        int64_t created_wall_ms
        uint64_t salt
        int32_t unwind_price_e4
        uint32_t retries
        int64_t claimed_e6

    ctypedef struct ll_group_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        uint64_t cause
        int64_t opened_ns
        int64_t deadline_ns
        int64_t changed_ns
        int64_t target_e6
        int64_t filled_low_e6
        int64_t filled_high_e6
        int64_t unwind_cost_e6
        int64_t unwind_reserve_e6
        uint8_t state
        uint8_t legs
        uint8_t legs_done
        uint8_t unwinds
        uint32_t dust_e6
        uint8_t module[16]

    ctypedef struct ll_position_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t size_e6
        int64_t confirmed_e6
        int64_t cost_e6
        int64_t realized_e6
        int64_t fees_e6
        uint8_t token_id[32]
        uint32_t instrument
        uint32_t generation

    ctypedef struct ll_cash_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t cash_e6
        int64_t reserved_e6
        int64_t fees_e6
        int64_t realized_e6
        int64_t reconciled_ns
        uint64_t report_position
        uint64_t redo_order
        int64_t redo_filled_e6
        int64_t redo_cash_e6
        int64_t redo_fee_e6
        int64_t redo_size_e6
        int64_t redo_cost_e6
        uint32_t redo_instrument
        uint32_t redo_generation

    ctypedef struct ll_exposure_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t worst_loss_e6
        int64_t limit_e6
        int64_t bankroll_e6
        int64_t equity_e6
        int64_t equity_peak_e6
        int64_t changed_ns
        uint32_t market
        uint32_t generation
        int64_t trailing_peak_e6
        int64_t day
        uint64_t key
        uint16_t scope
        uint16_t spare
        uint32_t members

    ctypedef struct ll_interest_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        int64_t changed_ns
        uint32_t used
        uint32_t spare
        uint32_t markets[112]

    ctypedef struct ll_score_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t day
        int64_t day_start_e6
        int64_t open_e6
        int64_t loss_limit_e6
        int64_t budget_e6
        int64_t used_e6
        int64_t promised_e6
        int64_t realized_e6
        int64_t promised_open_e6
        int64_t crossed_e6
        uint64_t fills
        uint64_t lots
        uint32_t damp_ppm
        uint32_t state
        uint8_t module[16]

    ctypedef struct ll_stake_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        uint64_t id
        int64_t size_e6
        int64_t cost_e6
        int64_t promised_e6
        int64_t opened_ns
        uint32_t instrument
        uint32_t generation
        uint8_t owner[16]

    ctypedef struct ll_want_row:
        uint64_t seq
        uint32_t epoch
        uint16_t slot_kind
        uint16_t slot_flags
        int64_t changed_ns
        int64_t ends_within_ns
        int64_t liquidity_e6_min
        int64_t volume_24h_e6_min
        uint16_t priority
        uint8_t used
        uint8_t neg_risk
        uint32_t spare
        uint8_t module[16]
        uint8_t tags[96]
        uint8_t series[96]
        uint8_t slug_prefixes[96]
