"""Fuzzing: what was kept breaks nothing; the tool itself; a short run (``make stress``)."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import zipfile

import pytest

from lowlat.core.errors import RemoteProtocolError

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
TOOL = TOOLS / "fuzz_decoders.py"
KEPT = pathlib.Path(__file__).parents[1] / "data" / "fuzz"


@pytest.fixture(scope="module")
def aim():
    """The tool's list of decoders, as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_targets", TOOLS / "fuzz_targets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_inputs_that_were_kept_break_no_promise(aim):
    decoders = aim.targets()
    assert {"market", "rtds", "polybolt", "gamma-events", "binance-sbe"} <= decoders.keys()
    for name, (_, decode) in decoders.items():
        with zipfile.ZipFile(KEPT / f"{name}.zip") as packed:
            inputs = [packed.read(each) for each in packed.namelist()]
        assert inputs, name
        for raw in inputs:
            try:
                decode(raw)
            except RemoteProtocolError:
                continue


def test_every_decoder_has_a_sample_that_it_reads(aim):
    for name, (_, decode) in aim.targets().items():
        read = 0
        for raw in aim.seeds(name):
            try:
                decode(raw)
            except RemoteProtocolError:
                continue
            read += 1
        assert read, name


def test_mutations_of_a_document_stay_documents(aim):
    document = b'{"a":[1,"two",{"b":null}],"c":"0.5"}'
    made = {aim.mutate_json(document, seed, lambda raw, _: raw[::-1]) for seed in range(300)}
    assert len(made) > 50
    assert all(json.loads(raw) is not ... for raw in made)
    assert aim.mutate_json(b"no document", 1, lambda raw, _: raw) is None


def test_source_hash_of_a_decoder_covers_what_its_module_imports(aim, tmp_path, monkeypatch):
    folder = tmp_path / "lowlat" / "venues" / "polymarket"
    folder.mkdir(parents=True)
    (folder / "tags.py").write_text("from lowlat.venues.wire import malformed\n")
    wire = tmp_path / "lowlat" / "venues" / "wire.py"
    wire.write_text("malformed = 1\n")
    monkeypatch.setattr(aim, "ROOT", tmp_path)
    before = aim.source_hash("lowlat.venues.polymarket.tags")
    assert before == aim.source_hash("lowlat.venues.polymarket.tags")
    wire.write_text("malformed = 2\n")
    assert aim.source_hash("lowlat.venues.polymarket.tags") != before


@pytest.mark.stress
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_decoder_breaks_its_promise(tmp_path):
    command = [sys.executable, str(TOOL), "--all", "--chunk", "3"]
    command += ["--corpus", str(tmp_path / "corpus"), "--kept", str(tmp_path / "kept")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" ok\n") >= 20
    sums = json.loads((tmp_path / "kept" / "sums.json").read_text())
    assert all(row["inputs"] > 0 and row["crashes"] == 0 for row in sums.values())
