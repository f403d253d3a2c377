"""Faults on the way in and out: rules for requests of a service, rules for frames of a feed. Pure.

Without rules a request or a frame passes untouched. Delays are timers of the venue, chance is the
seeded source of its faults, so the same seed and the same calls give the same run.
"""

from collections.abc import Callable
from typing import Final, Protocol

from lowlat.sim.config import FrameRule, RequestRule
from lowlat.sim.faults import Faults
from lowlat.sim.feed_session import Session
from lowlat.sim.timers import Timers
from lowlat.sim.wire import LOST, RESET, Request, Respond, Response, failure

__all__ = ["Door", "FaultyFeed", "Feed"]

MS: Final = 1_000_000
REORDER_NS: Final = 20 * MS
TEXTS: Final = {
    425: "service not ready",
    429: "rate limit exceeded",
    500: "could not run the execution",
    503: "Trading is currently disabled. Check polymarket.com for updates",
}
Handler = Callable[[Request, int, Respond], None]


class Feed(Protocol):
    """What a pure feed offers its sockets."""

    def connect(self, session: Session) -> None:
        """Take a new socket."""

    def disconnect(self, session: Session) -> None:
        """Forget a socket."""

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Handle one text frame from the client."""


class Door:
    """Lets requests through to the services."""

    def __init__(self, faults: Faults, timers: Timers) -> None:
        self._faults = faults
        self._timers = timers

    def enter(
        self, service: str, request: Request, now_ns: int, handler: Handler, respond: Respond
    ) -> None:
        """Hand a request to its service, or do to it what the rules say."""
        rules = self._faults.config.requests
        if not rules:
            handler(request, now_ns, respond)
            return
        fitting = [rule for rule in rules if _fits(rule, service, request)]
        delay_ns = 0
        for rule in fitting:
            delay_ns += self._faults.draw_ns(
                rule.latency_ms, rule.latency_tail_e4, rule.latency_tail_ms
            )
            early = self._early(rule)
            if early is not None:
                self._after(delay_ns, now_ns, lambda _, early=early: respond(early))  # type: ignore[misc]
                return
        worse = respond
        for rule in fitting:
            worse = self._worse(rule, worse)
        self._after(delay_ns, now_ns, lambda at_ns: handler(request, at_ns, worse))

    def _after(self, delay_ns: int, now_ns: int, act: Callable[[int], None]) -> None:
        if delay_ns:
            self._timers.at(now_ns + delay_ns, act)
        else:
            act(now_ns)

    def _early(self, rule: RequestRule) -> Response | None:
        """Return what comes instead of carrying the request out."""
        if self._faults.strikes("reset", rule.reset_e4):
            return Response(RESET, b"")
        if not self._faults.strikes(f"refused {rule.refuse_status}", rule.refuse_e4):
            return None
        status = rule.refuse_status
        headers = (("Retry-After", "1"),) if status in {418, 429, 503} else ()
        return failure(status, TEXTS.get(status, "refused by the simulator"), headers)

    def _worse(self, rule: RequestRule, respond: Respond) -> Respond:
        """Return a way to answer that loses, cuts or slows the answer down."""
        if self._faults.strikes("lost", rule.lost_e4):
            return lambda answer: respond(Response(LOST, answer.body))
        if self._faults.strikes("cut", rule.cut_e4):
            return lambda answer: respond(answer._replace(cut=True))
        if rule.bytes_per_s:
            return lambda answer: respond(answer._replace(bytes_per_s=rule.bytes_per_s))
        return respond


class FaultyFeed:
    """A feed behind rules for its frames."""

    def __init__(
        self, name: str, feed: Feed, faults: Faults, timers: Timers, now_ns: Callable[[], int]
    ) -> None:
        self._name = name
        self._feed = feed
        self._faults = faults
        self._timers = timers
        self._now_ns = now_ns
        self._last_ns: dict[Session, int] = {}
        """When the last delayed frame of a socket leaves: those behind it wait."""

    def connect(self, session: Session) -> None:
        """Take a new socket; what is sent to it passes the rules."""
        send, send_binary = session.send, session.send_binary
        self._last_ns[session] = 0
        session.send = lambda frame: self._pass(session, send, frame)
        session.send_binary = lambda frame: self._pass(session, send_binary, frame)
        self._feed.connect(session)

    def disconnect(self, session: Session) -> None:
        """Forget a socket; frames on their way to it are gone."""
        self._last_ns.pop(session, None)
        self._feed.disconnect(session)

    def on_text(self, session: Session, text: bytes, now_ns: int) -> None:
        """Pass a client's frame on."""
        self._feed.on_text(session, text, now_ns)

    def _pass(self, session: Session, send: Callable[[bytes], None], frame: bytes) -> None:
        faults = self._faults
        if not (faults.config.frames or faults.frozen_feeds) or frame == b"PONG":
            send(frame)
            return
        now_ns = self._now_ns()
        if now_ns < faults.frozen_feeds.get(self._name, 0):
            return
        rules = [rule for rule in faults.config.frames if rule.feed == self._name]
        if not rules:
            send(frame)
            return
        for rule in rules:
            if faults.strikes(f"{self._name} frame lost", rule.lost_e4):
                return
        for copy_ns in self._due(session, rules, now_ns):
            if copy_ns <= now_ns:
                send(frame)
            else:
                self._timers.at(copy_ns, lambda _: self._late(session, send, frame))

    def _due(self, session: Session, rules: list[FrameRule], now_ns: int) -> list[int]:
        """Return when each copy of a frame leaves."""
        faults = self._faults
        due_ns = now_ns
        for rule in rules:
            due_ns += faults.draw_ns(rule.delay_ms)
        due_ns = self._last_ns[session] = max(due_ns, self._last_ns.get(session, 0))
        copies = [due_ns]
        for rule in rules:
            if faults.strikes(f"{self._name} frame reordered", rule.reorder_e4):
                copies[0] = due_ns + REORDER_NS
            if faults.strikes(f"{self._name} frame doubled", rule.duplicate_e4):
                copies.append(copies[0] + REORDER_NS)
        return copies

    def _late(self, session: Session, send: Callable[[bytes], None], frame: bytes) -> None:
        if session in self._last_ns:
            send(frame)


def _fits(rule: RequestRule, service: str, request: Request) -> bool:
    return (
        rule.service in {"*", service}
        and rule.method in {"*", request.method}
        and request.path.startswith(rule.path)
    )
