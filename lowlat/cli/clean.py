"""`lowlat clean`: end what a dead supervisor left running and remove its shared memory."""

import os
import select
import signal
from collections.abc import Iterator

import typer

from lowlat.cli.main import EXIT_FAILED, Instance, app

_TERM_S = 5.0
_KILL_S = 5.0


@app.command(epilog="Example: lowlat clean --instance demo")
def clean(instance: Instance = "demo") -> None:
    """Remove what an instance left behind: orphaned processes, then its segments.

    A running instance is refused: stop it first. Journals, tapes and logs on disk stay.
    """
    from lowlat.app.state import forget_children
    from lowlat.shm.locks import OwnerLock
    from lowlat.shm.segments import clean as clean_segments

    # Held for a moment: raises, and names its holder, when a supervisor is at work.
    OwnerLock(instance, "supervisor", "clean").close()
    removed = 0
    for name, pid in _orphans(instance):
        print(f"ended {name} (pid {pid}){'' if _end(pid) else ': had to be killed'}")
        removed += 1
    forget_children(instance)
    done = clean_segments(instance)
    for name in done.removed:
        print(f"removed segment {name}")
    for name, why in done.left.items():
        print(f"left segment {name}: {why}")
    if not removed and not done.removed and not done.left:
        print(f"instance {instance} left nothing")
    if done.left:
        raise typer.Exit(EXIT_FAILED)


def _orphans(instance: str) -> Iterator[tuple[str, int]]:
    """Yield processes of the instance that still run: noted children, and writers of segments."""
    from lowlat.app.state import living_children, living_holders

    seen = {os.getpid()}
    for record in living_children(instance):
        seen.add(record.pid)
        yield record.name, record.pid
    for name, holder in living_holders(instance):
        if holder.pid not in seen:
            seen.add(holder.pid)
            yield holder.name or name, holder.pid


def _end(pid: int) -> bool:
    """Ask a process to end, insist after a while; True when asking was enough."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        for number, wait_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, _KILL_S)):
            try:
                signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                return number is signal.SIGTERM
            if select.select([descriptor], [], [], wait_s)[0]:
                return number is signal.SIGTERM
        return False
    finally:
        os.close(descriptor)
