"""Make the pictures of `lowlat top` in docs/screens: a demo runs, every pane is saved once.

``python tools/screens.py [--topology spread] [--seed 1]``; needs nothing but the package.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from lowlat.cli._top_app import PANES

FOLDER = Path(__file__).parent.parent / "docs" / "screens"
INSTANCE = "screens"
SIZE = "100x30"
LOWLAT = (sys.executable, "-c", "from lowlat.cli.main import main; main()")
READY_S = 90
ORDERS = 20
"""Worth a picture from so many orders on."""


def orders_sent() -> int:
    done = subprocess.run(
        [*LOWLAT, "status", "-i", INSTANCE, "--json", "--over", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)["orders"]["sent"] if done.stdout else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topology", default="spread")
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    options = ["--seconds", "600", "--instance", INSTANCE, "--seed", chosen.seed]
    demo = subprocess.Popen(
        [*LOWLAT, "demo", *options, "--topology", chosen.topology], stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + READY_S
        while orders_sent() < ORDERS:
            if demo.poll() is not None or time.monotonic() > end:
                print("the demo did not get to trade", file=sys.stderr)
                return 1
            time.sleep(0.5)
        FOLDER.mkdir(exist_ok=True)
        for pane in PANES:
            path = FOLDER / f"{pane.name}.svg"
            command = [*LOWLAT, "top", "-i", INSTANCE, "--pane", pane.name, "--size", SIZE]
            subprocess.run([*command, "--picture", str(path)], check=True)
    finally:
        demo.terminate()
        demo.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
