"""``python -m lowlat.sim``: the venue simulator as a process of its own."""

import sys

from lowlat.sim.server import main

if __name__ == "__main__":
    sys.exit(main())
