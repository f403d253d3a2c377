"""`lowlat doctor`: is this machine fit to run it; every line says how to mend what is not."""

import ctypes
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from lowlat.cli._finding import FAIL, OK, WARN, Finding
from lowlat.cli.main import EXIT_FAILED, Json, app

SHM_BYTES_MIN: Final = 96 * 2**20
DISK_BYTES_MIN: Final = 2**30
_TIME_ERROR: Final = 5
_UNSYNCHRONISED: Final = 0x0040
"""Source: adjtimex(2), TIME_ERROR and STA_UNSYNC."""
_CLOCK_US_MAX: Final = 50_000
_TEST_KEY: Final = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Key 0 of a public test mnemonic. Source: polymarket.md 16."""
_TEST_ADDRESS: Final = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
_TEST_TOKEN: Final = 71321045679252212594626385532706912750332728571942532289631379312455583992563
_TEST_ORDER_ID: Final = "9f1d429298f285dd6b710f9837739d8e1231531711a8e0f832d238537feb0868"


@app.command(epilog="Examples: lowlat doctor | lowlat doctor --config paper.toml --json")
def doctor(
    *,
    config: Annotated[
        str, typer.Option(metavar="FILE", help="Also check this config, its files and venues.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Check this machine; exit 0 when nothing failed (warnings cost speed, not safety).

    With a config, each of its venues is connected to and, where it tells it, asked for its time.
    """
    findings = list(examine(config))
    if as_json:
        print(json.dumps([msgspec.structs.asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            mend = f"  -> {finding.mend}" if finding.mend else ""
            print(f"{finding.state:4}  {finding.check:{width}}  {finding.have}{mend}")
    if any(finding.state == FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def examine(config: str = "") -> Iterator[Finding]:
    """Run every check; one that cannot run is a failure of its own."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", _python),
        ("extension", _extension),
        ("cpu", _cpu),
        ("/dev/shm", _shared_memory),
        ("mlock limit", _mlock),
        ("cores", _cores),
        ("siblings", _siblings),
        ("clock source", _clock_source),
        ("clock offset", _clock_offset),
        ("run directory", _run_directory),
        ("disk", _disk),
        ("signer", _signer),
    ]
    if config:
        from lowlat.cli import _doctor_config

        checks.append(("config", partial(_doctor_config.config, config)))
        checks += _doctor_config.of_config(config)
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


def _cpu() -> Finding:
    """Look for a time stamp counter that neither stops nor changes its pace."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")
    if platform.machine() != "x86_64":
        return Finding("cpu", OK, f"{model}, {platform.machine()}")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    missing = [flag for flag in ("constant_tsc", "nonstop_tsc") if flag not in flags]
    if missing:
        mend = "stamps may drift between cores: prefer a host that passes the flag through"
        return Finding("cpu", WARN, f"{model}, without {', '.join(missing)}", mend)
    return Finding("cpu", OK, f"{model}, steady time stamp counter")


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


def _siblings() -> Finding:
    """Look whether two of our cores are one: a spinner then slows its twin."""
    usable = os.sched_getaffinity(0)
    pairs = set()
    for core in usable:
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        text = path.read_text().strip() if path.exists() else str(core)
        if text != str(core):
            pairs.add(text)
    if pairs:
        mend = "pin hot processes to one of each pair, or lowlat tune check (SMT sibling)"
        return Finding("siblings", WARN, f"shared: {', '.join(sorted(pairs))}", mend)
    return Finding("siblings", OK, "no two usable cores share hardware")


def _clock_source() -> Finding:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    source = path.read_text().strip() if path.exists() else "unknown"
    if source in {"tsc", "kvm-clock", "arch_sys_counter"}:
        return Finding("clock source", OK, source)
    return Finding("clock source", WARN, source, "each stamp may be a system call: prefer tsc")


class _Timex(ctypes.Structure):
    """Head of struct timex, and room for the rest of it. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def _clock_offset() -> Finding:
    """Ask the kernel whether something keeps its clock, and how far off it may be."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    if state == _TIME_ERROR or timex.status & _UNSYNCHRONISED:
        mend = "run chrony: orders carry wall time, and latency windows are cut by it"
        return Finding("clock offset", WARN, "nothing synchronises this clock", mend)
    have = f"estimated {timex.esterror / 1e3:.1f} ms, at most {timex.maxerror / 1e3:.0f} ms"
    if timex.esterror > _CLOCK_US_MAX:
        return Finding("clock offset", WARN, have, "chronyc tracking; choose a nearer time source")
    return Finding("clock offset", OK, have)


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
