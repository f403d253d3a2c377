"""`lowlat doctor`: is this machine fit to run it; every line says how to mend what is not."""

import json
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import typer

from lowlat.cli.main import EXIT_FAILED, Json, app

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "FAIL"
SHM_BYTES_MIN: Final = 96 * 2**20
DISK_BYTES_MIN: Final = 2**30
_TEST_KEY: Final = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Key 0 of a public test mnemonic. Source: polymarket.md 16."""
_TEST_ADDRESS: Final = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
_TEST_TOKEN: Final = 71321045679252212594626385532706912750332728571942532289631379312455583992563
_TEST_ORDER_ID: Final = "9f1d429298f285dd6b710f9837739d8e1231531711a8e0f832d238537feb0868"


class Finding(msgspec.Struct, frozen=True):
    """One line: what was looked at, how it stands, what to do."""

    check: str
    state: str
    have: str
    mend: str = ""


@app.command(epilog="Example: lowlat doctor --json")
def doctor(*, as_json: Json = False) -> None:
    """Check this machine; exit 0 when nothing failed (warnings cost speed, not safety)."""
    findings = list(examine())
    if as_json:
        print(json.dumps([msgspec.structs.asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            mend = f"  -> {finding.mend}" if finding.mend else ""
            print(f"{finding.state:4}  {finding.check:{width}}  {finding.have}{mend}")
    if any(finding.state == FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def examine() -> Iterator[Finding]:
    """Run every check; one that cannot run is a failure of its own."""
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", _python),
        ("extension", _extension),
        ("/dev/shm", _shared_memory),
        ("mlock limit", _mlock),
        ("cores", _cores),
        ("clock source", _clock_source),
        ("run directory", _run_directory),
        ("disk", _disk),
        ("signer", _signer),
    )
    for name, check in checks:
        try:
            yield check()
        except (OSError, ImportError, ValueError) as error:
            yield Finding(name, FAIL, f"{type(error).__name__}: {error}", "see the message")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11) and sys.platform == "linux"
    return Finding(
        "python",
        OK if good else FAIL,
        f"{version} on {sys.platform}",
        "" if good else "Python 3.11 or newer on Linux",
    )


def _extension() -> Finding:
    from lowlat.shm import _core

    age = Path(_core.__file__).stat().st_mtime - _source_time()
    if age < 0:
        return Finding("extension", FAIL, "older than its source", "make setup")
    return Finding("extension", OK, Path(_core.__file__).name)


def _source_time() -> float:
    folder = Path(__file__).parent.parent / "shm"
    return max((folder / name).stat().st_mtime for name in ("ring.h", "_core.pyx"))


def _shared_memory() -> Finding:
    status = os.statvfs("/dev/shm")
    free = status.f_bavail * status.f_frsize
    text = f"{free // 2**20} MiB free"
    if free < SHM_BYTES_MIN:
        mend = f"needs {SHM_BYTES_MIN // 2**20} MiB: lowlat clean, or mount -o remount,size=256M"
        return Finding("/dev/shm", FAIL, text, mend)
    return Finding("/dev/shm", OK, text)


def _mlock() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= SHM_BYTES_MIN:
        return Finding("mlock limit", OK, "enough for every segment")
    return Finding(
        "mlock limit",
        WARN,
        f"{soft // 2**20} MiB",
        "pages may be swapped: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    isolated = Path("/sys/devices/system/cpu/isolated")
    text = isolated.read_text().strip() if isolated.exists() else ""
    have = f"{cores} usable, isolated: {text or 'none'}"
    if cores < 2:
        return Finding("cores", WARN, have, 'one core: use waiting = "parked"')
    if not text:
        return Finding("cores", WARN, have, "spinning wants a core of its own: isolcpus=")
    return Finding("cores", OK, have)


def _clock_source() -> Finding:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    source = path.read_text().strip() if path.exists() else "unknown"
    if source in {"tsc", "kvm-clock", "arch_sys_counter"}:
        return Finding("clock source", OK, source)
    return Finding("clock source", WARN, source, "each stamp may be a system call: prefer tsc")


def _run_directory() -> Finding:
    from lowlat.shm.places import run_dir

    return Finding("run directory", OK, str(run_dir()))


def _disk() -> Finding:
    free = shutil.disk_usage(Path.home()).free
    text = f"{free // 2**20} MiB free"
    if free < DISK_BYTES_MIN:
        return Finding("disk", WARN, text, "journal and tapes want 1 GiB")
    return Finding("disk", OK, text)


def _signer() -> Finding:
    """Sign an order with a public test key and compare with the known answer."""
    from lowlat.core.layout import Action, Exchange
    from lowlat.venues.polymarket.signing import OrderFields, OrderSigner

    signer = OrderSigner(bytes.fromhex(_TEST_KEY), 0, _TEST_ADDRESS)
    fields = OrderFields(
        479249096354, _TEST_TOKEN, 50_000_000, 100_000_000, Action.BUY, 1_710_000_000_000
    )
    order_id = signer.sign(Exchange.STANDARD, fields).order_id.hex()
    if order_id != _TEST_ORDER_ID:
        return Finding("signer", FAIL, f"order id {order_id[:16]}…", "reinstall: make setup")
    return Finding("signer", OK, "known order id reproduced")
