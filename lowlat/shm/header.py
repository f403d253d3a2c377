"""The header of every segment: what it holds, who writes it, whether we understand it.

Two pages or more, little-endian, before the data::

    0     magic u64 (stored last, release) | layout_version u32 | header_bytes u32
    16    abi_hash u64 | kind u16 | 0 u16 | abi_bytes u32
    32    record_bytes u32 | record_count u32 | segment_bytes u64 | created_ns u64 | 0 u64
    64    boot_id 16 s | name 48 s
    128   writer: name 32 s | pid u32 | 0 u32 | start_ticks u64 | attached_ns u64
    256   state u64 | epoch u64            (blocks of 128 bytes: one writer a pair of lines)
    384   cursor u64                       streams: position of the next record
    512   heartbeat_ns u64
    640   statistics, 8 u64
    1024  run directory, 512 s             two processes with two of them would not see one lock
    2048  abi text                         so that a mismatch can print both sides
"""

import difflib
import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from lowlat.core import layout
from lowlat.core.errors import LayoutError
from lowlat.shm import _core
from lowlat.shm.locks import Identity

__all__ = [
    "CURSOR_AT",
    "EPOCH_AT",
    "HEADER_BYTES_MIN",
    "HEARTBEAT_AT",
    "MAGIC",
    "STATE_AT",
    "STATISTICS_AT",
    "Header",
    "Kind",
    "State",
    "read_header",
    "read_writer",
    "require",
    "write_header",
    "write_writer",
]

MAGIC: Final = int.from_bytes(b"lowlat\xf5\x01", "little")
HEADER_BYTES_MIN: Final = 8192
STATE_AT: Final = 256
EPOCH_AT: Final = 264
CURSOR_AT: Final = 384
HEARTBEAT_AT: Final = 512
STATISTICS_AT: Final = 640
_RUN_DIR_AT: Final = 1024
_RUN_DIR_BYTES: Final = 512
_TEXT_AT: Final = 2048
_PAGE: Final = 4096
_WRITER_AT: Final = 128
_FIXED: Final = struct.Struct("<QIIQHHIIIQQQ16s48s")
_WRITER: Final = struct.Struct("<32sIIQQ")


class Kind(IntEnum):
    """What a segment holds."""

    STREAM = 1
    TABLE = 2
    STATS = 3
    GATES = 4


class State(IntEnum):
    """Life of a segment's writer. READY with the lock free means that it crashed."""

    INIT = 0
    READY = 1
    DRAINING = 2
    CLOSED = 3


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part, as read from a segment or about to be written to one."""

    name: str
    kind: Kind
    record_bytes: int
    record_count: int
    data_bytes: int
    abi_text: str
    boot_id: str
    run_dir: str
    created_ns: int = 0
    layout_version: int = layout.LAYOUT_VERSION

    @property
    def header_bytes(self) -> int:
        """Offset of the data: whole pages, at least two."""
        needed = _TEXT_AT + len(self.abi_text.encode())
        return max(HEADER_BYTES_MIN, -(-needed // _PAGE) * _PAGE)

    @property
    def segment_bytes(self) -> int:
        """Size of the whole segment."""
        return self.header_bytes + self.data_bytes

    @property
    def abi_hash(self) -> int:
        """Hash of the abi text, as layout.abi_hash computes it."""
        digest = hashlib.blake2b(self.abi_text.encode(), digest_size=8).digest()
        return int.from_bytes(digest)


def write_header(memory: memoryview, header: Header) -> None:
    """Fill the header of a fresh (zeroed) segment; the magic goes in last."""
    text = header.abi_text.encode()
    run_dir = header.run_dir.encode()
    assert len(run_dir) < _RUN_DIR_BYTES, f"run directory {header.run_dir} is too long"
    memory[_RUN_DIR_AT : _RUN_DIR_AT + len(run_dir)] = run_dir
    memory[_TEXT_AT : _TEXT_AT + len(text)] = text
    _FIXED.pack_into(
        memory,
        0,
        0,
        header.layout_version,
        header.header_bytes,
        header.abi_hash,
        header.kind,
        0,
        len(text),
        header.record_bytes,
        header.record_count,
        header.segment_bytes,
        header.created_ns,
        0,
        UUID(header.boot_id).bytes,
        header.name.encode(),
    )
    _core.store_release(memory, 0, MAGIC)


def read_header(memory: memoryview, where: str) -> Header:
    """Read and check a header. Raises LayoutError for anything that is not one of ours."""
    if len(memory) < HEADER_BYTES_MIN:
        raise LayoutError(f"{where} has {len(memory)} bytes, a header alone {HEADER_BYTES_MIN}")
    magic = _core.load_acquire(memory, 0)
    if magic == 0:
        raise LayoutError(f"{where} was never finished: its creator died while creating it")
    if magic == int.from_bytes(MAGIC.to_bytes(8, "little"), "big"):
        raise LayoutError(f"{where} was written big-endian, this machine is little-endian")
    if magic != MAGIC:
        raise LayoutError(
            f"{where} is no lowlat segment: magic was {magic:#x}, expected {MAGIC:#x}"
        )
    fields = _FIXED.unpack_from(memory, 0)
    version, header_bytes, abi_hash, kind, _, text_bytes = fields[1:7]
    record_bytes, record_count, segment_bytes, created_ns, _, boot, name = fields[7:]
    if version != layout.LAYOUT_VERSION:
        raise LayoutError(f"{where} has layout {version}, this build {layout.LAYOUT_VERSION}")
    if segment_bytes != len(memory) or header_bytes > segment_bytes:
        raise LayoutError(f"{where} has {len(memory)} bytes, its header says {segment_bytes}")
    if kind not in Kind.__members__.values() or _TEXT_AT + text_bytes > header_bytes:
        raise LayoutError(f"{where} has a damaged header: kind {kind}, abi text {text_bytes} bytes")
    try:
        header = Header(
            name=name.rstrip(b"\0").decode(),
            kind=Kind(kind),
            record_bytes=record_bytes,
            record_count=record_count,
            data_bytes=segment_bytes - header_bytes,
            abi_text=bytes(memory[_TEXT_AT : _TEXT_AT + text_bytes]).decode(),
            boot_id=str(UUID(bytes=boot)),
            run_dir=_text(memory, _RUN_DIR_AT, _RUN_DIR_BYTES),
            created_ns=created_ns,
        )
    except UnicodeDecodeError as error:
        raise LayoutError(f"{where} has a damaged header: {error}") from error
    if header.abi_hash != abi_hash or header.header_bytes != header_bytes:
        raise LayoutError(f"{where} has a damaged header: its abi text and hash differ")
    return header


def require(found: Header, kind: Kind, abi_text: str, record_bytes: int, where: str) -> None:
    """Raise LayoutError that shows both sides unless the segment holds just these records."""
    if found.kind != kind:
        raise LayoutError(f"{where} is a {found.kind.name}, expected a {kind.name}")
    if found.abi_text != abi_text:
        lines = difflib.unified_diff(
            found.abi_text.splitlines(),
            abi_text.splitlines(),
            f"in {where}",
            "in this build",
            lineterm="",
        )
        raise LayoutError(
            f"{where} was laid out by another build; stop all processes, then run lowlat clean\n"
            + "\n".join(lines)
        )
    if found.record_bytes != record_bytes:
        raise LayoutError(
            f"{where} has records of {found.record_bytes} bytes, this build {record_bytes}"
        )


def write_writer(memory: memoryview, writer: Identity, now_ns: int) -> None:
    """Note who writes. Only the holder of the owner lock may."""
    name = writer.name.encode()[:31]
    _WRITER.pack_into(memory, _WRITER_AT, name, writer.pid, 0, writer.start_ticks, now_ns)


def read_writer(memory: memoryview, boot_id: str) -> Identity | None:
    """Return the last writer, None when there was none yet."""
    name, pid, _, ticks, _ = _WRITER.unpack_from(memory, _WRITER_AT)
    if pid == 0:
        return None
    return Identity(name.rstrip(b"\0").decode(errors="replace"), pid, ticks, boot_id)


def _text(memory: memoryview, at: int, size_bytes: int) -> str:
    return bytes(memory[at : at + size_bytes]).split(b"\0", 1)[0].decode()
