"""How every child begins and ends: its log, what its secrets ask for, its core, its exit code.

Called by the `main` of each process that the supervisor runs. It starts nothing itself.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from lowlat.app.hygiene import harden
from lowlat.app.log import configure
from lowlat.app.topology import ProcessConfig, check_cores
from lowlat.core.errors import ConfigError, LowlatError

__all__ = ["pin", "run_child"]

_LOG: Final = logging.getLogger(__name__)
_FAILED: Final = 1
_CONFIG: Final = 2


def run_child(process: str, run: Callable[[], int]) -> int:
    """Run a child to its end; return its exit code: 2 for a config it cannot run on, 1 for faults.

    A programming fault is not caught: it ends the process with its traceback in the log.
    """
    configure(process)
    harden()
    try:
        return run()
    except ConfigError as error:
        sys.stderr.write(f"lowlat {process}: {error}\n")
        return _CONFIG
    except LowlatError as error:
        _LOG.error("stopped error=%s", error)
        return _FAILED


def pin(process: str, place: ProcessConfig) -> None:
    """Keep this process on its core, when it has one. Raises ConfigError for one it may not use."""
    if place.core >= 0:
        check_cores({process: place}, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {place.core})
