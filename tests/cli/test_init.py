"""`lowlat init` before anything leaves: who is refused, and why. The rest is tests/conformance."""

import json
import stat

import pytest

from lowlat.app.onboarding import Choices, onboard
from lowlat.cli.init import _make_key, _simulator
from lowlat.core.errors import ConfigError

LOOPBACK = {
    "clob": "http://127.0.0.1:1",
    "gamma": "http://localhost:2",
    "relayer": "http://[::1]:3",
}
KEY = "0x" + "ab" * 32


def choices(tmp_path, **changes):
    key = tmp_path / "key"
    if not key.exists():
        key.write_text(KEY)
        key.chmod(0o600)
    made = Choices(key, tmp_path / "out.json", tmp_path / "cancel.json", urls=LOOPBACK)
    return made._replace(**changes)


def refusal(chosen):
    said = []
    with pytest.raises(ConfigError) as error:
        onboard(chosen, lambda *words: said.append(words))
    assert not said
    assert KEY[2:] not in str(error.value)
    return str(error.value)


def test_a_real_venue_wants_the_flag(tmp_path):
    assert "--real-venue" in refusal(choices(tmp_path, urls=None))
    stranger = LOOPBACK | {"clob": "https://clob.polymarket.com"}
    assert "clob.polymarket.com is a real venue" in refusal(choices(tmp_path, urls=stranger))
    assert "exclude each other" in refusal(choices(tmp_path, real_venue=True))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (KEY, 0o644, "chmod 600"),
        ("0x1234", 0o600, "64 hex digits"),
        (KEY + "00", 0o600, "64 hex digits"),
        ("\xff" * 64, 0o600, "64 hex digits"),
    ],
)
def test_a_key_file_that_others_read_or_that_holds_no_key_is_refused(tmp_path, text, mode, words):
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(mode)
    assert words in refusal(choices(tmp_path))


def test_a_missing_key_file_is_named(tmp_path):
    assert str(tmp_path / "none") in refusal(choices(tmp_path, key_file=tmp_path / "none"))


def test_a_new_key_is_private_and_never_replaces_one(tmp_path):
    path = tmp_path / "key"
    _make_key(path)
    text = path.read_text()
    assert len(text.strip()) == 66
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    _make_key(path)
    assert path.read_text() == text


def test_a_file_that_no_simulator_wrote_is_refused(tmp_path):
    for text in ("", "[]", json.dumps({"urls": 1, "certificate": ""})):
        (tmp_path / "ready").write_text(text)
        with pytest.raises(ConfigError, match="lowlat sim prints"):
            _simulator(tmp_path / "ready")


def test_a_simulator_that_names_not_every_place_is_refused_with_what_is_missing(tmp_path):
    ready = {"urls": LOOPBACK | {"data": 4}, "certificate": ""}
    (tmp_path / "ready").write_text(json.dumps(ready))
    with pytest.raises(ConfigError, match="names no address of data, control: take the line"):
        _simulator(tmp_path / "ready")
