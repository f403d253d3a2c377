"""Config generations that wait for their signature are looked at again without harm."""

from lowlat.app import config_notes
from lowlat.app.config_notes import ConfigNotes

SECOND = 1_000_000_000


class Ledger:
    def __init__(self):
        self.notes = []

    def newest_config(self):
        return 0

    def note(self, notes):
        self.notes += notes


def test_a_generation_nobody_signed_yet_is_waited_for(monkeypatch):
    numbers = [7]
    monkeypatch.setattr(
        config_notes, "numbers_from", lambda _, first: [one for one in numbers if one >= first]
    )
    monkeypatch.setattr(config_notes, "read_audit", lambda _: ([], None))
    monkeypatch.setattr(ConfigNotes, "_note", lambda _self, number, line: (number, line))
    ledger = Ledger()
    notes = ConfigNotes("t1", ledger)
    assert notes.turn(SECOND) == 1
    assert notes.turn(2 * SECOND) == 0, "neither new nor signed"
    assert ledger.notes == [(7, None)]
