"""`lowlat tune` over a made-up root: what it finds, writes, remembers and puts back."""

import json

import pytest

from lowlat.app.tuning.changes import Memory, apply, revert
from lowlat.app.tuning.host import Host, cores_text, parse_cores
from lowlat.app.tuning.prove import prove
from lowlat.app.tuning.rows import ABSENT, ADVICE, OFF, OK, Change, examine
from lowlat.core.errors import ConfigError

CPU = "sys/devices/system/cpu"
FILES = {
    f"{CPU}/online": "0-3",
    f"{CPU}/isolated": "2-3",
    f"{CPU}/nohz_full": "(null)",
    f"{CPU}/smt/active": "1",
    f"{CPU}/smt/control": "on",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance",
    "proc/cpuinfo": "flags : fpu hypervisor\n",
    "proc/irq/7/smp_affinity_list": "0-3",
    "proc/irq/8/smp_affinity_list": "0-1",
    "proc/sys/kernel/random/boot_id": "one",
    "proc/sys/kernel/sched_rt_runtime_us": "950000",
    "proc/sys/vm/stat_interval": "1",
    "proc/sys/net/ipv4/tcp_slow_start_after_idle": "1",
    "proc/swaps": "Filename Type Size\n/swapfile file 99\n",
    "proc/41/cmdline": "python\0-m\0lowlat.app.engine\0x",
    "proc/41/status": "Name:\tpython\nCpus_allowed_list:\t0-3\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never",
    "sys/devices/virtual/workqueue/cpumask": "f",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet",
    "sys/class/dmi/id/sys_vendor": "Somebody",
}


@pytest.fixture
def host(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(str(tmp_path / "root"))


@pytest.fixture
def memory_file(tmp_path):
    return tmp_path / "state" / "changes.json"


def rows_of(host, hot=""):
    return {row.name: row for row in examine(host, host.cores(hot))}


def changes_of(host):
    return [change for row in rows_of(host).values() for change in row.changes]


def test_a_core_list_reads_and_writes_as_the_kernel_does():
    assert parse_cores("0-2,5") == (0, 1, 2, 5)
    assert cores_text((0, 1, 2, 5)) == "0-2,5"
    assert parse_cores("") == ()
    for bad in ("a", "3-1", "-1", "1-x"):
        with pytest.raises(ValueError, match=r"core list|invalid literal"):
            parse_cores(bad)


def test_rows_tell_good_from_bad_and_from_not_shown(host):
    rows = rows_of(host)
    states = {name: row.state for name, row in rows.items()}
    assert states["isolated cores"] == OK
    assert states["tick off"] == OFF
    assert "nohz_full=2-3" in rows["tick off"].mend
    assert states["interrupts"] == OFF
    assert rows["interrupts"].have == "1 may hit hot cores"
    assert rows["interrupts"].changes == (Change("/proc/irq/7/smp_affinity_list", "0-1"),)
    assert rows["kernel work queues"].changes[0].value == "3"
    assert states["pinned processes"] == ADVICE
    assert "pid 41" in rows["pinned processes"].mend
    assert states["frequency governor"] == OFF
    assert len(rows["frequency governor"].changes) == 1
    assert rows["huge pages"].have == "always"
    assert states["page merging"] == ABSENT
    assert states["swap"] == OFF
    assert states["clock source"] == OFF
    assert all(row.source.startswith("ipc.md") for row in rows.values())


def test_cores_that_spin_are_a_choice_with_a_sane_default(host):
    assert host.cores().hot == (2, 3)
    assert host.cores("3").house == (0, 1, 2)
    host.path(f"/{CPU}/online").write_text("0")
    assert host.cores().hot == ()
    assert rows_of(host)["cores"].state == ADVICE


def test_a_guest_is_told_who_runs_it(host):
    assert host.guest == "Somebody"
    host.path("/proc/cpuinfo").write_text("flags : fpu\n")
    assert host.guest == ""


def test_apply_writes_once_and_revert_puts_back(host, memory_file):
    before = {change.path: host.switch(change.path) for change in changes_of(host)}
    assert len(before) >= 6
    outcomes = apply(host, changes_of(host), Memory(memory_file, host))
    # A made-up file keeps the whole text; the kernel's switch would show its choice in brackets.
    assert all(not outcome.error for outcome in outcomes)
    host.path(f"/{CPU}/smt/active").write_text("0")
    again = apply(host, changes_of(host), Memory(memory_file, host))
    assert again == []
    kept = Memory(memory_file, host)
    assert kept.before == before
    undone = revert(host, kept)
    assert all(not outcome.error for outcome in undone)
    assert {path: host.switch(path) for path in before} == before
    assert not memory_file.exists()


def test_applying_something_else_later_still_reverts_to_the_first_state(host, memory_file):
    path = "/proc/sys/vm/stat_interval"
    apply(host, [Change(path, "120")], Memory(memory_file, host))
    apply(host, [Change(path, "60")], Memory(memory_file, host))
    revert(host, Memory(memory_file, host))
    assert host.read(path) == "1"


def test_a_write_that_fails_is_named_and_not_remembered(host, memory_file):
    class Refusing(Host):
        def write(self, name, value):
            raise PermissionError(1, "Operation not permitted")

    refusing = Refusing(str(host.path("/")))
    memory = Memory(memory_file, refusing)
    (outcome,) = apply(refusing, [Change("/proc/sys/vm/stat_interval", "120")], memory)
    assert outcome.error == "Operation not permitted"
    assert memory.before == {}
    assert not memory_file.exists()


def test_a_setting_that_does_not_take_is_an_error(host, memory_file):
    class Deaf(Host):
        def write(self, name, value):
            pass

    deaf = Deaf(str(host.path("/")))
    (outcome,) = apply(
        deaf, [Change("/proc/sys/vm/stat_interval", "120")], Memory(memory_file, deaf)
    )
    assert outcome.error == "reads '1' after the write"


def test_a_reboot_forgets_what_it_undid(host, memory_file):
    apply(host, [Change("/proc/sys/vm/stat_interval", "120")], Memory(memory_file, host))
    host.path("/proc/sys/kernel/random/boot_id").write_text("two")
    assert Memory(memory_file, host).before == {}


def test_a_damaged_memory_is_refused_by_name(host, memory_file):
    memory_file.parent.mkdir()
    memory_file.write_text(json.dumps({"boot_id": "one"}))
    with pytest.raises(ConfigError, match=r"changes\.json"):
        Memory(memory_file, host)


def test_prove_measures_each_core_and_the_way_between_them():
    import os

    cores = sorted(os.sched_getaffinity(0))[:2]
    said = []
    proof = prove(Host(), cores, 0.2, said.append)
    assert set(proof.wakes) == {str(core) for core in cores}
    assert all(spread.count > 10 and spread.p50_ns > 0 for spread in proof.wakes.values())
    assert all(0 <= ppm < 1_000_000 for ppm in proof.stolen_ppm.values())
    assert len(said) >= 2 * len(cores)
    if len(cores) == 2:
        assert 0 < proof.hop.p50_ns <= proof.hop.p999_ns <= proof.hop.max_ns
    assert os.sched_getaffinity(0) >= set(cores)
