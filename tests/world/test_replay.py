"""A captured world lives again to the byte; whatever is changed in it is named.

One world is captured for all tests: what differs between them is what is done to its capture.
"""

import re
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.wiring._capture import InputLog, without_secrets
from lowlat.wiring.capture_tags import STIMULI, Tag
from lowlat.wiring.reload import limits_on_rungs
from lowlat.world._playback import Playback
from lowlat.world.replay import CaptureError, Replay, read_header
from lowlat.world.settings import WorldParams, WorldSettings
from lowlat.world.world import World

SECOND = 1_000_000_000


def captured(seed, seconds, kinds=(), every_ns=2 * SECOND):
    captures = []
    params = WorldParams(kinds=kinds, fault_every_ns=every_ns, quiet_ns=SECOND)
    with World(seed, params, captures=captures) as world:
        outcome = world.run(seconds)
        world.node.keep_capture()
        key = world.node._around.account.api_key
    assert not outcome.violation, outcome.trace
    return outcome, [bytes(each) for each in captures], key


@pytest.fixture(scope="module")
def fair():
    outcome, [data], key = captured(1, 3.0)
    return outcome, data, key


def settings_of(raw):
    return msgspec.convert(raw, WorldSettings)


def replay(data, from_ns=0, other=None):
    return Replay(data, settings_of, other).run(0, from_ns)


def entries(data):
    """Yield place, tag and value of each entry."""
    playback = Playback(data)
    while playback.tag:
        place = playback.position
        yield place, *playback.next()


def test_replay_comes_out_as_recorded_twice(fair):
    outcome, data, _ = fair
    first, again = replay(data), replay(data)
    assert first == again
    assert first.equal, first.difference
    assert first.decisions == outcome.decisions > 0
    assert first.requests > 0
    assert first.reports > outcome.fills > 0
    assert not first.lapped


@pytest.mark.stress
@pytest.mark.parametrize("kinds", [("wall_step", "market_drop", "user_drop", "halt"), ("slow",)])
def test_faults_that_no_process_dies_of_are_replayed_too(kinds):
    _, [data], _ = captured(4, 3.5, kinds)
    assert replay(data).equal


def test_capture_that_ends_in_the_middle_is_compared_up_to_there(fair):
    _, data, _ = fair
    whole = replay(data)
    torn = replay(data[: len(data) * 3 // 4])
    assert torn.equal
    assert 0 < torn.events < whole.events
    assert not torn.finished


def test_size_changed_in_one_frame_is_named_with_what_came_of_it(fair):
    """The last size of a frame: both tokens state one level, and the last word counts."""
    _, data, _ = fair
    last = re.compile(rb'.*"size":"([1-9])[^}]*}],"timestamp"[^}]*"event_type":"price_change"')
    frames = [
        (place, value, last.match(value))
        for place, tag, value in entries(data)
        if tag == Tag.BLOB and last.match(value)
    ]
    named = 0
    for place, frame, found in frames[:: len(frames) // 6]:
        at = data.index(frame, place) + found.start(1)
        changed = data[:at] + (b"1" if data[at : at + 1] != b"1" else b"2") + data[at + 1 :]
        verdict = replay(changed)
        if verdict.difference is None:
            # A level so deep that nobody is told of it.
            continue
        named += 1
        assert verdict.difference.stream in {"market", "asked"}
        assert verdict.difference.lines()[0].startswith("first difference: ")
        assert any("turn" in line or "frame of" in line for line in verdict.difference.chain)
    assert named >= 2


def test_decision_changed_in_the_recording_shows_both_sides_and_its_signal(fair):
    _, data, _ = fair
    header = read_header(data)
    place = next(at for at, tag, value in entries(data) if (tag, value) == (Tag.OUT, 1))
    at = data.index(bytes([Tag.BLOB]), place) + 3
    # Behind id, cause, signal and intent: decided_ns.
    at += 32
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    difference = replay(changed).difference
    assert difference.stream == "decisions"
    assert difference.fields == ["decided_ns"]
    assert abs(difference.recorded["decided_ns"] - difference.replayed["decided_ns"]) == 1
    assert any(line.startswith("signal ") for line in difference.chain)
    assert header.process == "engine"


def test_what_differs_before_the_time_asked_for_is_counted_and_not_told(fair):
    _, data, _ = fair
    place = next(at for at, tag, value in entries(data) if (tag, value) == (Tag.OUT, 1))
    at = data.index(bytes([Tag.BLOB]), place) + 3 + 32
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    told = replay(changed)
    at_ns = int(told.difference.at_s * SECOND)
    later = replay(changed, at_ns + 1_000_000)
    assert later.equal
    assert later.earlier == 1
    assert 0 < later.decisions < replay(data).decisions
    assert replay(changed, at_ns - 1_000_000).difference == told.difference


def test_other_limits_are_asked_about_every_decision_and_change_none(fair):
    _, data, _ = fair
    plain = replay(data)
    own = limits_on_rungs(settings_of(read_header(data).config))
    same = replay(data, other=own)
    assert same.equal, same.difference
    assert (same.hash, same.otherwise.first) == (plain.hash, "")
    assert same.otherwise.same == same.otherwise.decided > 0
    assert same.otherwise.sent[0] == same.otherwise.sent[1] > 0
    tight = replay(data, other=msgspec.structs.replace(own, order_notional_e6_max=2_000_000))
    assert (tight.equal, tight.hash) == (True, plain.hash)
    told = tight.otherwise
    assert told.decided - told.same == sum(told.changes.values()) > 0
    assert any("sent -> " in change for change in told.changes)
    assert told.cost_e6[1] < told.cost_e6[0] == same.otherwise.cost_e6[0]
    assert "against 2000000" in told.first
    assert told.lines()[0].startswith("other limits: ")


def test_order_signed_otherwise_is_found(fair):
    """The venue would see another order: the salt alone is changed."""
    _, data, _ = fair
    salts = [(place, value) for place, tag, value in entries(data) if tag == Tag.SALT]
    differs = 0
    for place, _ in salts[:40]:
        changed = data[: place + 1] + bytes([data[place + 1] ^ 2]) + data[place + 2 :]
        verdict = replay(changed)
        if verdict.difference is None:
            # A template that was never sent.
            continue
        differs += 1
        assert verdict.difference.stream in {"reports", "request", "asked"}
        break
    assert differs, "no order came of any of the salts"


def test_capture_holds_no_secret(fair):
    _, data, key = fair
    assert key.encode() not in data
    assert b'"signature":""' in data
    assert b"POLY_" not in data
    for place, tag, value in entries(data):
        assert tag != Tag.BLOB or key.encode() not in value, place


def test_life_that_a_crash_ended_is_compared_up_to_there_and_the_next_one_whole():
    captures = []
    with World(1, WorldParams(kinds=()), captures=captures) as world:
        world.live(2 * SECOND)
        world.node.light(50)
        world.live(5 * SECOND)
        assert world.node.crashes == 1
        world.node.keep_capture()
    verdict, later = replay(bytes(captures[0])), bytes(captures[1])
    assert verdict.equal, verdict.difference
    assert not verdict.finished
    verdict = replay(later)
    assert verdict.equal, verdict.difference
    assert verdict.decisions > 0
    found = read_header(later)
    assert found.streams["reports"].epoch == found.tables["orders"].epoch == 1
    # What it found matters: in its place, nothing or something else is noticed.
    lie = later.replace(b'"signals":{"epoch":1', b'"signals":{"epoch":2', 1)
    assert not replay(lie).equal
    torn = later.replace(b'"reports":{"epoch":1', b'"re0orts":{"epoch":1', 1)
    with pytest.raises(CaptureError, match="its picture of that is damaged"):
        replay(torn)


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(3, 8))
def test_every_life_between_deaths_anywhere_is_replayed(seed):
    """Deaths between any two effects, every second one between two stores of a record."""
    captures, rng = [], Random(seed)
    with World(seed, WorldParams(kinds=("answer_lost",)), captures=captures) as world:
        for death in range(5):
            world.live((3 + 3 * death) * SECOND)
            world.node.light(rng.randint(1, 400), rng.randint(1, 20) * (death % 2))
        world.live(19 * SECOND)
        world.node.keep_capture()
    assert len(captures) >= 4
    for number, data in enumerate(captures):
        verdict = replay(data)
        assert verdict.equal, (number, verdict.difference)
        assert bool(read_header(data).streams) == bool(number)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x01", b"\x01\x00\x0d\x05{}", b"\x02\x00", b"\x0d\xff"]
)
def test_what_is_no_capture_is_refused(data):
    with pytest.raises(CaptureError, match="capture"):
        read_header(data)


def test_capture_of_another_build_is_refused(fair):
    _, data, _ = fair
    with pytest.raises(CaptureError, match="replay it with the build that wrote it"):
        read_header(data.replace(b'"format":2', b'"format":7', 1))


@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
@settings(max_examples=6)
def test_any_bit_that_flips_gives_a_verdict_or_a_reason(fair, place, bit):
    """Never a crash, and never another hash that is called equal."""
    _, data, _ = fair
    place %= len(data)
    changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    try:
        verdict = replay(changed)
    except CaptureError:
        return
    assert not verdict.equal or verdict.hash == verdict.recorded_hash


def test_tags_of_compiled_code_are_the_same():
    names = {}
    with open("lowlat/wiring/_capture.pxd", encoding="utf-8") as file:
        for name, number in re.findall(r"TAG_(\w+) = (\d+)", file.read()):
            names[name] = int(number)
    assert names == {tag.name: int(tag) for tag in Tag}
    assert {Tag.TURN, Tag.FRAME, Tag.INJECT} <= STIMULI


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from([Tag.CLOCK, Tag.TURN, Tag.WALL, Tag.ARG, Tag.SALT, Tag.CANCEL]),
                st.integers(-(2**59), 2**59),
            ),
            st.tuples(st.just(Tag.BLOB), st.binary(max_size=300)),
        )
    )
)
def test_log_reads_back_as_it_was_written(wanted):
    log = InputLog(1 << 20)
    for tag, value in wanted:
        if tag == Tag.BLOB:
            log.blob(value)
        else:
            log.add(tag, value)
    assert log.entries == len(wanted)
    pieces = []
    while piece := log.take(7):
        pieces.append(piece)
    assert [(tag, value) for _, tag, value in entries(b"".join(pieces))] == wanted


def test_log_that_nobody_takes_ends_and_says_so():
    log = InputLog(10_000)
    for _ in range(11):
        log.blob(b"x" * 1_000)
    assert log.waiting_bytes == 0
    assert log.full
    log.add(Tag.CLOCK, 1)
    assert log.take(100) == b""


def test_request_is_kept_without_what_proves_who_we_are():
    request = (
        b"POST /order HTTP/1.1\r\nPOLY_API_KEY: k\r\nPOLY_SIGNATURE: s\r\n\r\n"
        b'{"order":{"salt":1,"signature":"0xab"},"owner":"k","orderType":"FAK"}'
    )
    assert without_secrets(request) == (
        b'POST /order HTTP/1.1\n{"order":{"salt":1,"signature":""},"owner":"","orderType":"FAK"}'
    )
