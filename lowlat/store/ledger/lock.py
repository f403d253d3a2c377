"""One writer a ledger: a file lock beside SQLite, an advisory lock inside PostgreSQL.

A ledger holds one account. Two engines on one wallet would each take the other's fills for a
person's, so the second recorder is refused, also when it runs on another host. The kernel or the
server lets go when the holder dies. PostgreSQL's lock belongs to a session: a lost one is taken
again, and when somebody else was quicker, this recorder ends and new orders with it.
"""

import os
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from lowlat.core.errors import LedgerError
from lowlat.shm.locks import FileLock
from lowlat.store.ledger.database import said

__all__ = ["LedgerLock"]

_KEY: Final = 0x6C6F_776C_6174
"""``lowlat``; a database of PostgreSQL has its own keys."""
_EVERY_NS: Final = 1_000_000_000
_SESSION: Final = text("SELECT pg_backend_pid()")
_HOLDER: Final = text(
    "SELECT a.pid, a.client_addr, a.backend_start FROM pg_locks l JOIN pg_stat_activity a "
    "ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted "
    "AND (l.classid::bigint << 32) + l.objid::bigint = :key AND l.database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)


class LedgerLock:
    """Engine that holds the lock from its making to ``close``. Raises LedgerError when taken."""

    name: Final = "ledger-lock"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file: FileLock | None = None
        self._connection: Connection | None = None
        self._session = 0
        self._due_ns = 0
        if engine.dialect.name == "sqlite":
            path = engine.url.database
            self._file = FileLock(
                f"{path}.lock",
                str(os.getpid()),
                lambda holder: LedgerError(
                    f"ledger {path} is written by process {holder or 'unknown'}: "
                    "a ledger holds one account, stop the other engine or name another ledger.url"
                ),
            )
        else:
            self._lock_session()

    def start(self) -> None:
        """Nothing to do: it is held already."""

    def turn(self, now_ns: int) -> int:
        """See once a second that the session lives; take the lock again when it does not.

        Raises LedgerError when another holds it by now.
        """
        if self._file is not None:
            return 0
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _EVERY_NS
        try:
            if self._connection is not None:
                session = self._connection.execute(_SESSION).scalar()
                self._connection.commit()
                # A connection that was lost comes back by itself, without what its session held.
                if session == self._session:
                    return 0
                self._drop()
        except SQLAlchemyError:
            self._drop()
        try:
            self._lock_session()
        except SQLAlchemyError:
            # The server is away: nobody writes, nobody else can take it. Asked again.
            self._drop()
        return 0

    def close(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
        self._drop()

    def _lock_session(self) -> None:
        connection = self._connection = self._engine.connect()
        taken = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY})
        if taken.scalar():
            self._session = connection.execute(_SESSION).scalar() or 0
            connection.commit()
            return
        found = connection.execute(_HOLDER, {"key": _KEY}).first()
        who = f"server process {found.pid} from {found.client_addr or 'its host'}" if found else "-"
        self._drop()
        raise LedgerError(
            f"ledger {self._engine.url.render_as_string()} is written by another engine ({who}): "
            "a ledger holds one account, stop the other or name another ledger.url"
        )

    def _drop(self) -> None:
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            connection.invalidate()
            connection.close()
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger's lock could not be let go: {said(error)}") from error
