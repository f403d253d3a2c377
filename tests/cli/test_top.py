"""`top`: every pane fits every terminal, says what is true, and follows the keys."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import SLUGS, Instance

from lowlat.app.halts import Puller, pull_halt
from lowlat.cli import _top_latency as latency
from lowlat.cli import _top_panes as panes
from lowlat.cli._top_app import PANES, TopApp
from lowlat.cli._top_source import Source
from lowlat.cli._top_table import Column, bar, fitted, table, window
from lowlat.core.layout import Rule
from lowlat.core.units import E6

EVERYTHING = frozenset({"books", "feeds", "orders", "money"})
NAMES = [pane.name for pane in PANES]


@pytest.fixture
def made(instance):
    with Instance(instance) as found:
        found.fill()
        yield found


def shot_of(name):
    source = Source(name)
    source.poll()
    return source.shot(EVERYTHING)


def text_of(pane, shot, width=80, height=21, cursor=0):
    found = PANES[NAMES.index(pane)]
    items = found.items(shot) if found.items is not None else []
    lines = found.lines(shot, items, min(cursor, len(items) - 1) if items else None, width, height)
    return [line.plain for line in lines]


# ------------------------------------------------------------------------------------ fitting
@pytest.mark.parametrize("size", [(40, 6), (60, 13), (80, 21), (120, 37), (250, 97)])
def test_every_pane_fits_every_terminal(made, size):
    width, height = size
    shot = shot_of(made.name)
    for pane in NAMES:
        lines = text_of(pane, shot, width, height)
        assert 0 < len(lines) <= height, pane
        assert max(len(line) for line in lines) <= width, pane


def test_every_pane_draws_an_instance_that_has_nothing_yet(instance):
    with Instance(instance) as empty:
        shot = shot_of(empty.name)
        for pane in NAMES:
            assert text_of(pane, shot), pane
        assert panes.head(shot, 80, frozen=False).plain.startswith(f" {instance} ")


def test_nine_processes_leave_room_for_the_rest_at_80_by_24(instance):
    names = ("engine", *(f"process{n}" for n in range(8)))
    with Instance(instance, processes=names) as made:
        made.fill()
        lines = text_of("all", shot_of(instance))
    assert len(lines) <= 21
    assert any("more: press 2" in line for line in lines)
    for label in ("P&L", "at risk", "polymarket", "decisions", "orders", "groups"):
        assert any(label in line for line in lines), label


# ------------------------------------------------------------------------------------ content
@pytest.mark.parametrize(
    ("mode", "badge"),
    [("sim", "SIMULATED"), ("paper", "PAPER ON LIVE DATA"), ("live", "LIVE")],
)
def test_the_badge_says_whose_money(instance, mode, badge):
    with Instance(instance, mode=mode) as made:
        assert f" {badge} " in panes.head(shot_of(made.name), 80, frozen=False).plain


def test_a_mode_that_nobody_says_is_not_guessed(made):
    made.stats["recorder"].gauge("process.mode").set(3)
    assert " MODE UNKNOWN " in panes.head(shot_of(made.name), 80, frozen=False).plain


def test_a_halt_is_in_the_first_line_of_every_pane(made):
    made.stats["engine"].gauge("halt").set(int(Rule.DRAWDOWN))
    head = panes.head(shot_of(made.name), 80, frozen=True).plain
    assert "new orders halted: engine: drawdown" in head
    assert "FROZEN" in head
    assert "orders allowed" not in head


def test_a_halt_that_somebody_pulled_is_shown_with_its_reason(made):
    pull_halt(made.name, Puller.OPERATOR, "I want to look first", 1)
    head = panes.head(shot_of(made.name), 80, frozen=False).plain
    assert "new orders halted: operator: I want to look first" in head


def test_the_overview_adds_profit_up_and_shows_what_may_be_lost(made):
    lines = text_of("all", shot_of(made.name))
    # 10 YES bought for $4.00 sell for $4.50 into the bids.
    assert lines[0].split() == [
        "P&L", "-$1.50", "realized", "-$2.00", "unrealized", "+$0.50", "fees", "$0.50",
    ]  # fmt: skip
    assert "90% of $1,000.00: $900.00 could be lost" in lines[2]


def test_the_overview_says_so_when_the_account_was_never_read(instance):
    with Instance(instance) as made:
        assert "not known yet" in text_of("all", shot_of(made.name))[0]


def test_processes_show_where_they_run_how_they_wait_and_what_went_wrong(made):
    lines = text_of("procs", shot_of(made.name), 120, 37)
    row = next(line for line in lines if line.startswith(" engine"))
    assert row.split()[1:4] == ["ready", "any", "parked"]
    assert str(os.getpid()) in row
    assert any("gap: seq 5 after 3" in line for line in lines)


def test_a_process_that_died_without_closing_is_gone(made):
    made.attachments[1]._owned["stats.recorder"][0].close()
    (view,) = [each for each in shot_of(made.name).picture.processes if each.name == "recorder"]
    assert view.pid == 0
    assert view.state == "gone"
    assert view.trouble == "gone"


def test_a_process_that_hangs_is_in_trouble(made):
    made.stats["engine"].heartbeat.set(1)
    (view,) = [each for each in shot_of(made.name).picture.processes if each.name == "engine"]
    assert view.trouble.startswith("heartbeat ")


def test_books_show_tops_a_ladder_and_why_a_market_is_not_traded(made):
    shot = shot_of(made.name)
    assert [each.name for each in shot.books] == [SLUGS[0], SLUGS[1], "no-fee-known", SLUGS[2]]
    assert shot.books[1].flags == ("crossed",), "being cut to what is shown is no fault"
    assert shot.books[2].missing == ("fee unknown",)
    assert shot.books[3].missing == ("resolved",)
    lines = text_of("books", shot, 120, 37)
    assert [word for word in lines[1].split() if word[0].isdigit()][:2] == ["0.45", "0.48"]
    ladder = next(line for line in lines if line.rstrip().endswith("0.48    50.00"))
    assert "100   0.45" in ladder
    missing = text_of("books", shot, 80, 21, cursor=2)
    assert any("not traded: fee unknown" in line for line in missing)


def test_a_book_of_an_earlier_market_in_the_row_is_not_shown(made):
    made.market(0, "the-next-market", generation=2)
    names = [each.name for each in shot_of(made.name).books]
    assert "the-next-market" not in names
    assert SLUGS[0] not in names


def test_feeds_show_age_lag_and_gaps(made):
    made.stats["engine"].counter("feed.binance.trade_gaps").add(3)
    feeds = {each.name: each for each in shot_of(made.name).feeds}
    assert (feeds["polymarket"].up, feeds["polymarket"].of) == (1, 1)
    assert 4_900_000 <= feeds["polymarket"].lag_ns <= 7_000_000
    assert 2_900_000 <= feeds["binance"].lag_ns <= 5_000_000
    assert 1_900_000 <= feeds["prices"].lag_ns <= 4_000_000
    assert feeds["binance"].gaps == 3
    assert feeds["metadata"].age_ns is None


def test_decisions_say_which_rule_and_with_which_numbers(made):
    shot = shot_of(made.name)
    lines = text_of("decisions", shot, 120, 37)
    assert lines[0].split() == ["approved", "1", "cut", "1", "market_limit", "1"]
    refused, cut, approved = lines[2:5]
    assert "market_limit" in refused
    assert "limit $250.00, was $268.25" in refused
    assert "cut market_limit" in cut
    assert "approved" in approved
    assert any("wanted 50 shares worth $1.2500, got nothing" in line for line in lines)


def test_signals_show_what_the_module_says_of_itself(made):
    lines = text_of("signals", shot_of(made.name))
    assert any("edge_e4 120" in line for line in lines)
    assert any("decided 90.0 us after the message" in line for line in lines)


def test_open_orders_stand_first_and_the_chosen_one_is_taken_apart(made):
    lines = text_of("orders", shot_of(made.name))
    assert "*live" in lines[1]
    assert "matched" in lines[2]
    assert any("naked" in line for line in lines)
    assert any("sent +50.0 us" in line for line in lines)
    assert any("lowlat trace 0x02020202" in line for line in lines)


def test_limits_stand_by_use(made):
    limits = shot_of(made.name).limits
    assert [(each.name, each.used_e6 // E6) for each in limits] == [
        ("all markets together", 900),
        (SLUGS[0], 249),
        (SLUGS[1], 5),
    ]


def test_the_histogram_counts_every_value_once(made):
    shot = shot_of(made.name)
    assert latency.stages_of(shot)[0] == "latency.tick_to_sent"
    view = shot.picture.reading.histograms["latency.tick_to_sent"]
    lines = [line.plain for line in latency.histogram_lines(view, 80, 20)]
    counts = {" ".join(line.split()[:5]): int(line.split()[-2]) for line in lines}
    assert counts["50 us to 100 us"] == 2
    assert sum(counts.values()) == 5


# ------------------------------------------------------------------------------------ tables
def test_what_does_not_fit_loses_its_end_or_its_middle():
    assert fitted("abcdefghij", 5) == "abcd…"
    assert fitted("btc-updown-5m-1795387200", 16, middle=True) == "btc-updo…5387200"
    assert fitted("ab", 4, right=True) == "  ab"
    assert fitted("ab", 0) == ""


def test_the_window_follows_the_cursor():
    assert [window(100, 10, at) for at in (0, 4, 5, 50, 99)] == [0, 0, 0, 45, 90]
    assert window(3, 10, 2) == 0


def test_a_bar_is_as_wide_as_asked_and_never_empty_for_something():
    for share in (0.0, 0.0001, 0.31, 0.999, 1.0, 7.0):
        assert len(bar(share)) == 20
    assert bar(0.0).strip() == ""
    assert bar(0.0001).strip()
    assert bar(1.0) == "█" * 20


def test_a_column_that_takes_the_rest_makes_lines_of_the_screens_width():
    lines = table((Column("a", 0), Column("b", 5), Column("c", 9, from_width=100)),
                  [["x", "y", "z"]], 40, 5)  # fmt: skip
    assert [len(line.plain) for line in lines] == [40, 40]


# ------------------------------------------------------------------------------------ keys
def drive(name, script, pane="all", size=(80, 24)):
    """Run the application without a terminal and hand it to script."""

    async def run():
        shown = TopApp(Source(name), pane)
        async with shown.run_test(size=size) as pilot:
            await pilot.pause(0.1)
            shown.take()
            await pilot.pause()
            return await script(shown, pilot)

    return asyncio.run(run())


def screen(shown):
    return [line.plain for line in shown._board._lines]


def test_digits_and_arrows_change_the_pane(made):
    async def script(shown, pilot):
        seen = []
        for key in ("4", "right", "left", "left", "9", "tab"):
            await pilot.press(key)
            seen.append(PANES[shown.pane].name)
        return seen

    expected = ["books", "signals", "books", "feeds", "latency", "all"]
    assert drive(made.name, script) == expected


def test_the_chosen_decision_stays_chosen_when_newer_ones_come(made):
    async def script(shown, pilot):
        await pilot.press("down", "down")
        before = shown._choices[5]
        at, key = before.at, before.key
        for number in range(4, 9):
            made.decide(number, Rule.CASH, limit=1, was=2)
        shown._source.poll()
        shown.take()
        return at, key, shown._choices[5].at, shown._choices[5].key

    assert drive(made.name, script, "decisions") == (2, 1, 7, 1)


def test_a_filter_keeps_what_it_names_and_escape_leaves_it(made):
    async def script(shown, pilot):
        await pilot.press("slash", *"avery", "enter")
        found = [line for line in screen(shown) if "will-avery" in line or "btc" in line]
        await pilot.press("slash", "x", "escape")
        return found, shown._choices[3].filter, shown.focused is shown._board

    found, kept, focused = drive(made.name, script, "books", (120, 40))
    assert found
    assert not any("btc" in line for line in found)
    assert kept == "avery"
    assert focused


def test_freezing_stops_reading_until_it_is_lifted(made):
    async def script(shown, pilot):
        await pilot.press("space")
        made.decide(9, Rule.CASH, limit=1, was=2)
        shown._source.poll()
        shown.take()
        still = len(shown._shot.decisions)
        await pilot.press("space")
        shown.take()
        return still, len(shown._shot.decisions)

    assert drive(made.name, script, "decisions") == (3, 4)


def test_an_instance_that_ends_is_said_to_have_ended(instance):
    with Instance(instance) as made:
        made.fill()

        async def script(shown, pilot):
            for attachment in made.attachments:
                attachment.close()
            shown.take()
            return shown._shot.gone, screen(shown)

        gone, lines = drive(made.name, script)
    assert gone == "no process of it runs: these are its last words"
    assert any("P&L" in line for line in lines), "what it left is still shown"


def test_an_instance_whose_memory_went_is_waited_for(instance):
    with Instance(instance) as made:
        source = Source(instance)
        source.poll()
        assert not source.shot(EVERYTHING).gone
    source.poll()
    assert source.shot(EVERYTHING).gone.startswith("no such instance now")
    with Instance(instance) as made:
        made.fill()
        source.poll()
        shot = source.shot(EVERYTHING)
        assert not shot.gone
        assert len(shot.decisions) == 3


# ------------------------------------------------------------------------------------ harmless
MAPS = """
import sys
from lowlat.cli._top_source import Source
source = Source(sys.argv[1])
source.poll()
source.shot(frozenset({"books", "feeds", "orders", "money"}))
source.poll()
print(open("/proc/self/maps").read())
"""


def test_everything_is_mapped_read_only(made):
    """The kernel itself then forbids that a screen changes or delays a word of the engine's."""
    done = subprocess.run(
        [sys.executable, "-c", MAPS, made.name], capture_output=True, text=True, check=True
    )
    maps = [line.split() for line in done.stdout.splitlines() if f"lowlat.{made.name}." in line]
    kinds = {each[5].split(".", 2)[2].split(".")[0] for each in maps}
    assert kinds >= {"stats", "stream", "table"}
    assert {each[1] for each in maps} == {"r--s"}


def test_a_picture_fetches_nothing_from_the_network(lowlat, home, made):
    path = home / "top.svg"
    done = lowlat("top", "-i", made.name, "--picture", str(path), "--size", "80x24")
    assert done.returncode == 0, done.stderr
    svg = path.read_text()
    assert "SIMULATED" in svg
    assert "@font-face" not in svg
    assert "url(http" not in svg.replace('"', "").replace("'", "")
    assert "href" not in svg


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pane", "nothing"], "expected one of all, procs"),
        (["--picture", "x.svg", "--size", "20x5"], "--size was '20x5'"),
        (["--picture", "x.svg", "--size", "wide"], "--size was 'wide'"),
        ([], "needs a terminal"),
    ],
)
def test_wrong_use_says_what_is_allowed(lowlat, made, arguments, words):
    done = lowlat("top", "-i", made.name, *arguments)
    assert done.returncode == 2
    assert words in done.stderr


# ------------------------------------------------------------------------------------ tmux
class Terminal:
    """tmux on a socket of its own: the screen as a user has it."""

    def __init__(self, folder, size, command):
        self.socket = str(folder / "tmux")
        width, height = size
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), command)

    def _tmux(self, *arguments):
        done = subprocess.run(
            ["tmux", "-S", self.socket, "-f", "/dev/null", *arguments],
            capture_output=True, text=True, check=True,
            env=os.environ | {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
        )  # fmt: skip
        return done.stdout

    def lines(self):
        return self._tmux("capture-pane", "-p").split("\n")[:-1]

    def press(self, *keys):
        self._tmux("send-keys", *keys)

    def wait_for(self, *words, seconds=60):
        end = time.monotonic() + seconds
        while True:
            lines = self.lines()
            if all(any(word in line for line in lines) for word in words):
                return lines
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.1)

    def close(self):
        self._tmux("kill-server")


def has_tmux():
    return any(os.access(f"{folder}/tmux", os.X_OK) for folder in os.get_exec_path())


@pytest.mark.e2e
@pytest.mark.skipif(not has_tmux(), reason="needs tmux")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_screens_in_a_real_terminal(made, home, size):
    code = "from lowlat.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' top -i {made.name}; echo ended with $?; cat"
    terminal = Terminal(home, size, command)
    width, height = size
    try:
        lines = terminal.wait_for("SIMULATED", "could be lost", "polymarket", "tick_to_sent")
        assert len(lines) == height
        for key, words in {
            "2": ("distinct error", "gap: seq 5"),
            "3": ("counter", "polymarket.frames"),
            "4": ("healthy, tick 0.01", "0.45"),
            "5": ("edge_e4 120",),
            "6": ("market_limit", "wanted 50 shares"),
            "7": ("*live", "naked", "sent +50.0 us"),
            "8": ("worst-case loss of", "249.00"),
            "9": ("50 us to  100 us",),
        }.items():
            terminal.press(key)
            lines = terminal.wait_for(*words)
            assert "freeze" in lines[-1], "the keys stand in the last line"
            assert "quit" in lines[-1]
            assert all(len(line) <= width for line in lines)
        terminal.press("space")
        terminal.wait_for("FROZEN")
        terminal.press("q")
        terminal.wait_for("ended with 0")
    finally:
        terminal.close()
