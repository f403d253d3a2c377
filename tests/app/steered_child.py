"""A process that only obeys: what tests steer. ``argv``: instance, name, file to write to."""

import signal
import sys
import time

from lowlat.app.generations import told_generation
from lowlat.app.log import say_ready
from lowlat.app.steering import Steering
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import ConfigError
from lowlat.shm.attachment import Attachment

UNLUCKY = 13
"""A burst of so many orders is refused by whoever is named refuser: the config itself is good."""


def main(instance, name, path):
    attachment = Attachment(instance, name)
    stats = attachment.open_stats()
    halt = stats.gauge("halt")

    def note(*words):
        with open(path, "a", encoding="utf-8") as file:
            print(*words, file=file)

    class Control:
        def apply(self, generation):
            if name == "refuser" and generation.config.limits.orders_burst == UNLUCKY:
                raise ConfigError("unlucky")
            note("applied", generation.number, generation.config.limits.orders_burst)

        def halt(self, reason="SIGUSR2"):
            halt.set(10)
            note("halt", reason)

        def resume(self):
            halt.set(0)
            note("resume")

        def drain(self):
            raise SystemExit(0)

        def dump(self):
            note("dump")

    control = Control()
    started_on = told_generation(instance, name)
    note("started", started_on)
    steering = Steering(attachment, stats, control, started_on)
    signal.signal(signal.SIGTERM, lambda *_: control.drain())
    signal.signal(signal.SIGUSR1, lambda *_: control.dump())
    say_ready(name)
    while True:
        now_ns = monotonic_ns()
        stats.heartbeat.set(now_ns)
        steering.turn(now_ns)
        time.sleep(0.001)


main(*sys.argv[1:])
