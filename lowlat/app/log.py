"""What a process says: ``time level process logger key=value`` on stderr, readiness on stdout."""

import json
import logging
import sys
import time
from typing import Final, TextIO

__all__ = ["configure", "say_ready"]

_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(process_name)s %(name)s %(message)s"


def configure(process: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every record to stream (default stderr) as one line of text in UTC."""
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_Process(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)


class _Process(logging.Filter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def filter(self, record: logging.LogRecord) -> bool:
        record.process_name = self._process
        record.msg = str(record.msg).replace("\n", "\\n")
        return True


def say_ready(process: str) -> None:
    """Tell whoever started us that we work: the one line on stdout."""
    sys.stdout.write(json.dumps({"ready": True, "process": process}) + "\n")
    sys.stdout.flush()
