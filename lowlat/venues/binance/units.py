"""In which unit the venue writes times: a setting, so apart from the codecs that read them."""

from typing import Literal

__all__ = ["TimeUnit"]

TimeUnit = Literal["ms", "us"]
"""Source: feeds.md 1.2, parameter timeUnit."""
