from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.queue.due import HEAD_START, Due

STEPS = st.lists(st.one_of(
    st.tuples(st.just("set"), st.sampled_from("abcdef"), st.integers(0, 2000), st.integers(-9, 9)),
    st.tuples(st.just("drop"), st.sampled_from("abcdef")),
    st.tuples(st.just("pop"), st.integers(0, 200)),
), max_size=200)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_it_agrees_with_a_dictionary_that_is_searched(steps):
    due, model, now = Due(), {}, 0
    for step in steps:
        match step:
            case ("set", key, at, priority):
                due.set(key, at, priority)
                model[key] = (at, priority)
            case ("drop", key):
                due.drop(key)
                model.pop(key, None)
            case ("pop", later):
                now += later
                ranks = [(at - priority * HEAD_START, key) for key, (at, priority) in model.items() if at <= now]
                assert due.pop(now) == (min(ranks)[1] if ranks else None)
                if ranks:
                    del model[min(ranks)[1]]
        earliest = min((at for at, _ in model.values()), default=None)
        assert due.next() == earliest or due.next() <= now
        assert len(due) == len(model)


def test_of_those_that_are_due_the_most_urgent_goes_first():
    due = Due()
    for key, at, priority in (("bulk", 0.0, -9), ("usual", 60.0, 0), ("urgent", 120.0, 9), ("not-yet", 1000.0, 9)):
        due.set(key, at, priority)
    assert [due.pop(200.0) for _ in range(4)] == ["urgent", "usual", "bulk", None]


def test_nobody_starves_however_many_urgent_ones_come():
    due = Due()
    due.set("bulk", 0.0, -9)
    for minute in range(60):
        due.set(f"urgent-{minute}", minute * 60.0, 9)
        if due.pop(minute * 60.0) == "bulk":
            break
    assert minute <= 18


def test_what_has_been_due_longest_comes_first():
    due = Due()
    due.set("late", 30.0)
    due.set("early", 10.0)
    due.set("moved", 5.0)
    due.set("moved", 20.0)
    assert [due.pop(25.0), due.pop(25.0), due.pop(25.0)] == ["early", "moved", None]
    assert "late" in due


def test_a_time_that_changes_for_ever_costs_no_memory():
    due = Due()
    for at in range(10_000):
        due.set("a", float(at))
    assert len(due._heap) < 200
    assert due.pop(9_999.0) == "a"
