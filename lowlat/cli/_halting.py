"""Pull a halt cell from a command: the file first, then words. Needs nobody alive."""

import os
import sys
import time

__all__ = ["pull"]


def pull(instance: str, op: str, reason: str) -> str:
    """Set the cell of this command, note it in the audit trail, say what is known of the rest."""
    from lowlat.app.halts import Puller, pull_halt

    puller = Puller.PANIC if op == "panic" else Puller.OPERATOR
    wall_ns = time.time_ns()
    pull_halt(instance, puller, reason, wall_ns)
    # Everything else is loaded when the halt is set.
    from lowlat.app.audit import Who, append_audit, audit_line
    from lowlat.app.control_client import NobodyAnswersError, ask

    try:
        append_audit(instance, audit_line(Who.here(), op, "done", wall_ns, detail=reason))
    except OSError as error:
        # A full disk keeps nobody from halting.
        print(
            f"lowlat {op}: audit line not written: {os.strerror(error.errno or 5)}", file=sys.stderr
        )
    try:
        answer = ask(instance, {"op": "status"}, 1.0)
    except NobodyAnswersError as error:
        return f"halted, on disk; {error}"
    return f"halted; {len(answer['halts'])} reasons: {'; '.join(answer['halts'])}"
