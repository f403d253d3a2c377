"""List the licence of every package that an installation brings; exit 1 when one is not permissive.

``python tools/licences.py [requirements/runtime.lock]``. Read from the installed packages' own
metadata, or where that is silent from the first line of the licence file they bring: no network.
A package that states nothing is an error as well.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|CC0|0BSD|Zlib|CNRI|HPND"
    r"|Public Domain|MPL-2\.0)\b|BSD-|Apache-",
    re.IGNORECASE,
)
REFUSED = re.compile(r"\b(A?GPL|LGPL|SSPL|EUPL|CC-BY-NC|Proprietary)\b", re.IGNORECASE)
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)


def stated(name):
    """Return what a package says about its licence in one line, "" when it says nothing."""
    found = metadata(name)
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in found.get_all("Classifier") or []
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    words = found.get("License-Expression") or "; ".join(classifiers) or found.get("License") or ""
    return " ".join(words.split())[:80] or first_line(name)


def first_line(name):
    """Return the first line of a package's licence file, "" when it brings none."""
    for file in files(name) or []:
        if "licen" in file.name.lower() or file.name.lower().startswith("copying"):
            lines = file.locate().read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in lines if line.strip()), "")
    return ""


def verdict(words):
    """Return what is wrong with a licence, "" when nothing is."""
    if not words:
        return "states no licence"
    # Of a choice ("MIT OR GPL-2.0") the permissive one is ours; of a sum every part counts. A
    # file's
    # own copyleft (MPL) asks nothing of who does not change it.
    for part in re.split(r"\s+AND\s+", words):
        choices = re.split(r"\s+OR\s+", part)
        if not any(PERMISSIVE.search(each) and not REFUSED.search(each) for each in choices):
            return "is not known to be permissive"
    return ""


def main(arguments):
    """Print the list; return 1 when a licence is missing or not permissive."""
    lock = Path(arguments[0] if arguments else "requirements/runtime.lock")
    names = PINNED.findall(lock.read_text(encoding="utf-8"))
    bad = []
    for name in names:
        try:
            words = stated(name)
        except PackageNotFoundError:
            bad.append(f"{name} is not installed")
            continue
        wrong = verdict(words)
        print(f"{name:<24} {words}")
        if wrong:
            bad.append(f"{name} {wrong}: {words!r}")
    if not names:
        bad.append(f"{lock} pins nothing")
    print("\n".join(bad), file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
