"""Everybody's mail in one list, out of real stores in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.lab.mailrooms import TownWithMail, letter
from twistmail.facts import Read
from twistmail.lab.inboxes import EVERYONE, Away, journey_of
from twistmail.lab.letter_place import Place, place_of
from twistmail.lab.offices import OFFICES
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage

DOMAINS = {office.name: office.domain for office in OFFICES}


@pytest.fixture
def town():
    town = TownWithMail()
    town.put("bob@blue.test", letter("one"))
    town.put("carol@green.test", letter("two", "Eve <eve@red.test>", "A secret word"))
    town.put(
        "bob@blue.test",
        letter("three", more="Content-Type: multipart/mixed; boundary=x\r\n", body="--x\r\nContent-Disposition: attachment\r\n\r\n--x--"),
    )
    town.put("bob@blue.test", letter("four"), "Junk")
    return town


def test_all_mail_is_listed_newest_first(town):
    found = result_of(town.inboxes.listing())
    assert [row.id for row in found.rows] == ["blue-bob-Junk-1", "blue-bob-INBOX-2", "green-carol-INBOX-1", "blue-bob-INBOX-1"]
    assert (found.total, found.unread, found.matching, found.away) == (4, 4, 4, ())
    row = found.rows[2]
    assert (str(row.sender[0]), row.subject, row.preview, row.is_read) == ("Eve <eve@red.test>", "two", "A secret word", False)
    assert [row.files for row in found.rows] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("who", "query", "subjects"),
    [
        pytest.param("bob@blue.test", "", ["four", "three", "one"], id="one-person"),
        pytest.param("dave@green.test", "", [], id="somebody-without-mail"),
        pytest.param("nobody@blue.test", "", [], id="nobody"),
        pytest.param(EVERYONE, "from:eve", ["two"], id="sender"),
        pytest.param(EVERYONE, "secret", ["two"], id="word-in-the-text"),
        pytest.param(EVERYONE, "-secret", ["four", "three", "one"], id="without-the-word"),
        pytest.param(EVERYONE, "in:junk", ["four"], id="mailbox"),
        pytest.param(EVERYONE, "has:attachment", ["three"], id="attachment"),
        pytest.param(EVERYONE, "is:read", [], id="read"),
        pytest.param(EVERYONE, "subject:o secret", ["two"], id="both"),
    ],
)
def test_who_and_what_is_looked_for(town, who, query, subjects):
    assert [row.subject for row in result_of(town.inboxes.listing(who, query)).rows] == subjects


def test_pages_of_a_list(town):
    assert town.ids(start=1, limit=2) == ["blue-bob-INBOX-2", "green-carol-INBOX-1"]
    assert town.ids(start=10) == []
    found = result_of(town.inboxes.listing(query="from:alice", start=1, limit=1))
    assert (len(found.rows), found.matching, found.matching_unread, found.total) == (1, 3, 3, 4)


def test_one_message_is_read_and_that_is_told(town):
    place = town.inboxes.place("green-carol-INBOX-1")
    assert place == Place("green", "carol@green.test", "INBOX", 1)
    assert b"A secret word" in result_of(town.inboxes.content(place))
    assert not result_of(town.inboxes.row(place)).is_read
    result_of(town.inboxes.mark([place], read=True))
    assert result_of(town.inboxes.row(place)).is_read
    result_of(town.inboxes.mark([place], read=True))
    assert town.told == [Read("web", "carol@green.test", "INBOX", "1")]
    result_of(town.inboxes.mark([place], read=False))
    assert not result_of(town.inboxes.row(place)).is_read


def test_deleting_is_for_good_and_of_those_that_are_there(town):
    places = [town.inboxes.place(one) for one in ("green-carol-INBOX-1", "blue-bob-INBOX-1", "blue-bob-INBOX-99", "blue-bob-None-1")]
    assert result_of(town.inboxes.delete(places)) == 2
    assert town.ids() == ["blue-bob-Junk-1", "blue-bob-INBOX-2"]
    assert result_of(town.inboxes.content(places[0])) is None
    assert result_of(town.inboxes.row(places[3])) is None


def test_all_of_a_search(town):
    assert len(result_of(town.inboxes.all())) == 4
    assert result_of(town.inboxes.all("secret")) == [Place("green", "carol@green.test", "INBOX", 1)]


def test_an_office_that_is_off_keeps_its_mail_to_itself(town):
    town.off.add("blue")
    found = result_of(town.inboxes.listing())
    assert ([row.id for row in found.rows], found.away) == (["green-carol-INBOX-1"], ("blue",))
    place = town.inboxes.place("blue-bob-INBOX-1")
    for asked in (town.inboxes.content(place), town.inboxes.row(place), town.inboxes.think(place, len, b"")):
        with pytest.raises(Away, match="blue is off"):
            result_of(asked)
    assert result_of(town.inboxes.delete([place])) == 0
    unread = {owner.account: owner.unread for owner in result_of(town.inboxes.owners())}
    assert unread == {"alice@blue.test": None, "bob@blue.test": None, "carol@green.test": 1, "dave@green.test": 0, "mallory@red.test": 0}


def test_mailboxes_of_any_name_have_ids(town):
    name = "Projekte/Grün - a_b"
    boxes = result_of(town.services["red"].foundation.store.mailboxes("mallory@red.test"))
    result_of(boxes.create(name))
    mailbox = result_of(boxes.open(name))
    result_of(mailbox.append([NewMessage(Memory(letter("five")))]))
    [identifier] = town.ids("mallory@red.test")
    assert identifier == "red-mallory-Projekte_2fGr_c3_bcn_20_2d_20a_5fb-1"
    assert result_of(town.inboxes.row(town.inboxes.place(identifier))).subject == "five"


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "x",
        "blue-bob-INBOX-",
        "blue-bob-INBOX-x",
        "blue-eve-INBOX-1",
        "pink-bob-INBOX-1",
        "blue-bob-_ff-1",
        "blue-bob-INBOX-1/../x",
        "blue-bob--1",
        "blue-bob-INBOX-99999999999",
        "blue-..-INBOX-1",
    ],
)
def test_what_is_no_id_means_nothing(town, identifier):
    assert town.inboxes.place(identifier) is None


@given(
    st.sampled_from(sorted(DOMAINS)), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.integers(0, 2**32 - 1)
)
def test_every_place_has_an_id_of_its_own(office, mailbox, uid):
    place = Place(office, f"o'x+y@{office}.test", mailbox, uid)
    assert place_of(place.id, DOMAINS) == place


@pytest.mark.parametrize(
    ("header", "journey"),
    [
        pytest.param(
            "Received: from a by mx.green.test\r\n\tid 3f9cab-0002 for <x@y>; now\r\nReceived: from b id 3f9cab-0001;\r\n",
            "3f9cab-0001",
            id="the-lowest",
        ),
        pytest.param("Received: from x by y id ABC123; now\r\n", "", id="of-somebody-else"),
        pytest.param("Subject: id 3f9cab-0001\r\n", "", id="none"),
    ],
)
def test_the_journey_of_a_message_is_named_in_its_received_fields(header, journey):
    assert journey_of(header.encode() + b"\r\nReceived: id 3f9cab-0009\r\n") == journey
