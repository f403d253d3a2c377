"""One table: what numpy, struct and C see of a record is the same bytes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lowlat.core import layout

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_dtype_and_struct_agree_byte_for_byte(record):
    assert record.size_bytes % 64 == 0
    assert record.dtype.itemsize == record.size_bytes
    raw = np.arange(record.size_bytes, dtype=np.uint8)
    row = raw.view(record.dtype)[0]
    flat = []
    for name in record.dtype.names[4:]:
        value = row[name]
        if isinstance(value, np.ndarray):
            flat += value.tolist()
        elif isinstance(value, np.void):
            flat.append(value.tobytes())
        else:
            flat.append(value.item())
    unpacked = record.codec.unpack_from(raw.data, layout.SLOT_HEAD_BYTES)
    np.testing.assert_array_equal(np.array(flat, dtype=object), np.array(unpacked, dtype=object))


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_any_record_comes_back_equal_arrays_too(record):
    fields = record.dtype.fields
    values = []
    for i, name in enumerate(record.row._fields):
        dtype = fields[name][0]
        if dtype.shape:
            values.append(tuple(range(i, i + dtype.shape[0])))
        elif dtype.kind == "V":
            values.append(bytes([i + 1]) * dtype.itemsize)
        else:
            values.append(float(i) if dtype.kind == "f" else i)
    row = record.row._make(values)
    buffer = bytearray(record.size_bytes)
    record.pack(buffer, row)
    assert record.unpack(buffer) == row


def test_packed_records_come_back_equal():
    record = layout.DECISION.row(
        *range(8), 8, 9, 0.5, 1, 2, 3, 4, 1, 0, 6, 7, b"m".ljust(16, b"\0")
    )
    buffer = bytearray(layout.DECISION.size_bytes)
    layout.DECISION.pack(buffer, record)
    assert layout.DECISION.unpack(buffer) == record


def test_kinds_and_names_are_unique():
    kinds = [record.kind for record in layout.RECORDS]
    assert len(set(kinds)) == len(kinds)
    assert all(kind > 0 for kind in kinds)
    assert set(layout.STREAMS).isdisjoint(layout.TABLES)


def test_record_ids_hold_writer_epoch_and_sequence():
    name = layout.record_id(layout.Writer.RISK, 3, 2**40 - 1)
    assert (name >> 56, name >> 40 & 0xFFFF, name & (2**40 - 1)) == (6, 3, 2**40 - 1)


def test_abi_hash_changes_with_any_field():
    assert layout.abi_hash(layout.SIGNAL) != layout.abi_hash(layout.INTENT)
    assert "limit_price_e4 <i4" in layout.abi_text(layout.SIGNAL)


def test_shared_memory_of_ten_thousand_tokens_fits_in_64_mib():
    streams = sum(stream.slots * stream.slot_bytes for stream in layout.STREAMS.values())
    tables = sum(t.rows * (64 + 4 * t.record.size_bytes) for t in layout.TABLES.values())
    assert layout.TABLES["book"].rows >= 5_000
    # What is left of 64 MiB is for the statistics of every process (tests/app/test_topology.py).
    assert streams + tables < 62 * 2**20


def test_the_generated_header_is_current():
    run = subprocess.run(
        [sys.executable, "tools/layout_header.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
