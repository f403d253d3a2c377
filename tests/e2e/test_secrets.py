"""Known secrets of a running engine: nowhere but in its own memory, also when it crashes.

The same run answers for the process' hygiene: cores off, private files, private memory.
"""

import base64
import contextlib
import ipaddress
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rig import Rig

from lowlat.app.child import SpawnError
from lowlat.app.state import state_dir
from lowlat.shm.places import segment_file, segment_names

pytestmark = pytest.mark.e2e

MIB = 1 << 20
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""
# Crashes where secrets are near: as the executor signs its first order.
CRASHING = """
import sys
from lowlat.venues.polymarket import signing
import lowlat.app.engine as engine
def fail(self, *arguments, **options):
    key = self
    raise ZeroDivisionError(f"signing with {self!r} {arguments!r} {options!r}")
for name in [n for n, v in vars(signing.OrderSigner).items() if n[:4] == "sign" and callable(v)]:
    setattr(signing.OrderSigner, name, fail)
sys.exit(engine.main(sys.argv[1:]))
"""


def forms(secrets):
    """Return every secret in every form in which it could leak."""
    key = bytes.fromhex(secrets["private_key"].removeprefix("0x"))
    found = {"key decimal": str(int.from_bytes(key, "big")).encode()}
    raw = {
        "key": key,
        "secret text": secrets["api_secret"].encode(),
        "secret": base64.urlsafe_b64decode(secrets["api_secret"] + "=="),
        "passphrase": secrets["api_passphrase"].encode(),
    }
    for name, value in raw.items():
        found[f"{name} raw"] = value
        found[f"{name} hex"] = value.hex().encode()
        found[f"{name} HEX"] = value.hex().upper().encode()
        found[f"{name} base64"] = base64.b64encode(value).rstrip(b"=")
        found[f"{name} base64url"] = base64.urlsafe_b64encode(value).rstrip(b"=")
        found[f"{name} repr"] = repr(value)[2:-1].encode()
    return {name: value for name, value in found.items() if len(value) >= 8}


def left_behind(rig, home):
    """Yield each file but the two that hold credentials, which only their owner may read.

    The second cancels, so it must hold nothing that signs.
    """
    keys = {rig.account.credentials_file, rig.account.cancel_credentials_file}
    for path in keys:
        assert path.stat().st_mode & 0o077 == 0, path
    cancels = rig.account.cancel_credentials_file.read_bytes()
    for form, value in forms(rig.secrets).items():
        assert not form.startswith("key") or value not in cancels, form
    for path in home.rglob("*"):
        if path.is_file() and path not in keys:
            yield path


def places(rig, home):
    """Yield everything that outlives or leaves the process: name and bytes."""
    for path in left_behind(rig, home):
        yield str(path), path.read_bytes()
    for name in segment_names(rig.instance):
        yield name, Path(segment_file(rig.instance, name)).read_bytes()
    for name in ("sim", "recorder", "engine"):
        pid = rig.pid(name)
        if Path(f"/proc/{pid}").exists():
            for what in ("cmdline", "environ"):
                yield f"{name} {what}", Path(f"/proc/{pid}/{what}").read_bytes()


def assert_nothing_leaked(rig, home, at_least):
    wanted = forms(rig.secrets)
    count = 0
    for name, data in places(rig, home):
        count += 1
        for form, value in wanted.items():
            assert value not in data, f"{form} is in {name}"
    assert count >= at_least


def memory_holds(pid, wanted):
    """Return which of the wanted bytes are in the writable memory of a process."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, _, _, inode = line.split()[:5]
            if not rights.startswith("rw") or (inode != "0" and "/dev/shm" in line):
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, OverflowError):
                continue  # [vvar] and pages that went away meanwhile
            found |= {name for name, value in wanted.items() if value in data}
    return found


def assert_key_is_in_one_process_only(rig):
    """The trading key is in the executor's process; who may not look is kept out by the kernel."""
    wanted = {name: value for name, value in forms(rig.secrets).items() if name.startswith("key")}
    try:
        assert memory_holds(rig.pid("engine"), wanted), "the search finds what is there"
        assert not memory_holds(rig.pid("recorder"), wanted)
    except PermissionError:
        assert os.geteuid() != 0, "root may look everywhere"


def sockets_of(pid):
    """Return the inodes of a process' sockets."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            name = os.readlink(descriptor)
            if name.startswith("socket:["):
                inodes.add(name[8:-1])
    return inodes


def dialed(pid):
    """Return host and port of every TCP connection that a process opened."""
    inodes = sockets_of(pid)
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            address, port = fields[2].split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def assert_dials_only_listed_hosts(rig):
    listed = {(urlsplit(url).hostname, urlsplit(url).port) for url in rig.urls.values()}
    found = dialed(rig.pid("engine"))
    assert found, "it is connected"
    assert found <= listed
    assert not dialed(rig.pid("recorder"))


def listens(pid):
    """Return the addresses at which a process takes TCP connections."""
    inodes = sockets_of(pid)
    found = set()
    for family, size in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                words = bytes.fromhex(fields[1].split(":")[0])
                # Each 32-bit word is in the machine's order.
                address = b"".join(words[at : at + 4][::-1] for at in range(0, size, 4))
                found.add(ipaddress.ip_address(address))
    return found


def assert_listens_on_loopback_only(rig):
    assert listens(rig.pid("sim")), "the search finds who listens"
    for name in ("sim", "recorder", "engine"):
        assert all(each.is_loopback for each in listens(rig.pid(name))), name


def private_bytes(pid):
    """Return memory that is the process' own: anonymous and changed pages, no segments."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name] = int(value) * 1024
    return fields["Private_Dirty:"] + fields["Private_Clean:"]


def test_secrets_are_nowhere_and_the_process_is_tidy(instance, home, capsys):
    with Rig(instance, home, seed=8) as rig:
        rig.turn_until(lambda: rig.picture().pairs.completed >= 2, 60, "two completed pairs")
        rig.turn_until(lambda: rig.reading().counter("capture.frames") > 0, 60, "a capture")
        os.kill(rig.pid("engine"), 10)  # SIGUSR1: histograms to the log
        rig.turn_until(lambda: "latency name=" in rig.whole_log("engine"), 60, "histograms")
        assert_nothing_leaked(rig, home, 30)
        for name in ("engine", "recorder"):
            status = Path(f"/proc/{rig.pid(name)}/status").read_text()
            assert "Umask:\t0077" in status
            limits = Path(f"/proc/{rig.pid(name)}/limits").read_text()
            core = next(line for line in limits.splitlines() if "core file size" in line)
            assert core.split()[4:6] == ["0", "0"], core
        for path in state_dir(instance).glob("*.log"):
            assert path.stat().st_mode & 0o077 == 0, path
        private = private_bytes(rig.pid("engine"))
        assert private <= 64 * MIB
        with capsys.disabled():
            sys.stdout.write(f"\n  engine private memory {private / MIB:.1f} MiB\n")
        # Behind that: looking at memory that was never used makes it count.
        assert_key_is_in_one_process_only(rig)
        assert_dials_only_listed_hosts(rig)
        assert_listens_on_loopback_only(rig)
        assert rig.drain().holds
        assert_nothing_leaked(rig, home, 30)


def test_crash_while_signing_shows_no_secret(instance, home):
    engine = (sys.executable, "-P", "-c", CRASHING)
    rig = Rig(instance, home, seed=8, engine=engine)
    try:
        with contextlib.suppress(SpawnError), rig:
            rig.turn_until(lambda: "ZeroDivisionError" in rig.whole_log("engine"), 60, "a crash")
        log = rig.whole_log("engine")
        assert "ZeroDivisionError: signing with" in log
        assert "Traceback" in log
        wanted = forms(rig.secrets)
        for path in left_behind(rig, home):
            data = path.read_bytes()
            for form, value in wanted.items():
                assert value not in data, f"{form} is in {path}"
    finally:
        assert segment_names(instance) == []
