"""Generations: written once, whole, checked again by whoever reads them."""

import msgspec
import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig
from lowlat.app.generations import (
    config_in_force,
    newest_number,
    read_generation,
    told_generation,
    write_generation,
)
from lowlat.app.names import SUPERVISOR, generation_word
from lowlat.core.config import build_config, change_value, decode_config
from lowlat.core.errors import ConfigError
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments


def good(**changes):
    raw = msgspec.to_builtins(decode_config(GOOD, EngineConfig))
    for key, value in changes.items():
        raw = change_value(raw, key.replace("__", "."), value)
    return build_config(raw, EngineConfig)


def test_what_is_read_is_what_was_written(home):
    config = good(limits__orders_per_s="7", modules__latency__mode="shadow")
    path = write_generation("t1", 3, config, 99)
    found = read_generation("t1", 3)
    assert (found.number, found.wall_ns) == (3, 99)
    assert found.config == config
    assert path.stat().st_mode & 0o777 == 0o400
    assert newest_number("t1") == 3


def test_a_number_is_never_written_twice(home):
    write_generation("t1", 1, good(), 1)
    with pytest.raises(ConfigError, match="generation 1 was written before"):
        write_generation("t1", 1, good(limits__orders_per_s="7"), 2)
    assert read_generation("t1", 1).config == good()


@pytest.mark.parametrize("number", [0, -1, 2**32])
def test_a_number_that_no_order_can_carry_is_refused(home, number):
    with pytest.raises(ConfigError, match=f"generation was {number}"):
        write_generation("t1", number, good(), 1)


@pytest.mark.parametrize("cut", [0, 1, 50, 200, -1])
def test_half_a_file_is_refused(home, cut):
    path = write_generation("t1", 1, good(), 1)
    raw = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(raw[:cut])
    with pytest.raises(ConfigError, match=r"generation 1: .* is damaged"):
        read_generation("t1", 1)


def test_a_changed_file_is_refused(home):
    path = write_generation("t1", 1, good(), 1)
    path.chmod(0o600)
    raw = path.read_bytes()
    changed = raw.replace(b'"orders_per_s":30', b'"orders_per_s":99')
    assert changed != raw
    path.write_bytes(changed)
    with pytest.raises(ConfigError, match="its digest differs"):
        read_generation("t1", 1)


def test_a_missing_file_is_named(home):
    with pytest.raises(ConfigError, match=r"generation 5: .*5\.json"):
        read_generation("t1", 5)


def test_only_the_newest_are_kept_and_numbers_go_on(home, monkeypatch):
    monkeypatch.setattr("lowlat.app.generations._KEPT", 3)
    for number in range(1, 8):
        write_generation("t1", number, good(), number)
    assert newest_number("t1") == 7
    assert read_generation("t1", 5).wall_ns == 5
    with pytest.raises(ConfigError, match=r"4\.json"):
        read_generation("t1", 4)


def test_without_a_supervisor_a_process_starts_on_its_file(home):
    config = good()
    assert told_generation("t1", "engine") == 0
    assert config_in_force(config, "engine").config is config


def test_a_process_starts_on_the_generation_it_is_told(instance):
    config = good(instance=f'"{instance}"')
    newer = good(instance=f'"{instance}"', limits__orders_per_s="7")
    write_generation(instance, 4, newer, 1)
    segments = create_segments(instance, streams={}, tables={}, stats=[SUPERVISOR])
    with Attachment(instance, SUPERVISOR) as attachment:
        stats = attachment.open_stats()
        assert config_in_force(config, "engine").number == 0, "no word yet"
        stats.gauge(generation_word("engine")).set(4)
        found = config_in_force(config, "engine")
        assert (found.number, found.config.limits.orders_per_s) == (4, 7)
        stats.gauge(generation_word("engine")).set(5)
        with pytest.raises(ConfigError, match="generation 5"):
            config_in_force(config, "engine")
    segments.unlink()


def test_a_generation_of_another_instance_is_refused(instance, monkeypatch):
    monkeypatch.setattr("lowlat.app.generations.told_generation", lambda *_: 1)
    write_generation(instance, 1, good(), 1)
    with pytest.raises(ConfigError, match="generation 1 is of instance 't1'"):
        config_in_force(good(instance=f'"{instance}"'), "engine")


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("limits.orders_per_sec", "7", "did you mean orders_per_s"),
        ("limits.orders_per_s", "many", "limits.orders_per_s was 'many'"),
        ("limits.orders_per_s", "0", "limits.orders_per_s"),
        ("limits.orders_per_s", "1\nmode = 'live'", "more than one value"),
        ("limits..orders_per_s", "1", "expected section.key"),
        ("instance.name", "1", "instance is no section"),
        ("modules.arbitrage.mode", "on", "modules.arbitrage.mode was 'on'"),
        ("modules.arbitrage.mode", "'on'", "modules.arbitrage.mode was 'on'"),
    ],
)
def test_a_bad_value_is_one_message_that_names_it(key, text, words):
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        good(**{key.replace(".", "__"): text})


def test_setting_a_value_changes_a_copy():
    raw = {"a": {"b": 1}, "c": 2}
    assert change_value(raw, "a.b", "[1, 2]") == {"a": {"b": [1, 2]}, "c": 2}
    assert change_value(raw, "x.y.z", "word") == {"a": {"b": 1}, "c": 2, "x": {"y": {"z": "word"}}}
    assert raw == {"a": {"b": 1}, "c": 2}
