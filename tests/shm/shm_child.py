"""Programs for other processes, chosen by the first argument."""

import os
import sys

from lowlat.core import layout
from lowlat.core.errors import SegmentError
from lowlat.shm import places
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments


def say(text):
    os.write(1, f"{text}\n".encode())


def read_and_exit(instance):
    """Attach read-only to everything, look, and leave."""
    import lowlat

    attached = lowlat.attach(instance)
    for stream in attached.streams.values():
        stream.poll()
    for table in attached.tables.values():
        table.read(0)
    say(len(attached.status()))


def overfill(instance):
    """Ask a /dev/shm of 1 MiB (see the caller) for a table of 6."""
    total = os.statvfs("/dev/shm")
    assert total.f_blocks * total.f_frsize <= 2**20, "this is the machine's own /dev/shm"
    tables = {name: layout.TABLES[name] for name in ("cash", "positions")}
    streams = {name: layout.STREAMS[name] for name in ("market", "signals")}
    create_segments(instance, streams=streams, tables={}, slots={"market": 8}).close()
    create_segments(instance, streams={}, tables={"cash": tables["cash"]}).close()
    try:
        create_segments(instance, streams={}, tables=tables)
    except SegmentError as error:
        say(error)
    say(places.segment_names(instance))


def hold(instance):
    """Own a stream until stdin closes."""
    mine = Attachment(instance, "holder")
    mine.open_stream_writer("market")
    say("ready")
    sys.stdin.read()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
