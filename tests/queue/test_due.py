from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.queue.due import Due

STEPS = st.lists(st.one_of(
    st.tuples(st.just("set"), st.sampled_from("abcdef"), st.integers(0, 20)),
    st.tuples(st.just("drop"), st.sampled_from("abcdef")),
    st.tuples(st.just("pop"), st.integers(0, 20)),
), max_size=200)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_it_agrees_with_a_dictionary_that_is_searched(steps):
    due, model = Due(), {}
    for step in steps:
        match step:
            case ("set", key, at):
                due.set(key, at)
                model[key] = at
            case ("drop", key):
                due.drop(key)
                model.pop(key, None)
            case ("pop", now):
                key = due.pop(now)
                if key is None:
                    assert not any(at <= now for at in model.values())
                else:
                    assert model[key] == min(model.values()) <= now
                    del model[key]
        assert due.next() == (min(model.values()) if model else None)
        assert len(due) == len(model)


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
