"""Rounds of the settlement process: when money is moved, when not, and what is shown of it."""

import threading

import pytest
from config_text import GOOD

from lowlat.app.config import EngineConfig, SettlementConfig
from lowlat.app.locked_capital import RoundMeters, locked
from lowlat.app.settlement import Round
from lowlat.app.settling import Rounds
from lowlat.app.telemetry import Reading
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
from lowlat.store.ledger.capital import Plan, Step
from lowlat.store.ledger.notes import SettlementNote

STEP = Step("merge", "0x" + "11" * 32, ("1", "2"), 5, 5, neg_risk=False)


def note(state):
    return SettlementNote("r", "merge", STEP.condition_id, state, 5, 5, 0, 5, 1, 1)


class Book:
    """A settler that has one step to do and does it in the state it is told."""

    def __init__(self, rounds, *, state="proven", problem="", stop_after=1):
        self.rounds = rounds
        self.state = state
        self.problem = problem
        self.asked = []
        self._left = stop_after

    def round(self, *, dry):
        self.asked.append("dry" if dry else "real")
        found = Round(plan=Plan(steps=[STEP]), planned=True)
        if not dry:
            if self.rounds.may_move():
                found.done.append(note(self.state))
                found.problem = self.problem
            else:
                found.held = True
        self._left -= 1
        if not self._left:
            self.rounds.stop()
        return found


def rounds_of(word=0, **params):
    return Rounds(SettlementConfig(enabled=True, **params), lambda _: word)


def test_a_round_moves_money_while_nobody_halts():
    rounds = rounds_of()
    book = Book(rounds)
    rounds.run(book)
    assert rounds.error is None
    assert (book.asked, rounds.count) == (["real"], 1)
    assert [each.state for each in rounds.latest.done] == ["proven"]


def test_a_halt_holds_every_step_back():
    rounds = rounds_of(word=7)
    rounds.run(Book(rounds))
    assert (rounds.latest.held, rounds.latest.done) == (True, [])


def test_a_dry_run_never_asks_to_move():
    rounds = rounds_of(dry_run=True)
    book = Book(rounds)
    rounds.run(book)
    assert book.asked == ["dry"]
    assert not rounds.may_move()


def test_balances_that_differ_stop_all_movement_until_a_person_resumes():
    rounds = rounds_of()
    book = Book(rounds, state="differs", problem="cash moved by 4, expected 5")
    rounds.run(book)
    assert rounds.stopped == "cash moved by 4, expected 5"
    assert not rounds.may_move()
    rounds.stopped = ""
    assert rounds.may_move()


def test_a_fault_of_ours_ends_the_thread_and_is_kept():
    rounds = rounds_of()

    class Faulty:
        def round(self, *, dry):
            raise KeyError("ours")

    rounds.run(Faulty())
    assert isinstance(rounds.error, KeyError)


def test_a_round_held_back_goes_on_as_soon_as_the_halt_is_lifted():
    """With a minute between rounds, the second comes when the word is cleared, not later."""
    word = [7]
    rounds = Rounds(SettlementConfig(enabled=True, every_s=60), lambda _: word[0])
    book = Book(rounds, stop_after=2)
    thread = threading.Thread(target=rounds.run, args=(book,))
    thread.start()
    while not rounds.count:
        thread.join(0.01)
    word[0] = 0
    thread.join(10)
    assert not thread.is_alive()
    assert [each.state for each in rounds.latest.done] == ["proven"]


def test_a_round_that_does_not_get_on_is_no_life():
    rounds = rounds_of()
    assert rounds.lives(rounds.progress_ns + 1)
    assert not rounds.lives(rounds.progress_ns + 10**12)


class Cell:
    def __init__(self):
        self.value = 0

    def add(self, count):
        self.value += count

    def set(self, value):
        self.value = value


class Cells:
    def __init__(self):
        self.made = {}
        self.said = []

    def cell(self, name):
        return self.made.setdefault(name, Cell())

    gauge = cell

    def record(self, text, now_ns):
        self.said.append(text)

    def reading(self):
        gauges = {name: cell.value for name, cell in self.made.items()}
        return Reading(0, gauges={"settlement": gauges})


def test_what_is_locked_is_unknown_until_it_was_read_and_stays_when_a_round_fails():
    cells = Cells()
    meters = RoundMeters(cells, cells)
    assert locked(Reading(0)) is None, "nobody settles"
    meters.show(1, Round(problem="TimeoutError: away"), "", 5)
    assert locked(cells.reading()) is None, "unknown is never zero"
    assert cells.said == ["settlement: TimeoutError: away"]
    found = Round(planned=True, done=[note("proven")])
    found.plan.capital.held_cost_e6, found.plan.capital.mergeable_e6 = 9, 4
    meters.show(2, found, "", 6)
    assert locked(cells.reading())[:4] == (9, 4, 0, 0)
    assert cells.made["settlement.proven"].value == 1
    meters.show(2, found, "", 7)
    assert cells.made["settlement.proven"].value == 1, "a round counts once"
    meters.show(3, Round(problem="away"), "differs", 8)
    assert locked(cells.reading()) == (9, 4, 0, 0, True, 6)


NEEDED = {
    "account.settlement_credentials_file": '\nsettlement_credentials_file = "s.json"',
    "account.cancel_credentials_file": '\ncancel_credentials_file = "c.json"',
    "endpoints.data_url": '\ndata_url = "http://127.0.0.1:1"',
    "endpoints.relayer_url": '\nrelayer_url = "http://127.0.0.1:1"',
}


@pytest.mark.parametrize("missing", ["", *NEEDED])
def test_what_settlement_needs_is_named_when_it_is_missing(missing):
    text = GOOD + "\n[settlement]\nenabled = true\n"
    for key, line in NEEDED.items():
        section = f"[{key.partition('.')[0]}]"
        text = text.replace(section, section + line) if key != missing else text
    if not missing:
        assert decode_config(text, EngineConfig, source="x").settlement.every_s == 60
        return
    with pytest.raises(ConfigError, match=f"{missing} was empty"):
        decode_config(text, EngineConfig, source="x")


def test_settlement_without_a_ledger_is_refused():
    text = GOOD + "\n[ledger]\nenabled = false\n[settlement]\nenabled = true\n"
    with pytest.raises(ConfigError, match=r"ledger\.enabled = false"):
        decode_config(text, EngineConfig, source="x")
