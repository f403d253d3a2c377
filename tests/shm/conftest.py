"""An instance of its own for each test, with its run directory; nothing is left behind."""

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowlat.shm import memory, places


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    for segment in places.segment_names(name):
        memory.unlink_segment(name, segment)
