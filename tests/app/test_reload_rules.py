"""Which keys may change live, which way is tighter, and that no key is forgotten."""

import msgspec
import pytest
from config_text import GOOD
from hypothesis import given
from hypothesis import strategies as st

from lowlat.app.config import EngineConfig, SettlementConfig
from lowlat.app.reload_rules import (
    TIGHTER,
    Change,
    Course,
    course_of,
    differences,
    needs_restart,
)
from lowlat.core.config import build_config, change_value, decode_config, effective_config
from lowlat.execution.params import ExecutorParams, HardLimits
from lowlat.risk.limits import LimitsParams

BASE = decode_config(GOOD, EngineConfig)
RESTART_LIMITS = {"limits.shard_silent_ns_max", "limits.size_rungs_e6"}
"""Bound into compiled state when risk is made."""


def changed(*pairs):
    raw = msgspec.to_builtins(BASE)
    for key, value in pairs:
        raw = change_value(raw, key, value)
    return build_config(raw, EngineConfig)


def test_every_limit_is_either_live_or_named_as_needing_a_restart():
    limits = {f"limits.{each.name}" for each in msgspec.structs.fields(LimitsParams)}
    hard = {f"execution.limits.{each.name}" for each in msgspec.structs.fields(HardLimits)}
    by_module = {"limits.module_budgets_max_ppm", "limits.exits"}
    assert limits - TIGHTER.keys() == RESTART_LIMITS | by_module
    assert hard <= TIGHTER.keys()
    settlement = {f"settlement.{each.name}" for each in msgspec.structs.fields(SettlementConfig)}
    assert settlement - TIGHTER.keys() == {"settlement.enabled"}
    execution = {f"execution.{each.name}" for each in msgspec.structs.fields(ExecutorParams)}
    assert TIGHTER.keys() <= limits | hard | settlement | execution, "a key that does not exist"


def test_what_the_order_path_is_made_with_needs_a_restart():
    """Pool, compiled path and pace copy their parameters when they are made."""
    made_with = ("template_", "hot_", "orders_", "cancels_", "breaker_", "answer_timeout_ns")
    for each in msgspec.structs.fields(ExecutorParams):
        if each.name.startswith(made_with) or each.name in {"intents_per_turn", "limits"}:
            assert f"execution.{each.name}" not in TIGHTER


def test_exits_of_modules_change_live_and_are_neither_tighter_nor_looser():
    change = Change("limits.exits.latency.stop_ppm", None, 200_000)
    assert needs_restart([change]) == []
    assert course_of([change]) is Course.NEUTRAL


def test_every_other_key_is_refused_by_name():
    """Each key of the whole config, changed alone."""
    for line in effective_config(BASE):
        key = line.split(" = ", 1)[0]
        live = key in TIGHTER or key.startswith("modules.")
        assert needs_restart([Change(key, 1, 2)]) == ([] if live else [key])


@pytest.mark.parametrize(
    ("pairs", "course"),
    [
        ([], Course.NEUTRAL),
        ([("limits.orphans_sell", "true")], Course.NEUTRAL),
        ([("limits.orders_per_s", "29")], Course.TIGHTENING),
        ([("limits.orders_per_s", "31")], Course.LOOSENING),
        ([("limits.order_notional_e6_min", "2_000_000")], Course.TIGHTENING),
        ([("limits.order_notional_e6_min", "1")], Course.LOOSENING),
        ([("limits.expected_value_usd_min", "0.5")], Course.TIGHTENING),
        ([("limits.group_wait_ns", "1")], Course.NEUTRAL),
        ([("limits.kelly_ppm", "100_000")], Course.TIGHTENING),
        ([("limits.kelly_ppm", "0")], Course.LOOSENING),
        ([("limits.module_budgets_max_ppm.latency", "1_000_000")], Course.TIGHTENING),
        ([("limits.module_budgets_max_ppm.latency", "0")], Course.TIGHTENING),
        ([("limits.orders_per_s", "29"), ("limits.orders_burst", "50")], Course.MIXED),
        ([("limits.orders_per_s", "29"), ("limits.orders_burst", "40")], Course.TIGHTENING),
        ([("execution.limits.book_age_max_ns", "5")], Course.TIGHTENING),
        ([("modules.arbitrage.mode", "off")], Course.TIGHTENING),
        ([("modules.arbitrage.mode", "live")], Course.LOOSENING),
        ([("modules.latency.mode", "shadow")], Course.LOOSENING),
        ([("modules.latency.mode", "off")], Course.NEUTRAL),
        ([("modules.arbitrage.params.x", "1")], Course.NEUTRAL),
        ([("modules.arbitrage.mode", "off"), ("limits.orders_per_s", "31")], Course.MIXED),
    ],
)
def test_the_course_is_what_all_changes_together_allow(pairs, course):
    assert course_of(differences(BASE, changed(*pairs))) is course


def test_going_back_is_the_opposite_course():
    opposite = {
        Course.TIGHTENING: Course.LOOSENING,
        Course.LOOSENING: Course.TIGHTENING,
        Course.MIXED: Course.MIXED,
        Course.NEUTRAL: Course.NEUTRAL,
    }
    for pairs in (
        [("limits.orders_per_s", "29")],
        [("execution.limits.book_age_max_ns", "5")],
        [("modules.latency.mode", "paper")],
        [("modules.arbitrage.mode", "off"), ("limits.orders_per_s", "31")],
    ):
        other = changed(*pairs)
        there = course_of(differences(BASE, other))
        assert course_of(differences(other, BASE)) is opposite[there]


def test_a_module_that_comes_or_goes_is_a_mode_like_any_other():
    added = differences(BASE, changed(("modules.latency.mode", "paper")))
    assert [str(each) for each in added] == ['modules.latency.mode: (none) -> "paper"']
    assert needs_restart(added) == []


def test_true_is_not_one():
    assert differences(BASE, changed(("limits.single_fill_or_kill", "true")))
    assert [each.key for each in differences(BASE, changed(("limits.single_fill_or_kill", "true")))]


@given(
    st.dictionaries(
        st.sampled_from([key for key in TIGHTER if key.endswith(("_e6_max", "_per_s", "_max"))]),
        st.integers(1, 100),
        max_size=5,
    )
)
def test_differences_are_exactly_the_keys_that_changed(values):
    raw = msgspec.to_builtins(BASE)
    flat = dict(line.split(" = ", 1) for line in effective_config(BASE))
    for key, value in values.items():
        raw = change_value(raw, key, str(value))
    new = msgspec.convert(raw, EngineConfig, strict=True)
    found = {each.key: (each.old, each.new) for each in differences(BASE, new)}
    assert found == {
        key: (int(flat[key]), value) for key, value in values.items() if flat[key] != str(value)
    }
