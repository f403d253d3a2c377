"""As much of the contract ABI as calls of a trading wallet need: words, arrays, bytes. Pure."""

from collections.abc import Sequence

from lowlat.sim.verify import keccak

__all__ = ["Words", "bool_word", "selector", "uint_array", "uint_word"]

OFFSET_MAX = 1 << 20


def selector(signature: str) -> bytes:
    """Return the four bytes that name a function."""
    return keccak(signature.encode())[:4]


class Words:
    """Arguments of a call. Raises ValueError for anything that is not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def uint(self, index: int) -> int:
        """Return word ``index`` as a number."""
        return int.from_bytes(self.word(index), "big")

    def word(self, index: int) -> bytes:
        """Return word ``index``."""
        word = self._data[32 * index : 32 * index + 32]
        if len(word) != 32:
            raise ValueError(f"argument {index} is missing")
        return word

    def address(self, index: int) -> str:
        """Return word ``index`` as an address, lower case."""
        word = self.word(index)
        if any(word[:12]):
            raise ValueError(f"argument {index} is no address")
        return "0x" + word[12:].hex()

    def uints(self, index: int) -> list[int]:
        """Return the array that word ``index`` points to."""
        tail, count = self._pointed(index)
        return [tail.uint(i) for i in range(count)]

    def tail(self, index: int) -> "Words":
        """Return what word ``index`` points to, without a length."""
        return Words(self._data[self._offset(index) :])

    def array(self, index: int) -> tuple["Words", int]:
        """Return the words behind an array's length, and the length."""
        return self._pointed(index)

    def blob(self, index: int) -> bytes:
        """Return the bytes that word ``index`` points to."""
        offset = self._offset(index)
        size = int.from_bytes(self._data[offset : offset + 32], "big")
        raw = self._data[offset + 32 : offset + 32 + min(size, OFFSET_MAX)]
        if len(raw) != size:
            raise ValueError(f"argument {index} is cut short")
        return raw

    def _pointed(self, index: int) -> tuple["Words", int]:
        offset = self._offset(index)
        count = Words(self._data[offset:]).uint(0)
        if count > len(self._data) // 32:
            raise ValueError(f"argument {index} is an array of {count}")
        return Words(self._data[offset + 32 :]), count

    def _offset(self, index: int) -> int:
        offset = self.uint(index)
        if offset > min(OFFSET_MAX, len(self._data)):
            raise ValueError(f"argument {index} points outside")
        return offset


def uint_word(value: int) -> bytes:
    """Encode a number."""
    return value.to_bytes(32, "big")


def bool_word(value: bool) -> bytes:
    """Encode a flag."""
    return uint_word(int(value))


def uint_array(values: Sequence[int]) -> bytes:
    """Encode an array as the only value returned."""
    return uint_word(32) + uint_word(len(values)) + b"".join(map(uint_word, values))
