"""Pages of the order-book service: the cursor is base64 of an offset, ``LTE=`` is the end. Pure.

Source: polymarket.md 1.1.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["BAD_CURSOR", "END_CURSOR", "page"]

PAGE: Final = 500
END_CURSOR: Final = "LTE="
BAD_CURSOR: Final = failure(400, "Invalid next cursor")


def page(
    request: Request,
    rows: Sequence[Any],
    shape: Callable[[Any], dict[str, Any] | orjson.Fragment],
    limit: int = PAGE,
    **extra: Any,
) -> Response:
    """Serve the rows at the request's cursor. Asking for ``LTE=`` is a 400."""
    offset = _offset(request.arg("next_cursor"))
    if offset is None:
        return BAD_CURSOR
    data = [shape(row) for row in rows[offset : offset + limit]]
    end = offset + len(data)
    following = END_CURSOR
    if end < len(rows):
        following = base64.b64encode(str(end).encode()).decode()
    body = {"limit": limit, "count": len(data), "next_cursor": following, "data": data}
    return success(body | extra)


def _offset(cursor: str) -> int | None:
    if not cursor:
        return 0
    try:
        text = base64.b64decode(cursor, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not text.isdigit() or len(text) > 9:
        return None
    return int(text)
