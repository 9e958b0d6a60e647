"""Sets of messages as integers, against sets of Python."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from twistmail.servers.imap.places import Following, Places, chosen, missing, runs

counts = st.integers(0, 70)


@st.composite
def subsets(draw: st.DrawFn) -> tuple[int, list[int]]:
    count = draw(counts)
    return count, sorted(draw(st.sets(st.integers(0, count - 1)))) if count else []


@given(subsets())
def test_a_set_is_the_same_however_it_is_made(drawn: tuple[int, list[int]]) -> None:
    count, members = drawn
    places = Places(count)
    found = places.of_few(members)
    uids = array("L", range(10, 10 + 3 * count, 3))
    assert found == places.of_truths(place in members for place in range(count))
    assert found == places.of_spans(runs(places.digits(found)))
    assert found == places.of_uids({uids[place] for place in members} | {1, 11, 1 << 40}, uids)
    assert list(chosen(places.digits(found), uids)) == [uids[place] for place in members]
    assert found.bit_count() == len(members)
    assert places.without(found) == places.of_few(place for place in range(count) if place not in members)


@given(subsets(), st.integers(0, 20), st.data())
def test_a_set_follows_what_arrives_and_what_is_expunged(drawn: tuple[int, list[int]], more: int, data: st.DataObject) -> None:
    count, members = drawn
    following = Following(Places(count).of_few(members), count)
    gone = sorted(data.draw(st.sets(st.integers(0, count + more - 1)))) if count + more else []
    following.expunge(gone, count + more)
    left = [place for place in range(count + more) if place not in gone]
    expected = [left.index(place) for place in members if place not in gone]
    assert [place for start, stop in following.spans(len(left)) for place in range(start, stop)] == expected


@given(st.lists(st.integers(1, 100), unique=True).map(sorted), st.data())
def test_what_is_missing_is_found(known: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(known))) if known else set()
    later = [1000, 1001] if data.draw(st.booleans()) else []
    present = [uid for uid in known if uid not in gone] + later
    assert missing(known, present) == [place for place, uid in enumerate(known) if uid in gone]
