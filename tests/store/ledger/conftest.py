"""A database for each test: SQLite, or the PostgreSQL that LOWLAT_TEST_POSTGRES names."""

import os
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

sys.path.insert(0, str(Path(__file__).parent))

from ledger_rig import FAKES

from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.writer import Ledger

POSTGRES = os.environ.get("LOWLAT_TEST_POSTGRES", "")


@pytest.fixture
def url(tmp_path):
    if not POSTGRES:
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    name = "t" + uuid.uuid4().hex
    admin = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield POSTGRES.rsplit("/", 1)[0] + "/" + name
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database(url):
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def desk():
    return FAKES.Desk()


@pytest.fixture
def ledger(database):
    return Ledger(database)
