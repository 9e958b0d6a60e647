"""Filters as they travel, and what they cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.steering.town import NOW, item
from twistmail.rows import STATES, Filter, View, domains, from_arguments, listing, row

WORDS = st.text(max_size=8)
FILTERS = st.builds(
    Filter,
    ids=st.lists(st.text(min_size=1, max_size=8), max_size=3).map(tuple),
    sender=WORDS, recipient=WORDS, domain=WORDS, reason=WORDS, place=WORDS, account=WORDS,
    older_than=st.none() | st.floats(0, 1e6), held=st.none() | st.booleans(), state=st.sampled_from(["", *STATES]),
)  # fmt: skip


@given(FILTERS)
def test_a_filter_survives_its_journey(chosen):
    assert from_arguments(chosen.as_arguments()) == chosen


@given(st.dictionaries(st.sampled_from(["ids", "from", "to", "held", "older_than", "state", "reason"]),
                       st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3)))
def test_whatever_is_asked_is_a_filter_or_is_refused(arguments):
    try:
        chosen = from_arguments(arguments)
    except ValueError:
        return
    assert isinstance(chosen, Filter)


@given(FILTERS)
def test_what_fits_a_filter_fits_one_that_asks_for_less(chosen):
    view = View(NOW)
    items = [item("6k3fa2-aaaa"), item("x", "a@b.example", sender=None, attempts=1).on_hold(True, "worm")]
    fitting = [one.id for one in items if chosen.fits(one, view)]
    for key in ("sender", "reason", "place", "state"):
        less = Filter(**{**{name: getattr(chosen, name) for name in Filter.__slots__}, key: ""})
        assert set(fitting) <= {one.id for one in items if less.fits(one, view)}


def test_a_place_is_at_least_the_domain():
    one = item("i1", "a@far.test", "b@near.test")
    assert list(domains(one).values()) == ["far.test", "near.test"]
    assert [to["place"] for to in row(one, View(NOW))["to"]] == ["far.test", "near.test"]
    assert listing([one], Filter(place="FAR.test"), View(NOW))["count"] == 1
