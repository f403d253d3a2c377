"""Where an instance lives: its segment names in /dev/shm and its run directory.

The run directory holds lock files and FIFOs, which are never unlinked: a process that waits on a
lock file must not find itself holding a nameless one while another takes its successor.
"""

import os
import re
import stat
from typing import Final

from lowlat.core.errors import SegmentError

__all__ = [
    "SHM_DIR",
    "check_instance",
    "check_name",
    "instance_dir",
    "private_dir",
    "run_dir",
    "segment_file",
    "segment_names",
    "shm_name",
]

SHM_DIR: Final = "/dev/shm"  # noqa: S108 - where Linux keeps POSIX shared memory
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")


def run_dir() -> str:
    """Return the user's private run directory, made if missing.

    ``$XDG_RUNTIME_DIR/lowlat``, else ``/tmp/lowlat-<uid>``. Raises SegmentError when it belongs to
    somebody else, others may enter it, or it is a symbolic link.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    path = f"{base}/lowlat" if base else f"/tmp/lowlat-{os.getuid()}"  # noqa: S108 - checked below
    return private_dir(path, "run directory")


def instance_dir(instance: str) -> str:
    """Return the instance's folder in the run directory, made if missing."""
    return private_dir(f"{run_dir()}/{check_instance(instance)}", "run directory")


def private_dir(path: str, what: str) -> str:
    """Return a folder that only we may enter, made if missing.

    Raises SegmentError that says ``what`` it is, when it belongs to somebody else, others may enter
    it, or it is no directory.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise SegmentError(f"{what} {path} cannot be made: {error.strerror}") from error
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise SegmentError(f"{what} {path} is not a directory: remove it")
    if found.st_uid != os.getuid():
        raise SegmentError(f"{what} {path} belongs to uid {found.st_uid}, we are another")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise SegmentError(f"{what} {path} has mode {mode:04o}: run chmod 700 {path}")
    return path


def check_instance(instance: str) -> str:
    """Return instance, or raise SegmentError when it cannot be part of a segment name."""
    if not _INSTANCE.match(instance):
        raise SegmentError(f"instance {instance!r}: expected a-z 0-9 _ - and at most 32 characters")
    return instance


def check_name(name: str) -> str:
    """Return a segment, stream or process name, or raise SegmentError when it cannot be one."""
    if not _NAME.match(name):
        raise SegmentError(f"name {name!r}: expected a-z 0-9 _ . - and at most 64 characters")
    return name


def shm_name(instance: str, name: str) -> str:
    """Return the POSIX name of a segment, ``/lowlat.<instance>.<kind>.<name>``."""
    return f"/lowlat.{check_instance(instance)}.{check_name(name)}"


def segment_file(instance: str, name: str) -> str:
    """Return the file behind a segment, for messages."""
    return SHM_DIR + shm_name(instance, name)


def segment_names(instance: str) -> list[str]:
    """Return the names (``kind.name``) of every segment of an instance, sorted."""
    prefix = f"lowlat.{check_instance(instance)}."
    return sorted(f.removeprefix(prefix) for f in os.listdir(SHM_DIR) if f.startswith(prefix))
