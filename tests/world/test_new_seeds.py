"""Seeds that nobody has lived through: other ones each day, as many as a minute takes."""

import sys
import time

import pytest

from lowlat.world.runner import Finding, live, read_seeds
from lowlat.world.settings import WorldParams

BUDGET_S = 60.0
BANKROLLS_E6 = (WorldParams().bankroll_e6, 1_500_000_000)
"""Plenty, and so little that orders meet limits all the time."""


@pytest.mark.stress
def test_every_rule_holds_in_seeds_of_today(capsys):
    begun = time.monotonic()
    for seed in read_seeds("today:10000"):
        params = WorldParams(bankroll_e6=BANKROLLS_E6[seed % len(BANKROLLS_E6)])
        lived = live(seed, 60.0, params, shrinks=True)
        failed = lived.small or lived.outcome
        said = [failed.violation, *failed.trace, Finding.of(failed, params).command]
        assert not failed.violation, "\n".join(said)
        with capsys.disabled():
            sys.stdout.write(f"\nseed {seed}: {lived.outcome.orders} orders, rules held")
        if time.monotonic() - begun > BUDGET_S:
            break
