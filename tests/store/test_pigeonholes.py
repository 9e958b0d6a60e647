"""Pigeonholes are a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twistmail.store.pigeonholes import FEW, Pigeonholes, book

KEYS = st.one_of(st.integers(0, 5000), st.binary(max_size=3))


@given(st.lists(st.tuples(st.sampled_from(["set", "pop", "setdefault"]), KEYS, st.integers())))
def test_whatever_is_done_it_holds_what_a_dictionary_would(steps):
    holes, model = Pigeonholes(), {}
    for step, key, value in steps:
        if step == "set":
            holes[key] = model[key] = value
        elif step == "pop":
            assert holes.pop(key, None) == model.pop(key, None)
        else:
            assert holes.setdefault(key, value) == model.setdefault(key, value)
        assert (key in holes, holes.get(key), len(holes)) == (key in model, model.get(key), len(model))
    assert dict(holes) == model == dict(holes.copy())
    assert holes.keys() & {1, 2, b""} == model.keys() & {1, 2, b""}


def test_a_copy_is_its_own():
    holes = book(FEW, [(1, "a")])
    twin = holes.copy()
    twin[1] = "b"
    holes.clear()
    assert (dict(holes), dict(twin)) == ({}, {1: "b"})


def test_few_names_are_a_plain_dictionary():
    assert type(book(FEW - 1)) is dict
    assert type(book(FEW)) is Pigeonholes
