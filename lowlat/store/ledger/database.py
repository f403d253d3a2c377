"""Open the ledger's database by URL, bring it to the newest schema, keep a backup before.

SQLite (``sqlite:////path/ledger.db``) is the default: write-ahead log, every commit fsynced.
PostgreSQL (``postgresql+psycopg://user@host/db``) needs the extra ``postgres``.
"""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from lowlat.core.errors import ConfigError, LedgerError

__all__ = ["NEWEST", "open_database", "said"]

NEWEST: Final = "0002"
"""The newest migration."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_BACKENDS: Final = ("sqlite", "postgresql")


def open_database(url: str, password_file: str = "", *, read_only: bool = False) -> Engine:
    """Return an engine on the newest schema; raises ConfigError for a bad URL, else LedgerError.

    A password is no part of the URL, which is shown and kept with the config: it is the first
    line of a file that only its owner may read. ``read_only`` makes and migrates nothing: a
    ledger that is missing or on another schema is an error then.
    """
    parsed = _checked_url(url)
    shown = parsed.render_as_string()
    if password_file:
        parsed = parsed.set(password=_password(password_file))
    if parsed.get_backend_name() == "sqlite":
        _private_file(parsed, make=not read_only)
    try:
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError(f"ledger.url {shown}: {error}; install the extra postgres") from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    try:
        if read_only:
            _check_newest(engine, shown)
        else:
            _migrate(engine, parsed, shown)
    except SQLAlchemyError as error:
        engine.dispose()
        raise LedgerError(f"ledger {shown}: {said(error)}") from error
    except BaseException:
        # Whatever cut it short: no connection stays behind.
        engine.dispose()
        raise
    return engine


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"ledger.url was {url!r}: {error}") from error
    if parsed.get_backend_name() not in _BACKENDS:
        raise ConfigError(
            f"ledger.url begins with {parsed.drivername!r}, allowed: {', '.join(_BACKENDS)}"
        )
    if parsed.password is not None:
        raise ConfigError(
            "ledger.url holds a password: put it into ledger.password_file, mode 0600"
        )
    return parsed


def _password(path: str) -> str:
    try:
        status = os.stat(path)
        content = Path(path).read_text()
    except OSError as error:
        raise ConfigError(f"ledger.password_file {path}: {error.strerror}") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(f"ledger.password_file {path} has mode {mode:04o}: run chmod 600 {path}")
    return content.split("\n", 1)[0]


def _private_file(url: URL, *, make: bool) -> None:
    if not url.database:
        raise ConfigError("ledger.url names no file: sqlite:////absolute/path/ledger.db")
    path = Path(url.database)
    if not make and not path.exists():
        raise LedgerError(f"ledger {path} does not exist: the engine has never written it")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
    if mode & 0o077:
        raise ConfigError(f"ledger file {path} has mode {mode:04o}: run chmod 600 {path}")


def _set_pragmas(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=2000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _check_newest(engine: Engine, shown: str) -> None:
    current = _revision(engine)
    if current != NEWEST:
        raise LedgerError(
            f"ledger {shown} has schema {current or 'none'}, expected {NEWEST}: start the engine "
            "once, its recorder brings the ledger up and keeps a backup"
        )


def _migrate(engine: Engine, url: URL, shown: str) -> None:
    current = _revision(engine)
    if current == NEWEST:
        return
    # Half a second of imports that a start on the newest schema does without.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    if current is not None and current not in {each.revision for each in script.walk_revisions()}:
        raise LedgerError(
            f"ledger {shown} has schema {current!r}, newer than this version knows ({NEWEST!r}): "
            "install the newer version again"
        )
    if current is not None and url.get_backend_name() == "sqlite":
        _back_up(Path(url.database or ""), current)
    with engine.begin() as connection:
        if url.get_backend_name() == "sqlite":
            # The driver begins none before DDL: a migration cut short would leave half a schema.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    """Return the schema a database is on, None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _back_up(path: Path, revision: str) -> None:
    """Copy the database with its log folded in; an older copy of the same revision stays."""
    target = path.with_name(f"{path.name}.before-{revision}")
    if target.exists():
        return
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.close(descriptor)
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()


def said(error: SQLAlchemyError) -> str:
    """Return what the database said in one line: the rest are statements and their values."""
    return f"{type(error).__name__}: " + str(error).split("\n", 1)[0]
