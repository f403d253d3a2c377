"""The recorder as a process over real segments, without an engine."""

import signal
import subprocess
import sys

from config_text import GOOD

from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.config import EngineConfig
from lowlat.app.generations import write_generation
from lowlat.app.names import GENERATION, generation_word
from lowlat.app.state import state_dir
from lowlat.app.supervisor import Supervisor
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config
from lowlat.core.layout import REPORT, ReportKind
from lowlat.shm.attachment import Attachment
from lowlat.store.journal_state import read_journal


def office(instance):
    """Return a supervisor that made the segments and starts nobody."""
    found = Supervisor(instance, [ChildSpec(name, ("true",)) for name in ("recorder", "engine")])
    found.open()
    return found


def start(config):
    process = subprocess.Popen(
        module_argv("lowlat.app.recorder", "--config", str(config)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert '"ready": true' in process.stdout.readline(), process.stderr.read()
    return process


def test_what_was_published_before_sigterm_is_on_disk_when_it_ends(home, instance):
    config = home / "engine.toml"
    config.write_text(GOOD.replace('"t1"', f'"{instance}"'))
    supervisor = office(instance)
    try:
        recorder = start(config)
        executor = Attachment(instance, "engine")
        reports = executor.open_stream_writer("reports")
        blank = REPORT.row._make([0] * len(REPORT.row._fields))
        text = b"test halt"
        halt = blank._replace(
            kind=int(ReportKind.HALT),
            trade_text=text,
            module=b"",
            order_id=bytes(32),
            trade_id=bytes(16),
        )
        REPORT.pack(reports.buffer, halt)
        assert reports.publish(REPORT.kind)
        # SIGUSR1 goes to everybody who steers; what it means to others must not end this one.
        recorder.send_signal(signal.SIGUSR1)
        recorder.send_signal(signal.SIGTERM)
        _, said = recorder.communicate(timeout=60)
        assert recorder.returncode == 0, said
        assert "Traceback" not in said
        assert read_journal(str(state_dir(instance))).halted == "test halt"
        executor.close()
    finally:
        supervisor.close()


def test_a_second_recorder_is_refused(home, instance):
    config = home / "engine.toml"
    config.write_text(GOOD.replace('"t1"', f'"{instance}"'))
    supervisor = office(instance)
    try:
        first = start(config)
        second = subprocess.run(
            [sys.executable, "-P", "-m", "lowlat.app.recorder", "--config", str(config)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        assert str(first.pid) in second.stderr, "it names who holds the place"
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
        assert first.returncode == 0
    finally:
        supervisor.close()


def test_a_generation_is_acknowledged_and_in_force_after_a_restart(home, instance):
    config = home / "engine.toml"
    config.write_text(GOOD.replace('"t1"', f'"{instance}"'))
    supervisor = office(instance)
    word = supervisor._office.stats.gauge(generation_word("recorder"))
    looker = Attachment(instance, "test")

    def acknowledged():
        return looker.open_stats_reader("recorder").snapshot().counters[GENERATION]

    def await_generation(number):
        due_ns = monotonic_ns() + 60_000_000_000
        while acknowledged() != number:
            assert monotonic_ns() < due_ns, acknowledged()
            recorder.poll()

    try:
        recorder = start(config)
        assert acknowledged() == 0
        write_generation(instance, 7, decode_config(config.read_text(), EngineConfig), 1)
        word.set(7)
        await_generation(7)
        recorder.kill()
        recorder.communicate(timeout=60)
        recorder = start(config)
        assert acknowledged() == 7
        recorder.send_signal(signal.SIGTERM)
        recorder.communicate(timeout=60)
        assert recorder.returncode == 0
    finally:
        supervisor.close()
