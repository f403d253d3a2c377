"""One line of `lowlat doctor`."""

from typing import Final

import msgspec

__all__ = ["FAIL", "OK", "WARN", "Finding"]

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "FAIL"


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it stands, what to do."""

    check: str
    state: str
    have: str
    mend: str = ""
