"""Envelopes are read as they were written, by this version and by those before it."""

from __future__ import annotations

import json
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.address import Address
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Frozen, GaveUp, Outcome, Postponed, Reported, Rerouted, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.queue import records

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.floats(0, 2e10)
ADDRESSES = st.builds(Address, TEXTS, TEXTS)
TARGETS = st.builds(Target, st.sampled_from(Kind), ADDRESSES, ADDRESSES, TEXTS, TEXTS, st.booleans(), st.binary(max_size=9))
STATUSES = st.builds(Status, st.integers(200, 599), TEXTS, TEXTS)
NOTIFY = st.frozensets(st.sampled_from(Notify))
ERRANDS = st.builds(
    Errand, TARGETS, st.none() | st.sampled_from(Result), st.none() | STATUSES, TEXTS, st.integers(0, 99), st.booleans(), NOTIFY, TEXTS,
    TIMES,
)  # fmt: skip
WISHES = st.builds(
    Wishes, st.sampled_from(["", "FULL", "HDRS"]), TEXTS, st.booleans(), st.booleans(), st.none() | TIMES,
    st.none() | st.builds(Deadline, TIMES, st.booleans(), st.booleans()), st.integers(-9, 9), TEXTS,
)  # fmt: skip
ITEMS = st.builds(
    Item, TEXTS, st.none() | ADDRESSES, st.lists(ERRANDS, max_size=3).map(tuple), TIMES, st.integers(0), st.binary(max_size=20), TEXTS,
    TEXTS, st.integers(0, 99), TIMES, st.booleans(), st.booleans(), WISHES, st.booleans(), TEXTS, TEXTS,
)  # fmt: skip
EVENTS = st.one_of(
    st.builds(Outcome, TARGETS, st.sampled_from(Result), STATUSES, TEXTS, st.booleans(), TEXTS, TIMES),
    st.builds(Postponed, TIMES),
    st.builds(SenderWarned, st.booleans()),
    st.builds(Reported, TEXTS, st.lists(ADDRESSES, max_size=3).map(tuple), st.booleans(), TEXTS),
    st.builds(Frozen, TEXTS),
    st.builds(GaveUp, STATUSES),
    st.builds(Rerouted, TEXTS),
)


@given(ITEMS, st.lists(EVENTS, max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read(item, events):
    data = records.written(item) + b"".join(map(records.event_written, events))
    for event in events:
        item = item.after(event)
    assert records.read(data) == (item, len(data))


OLD = {
    "v": 1, "id": "i1", "sender": ["ann", "here.example"], "arrived": 1.0, "size": 10, "prefix": "", "account": "ann", "body": "8BITMIME",
    "attempts": 1, "due": 5.0, "warned": False, "held": True,
    "errands": [[["remote", ["bob", "far.test"], ["bob", "far.test"], "", ""], "deferred", [451, "4.4.1", "Not now"], "mx", 1, False]],
}  # fmt: skip


def line(record) -> bytes:
    text = json.dumps(record).encode()
    return b"%08x %b\n" % (crc32(text), text)


def test_an_envelope_from_before_there_were_wishes_is_read():
    item, _ = records.read(line(OLD) + line({"e": "warned"}) + line({"e": "reported", "report": "r1", "addresses": []}))
    assert (item.wishes, item.errands[0].notify, item.errands[0].orcpt) == (Wishes(), frozenset(), "")
    assert (item.due, item.held, item.warned) == (5.0, True, True)


BOB = Address("bob", "far.test")
PLAIN = Item("i1", BOB, (Errand(Target(Kind.REMOTE, BOB, BOB)),), 1.0, 10)


@pytest.mark.parametrize(("item", "version"), [
    pytest.param(PLAIN, b'"v":1', id="nothing-asked-for-is-written-as-always"),
    pytest.param(replace(PLAIN, wishes=Wishes(priority=3)), b'"v":2', id="a-wish"),
    pytest.param(replace(PLAIN, errands=(replace(PLAIN.errands[0], orcpt="rfc822;bob"),)), b'"v":2', id="for-one-recipient"),
])  # fmt: skip
def test_only_what_an_older_version_would_get_wrong_is_closed_to_it(item, version):
    assert version in records.written(item)
