"""Places: priority before score, hysteresis, whole events, what is held stays, bounded work.

Method: examples, then a random history held to the rules that must hold after every review.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.feeds._choice import Choice

S = 1_000_000_000
ALWAYS = -(2**62)


def made(places, *, stay_ns=60 * S, gain_ppm=500_000, held=(), **more):
    return Choice(places, stay_ns, gain_ppm, lambda name: name in held, **more)


def offer(choice, name, score=0, priority=0, *, key=None, wall_ns=0, steps=None):
    choice.offer(name, key or name, score, steps or ((ALWAYS, priority),), wall_ns)


def test_priority_goes_before_score():
    choice = made(2)
    offer(choice, "rich", score=10**6)
    offer(choice, "wanted", score=1, priority=5)
    offer(choice, "poor", score=10)
    admitted, evicted = choice.review(0, 0)
    assert admitted == ["wanted", "rich"]
    assert evicted == []


def test_a_higher_priority_takes_a_place_at_once_and_a_higher_score_after_the_stay():
    choice = made(1)
    offer(choice, "a", score=100)
    choice.review(0, 0)
    offer(choice, "rich", score=10**6)
    assert choice.review(59 * S, 0) == ([], [])
    assert choice.review(60 * S, 0) == (["rich"], ["a"])
    offer(choice, "wanted", priority=1)
    assert choice.review(61 * S, 0) == (["wanted"], ["rich"])


def test_among_equals_only_a_clear_gain_takes_a_place():
    choice = made(1)
    offer(choice, "a", score=100)
    choice.review(0, 0)
    offer(choice, "b", score=150)
    assert choice.review(100 * S, 0) == ([], [])
    offer(choice, "b", score=151)
    assert choice.review(101 * S, 0) == (["b"], ["a"])
    offer(choice, "a", score=200)
    assert choice.review(300 * S, 0) == ([], []), "no swinging back for a trifle"


def test_what_is_held_never_loses_its_place():
    choice = made(2, held=("a",))
    offer(choice, "a")
    offer(choice, "b", score=1)
    choice.review(0, 0)
    offer(choice, "c", priority=9)
    offer(choice, "d", priority=9)
    assert choice.review(100 * S, 0) == (["c"], ["b"])
    assert choice.review(200 * S, 0) == ([], [])
    assert set(choice.inside) == {"a", "c"}


def test_an_event_is_taken_whole_or_not_at_all():
    choice = made(3)
    for name in "abc":
        offer(choice, name, score=ord(name))
    choice.review(0, 0)
    for name in ("x1", "x2"):
        offer(choice, name, priority=5, key="event x")
    admitted, evicted = choice.review(100 * S, 0)
    assert (sorted(admitted), sorted(evicted)) == (["x1", "x2"], ["a", "b"])
    offer(choice, "x3", priority=5, key="event x")
    assert "x3" in choice.inside, "a member that is listed late waits for nobody"


def test_an_event_that_is_too_large_does_not_bar_the_way():
    choice = made(2)
    for name in ("x1", "x2", "x3"):
        offer(choice, name, priority=9, key="event x")
    offer(choice, "a")
    assert choice.review(0, 0) == (["a"], [])


def test_time_alone_makes_a_market_wanted():
    choice = made(1)
    offer(choice, "a", score=10)
    choice.review(0, 0)
    offer(choice, "window", steps=((500 * S, 7),))
    assert choice.review(100 * S, 100 * S) == ([], [])
    assert choice.review(499 * S, 499 * S) == ([], [])
    assert choice.review(500 * S, 500 * S) == (["window"], ["a"])


def test_only_what_somebody_wants_gets_a_place_if_so_configured():
    choice = made(2, priority_min=1)
    offer(choice, "a", score=10**9)
    offer(choice, "b", priority=1)
    assert choice.review(0, 0) == (["b"], [])


def test_withdrawn_markets_leave_their_place_and_no_trace():
    choice = made(1)
    offer(choice, "a")
    choice.review(0, 0)
    assert choice.withdraw("a", 0)
    assert not choice.withdraw("a", 0)
    offer(choice, "b")
    assert choice.review(1, 0) == (["b"], [])
    assert choice.standing("a") is None
    assert choice.names() == ["b"]


def test_heaps_stay_small_however_often_scores_change():
    choice = made(5)
    for turn in range(20_000):
        offer(choice, f"m{turn % 10}", score=turn)
        choice.review(turn * S, 0)
    assert len(choice._waiting) + len(choice._seated) < 3_000


STEPS = st.one_of(
    st.tuples(
        st.just("offer"), st.integers(0, 14), st.integers(0, 3), st.integers(0, 400), st.booleans()
    ),
    st.tuples(st.just("withdraw"), st.integers(0, 14)),
    st.tuples(st.just("hold"), st.integers(0, 14)),
    st.tuples(st.just("free"), st.integers(0, 14)),
    st.tuples(st.just("review"), st.integers(0, 100)),
)


def test_what_comes_and_goes_leaves_nothing_behind_beside_many_that_wait():
    choice = made(100)
    for each in range(6_000):
        offer(choice, f"lasting-{each}", score=each)
    for each in range(5_000):
        name = f"window-{each}"
        steps = ((ALWAYS, 0), (each * S, 9))
        offer(choice, name, wall_ns=each * S - S, steps=steps)
        choice.review(each * S, each * S)
        assert name in choice.inside
        choice.withdraw(name, each * S)
        choice.review(each * S, each * S)
    assert len(choice._seated) + len(choice._alarms) < 3_000
    assert len(choice._waiting) < 8_000


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=80))
def test_whatever_happens_places_are_few_fair_and_never_taken_from_what_is_held(history):
    held, since, now_ns = set(), {}, 0
    choice = made(6, held=held, stay_ns=50 * S)
    inside = set()
    for step in history:
        name = f"m{step[1]}"
        if step[0] == "offer":
            key = f"event {step[1] % 2}" if step[4] and step[1] < 4 else None
            before = set(choice.inside)
            offer(choice, name, step[3], step[2], key=key, wall_ns=now_ns)
            inside = set(choice.inside)
            assert inside - before <= {name}
            since |= dict.fromkeys(inside - before, now_ns)
        elif step[0] == "withdraw":
            choice.withdraw(name, now_ns)
            inside.discard(name)
        elif step[0] in {"hold", "free"}:
            (held.add if step[0] == "hold" else held.discard)(name)
        else:
            now_ns += step[1] * S
            admitted, evicted = choice.review(now_ns, now_ns)
            assert not held & set(evicted)
            young = [one for one in evicted if now_ns - since[one] < 50 * S]
            worths = [choice.inside[one] for one in admitted if one in choice.inside]
            assert not young or max(worths) > min(choice.priority(one) for one in young)
            inside = (inside | set(admitted)) - set(evicted)
            since |= dict.fromkeys(admitted, now_ns)
            # Members that join an event that has its places come on top.
            assert not admitted or len(choice.inside) <= 6
        assert set(choice.inside) == inside
        assert set(choice.names()) >= inside
