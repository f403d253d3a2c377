"""The host as `lowlat tune` sees it: files under /proc and /sys, and whether we are a guest.

Everything goes through ``Host``, so that tests put a folder in the place of the root.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Cores", "Host", "cores_text", "parse_cores"]

_GUEST_FLAG: Final = "hypervisor"


class Cores(msgspec.Struct, frozen=True):
    """Which cores spin (hot) and which do everything else (house)."""

    hot: tuple[int, ...]
    house: tuple[int, ...]


class Host:
    """Reads and writes kernel settings below one root."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)

    def path(self, name: str) -> Path:
        """Return where a setting lies."""
        return self._root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Return a setting's text, stripped; None when this kernel has none or hides it."""
        try:
            return self.path(name).read_text().strip()
        except OSError:
            return None

    def write(self, name: str, value: str) -> None:
        """Write a setting; raises OSError as the kernel says it."""
        with self.path(name).open("w") as file:
            file.write(value)

    def writable(self, name: str) -> bool:
        """Whether we may try: a mounted read-only /proc/sys says no here."""
        return os.access(self.path(name), os.W_OK)

    def glob(self, pattern: str) -> list[str]:
        """Return settings that match, sorted, as absolute names."""
        found = self._root.glob(pattern.lstrip("/"))
        return sorted("/" + str(path.relative_to(self._root)) for path in found)

    def switch(self, name: str) -> str | None:
        """Return the chosen word of a setting like ``always [madvise] never``."""
        text = self.read(name)
        if text is None or "[" not in text:
            return text
        return text.split("[", 1)[1].split("]", 1)[0]

    @property
    def guest(self) -> str:
        """Who runs us when this is a virtual machine, "" on bare metal."""
        flags = self.read("/proc/cpuinfo") or ""
        if not any(_GUEST_FLAG in line.split() for line in flags.splitlines() if "flags" in line):
            return ""
        vendor = self.read("/sys/class/dmi/id/sys_vendor")
        return vendor or self.read("/sys/hypervisor/type") or "a hypervisor"

    @property
    def online(self) -> tuple[int, ...]:
        """Cores that the kernel runs on."""
        return parse_cores(self.read("/sys/devices/system/cpu/online") or "0")

    def cores(self, hot: str = "") -> Cores:
        """Split the cores: ``hot`` like "2-5", or by default all but the first one or two.

        With fewer than two cores nothing may spin.
        """
        online = self.online
        if hot:
            chosen = parse_cores(hot)
        elif len(online) < 2:
            chosen = ()
        else:
            chosen = online[2 if len(online) >= 4 else 1 :]
        return Cores(chosen, tuple(core for core in online if core not in chosen))


def parse_cores(text: str) -> tuple[int, ...]:
    """Return the cores of a kernel list like "0-2,5"; raises ValueError for anything else."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low < 0 or high < low:
            raise ValueError(f"core list was {text!r}, expected like 0-2,5")
        cores += range(low, high + 1)
    return tuple(dict.fromkeys(cores))


def cores_text(cores: tuple[int, ...]) -> str:
    """Write cores as the kernel does: "0-2,5"."""
    spans: list[list[int]] = []
    for core in sorted(cores):
        if spans and core == spans[-1][1] + 1:
            spans[-1][1] = core
        else:
            spans.append([core, core])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in spans)
