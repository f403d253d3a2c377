"""What comes in from the venue, handed to the part that asked or that it concerns.

Owned by the executor; called by the transport and by the user channel between turns. Every request
that left is answered here exactly once, or lost. Nothing is decided here.
"""

from collections import deque
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.execution.answers import Headers, VenueListener, sent_of
from lowlat.execution.desk import OrderDesk
from lowlat.execution.heartbeat import Heartbeat
from lowlat.execution.in_flight import Asked, InFlight, Question
from lowlat.execution.lookups import Lookups
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.params import ExecutorParams
from lowlat.execution.reconcile import Reconciler
from lowlat.venues.polymarket.lookups import decode_heartbeat_reply
from lowlat.venues.polymarket.replies import decode_batch_reply, decode_order_reply

__all__ = ["Inbox"]

_HELD_FRAMES_MAX: Final = 4_096


class Inbox:
    """Takes answers, losses and frames."""

    def __init__(
        self,
        desk: OrderDesk,
        listener: VenueListener,
        lookups: Lookups,
        reconciler: Reconciler,
        heartbeat: Heartbeat,
        in_flight: InFlight,
        params: ExecutorParams,
        meters: ExecutorMeters,
    ) -> None:
        self._desk = desk
        self._listener = listener
        self._lookups = lookups
        self._reconciler = reconciler
        self._heartbeat = heartbeat
        self._in_flight = in_flight
        self._params = params
        self._meters = meters
        self._held_frames: deque[tuple[bytes, int]] = deque()

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- the transport
    def on_answer(self, key: int, status: int, headers: Headers, body: bytes, recv_ns: int) -> None:
        """Take in the answer to a request; called by the transport between turns."""
        question = self._in_flight.take(key)
        if question is None:
            self._meters.remote_errors.add(1)
            return
        if question.asked == Asked.ORDER:
            order = question.orders[0]
            reply = decode_order_reply(status, body, sent_of(order))
            self._listener.order_reply(order, reply, recv_ns)
            self._listener.rate_headers(headers, recv_ns)
        elif question.asked == Asked.BATCH:
            sent = [sent_of(order) for order in question.orders]
            replies = decode_batch_reply(status, body, sent)
            for order, reply in zip(question.orders, replies, strict=True):
                self._listener.order_reply(order, reply, recv_ns)
            self._listener.rate_headers(headers, recv_ns)
        elif question.asked == Asked.HEARTBEAT:
            self._beat_answered(question, status, body, recv_ns)
        elif question.asked == Asked.RECONCILE:
            self._reconciler.answer(question, status, body, recv_ns)
        else:
            self._lookups.answer(question, status, body, recv_ns)

    def on_lost(self, key: int, recv_ns: int) -> None:
        """Take in that a request will never be answered."""
        question = self._in_flight.take(key)
        if question is None:
            self._meters.remote_errors.add(1)
        elif question.asked in (Asked.ORDER, Asked.BATCH):
            for order in question.orders:
                self._listener.lost(order, recv_ns)
        elif question.asked == Asked.HEARTBEAT:
            self._heartbeat.lost(recv_ns)
        elif question.asked == Asked.RECONCILE:
            self._reconciler.lost(question, recv_ns)
        else:
            self._lookups.lost(question, recv_ns)

    def _beat_answered(self, question: Question, status: int, body: bytes, now_ns: int) -> None:
        try:
            reply = decode_heartbeat_reply(status, body)
        except RemoteProtocolError:
            self._meters.remote_errors.add(1)
            self._heartbeat.lost(now_ns)
            return
        if reply.accepted:
            if self._heartbeat.may_have_fired(now_ns):
                self._reconciler.check_orders(now_ns)
            self._heartbeat.accepted(reply.heartbeat_id, question.at_ns)
            self._meters.heartbeats.add(1)
        else:
            self._heartbeat.corrected_to(reply.heartbeat_id, now_ns)

    # --------------------------------------------------------------------------- the user channel
    def on_user_frame(self, data: bytes | bytearray | memoryview, recv_ns: int) -> None:
        """Take in one frame of the user channel; before the first listing it is kept for later.

        Totals of restored orders do not say which trades are in them: until the venue has listed
        those, a message about an old trade would be booked again.
        """
        if self._reconciler.listed and not self._held_frames:
            self._listener.frame(data, recv_ns)
        elif len(self._held_frames) < _HELD_FRAMES_MAX:
            self._held_frames.append((bytes(data), recv_ns))
        else:
            self._reconciler.check_orders(recv_ns)

    def take_held_frames(self) -> int:
        """Take in what was kept until the first listing; return how many frames."""
        replayed = len(self._held_frames)
        while self._held_frames:
            self._listener.frame(*self._held_frames.popleft())
        return replayed

    def on_user_connected(self, now_ns: int) -> None:
        """Read what was missed: there is no replay. Source: polymarket.md 9."""
        self._reconciler.check_orders(now_ns)

    def on_user_disconnected(self, now_ns: int) -> None:
        """Note that fills now come late: through answers and look-ups only."""
        for order in self._desk.unsettled.values():
            order.lookup_ns = order.lookup_ns or now_ns + self._params.lookup_every_ns
