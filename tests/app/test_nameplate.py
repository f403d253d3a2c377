"""What processes say about themselves, read back from gauges."""

import pytest

from lowlat.app.nameplate import hang_nameplate, mode_of, waiting_of


class Gauges(dict):
    """Cells by name that only know ``set``."""

    def gauge(self, name):
        outer = self

        class Cell:
            def set(self, value):
                outer[name] = value

        return Cell()


def plate(mode, waiting):
    gauges = Gauges()
    hang_nameplate(gauges, mode, waiting)
    return gauges


@pytest.mark.parametrize("mode", ["sim", "paper", "live"])
@pytest.mark.parametrize("waiting", ["parked", "busy", "spin", "yield", "poll"])
def test_what_is_said_is_read_back(mode, waiting):
    gauges = plate(mode, waiting)
    assert mode_of([gauges, {}]) == mode
    assert waiting_of(gauges) == waiting


def test_a_process_that_said_nothing_has_no_mode_and_no_waiting():
    assert mode_of([{}, {"halt": 1}]) == ""
    assert waiting_of({}) == ""


def test_processes_that_contradict_each_other_have_no_mode():
    assert mode_of([plate("sim", "busy"), plate("live", "busy")]) == ""


def test_a_number_of_a_newer_build_is_unknown():
    assert waiting_of({"process.waiting": 99}) == ""


def test_a_word_that_does_not_exist_is_a_programming_fault():
    with pytest.raises(ValueError):
        plate("real", "busy")
