"""One HTTP/1.1 answer at a time from the bytes of a connection. Pure: no socket, no clock."""

from typing import Final

import httptools

__all__ = ["Answer", "AnswerError", "AnswerReader"]

HEADER_BYTES_MAX: Final = 64 * 1024

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes, bool]
"""``(status, headers, body, keep)``: keep says that the connection may be used again."""


class AnswerError(Exception):
    """The peer's bytes are no answer we take: malformed, too large, or not asked for."""


class AnswerReader:
    """Feed bytes, get the finished answer or None. Interim answers (1xx) are skipped."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_body_bytes_max",
        "_done",
        "_head_bytes",
        "_headers",
        "_keep",
        "_parser",
        "_status",
        "started",
    )

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self.reset()

    def reset(self) -> None:
        """Expect the next answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._status = 0
        self._done = False
        self._keep = False
        self.started = False
        """Whether any byte of the answer has come."""

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; return the answer that they complete. Raises AnswerError."""
        self.started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise AnswerError(str(error.__context__ or error)) from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise AnswerError(f"malformed answer: {error}") from error
        if not self._done:
            return None
        answer = (self._status, self._headers, b"".join(self._body), self._keep)
        self.reset()
        return answer

    # ------------------------------------------------------------------ called by httptools
    def on_message_begin(self) -> None:
        """Refuse a second answer in the bytes of the first."""
        if self._done:
            raise AnswerError("more bytes than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEADER_BYTES_MAX:
            raise AnswerError(f"headers over {HEADER_BYTES_MAX} bytes")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status."""
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Collect a piece of the body."""
        self._body_bytes += len(data)
        if self._body_bytes > self._body_bytes_max:
            raise AnswerError(f"body over {self._body_bytes_max} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Finish the answer, unless it was an interim one."""
        if 100 <= self._status < 200:
            self._headers = []
            return
        self._keep = bool(self._parser.should_keep_alive())
        self._done = True
