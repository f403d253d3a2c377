"""What a service manager hears, over a real datagram socket."""

import os
import socket
from contextlib import closing

import pytest

from lowlat.app.notify import Notifier

MS = 1_000_000


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A listening socket and its address as the environment names it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    name = f"@lowlat-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    listener.bind("\0" + name[1:] if name.startswith("@") else name)
    yield listener, name
    listener.close()


def heard(listener):
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_manager_hears_ready_status_signs_of_life_and_the_end(manager):
    listener, name = manager
    lines = ["all READY"]
    notifier = Notifier(lambda: lines[0], {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"})
    notifier.turn(0)
    assert heard(listener) == ["WATCHDOG=1", "STATUS=all READY"]
    notifier.ready()
    assert heard(listener) == [f"READY=1\nMAINPID={os.getpid()}"]
    notifier.turn(999 * MS)
    assert heard(listener) == []
    notifier.turn(1_000 * MS)
    assert heard(listener) == ["WATCHDOG=1"], "the same status is not said again"
    lines[0] = "halted\nby risk"
    notifier.turn(2_000 * MS)
    assert heard(listener) == ["WATCHDOG=1", "STATUS=halted by risk"], (
        "one line, no message of its own"
    )
    notifier.stopping()
    notifier.close()
    assert heard(listener) == ["STOPPING=1"]


def test_watchdog_of_another_process_is_not_fed(manager):
    listener, name = manager
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}
    with closing(Notifier(lambda: "", environment)) as notifier:
        notifier.turn(0)
    assert heard(listener) == []


@pytest.mark.parametrize("limit", ["", "soon", "-5"])
def test_a_limit_that_is_no_number_is_no_watchdog(manager, limit):
    listener, name = manager
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": limit}
    with closing(Notifier(lambda: "", environment)) as notifier:
        notifier.turn(0)
    assert heard(listener) == []


def test_nobody_asked_nothing_is_sent():
    notifier = Notifier(lambda: pytest.fail("nobody wants to know"), {})
    notifier.turn(0)
    notifier.ready()
    notifier.close()


def test_manager_that_is_gone_is_counted_and_costs_nothing(tmp_path):
    notifier = Notifier(lambda: "x", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    notifier.ready()
    notifier.turn(0)
    assert notifier.lost == 2
    notifier.close()
