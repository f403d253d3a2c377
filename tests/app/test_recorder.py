"""The recorder as a process over real segments, without an engine."""

import signal
import subprocess
import sys

from config_text import GOOD

from lowlat.app.child import module_argv
from lowlat.app.state import state_dir
from lowlat.app.supervisor import NAME as SUPERVISOR
from lowlat.core.layout import REPORT, ReportKind
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments
from lowlat.store.journal import read_journal


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
    segments = create_segments(instance, stats=[SUPERVISOR, "recorder", "engine"])
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
        recorder.send_signal(signal.SIGTERM)
        _, said = recorder.communicate(timeout=10)
        assert recorder.returncode == 0, said
        assert "Traceback" not in said
        assert read_journal(str(state_dir(instance))).halted == "test halt"
        executor.close()
    finally:
        segments.unlink()


def test_a_second_recorder_is_refused(home, instance):
    config = home / "engine.toml"
    config.write_text(GOOD.replace('"t1"', f'"{instance}"'))
    segments = create_segments(instance, stats=[SUPERVISOR, "recorder", "engine"])
    try:
        first = start(config)
        second = subprocess.run(
            [sys.executable, "-P", "-m", "lowlat.app.recorder", "--config", str(config)],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        assert str(first.pid) in second.stderr, "it names who holds the place"
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=10)
        assert first.returncode == 0
    finally:
        segments.unlink()
