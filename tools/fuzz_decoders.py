"""Fuzz the engine's decoders, guided by coverage: a value or RemoteProtocolError, nothing else.

    python tools/fuzz_decoders.py --list                   # how long each was fuzzed so far
    python tools/fuzz_decoders.py --minutes 60 --chunk 60  # the least fuzzed first, in turns
    python tools/fuzz_decoders.py rtds --chunk 600         # one decoder
    python tools/fuzz_decoders.py --keep                   # shrink the corpus and pack it

Needs atheris (`pip install atheris`). What raised coverage stays in the working corpus
(``build/fuzz``); an input that breaks the promise is written beside it as crash-*, one that takes
long as timeout-*. ``tests/data/fuzz`` keeps the smallest corpus that covers as much, a zip a
decoder, and ``sums.json``: processor seconds, inputs and crashes of each decoder, summed over all
runs with this source; a decoder whose source changed starts again at nothing.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import pathlib
import resource
import subprocess
import sys
import time
import zipfile

from fuzz_targets import (
    BINARY,
    ROOT,
    VENUES,
    has_fuzzer,
    mutate_json,
    seeds,
    source_hash,
    targets,
)

from lowlat.core.errors import RemoteProtocolError

KEPT = ROOT / "tests" / "data" / "fuzz"
INPUT_BYTES_MAX = 65_536
KEPT_BYTES_MAX = 4_096
"""A larger input is not kept in the repository; what it covers, smaller ones mostly cover too."""


def fuzz(name, seconds, corpus):
    """Fuzz one decoder in this process; libFuzzer ends it."""
    import atheris

    # Only what is imported in here is seen by the fuzzer.
    with atheris.instrument_imports(include=[VENUES]):
        _, decode = targets()[name]

    def one(payload):
        with contextlib.suppress(RemoteProtocolError):
            decode(payload)

    def custom(data, size_max, seed):
        changed = None
        if name not in BINARY and seed % 4:
            changed = mutate_json(bytes(data), seed, atheris.Mutate)
        if changed is None or len(changed) > size_max:
            return atheris.Mutate(data, size_max)
        return changed

    options = [f"-max_total_time={seconds}", "-timeout=5", f"-max_len={INPUT_BYTES_MAX}"]
    options += ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one, custom_mutator=custom)
    atheris.Fuzz()


def prepare(name, corpus, kept):
    """Fill the working corpus: what was kept, and the samples shipped."""
    corpus.mkdir(parents=True, exist_ok=True)
    pack = kept / f"{name}.zip"
    if pack.exists():
        with zipfile.ZipFile(pack) as packed:
            packed.extractall(corpus)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)


class Sums:
    """What was done so far, by decoder, in a small file that is written after each chunk."""

    def __init__(self, kept):
        self.path = kept / "sums.json"
        before = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.rows = {}
        for name, (found, _) in targets().items():
            modules = found if isinstance(found, tuple) else (found,)
            source = source_hash(*(module.__name__ for module in modules))
            row = before.get(name, {})
            same = row.get("source") == source
            fresh = {"source": source, "seconds": 0, "inputs": 0, "crashes": 0}
            self.rows[name] = row if same else fresh

    def least(self):
        """Return the name of the decoder that was fuzzed least."""
        return min(self.rows, key=lambda name: self.rows[name]["seconds"])

    def add(self, name, seconds, inputs, crashes):
        """Count one run in, and write all down."""
        row = self.rows[name]
        row["seconds"] += round(seconds)
        row["inputs"] += inputs
        row["crashes"] = crashes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f'"{name}": {json.dumps(self.rows[name])}' for name in sorted(self.rows)]
        self.path.write_text("{\n" + ",\n".join(lines) + "\n}\n")

    def table(self):
        """Return the lines of a table, least fuzzed first."""
        ordered = sorted(self.rows.items(), key=lambda item: item[1]["seconds"])
        yield f"{'decoder':<20} {'seconds':>8} {'inputs':>11} {'crashes':>7}"
        for name, row in ordered:
            yield f"{name:<20} {row['seconds']:>8} {row['inputs']:>11} {row['crashes']:>7}"


def run(name, seconds, corpus, kept):
    """Fuzz one decoder in a process of its own; return (processor seconds, inputs, what broke)."""
    prepare(name, corpus / name, kept)
    command = [sys.executable, __file__, name, "--inside", "--chunk", str(seconds)]
    command += ["--corpus", str(corpus / name)]
    before = _children_s()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    spent_s = _children_s() - before
    stats = [line for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
    inputs = int(stats[0].split()[-1]) if stats else 0
    # The fuzzer itself sometimes dies while it ends; only an input that fails again counts.
    broken = [path for path in artifacts(corpus / name) if breaks(name, path.read_bytes())]
    if not stats:
        broken.append(ended.stderr[-2000:])
    return spent_s, inputs, broken


def _children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def artifacts(folder):
    """Return what libFuzzer wrote down as wrong."""
    return [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]


def breaks(name, payload):
    """Say whether an input breaks the promise without the fuzzer around it."""
    try:
        targets()[name][1](payload)
    except RemoteProtocolError:
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is, it breaks the promise
        print(f"{name}: {type(error).__name__}: {error}")
        return True
    return False


def in_turns(names, chosen):
    """Fuzz decoders in chunks until the time is up; return 1 when one broke its promise.

    Each of ``names`` once when there are any, else the least fuzzed first.
    """
    sums = Sums(chosen.kept)
    queue = collections.deque(names)
    end_s = time.monotonic() + chosen.minutes * 60
    failed = False
    while queue or (not names and time.monotonic() < end_s):
        name = queue.popleft() if queue else sums.least()
        spent_s, inputs, broken = run(name, chosen.chunk, chosen.corpus, chosen.kept)
        sums.add(name, spent_s, inputs, len(broken))
        failed |= bool(broken)
        word = "BROKEN" if broken else "ok"
        print(f"{name:<20} {inputs:>9} inputs in {spent_s:6.1f} s  {word}", flush=True)
        if broken:
            print(*broken, sep="\n")
    return int(failed)


def keep(chosen):
    """Pack the small inputs that together cover as much as the working corpus, a zip a decoder."""
    chosen.kept.mkdir(parents=True, exist_ok=True)
    for name, (_, decode) in targets().items():
        folder = chosen.corpus / name
        prepare(name, folder, chosen.kept)
        aside = set(artifacts(folder))
        inputs = {path.read_bytes() for path in folder.iterdir() if path not in aside}
        kept = covering(decode, sorted(inputs, key=lambda raw: (len(raw), raw)))
        # Written so that the same inputs make the same file, and whole or not at all.
        place = chosen.kept / f"{name}.zip"
        draft = place.with_suffix(".new")
        with zipfile.ZipFile(draft, "w") as packed:
            for raw in kept:
                member = zipfile.ZipInfo(hashlib.sha1(raw, usedforsecurity=False).hexdigest())
                packed.writestr(member, raw, zipfile.ZIP_DEFLATED, compresslevel=9)
        draft.replace(place)
        print(f"{name:<20} {len(kept):>5} of {len(inputs):>5} inputs kept")
    return 0


def covering(decode, inputs):
    """Return those inputs, in order, that walk a step from line to line that none did before."""
    seen, kept = set(), []
    for raw in inputs:
        if len(raw) > KEPT_BYTES_MAX:
            continue
        steps = set()
        previous = {}

        def line(frame, event, _, steps=steps, previous=previous):
            code = frame.f_code
            if f"{VENUES.replace('.', '/')}/" not in code.co_filename:
                return None
            steps.add((code, previous.get(frame), frame.f_lineno, event == "exception"))
            previous[frame] = frame.f_lineno
            return line

        sys.settrace(line)
        try:
            with contextlib.suppress(RemoteProtocolError):
                decode(raw)
        finally:
            sys.settrace(None)
        if not steps <= seen:
            seen |= steps
            kept.append(raw)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("--all", action="store_true", help="one chunk for each decoder")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--chunk", type=int, default=60, help="seconds of one decoder's turn")
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--kept", type=pathlib.Path, default=KEPT)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.list:
        print(*Sums(chosen.kept).table(), sep="\n")
        return 0
    if chosen.keep:
        return keep(chosen)
    if not has_fuzzer():
        parser.error("atheris is not installed: pip install atheris")
    if chosen.inside:
        fuzz(chosen.name, chosen.chunk, chosen.corpus)
    known = list(targets())
    if chosen.name is not None and chosen.name not in known:
        parser.error(f"decoder was {chosen.name!r}, allowed: {', '.join(known)}")
    names = known if chosen.all else [chosen.name] * (chosen.name is not None)
    return in_turns(names, chosen)


if __name__ == "__main__":
    sys.exit(main())
