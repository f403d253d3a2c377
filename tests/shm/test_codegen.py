"""What the compiler made of ring.h on x86-64: two looks at the sequence, no fence, no lock."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

RING = Path(__file__).parents[2] / "lowlat" / "shm"
SOURCE = """
#include "ring.h"
int poll_slot(const uint64_t *slot, uint64_t *record, size_t words, uint64_t n) {
    return ll_slot_read(slot, record, words, n);
}
uint64_t publish(ll_stream_writer *w, const uint64_t *record) {
    return ll_stream_publish(w, record, 1, 0);
}
int64_t table_read(const ll_table *t, uint64_t row, uint64_t *record) {
    return ll_table_read(t, row, record);
}
uint64_t table_write(const ll_table *t, uint64_t row, const uint64_t *record) {
    return ll_table_write(t, row, record, 1);
}
uint32_t sleepers(ll_stream_writer *w) { return ll_stream_sleepers(w); }
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory):
    if platform.machine() != "x86_64":
        pytest.skip(f"the check reads x86-64 assembly, this is {platform.machine()}")
    for tool in ("gcc", "objdump"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("codegen")
    (folder / "ring.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-O3", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{RING}", "-c", "ring.c"],
        cwd=folder,
        check=True,
    )
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "ring.o"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    parts = re.split(r"^[0-9a-f]+ <(\w+)>:\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", ["poll_slot", "publish", "table_read", "table_write"])
def test_no_fence_and_no_locked_instruction(assembly, name):
    assert not re.search(r"\b(lock|mfence|lfence|sfence|xchg\s.*\()", assembly[name])


def test_parking_alone_pays_for_a_full_fence(assembly):
    assert re.search(r"\b(lock|mfence)", assembly["sleepers"])


def test_sequence_is_loaded_before_and_after_the_payload(assembly):
    lines = assembly["poll_slot"].splitlines()
    loads = [i for i, line in enumerate(lines) if re.search(r"(mov|cmp)\s+[-x0-9a-f]*\(", line)]
    looks = [i for i in loads if re.search(r"\s\(%rdi\)", lines[i])]
    payload = [i for i in loads if i not in looks]
    assert len(looks) == 2, assembly["poll_slot"]
    assert payload, assembly["poll_slot"]
    assert looks[0] < min(payload)
    assert max(payload) < looks[1]


def test_payload_moves_are_single_words(assembly):
    for name in ("poll_slot", "publish"):
        assert not re.search(r"%[xyz]mm", assembly[name]), "a vector move may tear"
