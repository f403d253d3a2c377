"""What the simulated price feeds have to say about a second: exchange, settlement spot, average."""

from typing import Final

from lowlat.sim.spot import SpotPath

__all__ = ["HISTORY_S", "history", "read_values"]

NS: Final = 1_000_000_000
HISTORY_S: Final = 120
"""How far back a first message reaches. Source: feeds.md 3.5."""


def read_values(spot: SpotPath, second: int) -> dict[str, int]:
    """Return what the three series say about a closed second."""
    values: dict[str, int] = {}
    closed = spot.seconds.get(second)
    if closed is not None:
        values["exchange"], values["spot"] = closed
    average_e8 = spot.average_e8(second)
    if average_e8 is not None:
        values["twap"] = average_e8
    return values


def history(spot: SpotPath, kind: str, length_s: int, now_ns: int) -> list[tuple[int, int]]:
    """Return (second, price) of the last seconds that would have been delivered by now."""
    last = now_ns // NS - 2
    points = []
    for second in range(last - length_s + 1, last + 1):
        value = read_values(spot, second).get(kind)
        if value is not None:
            points.append((second, value))
    return points
