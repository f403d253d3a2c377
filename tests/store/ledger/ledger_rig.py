"""An executor with a journal and a ledger behind it, for tests of the ledger."""

import importlib.util
from pathlib import Path

from sqlalchemy import func, select

from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.journal_params import JournalParams

LIFE = "boot:1"
DOLLAR = 10**6


def executor_fakes():
    path = Path(__file__).parents[2] / "execution" / "conftest.py"
    spec = importlib.util.spec_from_file_location("executor_fakes_of_ledger", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKES = executor_fakes()


class Book:
    """A journal with a ledger behind it, over the tables of one executor."""

    def __init__(self, desk, directory, ledger, life=LIFE, **params):
        self.meters = JournalMeters(*(FAKES.Cell() for _ in JournalMeters.__struct_fields__))
        shared = desk.shared
        self.reports = FAKES.Reader(shared.reports)
        self.engine = JournalEngine(
            str(directory),
            self.reports,
            None,
            (shared.orders.reader(), shared.positions.reader(), shared.cash.reader()),
            desk.clock,
            self.meters,
            JournalParams(**params),
            ledger,
            life,
        )
        self.engine.start()

    def turn(self, now_ns=0):
        return self.engine.turn(now_ns)


def rows(database, table):
    with database.connect() as connection:
        return connection.execute(select(table)).all()


def count(database, table):
    with database.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def buy(desk, size=100, trade="a", status="CONFIRMED", price=4600, **fields):
    desk.wish(desk.intent(price_e4=price, size=size, **fields))
    key = desk.posts()[-1][0]
    order = desk.order()
    cash = f"{size * price / 1e4:.2f}"
    desk.answer(key, desk.matched(order, str(size), cash, trade=trade))
    desk.user(desk.trade_event(order, str(size), str(price / 1e4), trade, status))
    return order
