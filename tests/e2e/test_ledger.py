"""The ledger of a real run says what the venue says; a row that lies is named with both numbers."""

import json
import os
import subprocess
import sys
import time

import pytest
from rig import Rig
from sqlalchemy import create_engine, text

from lowlat.app.audit import Who, append_audit, audit_line
from lowlat.app.config import load_config
from lowlat.app.generations import write_generation
from lowlat.app.reload_rules import Change
from lowlat.app.state import state_dir

pytestmark = pytest.mark.e2e


TRADED = "SELECT count(*), count(DISTINCT token_id) FROM fills"
NOT_MINED = "SELECT count(*) FROM fills WHERE state = 'MATCHED'"


def check(rig, *more):
    """Run the command as a user does, while the supervisor goes on turning."""
    code = "from lowlat.cli.main import main; main()"
    command = [sys.executable, "-c", code, "ledger", "check", "--config", str(rig.config)]
    done = subprocess.Popen(
        [*command, "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    rig.turn_until(lambda: done.poll() is not None, 60, "the check")
    said, problems = done.communicate()
    assert said, problems
    return done.returncode, json.loads(said)


def query(instance, statement):
    engine = create_engine(f"sqlite:///{state_dir(instance)}/ledger.db")
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return found


def keeps_configs_signed(rig, instance):
    """A generation is there at once; who asked for it follows with its audit line."""
    config = load_config(str(rig.config))
    write_generation(instance, 1, config, time.time_ns())
    rig.turn_until(lambda: query(instance, "SELECT 1 FROM configs"), 60, "a generation")
    change = Change("limits.bankroll_cap_e6", 1, 2)
    line = audit_line(Who.here(), "set", "done", time.time_ns(), changes=[change], generation=1)
    append_audit(instance, line)
    signed = "SELECT who, changes, text FROM configs WHERE changes != ''"
    rig.turn_until(lambda: query(instance, signed), 60, "its audit line")
    [(who, changes, whole)] = query(instance, signed)
    assert f"pid {os.getpid()}" in who
    assert json.loads(changes) == [["limits.bankroll_cap_e6", 1, 2]]
    assert json.loads(whole)["instance"] == instance


def names_the_first_balance(rig, instance):
    said = "SELECT ours_e6, venue_e6 FROM differences WHERE kind = 'cash'"
    assert query(instance, said) == [(0, rig.start_cash_e6)]


def test_the_ledger_of_a_run_agrees_with_the_venue_and_a_lie_is_named(instance, tmp_path):
    with Rig(instance, tmp_path, seed=3) as rig:
        rig.turn_until(lambda: min(query(instance, TRADED)[0]) > 3, 60, "fills of four tokens")
        keeps_configs_signed(rig, instance)
        names_the_first_balance(rig, instance)
        code, found = check(rig, "--wait", "30")
        assert code == 0, found
        assert found["fills"] > 3
        assert found["tokens"] > 3
        assert rig.drain().holds
        rig.turn_until(lambda: query(instance, NOT_MINED) == [(0,)], 60, "the last fill mined")
        code, found = check(rig, "--wait", "30")
        assert code == 0, found
        assert found["settling"] == 0
        assert found["open_orders"] == 0

        engine = create_engine(f"sqlite:///{state_dir(instance)}/ledger.db")
        with engine.begin() as connection:
            size_e6 = connection.execute(text("SELECT max(size_e6) FROM positions")).scalar_one()
            connection.execute(
                text("UPDATE positions SET size_e6 = size_e6 + 7 WHERE size_e6 = :size"),
                {"size": size_e6},
            )
        engine.dispose()
        code, found = check(rig, "--wait", "0")
        assert code == 1
        told = {(each["kind"], each["ledger"], each["other"]) for each in found["differences"]}
        assert told == {("position", size_e6 + 7, size_e6)}
