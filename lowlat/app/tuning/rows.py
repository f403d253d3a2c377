"""The settings that cost a trading host its microseconds, one function a group of rows.

Each row says what it wants, what it found, whether a write can mend it now, and how to see it.
``boot`` rows need a kernel parameter; ``guest`` rows belong to whoever runs the host. Sources:
the kernel's admin guide (kernel-parameters, sysctl, cpufreq, transhuge), ipc.md 15.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from lowlat.app.tuning.host import Cores, Host, cores_text, parse_cores

__all__ = ["ABSENT", "ADVICE", "OFF", "OK", "Change", "Row", "examine"]

OK: Final = "ok"
OFF: Final = "OFF"
ADVICE: Final = "advice"
ABSENT: Final = "absent"
"""This kernel or this container does not show the setting."""

_CPU: Final = "/sys/devices/system/cpu"
_VM: Final = "/proc/sys/vm"


class Change(msgspec.Struct, frozen=True):
    """One write that mends a row, and what is undone by writing the old text back."""

    path: str
    value: str


class Row(msgspec.Struct, frozen=True):
    """One setting: wanted, found, and what can be done about it."""

    name: str
    state: str
    """OK, OFF, ADVICE or ABSENT."""
    want: str
    have: str
    source: str
    changes: tuple[Change, ...] = ()
    mend: str = ""
    guest_fixed: bool = False
    """A guest cannot change it, whatever its own kernel lets it write."""


def examine(host: Host, cores: Cores) -> Iterator[Row]:
    """Look at every row, in the order in which they are worth mending."""
    for group in _GROUPS:
        yield from group(host, cores)


def _isolation(host: Host, cores: Cores) -> Iterator[Row]:
    hot = cores_text(cores.hot)
    if not hot:
        have = f"{len(cores.house)} core"
        yield Row("cores", ADVICE, "two or more", have, "ipc.md 10", mend="wait = park everywhere")
        return
    wanted = set(cores.hot)
    for name, path, parameter, note in (
        ("isolated cores", f"{_CPU}/isolated", f"isolcpus=managed_irq,domain,{hot}", "15.1"),
        ("tick off", f"{_CPU}/nohz_full", f"nohz_full={hot} rcu_nocbs={hot}", "15.2"),
    ):
        text = host.read(path)
        if text is None:
            yield Row(name, ABSENT, hot, "not shown", f"ipc.md {note}")
            continue
        try:
            found = set(parse_cores(text))
        except ValueError:
            found = set()  # the kernel writes "(null)" for none
        good = wanted <= found
        mend = "" if good else f"kernel parameter {parameter}, then a reboot"
        state = OK if good else OFF
        yield Row(name, state, hot, cores_text(tuple(found)) or "none", f"ipc.md {note}", mend=mend)


def _interrupts(host: Host, cores: Cores) -> Iterator[Row]:
    house = cores_text(cores.house)
    if not cores.hot or not house:
        return
    hot = set(cores.hot)
    changes, elsewhere, fixed = [], 0, 0
    for path in host.glob("/proc/irq/*/smp_affinity_list"):
        text = host.read(path)
        if text is None or not hot & set(parse_cores(text)):
            continue
        elsewhere += 1
        if host.writable(path):
            changes.append(Change(path, house))
        else:
            fixed += 1
    have = "none on hot cores" if not elsewhere else f"{elsewhere} may hit hot cores"
    state = OK if not elsewhere else OFF
    mend = "stop irqbalance first: it undoes this" if elsewhere else ""
    if fixed:
        mend = f"{fixed} are managed or hidden here: irqaffinity={house} at boot"
    want = f"cores {house}"
    yield Row("interrupts", state, want, have, "ipc.md 15.3", tuple(changes), mend)
    path = "/sys/devices/virtual/workqueue/cpumask"
    mask = host.read(path)
    if mask is None:
        yield Row("kernel work queues", ABSENT, want, "not shown", "ipc.md 15.3")
        return
    value = f"{sum(1 << core for core in cores.house):x}"
    good = int(mask.replace(",", ""), 16) == int(value, 16)
    changes = [] if good else [Change(path, value)]
    yield Row("kernel work queues", OK if good else OFF, value, mask, "ipc.md 15.3", tuple(changes))


def _processes(host: Host, cores: Cores) -> Iterator[Row]:
    """Look at the engine's own processes, when some run: on one core each, ordinary class."""
    if not cores.hot:
        return
    wide, found = [], 0
    for path in host.glob("/proc/[0-9]*/cmdline"):
        words = (host.read(path) or "").split("\0")
        if not any(word.startswith("lowlat.app.") for word in words):
            continue
        found += 1
        status = host.read(path.replace("cmdline", "status")) or ""
        allowed = status.partition("Cpus_allowed_list:")[2].split("\n")[0].strip()
        if len(parse_cores(allowed)) > 1:
            wide.append(path.split("/")[2])
    have = f"{found} run, {len(wide)} unpinned" if found else "none runs"
    mend = f"set core in the topology: pid {', '.join(wide)}" if wide else ""
    state = ADVICE if wide or not found else OK
    yield Row("pinned processes", state, "one core each", have, "ipc.md 15.4", mend=mend)


def _power(host: Host, _: Cores) -> Iterator[Row]:
    smt = host.read(f"{_CPU}/smt/active")
    if smt is None:
        yield Row("SMT sibling", ABSENT, "idle", "not shown", "ipc.md 15.5", guest_fixed=True)
    else:
        off = (Change(f"{_CPU}/smt/control", "off"),) if smt == "1" else ()
        have = "active" if off else "idle"
        state = OFF if off else OK
        yield Row("SMT sibling", state, "idle", have, "ipc.md 15.5", off, guest_fixed=True)
    governors = host.glob(f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor")
    slow = [path for path in governors if host.read(path) != "performance"]
    if not governors:
        yield Row(
            "frequency governor",
            ABSENT,
            "performance",
            "not shown",
            "ipc.md 15.6",
            guest_fixed=True,
        )
    else:
        have = "performance" if not slow else f"{len(slow)} of {len(governors)} cores slower"
        changes = tuple(Change(path, "performance") for path in slow)
        state = OFF if slow else OK
        yield Row("frequency governor", state, "performance", have, "ipc.md 15.6", changes)
    if host.path("/dev/cpu_dma_latency").exists():
        yield Row(
            "deep sleep",
            ADVICE,
            "0 us while it runs",
            "held open by a parked engine only",
            "ipc.md 15.7",
            mend="spinning cores never sleep; parked ones wake 10-100 us later",
        )
    else:
        yield Row("deep sleep", ABSENT, "0 us", "not shown", "ipc.md 15.7", guest_fixed=True)


def _scheduling(host: Host, _: Cores) -> Iterator[Row]:
    path = "/proc/sys/kernel/sched_rt_runtime_us"
    have = host.read(path)
    bad = have == "-1"
    yield Row(
        "real-time throttle",
        ABSENT if have is None else OFF if bad else OK,
        "not -1",
        have or "not shown",
        "ipc.md 15.8",
        (Change(path, "950000"),) if bad else (),
    )


_SWITCHES: Final = (
    ("huge pages", "/sys/kernel/mm/transparent_hugepage/enabled", ("madvise", "never"), "15.9"),
    ("page merging", "/sys/kernel/mm/ksm/run", ("0",), "15.9"),
    ("compaction", f"{_VM}/compaction_proactiveness", ("0",), "15.9"),
    ("statistics timer", f"{_VM}/stat_interval", ("120",), "15.10"),
    ("page migration", "/proc/sys/kernel/numa_balancing", ("0",), "15.10"),
    ("slow start", "/proc/sys/net/ipv4/tcp_slow_start_after_idle", ("0",), "15.14"),
)


def _switches(host: Host, _: Cores) -> Iterator[Row]:
    for name, path, wanted, note in _SWITCHES:
        have = host.switch(path)
        want = " or ".join(wanted)
        if have is None:
            yield Row(name, ABSENT, want, "not shown", f"ipc.md {note}")
            continue
        good = have in wanted
        changes = () if good else (Change(path, wanted[0]),)
        yield Row(name, OK if good else OFF, want, have, f"ipc.md {note}", changes)


def _memory(host: Host, _: Cores) -> Iterator[Row]:
    swaps = (host.read("/proc/swaps") or "").splitlines()[1:]
    have = "off" if not swaps else ", ".join(line.split()[0] for line in swaps)
    mend = "swapoff -a, and remove it from /etc/fstab" if swaps else ""
    yield Row("swap", OFF if swaps else OK, "off", have, "ipc.md 15.10", mend=mend)


def _network(host: Host, _: Cores) -> Iterator[Row]:
    for name in ("busy_poll", "busy_read"):
        have = host.read(f"/proc/sys/net/core/{name}")
        yield Row(
            name.replace("_", " "),
            ABSENT if have is None else ADVICE,
            "50 where it helps",
            have or "not shown",
            "ipc.md 15.11",
            mend="only with a driver that supports it: set, then lowlat tune prove, then keep it",
        )
    yield Row("Nagle", OK, "off", "off on each socket we open", "ipc.md 15.12")
    yield Row(
        "interrupt coalescing",
        ADVICE,
        "rx-usecs 0",
        "per network card",
        "ipc.md 15.13",
        mend="ethtool -C DEV adaptive-rx off rx-usecs 0; undo with the old values of ethtool -c",
        guest_fixed=True,
    )


def _clock(host: Host, _: Cores) -> Iterator[Row]:
    path = f"{_CPU.removesuffix('cpu')}clocksource/clocksource0/current_clocksource"
    have = host.read(path)
    others = (host.read(path.replace("current", "available")) or "").split()
    good = have in {"tsc", "kvm-clock", "arch_sys_counter"}
    changes = () if good or "tsc" not in others else (Change(path, "tsc"),)
    state = ABSENT if have is None else OK if good else OFF
    mend = "" if good else "only where the host's tsc is stable: else each stamp is a system call"
    yield Row("clock source", state, "tsc", have or "not shown", "ipc.md 15.15", changes, mend)


_GROUPS: Final[tuple[Callable[[Host, Cores], Iterator[Row]], ...]] = (
    _isolation,
    _interrupts,
    _processes,
    _power,
    _scheduling,
    _switches,
    _memory,
    _network,
    _clock,
)
