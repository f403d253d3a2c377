"""Live a capture again: the production engines inline, on what was recorded, compared byte by byte.

``Replay`` makes the engines of the captured process over private memory and gives them, in the
recorded order, every frame, answer, turn and word of people; whatever they ask (clocks, salts, what
became of a write) the capture answers. What they publish must be what they published then, each
record and each request. Pure but for its input: run twice, the same. See docs/adr/0007.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from lowlat.core.errors import ConfigError, LowlatError
from lowlat.core.layout import RECORDS, SIGNAL, abi_hash
from lowlat.core.recovered import Recovered
from lowlat.core.signal import decode_signal
from lowlat.risk.limits import LimitsParams
from lowlat.shm.private import PrivateMemory
from lowlat.wiring.capture import (
    FORMAT,
    WHOLE,
    CaptureHeader,
    open_tails,
    tailed_streams,
)
from lowlat.wiring.capture_tags import Tag
from lowlat.wiring.ports import Settings
from lowlat.wiring.process import ProcessEngines
from lowlat.world._playback import Astray, Ended, Playback
from lowlat.world.otherwise import Otherwise
from lowlat.world.played import PlayedEnds, PlayedKey, PlayedKeys, PlayedMeters, ledger_gates
from lowlat.world.verdict import Difference, Moment, Verdict, describe_record, unlike

__all__ = ["CaptureError", "Replay", "read_header"]

_STREAMS: Final = tailed_streams()
_SIGNALS_MAX: Final = 4096
_CAUSED: Final = frozenset({Tag.OUT, Tag.SUM, Tag.LAPPED})
_LOOKED: Final = frozenset({Tag.START, Tag.TURN, Tag.STOP})
"""Behind these, what the engines published was read back."""
_KINDS: Final = {record.kind: record for record in RECORDS}


class CaptureError(LowlatError):
    """A capture that cannot be replayed: which, why, what to do."""


class _Out(NamedTuple):
    kind: int
    data: bytes


def read_header(data: bytes) -> CaptureHeader:
    """Return how a capture's engines were made; raises CaptureError for anything else."""
    playback = Playback(data)
    try:
        tag, _ = playback.next()
        if tag != Tag.HEADER:
            raise CaptureError(f"capture begins with tag {tag}, expected a header: it is damaged")
        header = msgspec.json.decode(playback.next()[1], type=CaptureHeader)
    except (Ended, TypeError, ValueError) as error:
        raise CaptureError(f"capture has no header that can be read: {error}") from None
    own = f"{abi_hash(*RECORDS):016x}"
    if header.format != FORMAT or header.abi != own:
        raise CaptureError(
            f"capture has format {header.format} and records {header.abi}, this build "
            f"{FORMAT} and {own}: replay it with the build that wrote it"
        )
    return header


class Replay:
    """One run of one life. ``run`` returns what came of it."""

    def __init__(
        self,
        data: bytes,
        settings_of: Callable[[dict[str, Any]], Settings],
        other: LimitsParams | None = None,
    ) -> None:
        """``settings_of`` makes settings of plain values; raises CaptureError (see read_header).

        ``other``: limits that are asked, too, what they would have decided.
        """
        self.header = read_header(data)
        self._settings_of = settings_of
        self._other = other
        self._otherwise: Otherwise | None = None
        self._playback = Playback(data)
        self._memory = self._remember()
        self._tails = open_tails(self._memory)
        self._ledger = ledger_gates(self._memory)
        self._made: list[list[_Out]] = [[] for _ in _STREAMS]
        self._sums = [(0, 0)] * len(_STREAMS)
        self._lapped = [0] * len(_STREAMS)
        self._digest = hashlib.blake2b(digest_size=16)
        self._recorded = hashlib.blake2b(digest_size=16)
        self._counts: Counter[str] = Counter()
        self._moment = Moment(0, 0, "making the engines", b"")
        self._signals: dict[int, tuple[bytes, Moment]] = {}
        self._difference: Difference | None = None
        self._from_ns = 0
        self._finished = False

    def run(self, until_ns: int = 0, from_ns: int = 0) -> Verdict:
        """Live it, until it ends, differs, or a time since its start (0: none) has passed.

        Before ``from_ns`` since its start it is lived and not compared: what came out otherwise
        there is counted as ``earlier``, unless the engines could not go on.
        """
        playback = self._playback
        self._from_ns = self.header.started_ns + from_ns
        end_ns = self.header.started_ns + until_ns
        try:
            self._make()
            while self._difference is None and playback.tag:
                if until_ns and playback.now_ns > end_ns:
                    break
                self._step()
        except Astray as error:
            self._went_astray(str(error))
        except Ended:
            # It died there, or its last block is lost: all before was compared.
            self._counts["torn"] += 1
        except Exception as error:  # noqa: BLE001 - whatever engines raise now they did not then
            self._differ("raised", f"{type(error).__name__}: {error}", None, None)
        return self._verdict()

    # ------------------------------------------------------------------ engines
    def _remember(self) -> PrivateMemory:
        """Return memory as the engines found it."""
        header, playback = self.header, self._playback
        playback.next()
        playback.next()
        memory = PrivateMemory(slots=header.slots, rows=header.rows)
        try:
            if header.streams or header.tables:
                memory.restore(header.streams, header.tables, playback.next()[1])
        except (Ended, KeyError, TypeError, ValueError) as error:
            raise CaptureError(
                f"capture of process {header.process} began on used memory, and its picture of "
                f"that is damaged: {error}"
            ) from None
        return memory

    def _make(self) -> None:
        header, playback = self.header, self._playback
        self._ends = PlayedEnds(playback)
        meters = PlayedMeters()
        meters.gauge("halt").set(header.halt)
        recovered = None
        if header.recovered:
            recovered = msgspec.msgpack.decode(header.recovered, type=Recovered)
        keys = PlayedKeys(header)
        settings = self._settings_of(header.config)
        self._parts = ProcessEngines(
            settings,
            self._memory,
            meters,
            keys,
            header.host,
            self._ends.asked_for(settings),
            recovered,
            halted_elsewhere=self._ends.halted if header.watches else None,
            signs=PlayedKey(header.address),
        )
        self._trading = self._parts.trading
        if self._other is not None:
            self._otherwise = Otherwise(self._trading.risk, self._other, self._at_s)
        self._turns = tuple(engine.turn for engine in self._parts.engines)
        self._acts: dict[int, Callable[[Any], None]] = {
            Tag.START: self._start,
            Tag.STOP: self._stop,
            Tag.TURN: self._turn,
            Tag.OPEN: self._open,
            Tag.CLOSE: self._close,
            Tag.FRAME: self._frame,
            Tag.FETCHED: self._fetched,
            Tag.ANSWER: self._answer,
            Tag.LOST: self._lost,
            Tag.HALT: self._halt,
            Tag.RESUME: self._resume,
            Tag.DRAIN: self._drain,
            Tag.RELOAD: self._reload,
            Tag.CANCEL: self._cancel,
            Tag.STOPPED: self._stopped,
            Tag.CELL: self._cell,
            Tag.INJECT: self._inject,
            Tag.CHECK: self._check,
        }

    def _step(self) -> None:
        playback = self._playback
        tag, number = playback.next()
        act = self._acts.get(tag)
        if act is None:
            raise Astray(f"recorded is entry {tag}, for which the engines did not ask")
        self._counts["events"] += 1
        act(number)
        if playback.requests:
            self._compare_requests()
        if tag in _LOOKED:
            if not playback.tag and not self._finished:
                # It died in this very turn: what came of it was not read back any more.
                raise Ended
            self._compare()

    # ------------------------------------------------------------------ what happened
    def _start(self, _: int) -> None:
        self._now("start", b"")
        for engine in self._parts.engines:
            engine.start()

    def _stop(self, _: int) -> None:
        self._now("orderly end", b"")
        for engine in reversed(self._parts.engines):
            engine.close()
        self._finished = True

    def _turn(self, now_ns: int) -> None:
        self._counts["turns"] += 1
        self._moment = Moment(self._counts["events"], now_ns, "turn", b"")
        for turn in self._turns:
            turn(now_ns)

    def _open(self, number: int) -> None:
        link = self._ends.links[number]
        self._now(f"{self._ends.name_of(number)} opens", b"")
        link.listener.on_open(link)

    def _close(self, number: int) -> None:
        link, reason = self._ends.links[number], self._playback.arg()
        self._now(f"{self._ends.name_of(number)} closes", reason)
        link.listener.on_close(link, reason.decode())

    def _frame(self, recv_ns: int) -> None:
        playback = self._playback
        where, payload = playback.arg(), playback.arg()
        link = self._ends.links[where >> 1]
        self._counts["frames"] += 1
        # The name of the link is looked up when somebody wants to read it.
        self._moment = Moment(self._counts["events"], recv_ns, where >> 1, payload)
        link.listener.on_frame(link, payload, bool(where & 1), recv_ns)

    def _fetched(self, asked: int) -> None:
        status, recv_ns, body = (self._playback.arg() for _ in range(3))
        path, done = self._ends.asked[asked]
        self._now(f"answer {status} to GET {path}", body)
        done(status, body, recv_ns)

    def _answer(self, key: int) -> None:
        status, recv_ns, headers, body = (self._playback.arg() for _ in range(4))
        self._counts["answers"] += 1
        self._now(f"answer {status} to request {key}", body)
        found = msgspec.msgpack.decode(headers, type=list[tuple[bytes, bytes]])
        self._trading.executor.inbox.on_answer(key, status, found, body, recv_ns)

    def _lost(self, key: int) -> None:
        recv_ns = self._playback.arg()
        self._now(f"request {key} is lost", b"")
        self._trading.executor.inbox.on_lost(key, recv_ns)

    def _told(self, what: str) -> Any:
        text = self._playback.arg()
        self._now(what, text)
        return msgspec.json.decode(text)

    def _halt(self, code: int) -> None:
        self._trading.halt_now(code, self._told("halt"))

    def _resume(self, _: int) -> None:
        self._told("resume")
        self._trading.resume()

    def _drain(self, _: int) -> None:
        self._told("drain")
        self._trading.drain()

    def _reload(self, generation: int) -> None:
        config = self._told(f"config generation {generation}")
        try:
            self._trading.reload(self._settings_of(config), generation)
        except ConfigError:
            # It was refused then, too, or the next difference says so.
            self._counts["reloads_refused"] += 1

    def _cancel(self, order_id: int) -> None:
        self._told(f"cancel of order {order_id:x}")
        self._trading.cancel(order_id)

    def _check(self, now_ns: int) -> None:
        self._told("check of balances")
        self._trading.check_balances(now_ns)

    def _stopped(self, _: int) -> None:
        now_ns, reason = self._playback.arg(), self._playback.arg()
        self._now("halt elsewhere", reason)
        self._trading.executor.halt(reason.decode(), now_ns)

    def _cell(self, value: int) -> None:
        self._now("halt cell", b"")
        self._trading.halt.set(value)

    def _inject(self, _: int) -> None:
        record = SIGNAL.unpack(self._playback.arg())
        self._now("injected signal", b"")
        try:
            self._trading.signals.inject(decode_signal(record), record)
        except (ValueError, msgspec.MsgspecError):
            # What cannot be a signal is refused where it is injected.
            self._counts["injects_refused"] += 1

    def _at_s(self) -> float:
        return (self._playback.now_ns - self.header.started_ns) / 1e9

    def _now(self, what: str, detail: bytes) -> None:
        self._moment = Moment(self._counts["events"], self._playback.now_ns, what, detail)

    # ------------------------------------------------------------------ what came of it
    def _look(self) -> None:
        self._tails.look(self._take)
        for reader in self._ledger:
            while reader.poll():
                pass
            reader.release()

    def _take(self, stream: int, kind: int, data: bytes | None) -> None:
        if data is None:
            self._lapped[stream] += 1
        elif kind in WHOLE:
            self._made[stream].append(_Out(kind, data))
        else:
            count, checksum = self._sums[stream]
            self._sums[stream] = (count + 1, crc32(data, checksum))

    def _compare(self) -> None:
        """Hold what was published since the last look against what was recorded of it."""
        playback = self._playback
        self._look()
        if playback.now_ns < self._from_ns:
            self._compare_roughly()
            return
        while playback.tag in _CAUSED and self._difference is None:
            tag, stream = playback.next()
            if tag == Tag.OUT:
                kind, data = playback.arg(), playback.arg()
                self._compare_record(stream, kind, data)
            elif tag == Tag.SUM:
                count, checksum = playback.arg(), playback.arg()
                made, self._sums[stream] = self._sums[stream], (0, 0)
                if made != (count, checksum):
                    self._differ(
                        _STREAMS[stream],
                        f"{count} records with checksum {checksum:08x} were recorded, now there "
                        f"are {made[0]} with {made[1]:08x}",
                        None,
                        None,
                    )
            elif self._lapped[stream]:
                self._lapped[stream] -= 1
                self._counts["lapped"] += 1
        if self._difference is None:
            self._compare_rest()

    def _compare_roughly(self) -> None:
        """Count what differs before the time that was asked for, and forget it."""
        playback = self._playback
        while playback.tag in _CAUSED:
            tag, stream = playback.next()
            if tag == Tag.OUT:
                out = _Out(playback.arg(), playback.arg())
                made = self._made[stream].pop(0) if self._made[stream] else None
                self._counts["earlier"] += made != out
            elif tag == Tag.SUM:
                sums = (playback.arg(), playback.arg())
                made_sums, self._sums[stream] = self._sums[stream], (0, 0)
                self._counts["earlier"] += made_sums != sums
            else:
                self._lapped[stream] = 0
        for stream, made_too_much in enumerate(self._made):
            self._counts["earlier"] += len(made_too_much)
            made_too_much.clear()
            self._sums[stream] = (0, 0)

    def _compare_record(self, stream: int, kind: int, data: bytes) -> None:
        made = self._made[stream].pop(0) if self._made[stream] else None
        self._recorded.update(data)
        if made is not None:
            self._digest.update(made.data)
        self._counts[_STREAMS[stream]] += 1
        if made is None or made.data != data:
            self._differ(_STREAMS[stream], "", (kind, data), made)
        elif kind == SIGNAL.kind:
            self._signals[int.from_bytes(data[:8], "little")] = (data, self._moment)
            if len(self._signals) > _SIGNALS_MAX:
                del self._signals[next(iter(self._signals))]

    def _compare_rest(self) -> None:
        """Refuse what is published now and was not then."""
        for stream, name in enumerate(_STREAMS):
            if self._made[stream]:
                self._differ(name, "", None, self._made[stream][0])
            elif self._sums[stream][0]:
                text = f"{self._sums[stream][0]} records are published that were not recorded"
                self._differ(name, text, None, None)
            if self._difference is not None:
                return

    def _compare_requests(self) -> None:
        requests = self._playback.requests
        if self._playback.now_ns < self._from_ns:
            self._counts["earlier"] += sum(made != recorded for made, recorded in requests)
            requests.clear()
        for made, recorded in requests:
            self._counts["requests"] += 1
            self._digest.update(made)
            self._recorded.update(recorded)
            if made != recorded and self._difference is None:
                where = next(unlike(recorded, made))
                self._differ(
                    "request",
                    f"from byte {where} on: recorded {recorded[where : where + 80]!r}, now "
                    f"{made[where : where + 80]!r}",
                    None,
                    None,
                )
        requests.clear()

    def _went_astray(self, text: str) -> None:
        """Say which record came out differently, when one did; else who asked for what."""
        self._look()
        ahead = self._recorded_ahead()
        for stream, made in enumerate(self._made):
            recorded = [out for at, out in ahead if at == stream]
            for mine, theirs in zip(made, recorded, strict=False):
                if mine != theirs:
                    self._differ(_STREAMS[stream], text, theirs, mine)
                    return
        self._differ("asked", text, None, None)

    def _recorded_ahead(self) -> list[tuple[int, _Out]]:
        """Return the records of the next look that was recorded."""
        playback = self._playback
        found: list[tuple[int, _Out]] = []
        try:
            while playback.tag and (playback.tag not in _LOOKED or not found):
                tag, number = playback.next()
                if tag == Tag.OUT:
                    found.append((number, _Out(playback.arg(), playback.arg())))
        except (Astray, Ended):
            # The rest is torn, and what is there is enough.
            self._counts["torn"] += 1
        return found

    # ------------------------------------------------------------------ words
    def _differ(
        self,
        stream: str,
        text: str,
        recorded: tuple[int, bytes] | None,
        made: tuple[int, bytes] | None,
    ) -> None:
        sides = [
            describe_record(_KINDS[side[0]], side[1]) if side else {} for side in (recorded, made)
        ]
        self._difference = Difference(
            stream=stream,
            text=text,
            recorded=sides[0],
            replayed=sides[1],
            fields=[
                name for name in sides[0] or sides[1] if sides[0].get(name) != sides[1].get(name)
            ],
            event=self._moment.number,
            at_s=(self._moment.at_ns - self.header.started_ns) / 1e9,
            chain=list(self._chain(sides[0] or sides[1])),
        )

    def _chain(self, record: dict[str, Any]) -> Iterator[str]:
        """Tell what led there, the last thing first."""
        yield self._moment.text(self._ends.name_of, self.header.started_ns)
        signal = self._signals.get(record.get("signal", 0))
        if signal is not None:
            values = describe_record(SIGNAL, signal[0])
            yield f"signal {values['id']:x} of {values['module']} on token {values['instrument']}"
            yield signal[1].text(self._ends.name_of, self.header.started_ns)

    def _verdict(self) -> Verdict:
        counts = self._counts
        end_ns = max(self._playback.now_ns, self.header.started_ns)
        return Verdict(
            process=self.header.process,
            seconds=(end_ns - self.header.started_ns) / 1e9,
            events=counts["events"],
            turns=counts["turns"],
            frames=counts["frames"],
            signals=counts["signals"],
            decisions=counts["decisions"],
            intents=counts["intents"],
            reports=counts["reports"],
            requests=counts["requests"],
            lapped=counts["lapped"],
            earlier=counts["earlier"],
            finished=self._finished,
            hash=self._digest.hexdigest(),
            recorded_hash=self._recorded.hexdigest(),
            difference=self._difference,
            otherwise=self._otherwise.verdict() if self._otherwise is not None else None,
        )
