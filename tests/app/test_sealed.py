"""Credentials at rest: what is sealed opens with one passphrase only, and shows nothing."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.app import sealed
from lowlat.app.config import SEALED, Credentials, load_credentials, read_secrets
from lowlat.cli.main import main
from lowlat.core.errors import ConfigError
from lowlat.venues.polymarket.eip712 import SigningKey

PASSPHRASE = b"correct horse battery"
KEY = "5c" * 32
PLAIN = json.dumps(
    {
        "private_key": KEY,
        "api_key": "01234567-89ab-cdef-0123-456789abcdef",
        "api_secret": "c2VjcmV0c2VjcmV0",
        "api_passphrase": "p",
        "funder": SigningKey(bytes.fromhex(KEY)).address_text,
        "address": SigningKey(bytes.fromhex(KEY)).address_text,
        "signature_type": 0,
    }
).encode()


@pytest.fixture(scope="module", autouse=True)
def cheap():
    """Make guessing as cheap as a file may ask for: it is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "_LOG2_N", 14)
        yield


@pytest.fixture(scope="module")
def shut(cheap):
    return sealed.seal(PLAIN, PASSPHRASE)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose run directory is the test's own, in memory or said to be."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(sealed, "_file_system", lambda folder: "tmpfs")
    return tmp_path


def file_of(folder, data, mode=0o600):
    path = folder / "credentials.json"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_what_was_sealed_comes_out_and_shows_nothing(shut):
    assert sealed.is_sealed(shut)
    assert shut.startswith(SEALED)
    assert KEY.encode() not in shut
    assert bytes.fromhex(KEY) not in shut
    assert sealed.unseal(shut, PASSPHRASE, "x") == PLAIN
    assert sealed.seal(PLAIN, PASSPHRASE) != shut, "another salt and nonce each time"


@settings(max_examples=6)
@given(st.data())
def test_a_file_changed_anywhere_does_not_open(shut, data):
    at = data.draw(st.integers(0, len(shut) - 2))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = bytearray(shut)
    changed[at] ^= bit
    try:
        opened, said = sealed.unseal(bytes(changed), PASSPHRASE, "the file"), "the file"
    except ConfigError as error:
        opened, said = PLAIN, str(error)
    # It may open where a letter of base64 has bits that mean nothing.
    assert opened == PLAIN
    assert "the file" in said
    assert KEY not in said


def test_another_passphrase_is_refused_in_words(shut):
    with pytest.raises(ConfigError, match="the passphrase is another one"):
        sealed.unseal(shut, PASSPHRASE + b"!", "account.credentials_file x")


def test_sealed_credentials_load_once_the_machine_is_unlocked(shut, machine):
    path = file_of(machine, shut)
    with pytest.raises(ConfigError, match="lowlat secrets unlock"):
        load_credentials(str(path))
    where = sealed.unlock(PASSPHRASE)
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert load_credentials(str(path)).private_key == KEY
    assert sealed.lock()
    assert not sealed.lock()
    with pytest.raises(ConfigError, match="nobody gave the passphrase"):
        read_secrets(str(path), "key", Credentials)


def test_systemd_gives_the_passphrase_as_a_credential(shut, machine, monkeypatch):
    path = file_of(machine, shut)
    folder = machine / "given"
    folder.mkdir()
    (folder / "lowlat-passphrase").write_bytes(PASSPHRASE + b"\n")
    (folder / "lowlat-passphrase").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert load_credentials(str(path)).private_key == KEY
    (folder / "lowlat-passphrase").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_credentials(str(path))


def test_a_run_directory_on_a_disk_holds_no_passphrase(machine, monkeypatch):
    monkeypatch.setattr(sealed, "_file_system", lambda folder: "ext4")
    with pytest.raises(ConfigError, match="is on ext4, expected memory"):
        sealed.unlock(PASSPHRASE)
    assert not list(machine.rglob("passphrase*"))


def test_the_kind_of_file_system_is_read_from_the_kernel():
    assert sealed._file_system(Path("/dev/shm")) == "tmpfs"
    assert sealed._file_system(Path("/proc")) == "proc"


@pytest.mark.parametrize("length", [0, 7, 1025])
def test_a_passphrase_of_no_use_is_refused(length):
    with pytest.raises(ConfigError, match="expected 8 to 1024"):
        sealed.checked(b"x" * length, "the input")


def lowlat(monkeypatch, capsys, *arguments, stdin=""):
    monkeypatch.setattr(sys, "argv", ["lowlat", "secrets", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code, capsys.readouterr()


def test_the_commands_seal_and_unseal_in_place(machine, monkeypatch, capsys):
    path = file_of(machine, PLAIN)
    words = PASSPHRASE.decode() + "\n"
    code, said = lowlat(monkeypatch, capsys, "unlock", stdin=words)
    assert code == 0
    code, said = lowlat(monkeypatch, capsys, "seal", path)
    assert code == 0
    assert sealed.is_sealed(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_credentials(str(path)).private_key == KEY
    code, said = lowlat(monkeypatch, capsys, "unlock", path, stdin="another passphrase\n")
    assert code == 2
    assert "another one" in said.err
    code, said = lowlat(monkeypatch, capsys, "unseal", path)
    assert code == 0
    assert path.read_bytes() == PLAIN
    path.chmod(0o644)
    code, said = lowlat(monkeypatch, capsys, "seal", path)
    assert code == 2
    assert "chmod 600" in said.err
    assert KEY not in said.err + said.out
    assert not list(machine.glob("*.part"))
