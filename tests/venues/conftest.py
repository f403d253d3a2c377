"""Mutations of recorded frames, shared by the codec tests.

A codec keeps one promise: event(s), Ignored, or RemoteProtocolError, never anything else.
"""

import json

import pytest
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError

# A fixed alphabet: hypothesis needs seconds to build its table of all characters.
TEXT = st.text(alphabet='aZ09.-+ _"\\\n\x00é\u0661\uff19\U0001f600', max_size=8)
STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**63, 10**400, "NaN", "-1", "1e5", "", " ", "0.5\x00", "∞", "١٢"]),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(TEXT, st.integers(), max_size=2),
)


def _paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for at in range(len(value)):
            yield from _paths(value[at], (*path, at))


def _change_value(data, frame):
    """Replace, drop or double one value anywhere in the document."""
    document = {"": json.loads(frame)}
    path = data.draw(st.sampled_from([p for p in _paths(document) if p]))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    action = data.draw(st.sampled_from(["replace", "drop", "nest", "double"]))
    if action == "drop" and len(path) > 1:
        del parent[path[-1]]
    elif action == "nest":
        parent[path[-1]] = [parent[path[-1]]]
    elif action == "double" and isinstance(parent, list):
        parent.append(parent[path[-1]])
    else:
        parent[path[-1]] = data.draw(STRANGE)
    return json.dumps(document[""]).encode()


def _reorder(data, frame):
    value = json.loads(frame)
    if isinstance(value, dict):
        value = dict(data.draw(st.permutations(list(value.items()))))
    return json.dumps(value).encode()


def _change_bytes(data, frame):
    raw = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    return bytes(raw)


def _raw_number(data, frame):
    """Words that some encoders write for numbers and JSON does not know."""
    word = data.draw(st.sampled_from([b"NaN", b"Infinity", b"-Infinity", b"-0", b"1e999", b"0x1"]))
    digits = [i for i in range(len(frame)) if frame[i : i + 1].isdigit()]
    at = data.draw(st.sampled_from(digits or [0]))
    return frame[:at] + word + frame[at + 1 :]


def _mangle_json(data, frame):
    kind = data.draw(
        st.sampled_from(["value", "value", "value", "bytes", "cut", "garbage", "reorder", "number"])
    )
    if kind == "value":
        return _change_value(data, frame)
    if kind == "bytes":
        return _change_bytes(data, frame)
    if kind == "cut":
        return frame[: data.draw(st.integers(0, len(frame) - 1))]
    if kind == "reorder":
        return _reorder(data, frame)
    if kind == "number":
        return _raw_number(data, frame)
    return data.draw(st.binary(max_size=64))


@pytest.fixture(scope="session")
def mangle():
    """Break a JSON frame in one way that hypothesis chooses."""
    return _mangle_json


@pytest.fixture(scope="session")
def mangle_bytes():
    """Break a binary frame in one way that hypothesis chooses."""

    def apply(data, frame):
        if data.draw(st.booleans()):
            return frame[: data.draw(st.integers(0, len(frame) - 1))]
        return _change_bytes(data, frame)

    return apply


@pytest.fixture(scope="session")
def keeps_promise():
    """Call a codec; return its value, or None after RemoteProtocolError. Else the test fails."""

    def call(codec, payload):
        try:
            return codec(payload)
        except RemoteProtocolError as error:
            message = str(error)
        assert len(message) < 1200, "the sample of a bad message must stay short"
        return None

    return call
