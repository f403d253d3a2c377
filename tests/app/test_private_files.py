"""Files that only we may read: what is refused, and that nothing half written is ever seen."""

import os
import stat

import pytest

from lowlat.app.private_files import read_private, write_private
from lowlat.core.errors import ConfigError


def test_what_was_written_is_ours_alone_and_comes_back(tmp_path):
    path = tmp_path / "key"
    for data in (b"one", b"another"):
        write_private(path, data)
        assert read_private(path, "a key") == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_may_touch_is_refused_with_what_to_do(tmp_path, mode):
    path = tmp_path / "key"
    write_private(path, b"secret words")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"a key {path} has mode {mode:04o}.*chmod 600") as error:
        read_private(path, "a key")
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=f"a key {tmp_path}/none: No such file"):
        read_private(tmp_path / "none", "a key")


def test_nothing_is_written_through_a_link_that_somebody_left(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "key.part").symlink_to(elsewhere)
    write_private(tmp_path / "key", b"ours")
    assert elsewhere.read_bytes() == b"theirs"
    assert (tmp_path / "key").read_bytes() == b"ours"
