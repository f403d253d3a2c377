"""Simulator, recorder and engine as processes under a supervisor that turns in the test itself."""

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lowlat.app.agreement import VenueDoor, compare
from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.children import children_of, stop_order
from lowlat.app.state import living_children, state_dir
from lowlat.app.supervisor import ChildState, Supervisor
from lowlat.app.telemetry import Telemetry
from lowlat.app.topology import FUSED
from lowlat.cli._demo_files import open_account, write_config
from lowlat.cli._observer import Observer
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import ORDER_ROW, STAKE_ROW, TABLES
from lowlat.shm.attachment import Attachment
from lowlat.store.journal_file import EntryKind, newest_batches

TURN_S = 0.01
LIVELY = {"edges": [{"kind": "neg_risk", "per_minute": 240.0, "vanish_e4": 2500}]}


class Rig:
    """One run. Use as a context manager; afterwards no process and no segment is left."""

    def __init__(
        self,
        instance,
        folder,
        *,
        seed=1,
        flow=None,
        sim=None,
        proxy=None,
        engine=None,
        topology=FUSED,
        settles=False,
        more="",
        segments=None,
    ):
        """``settles``: a deposit wallet, and the process that merges and redeems.

        ``more`` is TOML behind the written config, ``segments`` sizes of shared memory.
        """
        self._more = more
        self.instance = instance
        self.folder = Path(folder)
        self.config = self.folder / "engine.toml"
        self.topology = topology
        self.ready_ns = {}
        self._settles = settles
        self._proxy_of = proxy
        self.proxy = None
        arguments = ["--seed", str(seed), "--flow", json.dumps(LIVELY | (flow or {}))]
        # Settlement in tenths of a second: a drain needs no more.
        options = {"mined_ms": [100, 300], "confirmed_ms": [50, 200]} | (sim or {})
        for key, value in options.items():
            arguments += ["--" + key.replace("_", "-"), json.dumps(value)]
        config = ("--config", str(self.config))
        self.supervisor = Supervisor(
            instance,
            [
                ChildSpec("sim", module_argv("lowlat.sim", *arguments), restart=False,
                          segments=False),
                *(
                    replace(spec, argv=(*engine, *config)) if engine and spec.name == "engine"
                    else spec
                    for spec in children_of(
                        str(self.config), self.topology, after=["sim"], settles=settles
                    )
                ),
            ],
            seed=seed,
            segments=segments,
        )  # fmt: skip

    # ------------------------------------------------------------------ life
    def __enter__(self):
        try:
            self.supervisor.open()
            self.observer = Observer(self.instance, self.supervisor)
            self.supervisor.on_turn = self.observer.on_turn
            self.supervisor.start(on_ready=self._on_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            left = self.supervisor.close(deadline_s=5.0)
            assert not left.left, left
        finally:
            if self.proxy is not None:
                self.proxy.close()

    def _on_ready(self, name, ready):
        self.ready_ns[name] = monotonic_ns()
        if name != "sim":
            return
        self.urls = dict(ready["urls"])
        self.door = VenueDoor(self.urls["control"])
        self.account = open_account(self.door, self.folder, 3 if self._settles else 0)
        self.secrets = json.loads(self.account.credentials_file.read_text())
        self.start_cash_e6 = self.door.account(self.account.wallet).cash_e6
        through = dict(self.urls)
        if self._proxy_of is not None:
            names = getattr(self._proxy_of, "names", ("clob_ws", "rtds_ws", "binance_ws"))
            self.proxy = self._proxy_of({name: self.urls[name] for name in names})
            through |= self.proxy.urls
        write_config(self.config, self.instance, through, self.account, self.topology)
        if self._settles:
            self._add_settlement()
        with self.config.open("a", encoding="utf-8") as file:
            file.write("\n" + self._more)

    def _add_settlement(self):
        urls, file = self.urls, self.account.settlement_credentials_file
        lines = {
            "endpoints": f'data_url = "{urls["data"]}"\nrelayer_url = "{urls["relayer"]}"',
            "account": f'settlement_credentials_file = "{file}"',
        }
        text = self.config.read_text()
        for section, more in lines.items():
            text = text.replace(f"[{section}]\n", f"[{section}]\n{more}\n", 1)
        text += "\n[settlement]\nenabled = true\nevery_s = 5\n"
        text += "\n[execution]\nbalance_check_every_ns = 1_000_000_000\n"
        self.config.write_text(text)

    def turn_until(self, condition, seconds, what="it"):
        end_ns = monotonic_ns() + int(seconds * 1e9)
        while not condition():
            assert not self.supervisor.failure, self.supervisor.failure + "\n" + self.log("engine")
            assert monotonic_ns() < end_ns, (
                f"{what} did not come within {seconds} s\n{self.supervisor.status()}\n"
                f"{self.counters()}\n{self.last_words()}"
            )
            self.supervisor.turn(TURN_S)

    def run(self, seconds):
        """Let it trade for a while."""
        end_ns = monotonic_ns() + int(seconds * 1e9)
        self.turn_until(lambda: monotonic_ns() >= end_ns, seconds + 1)

    def kill(self, name):
        """SIGKILL a child; return the time of death."""
        life = self.supervisor.child(name)
        os.kill(life.pid, signal.SIGKILL)
        return monotonic_ns()

    def await_ready(self, name, after_ns, seconds=60):
        """Wait for a READY later than after_ns; return how long it took in seconds."""
        self.turn_until(lambda: self.ready_ns[name] > after_ns, seconds, f"READY of {name}")
        return (self.ready_ns[name] - after_ns) / 1e9

    def drain(self, seconds=60):
        """Stop who sends in order, then compare both sides; return the agreement."""
        ahead, executor, _ = stop_order(self.topology)
        for name in (*ahead, executor):
            assert self.supervisor.stop([name], seconds), self.log(name)
        assert self.supervisor.child(executor).exit_code == 0, self.log(executor)
        found = []

        def agrees():
            found[:] = [compare(self.instance, self.door, self.account.wallet)]
            return found[0].holds

        self.turn_until(agrees, 30, "agreement")
        return found[0]

    # ------------------------------------------------------------------ looks
    def pid(self, name):
        return self.supervisor.child(name).pid

    def state(self, name):
        return next(each.state for each in self.supervisor.status() if each.name == name)

    def is_ready(self, name):
        return self.state(name) is ChildState.READY

    def log(self, name):
        path = state_dir(self.instance) / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def last_words(self):
        """Return what was logged of late by who is not READY."""
        late = [name for name in self.topology if not self.is_ready(name)] or ["engine"]
        return "\n".join(f"{name}: {line}" for name in late for line in self.log(name).splitlines())

    def whole_log(self, name):
        return (state_dir(self.instance) / f"{name}.log").read_text(errors="replace")

    def reading(self):
        return self.observer.telemetry.read()

    def counters(self):
        return {k: v for k, v in sorted(self.reading().counters.items()) if v}

    def errors(self, name="engine"):
        return Telemetry(self.instance).read().errors[name]

    def picture(self):
        return self.observer.picture()

    def orders(self):
        return order_rows(self.instance)

    def owners(self):
        """Return the shares that each module owns, by (module, instrument)."""
        found = {}
        with Attachment(self.instance, "test") as attachment:
            table = attachment.open_table_reader("stakes")
            for row in range(table.rows):
                while table.read(row) < 0:
                    pass
                stake = STAKE_ROW.unpack(table.buffer)
                if table.version(row) and stake.size_e6:
                    found[stake.owner.rstrip(b"\0").decode(), stake.instrument] = stake.size_e6
        return found


def order_rows(instance):
    """Return every order row that memory or the journal holds, by venue id."""
    rows = {}
    for batch in newest_batches(str(state_dir(instance))):
        for kind, data in batch.entries:
            if kind == EntryKind.ORDER:
                row = ORDER_ROW.row._make(ORDER_ROW.codec.unpack(data))
                rows[row.order_id] = row
    with Attachment(instance, "test") as attachment:
        table = attachment.open_table_reader("orders")
        for index in range(TABLES["orders"].rows):
            if table.version(index):
                while table.read(index) < 0:
                    pass
                row = ORDER_ROW.unpack(table.buffer)
                if row.state:
                    rows[row.order_id] = row
    return {"0x" + key.hex(): row for key, row in rows.items()}


class Run:
    """`lowlat run` in a process of its own, as a service manager runs it; a simulator beside it."""

    def __init__(self, instance, folder, topology):
        self.instance = instance
        self.config = folder / "engine.toml"
        flow = json.dumps(LIVELY)
        self.sim = subprocess.Popen(
            module_argv("lowlat.sim", "--seed", "3", "--flow", flow,
                        "--mined-ms", "[100, 300]", "--confirmed-ms", "[50, 200]"),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        urls = json.loads(self.sim.stdout.readline())["urls"]
        self.door = VenueDoor(urls["control"])
        self.account = open_account(self.door, folder)
        write_config(self.config, instance, urls, self.account, topology)
        self.process = None

    def start(self):
        code = "from lowlat.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "run", "--quiet", "--config", str(self.config)],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def kill(self):
        """SIGKILL it and take its end; whatever it started goes on."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def wait(self, seconds):
        """Let time pass with the run alive."""
        end_ns = monotonic_ns() + int(seconds * 1e9)
        self.wait_for(lambda: monotonic_ns() >= end_ns, seconds + 1, "time")

    def orders(self):
        """Count the orders that the venue ever took."""
        return len(self.door.control("orders", wallet=self.account.wallet))

    def wait_for(self, condition, seconds, what):
        end_ns = monotonic_ns() + int(seconds * 1e9)
        while not condition():
            assert monotonic_ns() < end_ns, f"{what} did not come within {seconds} s"
            assert self.process.poll() is None, self.process.stderr.read()
            # The venue has one thread: who only asks it keeps it from trading.
            select.poll().poll(50)

    def close(self):
        for each in living_children(self.instance):
            os.kill(each.pid, signal.SIGKILL)
        for process in (self.process, self.sim):
            if process is not None:
                process.kill()
                process.wait()
                for pipe in (process.stdout, process.stderr):
                    if pipe is not None:
                        pipe.close()
