"""WebSockets without sockets: frames in order, with delays, between engines and the pure venue.

Each direction of a link keeps its order. A dropped link loses what was on its way; the engine's
side dials again after a back-off, as ``lowlat.net.ws`` does.
"""

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from lowlat.core.clock import VirtualClock
from lowlat.feeds.ports import Listener
from lowlat.sim.feed_session import Session
from lowlat.world.agenda import Agenda
from lowlat.world.faults import Windows

__all__ = ["Dialer", "Feed", "Link", "Net"]

US: Final = 1_000
MS: Final = 1_000_000
_DELAY_NS_MIN: Final = 150 * US
_DELAY_NS_SPAN: Final = 750 * US
_BACKOFF_NS_MIN: Final = 250 * MS
_BACKOFF_NS_MAX: Final = 30_000 * MS
_STABLE_NS: Final = 30_000 * MS


class Feed(Protocol):
    """A pure feed of the venue."""

    def connect(self, session: Session) -> None:
        """Take a new socket."""

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle one text frame from the client."""


class Net:
    """What every simulated connection of one process life shares."""

    def __init__(
        self,
        clock: VirtualClock,
        agenda: Agenda,
        rng: Random,
        windows: Windows,
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        """``guard`` runs a delivery to the engines: it sees their death and their turns."""
        self.clock = clock
        self.agenda = agenda
        self.rng = rng
        self.windows = windows
        self._guard = guard
        self.alive = True
        """False once the process is gone: nothing is delivered to it any more."""
        self.links: list[Link] = []

    def now_ns(self) -> int:
        """Return the time without spending any."""
        return self.clock.monotonic_ns()

    def guard(self, act: Callable[[], None]) -> None:
        """Deliver something to this life's engines; nothing ever reaches a dead one."""
        if self.alive:
            self._guard(act)

    def die(self) -> None:
        """Drop every link as the kernel of a dead process does."""
        self.alive = False
        for link in self.links:
            link.abandon()


class Link:
    """One socket of one process: its dials, its frames, its ends."""

    def __init__(self, net: Net, kind: str, feed: Feed, listener: Listener, number: int) -> None:
        self.kind = kind
        self.is_open = False
        self.user_frames = 0
        """Frames of the user channel on their way."""
        self._net = net
        self._feed = feed
        self._listener = listener
        self._number = number
        self._session: Session | None = None
        self._life = 0
        self._closing = False
        self._up_ns = self._down_ns = 0
        self._opened_ns = 0
        self._backoff_ns = _BACKOFF_NS_MIN
        net.links.append(self)
        self._dial(0)

    # ------------------------------------------------------------------ the engine's end
    @property
    def number(self) -> int:
        """The number it was dialled with."""
        return self._number

    def send_text(self, payload: bytes) -> bool:
        """Send a text frame; False when the link is down."""
        if not self.is_open:
            return False
        session, life = self._session, self._life
        assert session is not None, "an open link has a session"
        self._up_ns = max(self._up_ns, self._net.now_ns() + self._delay_ns())

        def arrive() -> None:
            if self._life == life and self.is_open:
                self._feed.on_text(session, payload, self._net.clock.wall_ns())

        self._net.agenda.at(self._up_ns, arrive)
        return True

    def reconnect(self, reason: str) -> None:
        """Drop the link; a new one follows after the back-off."""
        if self.is_open:
            # The listener hears of it in a later turn, as from an event loop.
            life = self._life
            self._net.agenda.at(self._net.now_ns(), lambda: self._lose(life, reason))

    def close(self) -> None:
        """Drop the link and stay down."""
        self._closing = True
        self.reconnect("closed by us")

    # ------------------------------------------------------------------ the world's end
    def drop(self, reason: str) -> None:
        """Break the link now."""
        self._lose(self._life, reason)

    def abandon(self) -> None:
        """Forget the engine's end: its process is gone."""
        self._closing = True
        self._end()

    # ------------------------------------------------------------------ pieces
    def _delay_ns(self) -> int:
        net = self._net
        delay_ns = _DELAY_NS_MIN + int(net.rng.random() * _DELAY_NS_SPAN)
        if net.rng.random() < 0.01:
            delay_ns += net.rng.randint(1, 40) * MS
        if self.kind == "market" and net.windows.hit("market_delay", net.now_ns()):
            delay_ns += net.rng.randint(20, 700) * MS
        return delay_ns

    def _dial(self, wait_ns: int) -> None:
        due_ns = self._net.now_ns() + wait_ns + self._delay_ns() * 4
        self._net.agenda.at(due_ns, lambda: self._net.guard(self._open))

    def _open(self) -> None:
        if self._closing or not self._net.alive:
            return
        self._life += 1
        self.is_open = True
        self._opened_ns = self._net.now_ns()
        self._up_ns = self._down_ns = self._opened_ns
        life = self._life
        session = self._session = Session(
            lambda frame: self._sent(life, frame), lambda code, why: self._closed(life, code, why)
        )
        session.ping = lambda _: self._ponged(session)
        session.pong_ns = self._net.clock.wall_ns()
        self._feed.connect(session)
        self._listener.on_open(self)

    def _ponged(self, session: Session) -> None:
        session.pong_ns = self._net.clock.wall_ns()

    def _sent(self, life: int, frame: bytes) -> None:
        """Carry one frame of the venue; the user channel may lose, copy or delay it."""
        net, now_ns = self._net, self._net.now_ns()
        if life != self._life or not self.is_open:
            return
        self._down_ns = max(self._down_ns, now_ns + self._delay_ns())
        due_ns = self._down_ns
        if self.kind == "market":
            if net.windows.hit("market_loss", now_ns):
                return
            if net.windows.hit("market_copy", now_ns):
                self._carry(life, due_ns, frame)
        if self.kind == "user":
            if net.windows.hit("user_loss", now_ns):
                return
            if net.windows.hit("user_delay", now_ns):
                # The venue's own fan-out is what reorders: later frames do not wait.
                due_ns += net.rng.randint(5, 3000) * MS
            if net.windows.hit("user_copy", now_ns):
                self._carry(life, due_ns + net.rng.randint(0, 500) * MS, frame)
        self._carry(life, due_ns, frame)

    def _carry(self, life: int, due_ns: int, frame: bytes) -> None:
        net = self._net
        self.user_frames += self.kind == "user"

        def arrive() -> None:
            self.user_frames -= self.kind == "user"
            if life == self._life and self.is_open:
                net.guard(lambda: self._listener.on_frame(self, frame, True, net.now_ns()))

        net.agenda.at(due_ns, arrive)

    def _closed(self, life: int, code: int, reason: str) -> None:
        """Close from the venue: behind what it has sent, or at once when it just drops the line."""
        due_ns = self._net.now_ns() if code == 1006 else self._down_ns
        self._net.agenda.at(due_ns, lambda: self._lose(life, f"closed by peer {code} {reason}"))

    def _lose(self, life: int, reason: str) -> None:
        if life != self._life or not self.is_open:
            return
        self._end()
        net = self._net
        if not net.alive:
            return
        if not self._closing:
            if net.now_ns() - self._opened_ns >= _STABLE_NS:
                self._backoff_ns = _BACKOFF_NS_MIN
            self._dial(int(self._backoff_ns * (0.5 + net.rng.random())))
            self._backoff_ns = min(2 * self._backoff_ns, _BACKOFF_NS_MAX)
        net.guard(lambda: self._listener.on_close(self, reason))

    def _end(self) -> None:
        if self.is_open:
            self.is_open = False
            assert self._session is not None, "an open link has a session"
            self._feed.disconnect(self._session)
            self._session = None


class Dialer:
    """Opens links of one kind to one feed."""

    def __init__(self, net: Net, kind: str, feed: Feed) -> None:
        self._net = net
        self._kind = kind
        self._feed = feed

    def __call__(self, listener: Listener, number: int) -> Link:
        """Return the link of that number; it opens in a later turn."""
        return Link(self._net, self._kind, self._feed, listener, number)
