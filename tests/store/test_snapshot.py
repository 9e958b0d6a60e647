"""The columns of a mailbox: what is taken out of them, and what two of them differ by."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.store.conftest import PLAIN
from twistmail.store import mailbox
from twistmail.store.snapshot import Message, Snapshot, missing

PLACES = st.sets(st.integers(0, 299)).map(sorted)


def messages(count: int) -> list[Message]:
    return [Message(uid=10 + 3 * place, bits=place % 16, named=place % 7, modseq=100 + place, size=1000 + place, date=float(place))
            for place in range(count)]


@given(PLACES)
def test_what_is_taken_out_is_gone_from_every_column_and_the_rest_stays(places: list[int]) -> None:
    snapshot = Snapshot()
    snapshot.add(messages(300))
    before = snapshot.uids
    snapshot.remove(places)
    expected = Snapshot()
    kept = [message for place, message in enumerate(messages(300)) if place not in places]
    if kept:
        expected.add(kept)
    assert [snapshot.message(place) for place in range(len(snapshot.uids))] == kept
    assert (snapshot.unseen, snapshot.size) == (expected.unseen, expected.size)
    assert len(before) == 300, "who has the old array keeps it"


@given(PLACES, PLACES)
def test_missing_are_those_that_only_the_first_has(before: list[int], now: list[int]) -> None:
    assert list(missing(before, now)) == sorted(set(before) - set(now))


def test_many_are_expunged_stretch_by_stretch_and_each_is_told_once(house, monkeypatch) -> None:
    monkeypatch.setattr(mailbox, "STRETCH", 10)
    store = house.store()
    house.deliver(store, *[PLAIN] * 600)
    inbox = house.open(store)
    told: list[int] = []
    inbox.watch(lambda change: told.extend(change.expunged))
    doomed = sorted(random.Random(7).sample(range(1, 601), 300))
    assert result_of(inbox.expunge(doomed)) == doomed
    assert sorted(told) == doomed
    assert list(inbox.uids) == [uid for uid in range(1, 601) if uid not in doomed]
    assert len(house.files()) == 300
    assert list(house.open(house.store()).uids) == list(inbox.uids)
