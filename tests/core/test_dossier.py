"""Dossiers: packed, cut, told, joined again; what is broken is counted and never believed."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.dossier import DOSSIER_BYTES_MAX, Dossier, Dossiers, dossier_parts, pack_dossier
from lowlat.core.layout import DOSSIER, DOSSIER_DATA_BYTES
from lowlat.core.ports import EMPTY, OVERRUN

RAW = bytes(range(32))


def dossier(rules="Yes if it rains.", **changes):
    blank = dict.fromkeys((field.name for field in msgspec.structs.fields(Dossier)), None)
    return Dossier(
        **blank
        | {"condition_id": "0x" + RAW.hex(), "outcomes": ("Yes", "No"), "rules_text": rules}
        | changes
    )


class Told:
    """A stream reader over a list; None stands for an overrun."""

    def __init__(self, parts):
        self.parts = list(parts)
        self.buffer = memoryview(bytearray(DOSSIER.size_bytes))

    def poll(self):
        if not self.parts:
            return EMPTY
        part = self.parts.pop(0)
        if part is None:
            return OVERRUN
        DOSSIER.pack(self.buffer, part)
        return DOSSIER.kind


def parts_of(value, market=5, generation=1):
    return dossier_parts(RAW, market, generation, pack_dossier(value))


@settings(max_examples=50)
@given(st.text(max_size=6_000), st.lists(st.text(max_size=20), max_size=5))
def test_what_is_told_is_what_is_heard(rules, tags):
    value = dossier(rules, tags=tuple(tags), end_ns=7)
    heard = Dossiers(Told(parts_of(value)))
    assert heard.poll() == [5]
    assert heard.by_market == {5: value}


def long_dossier():
    """Words that hardly shrink when they are packed."""
    return dossier("".join(hashlib.sha256(bytes([at])).hexdigest() for at in range(100)))


def test_a_long_one_takes_several_records_and_is_repeated_without_effect():
    parts = parts_of(long_dossier())
    assert len(parts) > 2
    assert all(part.data_bytes <= DOSSIER_DATA_BYTES for part in parts)
    heard = Dossiers(Told([*parts, *parts]))
    assert heard.poll() == [5]
    assert heard.poll() == []


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_piece_or_an_overrun_waits_for_the_next_round(lost):
    parts = parts_of(long_dossier())
    broken = [*parts[:lost], *parts[lost + 1 :]]
    heard = Dossiers(Told([*broken, parts[0], None, *parts[1:]]))
    assert heard.poll() == []
    heard = Dossiers(Told([*broken, *parts]))
    assert heard.poll() == [5]


def test_another_generation_replaces_and_a_broken_one_does_not():
    first, second = dossier("one"), dossier("two")
    broken = [part._replace(data=b"x" * 900, generation=3) for part in parts_of(second)]
    heard = Dossiers(Told([*parts_of(first), *parts_of(second, generation=2), *broken]))
    assert heard.poll() == [5, 5]
    assert heard.by_market[5] == second
    assert heard.bad == 1


def test_a_dossier_of_another_market_than_its_record_says_is_bad():
    heard = Dossiers(Told(parts_of(dossier(condition_id="0x" + "11" * 32))))
    assert heard.poll() == []
    assert heard.bad == 1


def test_endless_rules_lose_their_end_and_endless_names_are_refused():
    digest, data = pack_dossier(dossier("é" * DOSSIER_BYTES_MAX))
    assert digest
    assert len(data) < DOSSIER_BYTES_MAX
    assert pack_dossier(dossier(slug="é" * DOSSIER_BYTES_MAX)) is None
