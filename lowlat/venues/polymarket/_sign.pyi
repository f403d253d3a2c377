# Types of the compiled signature; behaviour is documented in _sign.pyx.

from typing import Any, final

__all__ = ["RawKey"]

@final
class RawKey:
    def __init__(
        self, secret: bytes, owner: Any, context: int, sign: int, serialize: int
    ) -> None: ...
    def sign(self, digest: bytes) -> bytes: ...
