"""HTTP answers from bytes: whole, in pieces, too large, malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.net._answers import AnswerError, AnswerReader

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-A: 1\r\n\r\n{"ok": 1}'
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nnone\r\n5\r\n here\r\n0\r\n\r\n"
)
CLOSING = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "body", "keep"),
    [
        (PLAIN, 200, b'{"ok": 1}', True),
        (CHUNKED, 404, b"none here", True),
        (CLOSING, 503, b"", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, 200, b'{"ok": 1}', True),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_answer_in_pieces_of_any_size(raw, status, body, keep, step):
    reader = AnswerReader(100)
    for _ in range(2):
        answers = [
            answer
            for at in range(0, len(raw), step)
            if (answer := reader.feed(raw[at : at + step])) is not None
        ]
        assert [(one[0], one[2], one[3]) for one in answers] == [(status, body, keep)]
    if raw is PLAIN:
        assert (b"X-A", b"1") in answers[0][1]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        PLAIN + PLAIN,
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
    ],
)
def test_too_large_doubled_or_foreign_bytes_are_errors(raw):
    with pytest.raises(AnswerError):
        AnswerReader(100).feed(raw)


@given(st.binary(max_size=200), st.integers(0, len(CHUNKED)))
def test_garbage_is_an_answer_none_or_an_error(garbage, at):
    reader = AnswerReader(1_000)
    try:
        answer = reader.feed(CHUNKED[:at] + garbage)
    except AnswerError:
        return
    assert answer is None or answer[0] >= 200
