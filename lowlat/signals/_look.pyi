# Types of looks; behaviour is documented in _look.pyx.

from collections.abc import Callable
from typing import Any, final

from typing_extensions import Buffer, disjoint_base

from lowlat.book._view import BookView
from lowlat.core.layout import SpotTop

__all__ = ["Look", "PythonLook", "PythonSpotLook", "SpotLook"]

@disjoint_base
class Look:
    @property
    def seat(self) -> Any: ...
    @property
    def mode(self) -> int: ...
    def __call__(self, book: BookView, now_ns: int) -> None: ...
    def bind(self, seat: object, mode: int) -> None: ...

@final
class PythonLook(Look):
    def __init__(self, on_book: Callable[[BookView, int], object]) -> None: ...

@disjoint_base
class SpotLook:
    @property
    def seat(self) -> Any: ...
    @property
    def mode(self) -> int: ...
    def __call__(self, top: Buffer, now_ns: int) -> None: ...
    def bind(self, seat: object, mode: int) -> None: ...

@final
class PythonSpotLook(SpotLook):
    def __init__(self, on_spot: Callable[[SpotTop, int], object]) -> None: ...
