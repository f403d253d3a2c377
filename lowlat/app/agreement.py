"""Do engine and venue agree on the account, base unit by base unit? Asked by another process.

The engine's side is its tables in shared memory, mapped read-only; the venue's side its own books,
fetched over HTTP. The engine counts a trade when it is MATCHED, the venue's account when it is
mined, so the venue's pending credits belong to its side. Nothing is rounded and nothing forgiven.
"""

import http.client
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lowlat.core.errors import RemoteProtocolError, SegmentError
from lowlat.core.layout import CASH_ROW, POSITION_ROW, CashRow, PositionRow
from lowlat.core.ports import TableReader
from lowlat.shm.attachment import Attachment

__all__ = ["Agreement", "Side", "VenueDoor", "compare", "read_engine"]

_TIMEOUT_S: Final = 30.0
_BODY_BYTES_MAX: Final = 16 * 2**20
_BUSY_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Side:
    """One side's books: cash and every token that is not zero, in base units."""

    cash_e6: int
    positions_e6: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"cash_e6": self.cash_e6, "positions": dict(sorted(self.positions_e6.items()))}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Both sides and what they agree on."""

    engine: Side
    venue: Side

    @property
    def cash(self) -> bool:
        """Whether both sides have the same cash."""
        return self.engine.cash_e6 == self.venue.cash_e6

    @property
    def positions(self) -> bool:
        """Whether both sides hold the same tokens."""
        return self.engine.positions_e6 == self.venue.positions_e6

    @property
    def holds(self) -> bool:
        """Whether they agree on everything."""
        return self.cash and self.positions

    def differences(self) -> list[str]:
        """Say each difference in one line: what, engine's number, venue's number."""
        found = []
        if not self.cash:
            found.append(f"cash: engine {self.engine.cash_e6}, venue {self.venue.cash_e6}")
        tokens = self.engine.positions_e6.keys() | self.venue.positions_e6.keys()
        for token in sorted(tokens):
            ours = self.engine.positions_e6.get(token, 0)
            theirs = self.venue.positions_e6.get(token, 0)
            if ours != theirs:
                found.append(f"token {token}: engine {ours}, venue {theirs}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return plain values with both sides' numbers."""
        return {
            "positions": self.positions,
            "cash": self.cash,
            "engine": self.engine.as_json(),
            "venue": self.venue.as_json(),
        }


class VenueDoor:
    """The simulator's own HTTP door. One connection a call: it survives the simulator's faults."""

    def __init__(self, control_url: str) -> None:
        parts = urlsplit(control_url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"control url was {control_url!r}, expected http://host:port")
        self._address = (parts.hostname, parts.port)

    def account(self, wallet: str) -> Side:
        """Return the venue's books of a wallet, pending credits included."""
        return self._side(self.account_state(wallet))

    def account_state(self, wallet: str) -> dict[str, Any]:
        """Return the venue's own words about a wallet."""
        state = self.call("GET", "/sim/state")
        for each in state.get("accounts", []):
            if str(each.get("wallet", "")).lower() == wallet.lower():
                found: dict[str, Any] = each
                return found
        raise RemoteProtocolError(f"venue knows no wallet {wallet}")

    def control(self, op: str, **values: Any) -> Any:
        """Ask the simulator to do something; return its result."""
        body = msgspec.json.encode({"op": op, **values})
        return self.call("POST", "/sim/control", body).get("result")

    def call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """Make one request. Raises OSError or RemoteProtocolError."""
        connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body=body or None)
            answer = connection.getresponse()
            raw = answer.read(_BODY_BYTES_MAX)
        except http.client.HTTPException as error:
            raise RemoteProtocolError(f"{method} {path}: {type(error).__name__}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            words = raw[:200].decode("utf-8", "replace")
            raise RemoteProtocolError(f"{method} {path}: status {answer.status}: {words}")
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise RemoteProtocolError(f"{method} {path}: {error}") from error

    @staticmethod
    def _side(state: dict[str, Any]) -> Side:
        try:
            settled = msgspec.convert(state["positions_e6"], dict[str, int])
            pending = msgspec.convert(state["positions_pending_e6"], dict[str, int])
            cash_e6 = msgspec.convert(state["cash_e6"], int)
            cash_e6 += msgspec.convert(state["cash_pending_e6"], int)
        except (KeyError, msgspec.ValidationError) as error:
            raise RemoteProtocolError(f"venue's account: {error}") from error
        sums = {t: settled.get(t, 0) + pending.get(t, 0) for t in settled.keys() | pending.keys()}
        return Side(cash_e6, {token: size for token, size in sums.items() if size})


def read_engine(instance: str) -> Side:
    """Read the engine's books from shared memory, whether it runs or not.

    Raises SegmentError when there are none, or a row stays busy (its writer never rests).
    """
    attachment = Attachment(instance, "agreement")
    cash_table = attachment.open_table_reader("cash")
    positions = attachment.open_table_reader("positions")
    if not _read(cash_table, 0, "cash"):
        raise SegmentError(f"instance {instance!r} has no cash yet: its executor never wrote it")
    cash: CashRow = CASH_ROW.unpack(cash_table.buffer)
    held: dict[str, int] = {}
    for row in range(positions.rows):
        if positions.version(row) and _read(positions, row, "positions"):
            position: PositionRow = POSITION_ROW.unpack(positions.buffer)
            if position.size_e6:
                token = str(int.from_bytes(position.token_id, "big"))
                held[token] = held.get(token, 0) + position.size_e6
    return Side(cash.cash_e6, held)


def _read(table: TableReader, row: int, name: str) -> bool:
    for _ in range(_BUSY_TRIES):
        version = table.read(row)
        if version >= 0:
            return version > 0
    raise SegmentError(f"table {name} row {row} was busy {_BUSY_TRIES} times in a row")


def compare(instance: str, door: VenueDoor, wallet: str) -> Agreement:
    """Read both sides now. Meaningful when the engine is quiet or gone."""
    venue = door.account(wallet)
    return Agreement(read_engine(instance), venue)
