"""ring.h under thread sanitizer, and a deliberately racy build that it must report."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RING = HERE.parents[1] / "lowlat" / "shm"


def build(folder, *flags):
    source = folder / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    try:
        probe = subprocess.run(
            ["gcc", "-fsanitize=thread", str(source), "-o", str(folder / "probe")],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("gcc is not installed")
    if probe.returncode:
        pytest.skip(f"gcc lacks the thread sanitizer: {probe.stderr.splitlines()[-1]}")
    binary = folder / "tsan_ring"
    subprocess.run(
        [
            *("gcc", "-O2", "-g", "-std=c11", "-D_GNU_SOURCE", "-fsanitize=thread", "-Wno-tsan"),
            *("-pthread", f"-I{RING}", *flags, str(HERE / "tsan_ring.c"), "-o", str(binary)),
        ],
        check=True,
    )
    return binary


def run(binary, messages):
    # TSan wants its own address layout: some kernels randomise more bits than it can map. Where
    # fixing it is forbidden (containers), the kernel's own choice must do.
    fixed = ["setarch", "-R"]
    if subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode:
        fixed = []
    command = [*fixed, str(binary), str(messages)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.stress
def test_ring_gate_and_table_are_race_free(tmp_path):
    result = run(build(tmp_path), 30_000)
    assert "WARNING: ThreadSanitizer" not in result.stderr, result.stderr
    assert (result.returncode, result.stdout) == (0, "failures 0\n"), result.stderr


@pytest.mark.stress
def test_plain_copies_are_reported(tmp_path):
    result = run(build(tmp_path, "-DPLAIN_COPY"), 2000)
    assert "WARNING: ThreadSanitizer: data race" in result.stderr
