"""The panes of `top` that show one picture: overview, processes, feeds, money."""

from typing import Final

from rich.text import Text

from lowlat.app.locked_capital import Locked, locked
from lowlat.app.nameplate import BADGES
from lowlat.cli._processes import LATE_NS, ProcessView
from lowlat.cli._top_latency import PATH, draw_stages
from lowlat.cli._top_source import Shot
from lowlat.cli._top_table import Cell, Column, bar, table
from lowlat.cli._words import age, count, dollars, duration

__all__ = ["decided", "draw_feeds", "draw_money", "draw_overview", "draw_processes", "head"]

_BADGE_STYLES: Final = {
    "sim": "bold black on yellow",
    "paper": "bold black on cyan",
    "live": "bold white on red",
}
_STATE_STYLES: Final = {"ready": "green", "gone": "bold red", "never ran": "dim", "closed": "dim"}
_USED_HIGH: Final = 0.8
_MIB: Final = 2**20
_LABEL: Final = 10
_ROW_OF_PROCESS: Final = (
    Column("process", 0),
    Column("state", 9),
    Column("core", 5),
    Column("wait", 6),
    Column("duty", 5, right=True),
    Column("cpu", 5, right=True),
    Column("heartbeat", 9, right=True),
    Column("restarts", 8, right=True),
    Column("rss", 8, right=True),
    Column("pid", 8, right=True, from_width=100),
)
_ROW_OF_FEED: Final = (
    Column("feed", 0),
    Column("up", 8, right=True),
    Column("age", 8, right=True),
    Column("frames/s", 8, right=True),
    Column("lag", 8, right=True),
    Column("gaps", 6, right=True),
    Column("bad", 6, right=True),
    Column("reconnects", 10, right=True),
)


def head(shot: Shot, width: int, *, frozen: bool) -> Text:
    """Draw the first line: which instance, whose money, what is wrong."""
    mode = shot.picture.mode
    line = Text.assemble(
        (f" {shot.instance} ", "bold"),
        (f" {BADGES.get(mode, 'MODE UNKNOWN')} ", _BADGE_STYLES.get(mode, "bold white on magenta")),
    )
    if frozen:
        line.append(" FROZEN ", "bold black on white")
    if shot.gone:
        line.append(f" {shot.gone} ", "bold white on red")
    if shot.picture.halts:
        words = ", ".join(shot.picture.halts)
        line.append(f" new orders halted: {words} ", "bold white on red")
    elif not shot.gone:
        line.append("  orders allowed", "green")
    line.truncate(width, overflow="ellipsis")
    return line


# ---------------------------------------------------------------------------------- overview
def draw_overview(shot: Shot, width: int, height: int) -> list[Text]:
    """Draw the most important of everything; with room to spare, with air between."""
    account, activity = _account_lines(shot, width), _activity_lines(shot)
    feeds = table(_ROW_OF_FEED, _feed_rows(shot), width, 1 + len(shot.feeds))
    processes = table(_ROW_OF_PROCESS, _process_rows(shot), width, 1 + len(shot.picture.processes))
    room = height - len(account) - len(feeds) - len(activity)
    processes = _some(processes, max(2, room), "more: press 2")
    latency = draw_stages(shot, PATH, None, width, room - len(processes))
    sections = [each for each in (account, processes, feeds, activity, latency) if each]
    spare = height - sum(len(each) for each in sections)
    lines: list[Text] = []
    for at, each in enumerate(sections):
        # The last section gets its gap first: it is furthest from what it belongs to.
        if at and len(sections) - at <= spare:
            lines.append(Text(""))
        lines += each
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def _account_lines(shot: Shot, width: int) -> list[Text]:
    money = shot.money
    if money is None:
        return [_labelled("P&L", "not known yet: the executor has not read the account", "dim")]
    total = shot.limits[0] if shot.limits else None
    lines = [
        Text.assemble(
            (f" {'P&L':<{_LABEL}} ", "cyan"),
            (dollars(money.pnl_e6, signed=True), _sign_style(money.pnl_e6)),
            f"   realized {dollars(money.realized_e6, signed=True)}"
            f"   unrealized {dollars(money.unrealized_e6, signed=True)}"
            f"   fees {dollars(money.fees_e6)}",
        ),
        _labelled(
            "account",
            f"{dollars(money.worth.cash_e6)} cash, {dollars(money.reserved_e6)} reserved, "
            f"{money.worth.tokens} tokens worth {dollars(money.worth.holdings_e6)}"
            + (f", {money.worth.unlisted} without a market" if money.worth.unlisted else ""),
        ),
    ]
    capital = locked(shot.picture.reading)
    if capital is not None:
        lines.append(_locked_line(capital))
    if total is not None and total.limit_e6:
        lines.append(_limit_line("at risk", total.used_e6, total.limit_e6, width))
    return lines


def _locked_line(capital: Locked) -> Text:
    free = (
        f"{dollars(capital.mergeable_e6)} complete sets, "
        f"{dollars(capital.redeemable_e6)} winnings to be freed"
    )
    words = f"{dollars(capital.held_cost_e6)} in what is held; {free}"
    if capital.stopped:
        return _labelled("locked", f"STOPPED, a person has to look: {words}", "bold red")
    return _labelled("locked", words)


def _limit_line(label: str, used_e6: int, limit_e6: int, width: int) -> Text:
    share = used_e6 / limit_e6
    return Text.assemble(
        (f" {label:<{_LABEL}} ", "cyan"),
        (bar(share, 20 if width < 100 else 40), "red" if share >= _USED_HIGH else "green"),
        f" {share:.0%} of {dollars(limit_e6)}: {dollars(used_e6)} could be lost",
    )


def _activity_lines(shot: Shot) -> list[Text]:
    picture = shot.picture
    pairs, reading = picture.pairs, picture.reading
    hits = reading.hit_rate()
    lines = [
        _labelled("books", f"{count(picture.books_fresh)} of {count(picture.books)} fresh"),
        _labelled("decisions", _counted(decided(shot))),
        _labelled(
            "orders",
            f"{count(reading.counter('executor.orders'))} sent, {picture.orders_open} open, "
            f"{count(reading.counter('executor.fills'))} fills, "
            f"{count(reading.counter('executor.rejects'))} rejects, signed ahead "
            + (f"{hits:.0%}" if hits is not None else "-"),
        ),
        _labelled(
            "groups",
            f"{pairs.completed} completed, {pairs.unwound} unwound, {pairs.flat} unfilled, "
            f"{pairs.open} open",
        ),
    ]
    errors = sum(each.count for found in reading.errors.values() for each in found)
    if errors:
        lines.append(_labelled("errors", f"{count(errors)}, see 2", "yellow"))
    return lines


def decided(shot: Shot) -> dict[str, int]:
    """Return decisions by rule since the engine's first start, most frequent first."""
    found: dict[str, int] = {}
    for name, number in shot.picture.reading.counters.items():
        if name.startswith("risk.refused."):
            found[name.removeprefix("risk.refused.")] = number
        elif name.startswith("risk.approved."):
            # An approval names the rule that made it smaller.
            key = "approved" if name == "risk.approved.approved" else "cut"
            found[key] = found.get(key, 0) + number
    return dict(sorted(found.items(), key=lambda item: -item[1]))


# --------------------------------------------------------------------------------- processes
def draw_processes(shot: Shot, width: int, height: int) -> list[Text]:
    """Draw every process, then the distinct errors of all, newest first."""
    lines = table(_ROW_OF_PROCESS, _process_rows(shot), width, 1 + len(shot.picture.processes))
    now_ns = shot.at_ns
    errors = [
        (each.last_ns, name, each) for name, found in shot.picture.reading.errors.items()
        for each in found
    ]  # fmt: skip
    errors.sort(key=lambda each: -each[0])
    rows: list[list[Cell]] = [
        [name, age(max(0, now_ns - last_ns)), count(each.count), each.text]
        for last_ns, name, each in errors
    ]
    lines.append(Text(""))
    if not rows:
        return [*lines, Text(" no errors", "green")]
    columns = (
        Column("process", 10),
        Column("last ago", 8, right=True),
        Column("times", 7, right=True),
        Column("distinct error", 0),
    )
    return [*lines, *table(columns, rows, width, height - len(lines))]


def _process_rows(shot: Shot) -> list[list[Cell]]:
    return [_process_row(each) for each in shot.picture.processes]


def _process_row(each: ProcessView) -> list[Cell]:
    age_ns = each.heartbeat_age_ns
    late = bool(each.pid) and age_ns > LATE_NS
    return [
        each.name,
        (each.state, _STATE_STYLES.get(each.state, "yellow")),
        each.core or "-",
        each.wait or "-",
        _share(each.duty),
        _share(each.cpu),
        (age(age_ns) if age_ns >= 0 else "-", "bold red" if late else ""),
        (count(each.restarts), "yellow" if each.restarts else ""),
        f"{each.rss_bytes / _MIB:.0f} MiB" if each.rss_bytes is not None else "-",
        str(each.pid or "-"),
    ]


# ------------------------------------------------------------------------------------- feeds
def draw_feeds(shot: Shot, width: int, height: int) -> list[Text]:
    """Draw every feed, then what the feeds count."""
    lines = [*table(_ROW_OF_FEED, _feed_rows(shot), width, 1 + len(shot.feeds)), Text("")]
    lines.append(
        _labelled("books", f"{shot.picture.books_fresh} of {shot.picture.books} markets fresh")
    )
    waits = [
        f"{process} {duration(gauges['recv_wait_ns_max'])}"
        for process, gauges in shot.picture.reading.gauges.items()
        if gauges.get("recv_wait_ns_max")
    ]
    if waits:
        lines.append(_labelled("waited", "longest before the first stamp: " + ", ".join(waits)))
    lines.append(Text(""))
    reading, rates = shot.picture.reading, shot.picture.rates
    counters = sorted(
        (name.removeprefix("feed."), value, rates.get(name))
        for name, value in reading.counters.items()
        if name.startswith("feed.") and value
    )
    rows: list[list[Cell]] = [
        [
            name,
            duration(value) if name.endswith("_ns") else count(value),
            f"{rate:,.0f}/s" if rate else "",
        ]
        for name, value, rate in counters
    ]
    columns = (
        Column("counter", 38),
        Column("count", 14, right=True),
        Column("lately", 10, right=True),
    )
    return [*lines, *_some(table(columns, rows, width, 1 + len(rows)), height - len(lines), "more")]


def _feed_rows(shot: Shot) -> list[list[Cell]]:
    return [
        [
            each.name,
            (f"{each.up}/{each.of}", "" if each.up == each.of else "yellow"),
            age(each.age_ns) if each.age_ns is not None else "-",
            f"{each.rate:,.0f}" if each.rate is not None else "-",
            duration(each.lag_ns) if each.lag_ns is not None else "-",
            (count(each.gaps), "yellow" if each.gaps else ""),
            (count(each.bad), "yellow" if each.bad else ""),
            count(each.reconnects),
        ]
        for each in shot.feeds
    ]


# ------------------------------------------------------------------------------------- money
def draw_money(shot: Shot, width: int, height: int) -> list[Text]:
    """Draw profit and loss, then every limit on what can be lost with its use."""
    lines = _account_lines(shot, width)
    money = shot.money
    if money is not None and money.equity_e6 is not None and money.equity_peak_e6 is not None:
        peak_e6 = money.equity_peak_e6
        down = (peak_e6 - money.equity_e6) / peak_e6 if peak_e6 > 0 else 0.0
        text = f"{dollars(money.equity_e6)} by risk's marks, {down:.2%} below its peak"
        lines.append(_labelled("equity", f"{text} {dollars(peak_e6)}"))
    if money is not None and money.bankroll_e6 is not None:
        lines.append(_labelled("bankroll", dollars(money.bankroll_e6)))
    rows: list[list[Cell]] = []
    for each in shot.limits:
        share = each.used_e6 / each.limit_e6 if each.limit_e6 else 1.0
        style = "red" if share >= _USED_HIGH else "green"
        rows.append(
            [
                each.name,
                dollars(each.used_e6),
                dollars(each.limit_e6),
                f"{share:.0%}",
                (bar(share, 14), style),
            ]
        )
    columns = (
        Column("worst-case loss of", 0),
        Column("used", 11, right=True),
        Column("limit", 11, right=True),
        Column("", 5, right=True),
        Column("", 14),
    )
    return [*lines, Text(""), *table(columns, rows, width, height - len(lines) - 1)]


# ----------------------------------------------------------------------------------- pieces
def _labelled(label: str, text: str, style: str = "") -> Text:
    return Text.assemble((f" {label:<{_LABEL}} ", "cyan"), (text, style))


def _counted(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count(number)}" for name, number in counts.items()) or "none yet"


def _share(share: float | None) -> str:
    return f"{share:.0%}" if share is not None else "-"


def _sign_style(amount: int) -> str:
    return "bold green" if amount > 0 else "bold red" if amount < 0 else "bold"


def _some(lines: list[Text], height: int, rest: str) -> list[Text]:
    """Cut lines to a height and say how many more there are."""
    if len(lines) <= height:
        return lines
    left = len(lines) - height + 1
    return [*lines[: max(0, height - 1)], Text(f" {left} {rest}", "dim")]
