"""Raw-frame tapes on disk: Arrow IPC streams of zstd batches, rotated, capped, torn-proof.

``TapeWriter`` is the engine of the tape process: it reads the frames streams of the feeds and is
never waited for; what it missed is written down as ``lost``. ``TapeReader`` iterates frames in the
order of their arrival. Nothing here decodes a frame.

One row a frame::

    wall_ns i64 | recv_ns i64 | venue u8 | connection u32 | direction u8 | lost u32 | data binary

``lost`` counts the stream records that were overwritten before this row was read. Every batch
carries a checksum of its columns: a batch torn by a crash, or damaged later, is detected and
ends the file for the reader; what stands before it is good.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from lowlat.core.layout import FRAME, Frame
from lowlat.core.ports import EMPTY, OVERRUN, Cell, StreamReader
from lowlat.store.tape_params import TapeParams

__all__ = ["TAPE_SUFFIX", "TapeCells", "TapeFrame", "TapeParams", "TapeReader", "TapeWriter"]

TAPE_SUFFIX: Final = ".tape.arrow"
SCHEMA: Final = pa.schema(
    [
        pa.field("wall_ns", pa.int64(), nullable=False),
        pa.field("recv_ns", pa.int64(), nullable=False),
        pa.field("venue", pa.uint8(), nullable=False),
        pa.field("connection", pa.uint32(), nullable=False),
        pa.field("direction", pa.uint8(), nullable=False),
        pa.field("lost", pa.uint32(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd")
_TORN: Final = (pa.ArrowInvalid, pa.ArrowException, OSError, EOFError, KeyError, ValueError)
"""What reading a damaged file raises."""


class TapeFrame(NamedTuple):
    """One raw frame as it went over the wire."""

    wall_ns: int
    recv_ns: int
    venue: int
    connection: int
    direction: int
    """0 received, 1 sent."""
    lost: int
    data: bytes


class TapeCells(NamedTuple):
    """Counters of the writer."""

    frames: Cell
    bytes: Cell
    """Written to disk, compressed."""
    lost: Cell
    """Stream records overwritten before they were read."""
    broken: Cell
    """Frames whose parts did not fit together."""
    failures: Cell
    """Batches that the disk refused."""


class _Assembly:
    """Parts of one stream's current frame."""

    __slots__ = ("first", "lost", "lost_before", "pieces", "reader")

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.first: Frame | None = None
        self.pieces: list[bytes] = []
        self.lost = 0
        self.lost_before = reader.lost


class TapeWriter:
    """Engine of the tape process. Sole writer of its folder."""

    name: Final = "tape"

    def __init__(
        self,
        readers: Sequence[StreamReader],
        folder: Path,
        cells: TapeCells,
        params: TapeParams | None = None,
    ) -> None:
        self.params = params or TapeParams()
        self.folder = folder
        self._cells = cells
        self._sources = [_Assembly(reader) for reader in readers]
        self._rows: list[TapeFrame] = []
        self._rows_bytes = 0
        self._rows_since_ns = 0
        self._file: pa.OSFile | None = None
        self._stream: Any = None
        self._path: Path | None = None
        self._file_since_ns = 0
        self._file_bytes_counted = 0
        self._file_number = 0
        self._sync_due_ns = 0
        self._retry_ns = 0

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Make the folder, and room in it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()

    def turn(self, now_ns: int) -> int:
        """Read what came, write batches that are full or old; return records read."""
        read = sum(self._read(source, now_ns) for source in self._sources)
        params = self.params
        if self._rows and (
            len(self._rows) >= params.batch_frames
            or self._rows_bytes >= params.batch_bytes
            or now_ns - self._rows_since_ns >= params.batch_ns
        ):
            self._write_batch(now_ns)
        if self._stream is not None and now_ns >= self._sync_due_ns:
            self._sync_due_ns = now_ns + params.sync_ns
            self._sync()
        return read

    def close(self) -> None:
        """Write what is left and finish the file."""
        if self._rows:
            self._write_batch(self._rows_since_ns)
        self._finish()

    # ------------------------------------------------------------------ frames
    def _read(self, source: _Assembly, now_ns: int) -> int:
        poll = source.reader.poll
        count = 0
        while count < self.params.records_a_turn and (kind := poll()) != EMPTY:
            count += 1
            if kind == OVERRUN:
                self._overrun(source)
            elif kind == FRAME.kind:
                self._take(source, FRAME.unpack(source.reader.buffer), now_ns)
        if count:
            # A gated stream waits for us; a plain one has nothing to release.
            source.reader.release()
        return count

    def _overrun(self, source: _Assembly) -> None:
        lost = source.reader.lost - source.lost_before
        source.lost_before = source.reader.lost
        source.lost += lost
        source.first = None
        source.pieces.clear()
        self._cells.lost.add(lost)

    def _take(self, source: _Assembly, part: Frame, now_ns: int) -> None:
        """Join parts that follow each other; anything else breaks the frame, not the tape."""
        first = source.first
        if part.part == 0:
            if first is not None:
                self._cells.broken.add(1)
            source.first = first = part
            source.pieces = []
        elif (
            first is None
            or part.part != len(source.pieces)
            or (part.connection, part.recv_ns, part.parts)
            != (first.connection, first.recv_ns, first.parts)
        ):
            if first is not None or not source.lost:
                self._cells.broken.add(1)
            source.first = None
            return
        source.pieces.append(part.data[: part.data_bytes])
        if len(source.pieces) < part.parts:
            return
        source.first = None
        data = source.pieces[0] if part.parts == 1 else b"".join(source.pieces)
        if len(data) != first.frame_bytes:
            self._cells.broken.add(1)
            return
        if not self._rows:
            self._rows_since_ns = now_ns
        self._rows.append(
            TapeFrame(
                first.wall_ns,
                first.recv_ns,
                first.venue,
                first.connection,
                first.direction,
                min(source.lost, 2**32 - 1),
                data,
            )
        )
        self._rows_bytes += len(data)
        source.lost = 0

    # ------------------------------------------------------------------ files
    def _write_batch(self, now_ns: int) -> None:
        rows, self._rows, self._rows_bytes = self._rows, [], 0
        if now_ns < self._retry_ns:
            self._cells.lost.add(len(rows))
            return
        columns = [
            pa.array(column, field.type)
            for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
        ]
        batch = pa.record_batch(columns, schema=SCHEMA)
        try:
            if self._stream is None:
                self._open(rows[0].wall_ns, now_ns)
            self._stream.write_batch(batch, custom_metadata={"crc32": f"{_checksum(batch):08x}"})
            assert self._file is not None, "an open stream has a file"
            self._file.flush()
            size = self._file.tell()
        except OSError:
            # Full or broken disk: tapes are evidence, trading goes on without them.
            self._cells.failures.add(1)
            self._cells.lost.add(len(rows))
            self._retry_ns = now_ns + self.params.retry_ns
            self._abandon()
            return
        self._cells.frames.add(len(rows))
        self._cells.bytes.add(size - self._file_bytes_counted)
        self._file_bytes_counted = size
        if size >= self.params.file_bytes or now_ns - self._file_since_ns >= self.params.file_ns:
            self._finish()
            self._make_room()

    def _open(self, wall_ns: int, now_ns: int) -> None:
        """Begin a file named by its first frame, so that names sort by time."""
        while True:
            self._file_number += 1
            path = self.folder / f"{wall_ns:019d}-{self._file_number:06d}{TAPE_SUFFIX}"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                continue
            break
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._file, SCHEMA, options=_OPTIONS)
        self._file_since_ns = now_ns
        self._file_bytes_counted = 0

    def _sync(self) -> None:
        """Hand the file to the disk, beside the writer's own descriptor."""
        assert self._path is not None, "an open stream has a path"
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _finish(self) -> None:
        """End the current file; its end mark says that nothing is missing."""
        if self._stream is None:
            return
        try:
            self._stream.close()
            self._sync()
        except OSError:
            self._cells.failures.add(1)
        self._abandon()

    def _abandon(self) -> None:
        file, self._file, self._stream, self._path = self._file, None, None, None
        if file is not None:
            file.close()

    def _make_room(self) -> None:
        """Delete the oldest tapes until the rest, and one more file, fit under the cap."""
        tapes = [(path, path.stat().st_size) for path in _tapes(self.folder)]
        total = sum(size for _, size in tapes) + self.params.file_bytes
        for path, size in tapes:
            if total <= self.params.folder_bytes:
                return
            path.unlink()
            total -= size


class TapeReader:
    """Frames of one file or of a folder, oldest first. ``torn`` names files that end early."""

    def __init__(self, source: Path) -> None:
        if not source.exists():
            raise FileNotFoundError(f"no tape at {source}")
        self.paths = _tapes(source) if source.is_dir() else [source]
        self.torn: list[tuple[Path, str]] = []

    def __iter__(self) -> Iterator[TapeFrame]:
        for path in self.paths:
            yield from self._file(path)

    def _file(self, path: Path) -> Iterator[TapeFrame]:
        with pa.memory_map(str(path)) if path.stat().st_size else pa.BufferReader(b"") as file:
            try:
                stream = pa.ipc.open_stream(file)
                if stream.schema != SCHEMA:
                    self.torn.append((path, "its columns are not a tape's"))
                    return
            except _TORN as error:
                self.torn.append((path, f"no header: {error}"))
                return
            while (batch := self._batch(path, stream)) is not None:
                yield from map(TapeFrame._make, zip(*map(pa.Array.to_pylist, batch), strict=True))
            if not self._is_finished(path):
                self.torn.append((path, "no end mark"))

    def _batch(self, path: Path, stream: Any) -> pa.RecordBatch | None:
        """Return the next whole batch, None at the end or at the first one that is damaged."""
        try:
            batch, metadata = stream.read_next_batch_with_custom_metadata()
            stated = int(metadata[b"crc32"], 16)
            batch.validate(full=True)
            # A damaged count of nulls would turn bytes into None without touching any column.
            if _checksum(batch) == stated and not any(one.null_count for one in batch.columns):
                return batch
            self.torn.append((path, "checksum of a batch"))
        except StopIteration:
            pass
        except _TORN as error:
            self.torn.append((path, f"batch: {error}"))
        return None

    def _is_finished(self, path: Path) -> bool:
        """Whether the end mark is there (8 bytes), or a fault was noted already."""
        if self.torn and self.torn[-1][0] == path:
            return True
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            return file.read() == b"\xff\xff\xff\xff\0\0\0\0"


def _tapes(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{TAPE_SUFFIX}"))


def _checksum(batch: pa.RecordBatch) -> int:
    """Return one CRC over the number of rows and the bytes of every column."""
    checksum = zlib.crc32(batch.num_rows.to_bytes(8, "little"))
    for column in batch.columns:
        for buffer in column.buffers():
            if buffer is not None:
                checksum = zlib.crc32(buffer, checksum)
    return checksum
