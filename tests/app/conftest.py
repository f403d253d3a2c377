"""An instance of its own for every test, removed afterwards."""

import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowlat.shm import places


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Private run and state directories."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def instance(home):
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    for segment in places.segment_names(name):
        os.unlink(places.segment_file(name, segment))
