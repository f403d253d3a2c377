"""From every schema that was ever shipped to the newest: each row is kept, a backup lies beside."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, inspect, select, text

from lowlat.store.ledger import database as database_module
from lowlat.store.ledger import schema
from lowlat.store.ledger.database import NEWEST, open_database

FOLDER = Path(database_module.__file__).parent / "migrations"
SHIPPED = [each.revision for each in reversed(list(ScriptDirectory(str(FOLDER)).walk_revisions()))]
OLDER = [revision for revision in SHIPPED if revision != NEWEST]


def value(column, number):
    """A value of each column's own, within its type."""
    if column.type.python_type is str:
        return f"{column.name[:6]}-{number}"
    if column.type.python_type is float:
        return number + 0.5
    return 1 if column.foreign_keys else number


def filled_at(url, revision):
    """Make a database as a version that shipped with revision would have left it, with rows."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch(mode=0o600)
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    found = MetaData()
    kept = {}
    with engine.begin() as connection:
        found.reflect(connection)
        for table in found.sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = [
                {column.name: value(column, number) for column in table.columns}
                for number in range(1, 4)
            ]
            connection.execute(table.insert(), rows)
            kept[table.name] = rows
    engine.dispose()
    return kept


@pytest.mark.parametrize("revision", OLDER)
def test_every_row_of_an_older_schema_is_kept(url, revision):
    kept = filled_at(url, revision)
    assert len(kept) >= 14
    engine = open_database(url)
    with engine.connect() as connection:
        for name, before in kept.items():
            table = schema.METADATA.tables[name]
            after = [dict(row) for row in connection.execute(select(table)).mappings()]
            assert len(after) == len(before), name
            for row in before:
                assert any(row.items() <= each.items() for each in after), (name, row)
    engine.dispose()


@pytest.mark.parametrize("revision", OLDER)
def test_a_backup_of_the_older_schema_lies_beside_it(tmp_path, revision):
    url = f"sqlite:///{tmp_path}/ledger.db"
    kept = filled_at(url, revision)
    open_database(url).dispose()
    backup = tmp_path / f"ledger.db.before-{revision}"
    assert backup.stat().st_mode & 0o777 == 0o600
    copy = sqlite3.connect(backup)
    (found,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    assert found == revision
    for name, rows in kept.items():
        assert copy.execute(f"SELECT count(*) FROM {name}").fetchone() == (len(rows),)
    copy.close()
    open_database(url).dispose()
    assert sorted(path.name for path in tmp_path.glob("*before*")) == [backup.name]


@pytest.mark.parametrize("step", ["differences", "settlements"])
def test_a_migration_that_is_cut_short_leaves_the_older_schema_whole(url, monkeypatch, step):
    kept = filled_at(url, "0001")
    real = op.create_table

    def cut(name, *columns):
        if name == step:
            raise RuntimeError("cut short")
        return real(name, *columns)

    monkeypatch.setattr(op, "create_table", cut)
    with pytest.raises(RuntimeError, match="cut short"):
        open_database(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        assert tables == {*kept, "alembic_version"}
        for name, rows in kept.items():
            found = connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            assert found == len(rows)
    engine.dispose()
    monkeypatch.undo()
    open_database(url).dispose()
