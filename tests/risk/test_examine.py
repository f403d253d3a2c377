"""What is said beforehand is what the engine then does, and no refusal hides another."""

from engine_fakes import WALL0, S
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_rig import FREE, Rig

from lowlat.core.layout import SIGNAL, Rule
from lowlat.core.units import E6
from lowlat.risk._case import CaseReader
from lowlat.risk.examine import examine, uses
from lowlat.risk.limits import LimitsParams


def fresh_of(record):
    buffer = memoryview(bytearray(SIGNAL.size_bytes))
    SIGNAL.pack(buffer, record)
    return CaseReader(buffer).case


def ask(rig, *args, **changes):
    """Return opinions by check and uses by name of an order that is then taken back."""
    record = rig.signal(*args, **changes)
    rig.signals.records.pop()
    rig.engine.state.now_ns = rig.world.now
    fresh = fresh_of(record)
    opinions = {each.check: each for each in examine(rig.engine.state, fresh)}
    return opinions, {each.name: each for each in uses(rig.engine.state, fresh())}


def test_every_check_speaks_for_itself():
    rig = Rig(limits=LimitsParams(**FREE, order_notional_e6_max=30 * E6))
    rig.market(asks=((4000, 60),), end_ns=WALL0 + 9 * 86_400 * S)
    opinions, used = ask(rig, 0, 2_000, 4000, expected_value=-1.0)
    assert opinions["size_caps"][1:5] == (Rule.NOTIONAL, 30 * E6, 800 * E6, 75 * E6)
    assert opinions["depth"][1:5] == (Rule.DEPTH, 60 * E6, 2_000 * E6, 60 * E6)
    assert (opinions["edge"].rule, opinions["edge"].size_e6) == (Rule.NO_EDGE, 0)
    # 50 of 1 000 a market, at .416 a share.
    assert opinions["exposure"][1:5] == (Rule.MARKET_LIMIT, 50 * E6, 832 * E6, 120 * E6)
    assert opinions["locked"].rule == Rule.LONG_LOCKED
    assert opinions["halted"].rule == Rule.APPROVED
    assert all(not each.missing for each in opinions.values())
    assert used["loss of this market"][1:] == (50 * E6, 0, 832 * E6)
    assert used["capital that ends late"][1:] == (300 * E6, 0, 832 * E6)
    assert rig.decided == rig.intended == []


def test_where_there_is_no_book_the_rest_says_what_it_needs():
    rig = Rig()
    rig.market()
    rig.world.shard(generation=2)
    opinions, used = ask(rig, 0, 10, 4000)
    assert opinions["book"].rule == Rule.STALE_BOOK
    assert opinions["depth"].missing == "book"
    assert used == {}


def test_a_price_that_is_not_there_still_shows_what_it_would_use():
    rig = Rig()
    rig.market()
    opinions, used = ask(rig, 0, 10, 3500)
    assert opinions["depth"].rule == Rule.NO_EDGE
    assert not opinions["exposure"].missing
    assert used["loss of this market"].with_order_e6 == 3_640_000


@settings(max_examples=60)
@given(
    st.integers(0, 3),
    st.integers(1, 400),
    st.sampled_from([3800, 3900, 4000, 4100, 6100]),
    st.floats(-1, 60),
    st.integers(0, 1),
)
def test_an_order_that_no_check_refuses_is_sent(token, size, limit, value, action):
    rig = Rig(limits=LimitsParams(**FREE | {"kelly_ppm": 250_000}))
    rig.market(0)
    rig.market(1, asks=((4000, 30), (4100, 40)))
    rig.hold(0, 40, 16.0)
    opinions, _ = ask(rig, token, size, limit, expected_value=value, action=action)
    decision = rig.decide(token, size, limit, expected_value=value, action=action)
    refusing = {each.rule for each in opinions.values() if each.rule and not each.size_e6}
    if decision.approved:
        # What the cut size passes, the asked one may not: only impact and room look at the whole.
        assert refusing <= {Rule.IMPACT, Rule.NOTIONAL_RATE, Rule.FAT_FINGER}
    else:
        cutting = {each.rule for each in opinions.values() if each.rule}
        assert Rule(decision.rule) in refusing | cutting | {Rule.MIN_SIZE}
