"""The order of many things, sorted in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.ordering import ordered

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "A", "B"]), st.floats(0, 1)), max_size=60)


@given(ROWS, st.booleans(), st.booleans(), st.integers(1, 70))
def test_pieces_of_any_size_give_the_one_order(rows, first_reversed, second_reversed, piece):
    numbers, letters, reals = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    order = ordered(len(rows), [(numbers, first_reversed), (letters, second_reversed), (reals, False)], piece)
    expected = sorted(range(len(rows)), key=lambda place: (reals[place], place))
    expected.sort(key=lambda place: letters[place], reverse=second_reversed)
    expected.sort(key=lambda place: numbers[place], reverse=first_reversed)
    assert order == expected


def test_without_columns_everything_stays_where_it_is():
    assert ordered(5, []) == [0, 1, 2, 3, 4]


def test_what_is_all_equal_is_not_sorted_in_one_go():
    compared = 0

    class Value(int):
        def __lt__(self, other):
            nonlocal compared
            compared += 1
            return int(self) < int(other)

    assert ordered(2000, [([Value(1)] * 2000, False)], piece=50) == list(range(2000))
    assert compared < 2000 * 12
