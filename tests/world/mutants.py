"""Bugs put in on purpose, one at a time, at run time only: what worlds are for is to find them."""

import re
from collections.abc import Callable

from lowlat.execution.fills import FillBook, FillNews
from lowlat.execution.inbox import Inbox
from lowlat.execution.orders import FillState
from lowlat.risk.account import Account
from lowlat.store.journal import JournalEngine
from lowlat.world.http import Orders
from lowlat.world.runner import Lived, live
from lowlat.world.settings import WorldParams

SEEDS_MAX = 200
Patch = Callable[[type, str, object], None]


def resend_on_timeout(patch: Patch) -> None:
    """Send an order again when its connection dies without an answer."""
    send, lost = Orders.send, Inbox.on_lost
    left: dict[int, tuple[Orders, bytes]] = {}

    def keeping(orders, request, key, *, urgent):
        left[key] = orders, bytes(request)
        return send(orders, request, key, urgent=urgent)

    def again(inbox, key, recv_ns):
        orders, raw = left.pop(key, (None, b""))
        if not raw.startswith(b"POST /order") or not orders.idle():
            lost(inbox, key, recv_ns)
            return
        orders.send(raw, key, urgent=False)

    patch(Orders, "send", keeping)
    patch(Inbox, "on_lost", again)


def fill_counted_twice(patch: Patch) -> None:
    """Forget which trades were booked: a second word on one books it again."""
    take = FillBook.take

    def forgetful(book, order, news: FillNews, now_ns):
        if news.state == FillState.MATCHED:
            order.fills.pop(news.trade_id, None)
        take(book, order, news, now_ns)

    patch(FillBook, "take", forgetful)


def gate_before_commit(patch: Patch) -> None:
    """Give the slots of reports back before they are on the disk."""
    take = JournalEngine._take_reports

    def early(journal):
        journal._poll_reports()
        journal._reports.release()
        return take(journal)

    patch(JournalEngine, "_take_reports", early)


def stale_exposure(patch: Patch) -> None:
    """Check limits against what was held five seconds ago."""
    read = Account._read_position
    looked: dict[int, dict[int, int]] = {}

    def late(account, instrument):
        seen, now_ns = looked.setdefault(id(account), {}), account._state.now_ns
        if now_ns >= seen.get(instrument, 0):
            seen[instrument] = now_ns + 5_000_000_000
            read(account, instrument)

    patch(Account, "_read_position", late)


MUTANTS = (
    resend_on_timeout,
    fill_counted_twice,
    gate_before_commit,
    stale_exposure,
)


def hunt(said: str, seconds: float = 30.0, first: int = 1) -> Lived | None:
    """Live through seeds until one breaks the rule that matches; None when none does."""
    # A small bankroll, so that orders meet limits all the time.
    params = WorldParams(ledger_every=0, bankroll_e6=1_500_000_000)
    for seed in range(first, first + SEEDS_MAX):
        lived = live(seed, seconds, params, shrinks=False)
        if lived.outcome.violation and re.search(said, lived.outcome.violation):
            return lived
    return None
