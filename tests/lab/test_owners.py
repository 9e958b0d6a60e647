"""Whose an event is: in a class, what one student does is not counted for the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.lab import told
from twistmail.lab.door import TEACHER, Seat
from twistmail.lab.journeys import Journeys
from twistmail.lab.lan import Lan, Student
from twistmail.lab.owners import EVERYBODY, HERE, MOST_KNOWN, Whose
from twistmail.lab.ring import Ring
from twistmail.lab.rules import may_order

ANNA, BEN = Student("s01@blue.test", "secret-1", "Anna"), Student("s02@green.test", "secret-2", "Ben")
LAN = Lan("127.0.0.3", (ANNA, BEN), "123456", "teach-me")
#: Where browsers are.
ANNAS, SHARED, TEACHERS, UNKNOWN = "192.168.1.51", "192.168.1.60", "192.168.1.9", "192.168.1.77"
AT = {ANNAS: {ANNA.account}, SHARED: {ANNA.account, BEN.account}, TEACHERS: {TEACHER}}


@pytest.fixture
def place() -> SimpleNamespace:
    ring = Ring(lambda: 0.0)
    journeys = Journeys(ring)
    whose = Whose(LAN, ring, journeys, lambda address: frozenset(AT.get(address, ())), apart=True)
    return SimpleNamespace(ring=ring, journeys=journeys, whose=whose)


def opened(ring, peer: str, about: str = "c1", office: str = "blue") -> None:
    ring.add(office, "connection", about, {"state": "opened", "service": "mx", "peer": f"{peer}:4001", "port": 4001}, connection=about)


def owners_of_a_line(place, about: str = "c1", office: str = "blue") -> frozenset[str]:
    event = place.ring.add(office, "line", about, {"side": "C", "text": "EHLO pc.test", "proto": "smtp"}, connection=about)
    return place.whose.of(event)


@pytest.mark.parametrize(
    ("peer", "owners"),
    [
        pytest.param("127.64.1.1", {ANNA.account}, id="the pages, for a student"),
        pytest.param(HERE, {TEACHER}, id="this computer"),
        pytest.param(ANNAS, {ANNA.account}, id="where a student's browser is"),
        pytest.param(SHARED, {ANNA.account, BEN.account}, id="two students at one computer"),
        pytest.param(TEACHERS, {TEACHER}, id="where the teacher's browser is"),
        pytest.param(UNKNOWN, EVERYBODY, id="nobody knows"),
    ],
)
def test_who_speaks_is_told_by_where_he_speaks_from(place, peer, owners):
    opened(place.ring, peer)
    assert owners_of_a_line(place) == owners


def test_each_student_has_an_address_in_a_network_of_his_own(place):
    sources = {place.whose.source(one.account).rpartition(".")[0] for one in (ANNA, BEN)}
    assert len(sources) == 2
    assert all(one.startswith("127.64.") for one in sources)
    assert place.whose.source("alice@blue.test") == HERE


@pytest.mark.parametrize(
    ("peer", "owners"),
    [
        pytest.param(UNKNOWN, {BEN.account}, id="his telephone"),
        pytest.param(ANNAS, {BEN.account}, id="at another one's computer"),
        pytest.param(HERE, {TEACHER}, id="the teacher's crowd"),
    ],
)
def test_a_login_tells_where_the_address_does_not(place, peer, owners):
    opened(place.ring, peer)
    place.ring.add("blue", "auth", "c1", {"mechanism": "PLAIN", "result": "ok", "login": BEN.account, "service": "imap"}, connection="c1")
    assert owners_of_a_line(place) == owners


def test_where_a_system_has_one_address_for_all_nobody_is_mistaken_for_another():
    ring = Ring(lambda: 0.0)
    whose = Whose(LAN, ring, Journeys(ring), lambda address: EVERYBODY, apart=False)
    assert whose.source(ANNA.account) == HERE
    opened(ring, HERE)
    assert owners_of_a_line(SimpleNamespace(ring=ring, whose=whose)) == EVERYBODY


def test_a_letter_stays_his_in_the_other_office_and_so_does_the_report_about_it(place):
    ring = place.ring
    opened(ring, "127.64.1.1")
    told_of = [one for one in (*told.SUBMITTED[1:], *told.SENT, *told.TAKEN) if one[1] != "dns"]
    for office, kind, about, connection, what in told_of:
        event = ring.add(office, kind, about, what, connection=connection)
        assert place.whose.of(event) == {ANNA.account}, event
    stored = {"account": "carol@green.test", "mailbox": "INBOX", "uid": 1, "file": "x", "recipient": "carol@green.test"}
    assert place.whose.of(ring.add("green", "store", told.G, stored)) == {ANNA.account}
    ring.add("blue", "queue", told.A, {"state": "returned", "report": "r-1", "addresses": [], "success": False, "why": ""})
    assert place.whose.of(ring.add("blue", "store", "r-1", stored | {"account": ANNA.account})) == {ANNA.account}


def test_a_letter_is_his_also_when_he_wrote_as_somebody_else(place):
    ring = place.ring
    opened(ring, "127.64.1.1")
    for office, kind, about, connection, what in told.SUBMITTED[1:]:
        ring.add(office, kind, about, what, connection=connection)
    town = SimpleNamespace(journeys=place.journeys, whose=place.whose)
    assert [may_order(town, Seat(account=one.account), told.A) for one in (ANNA, BEN)] == [True, False]
    assert not may_order(town, Seat(), told.A)


def test_what_all_feel_counts_for_all(place):
    assert place.whose.of(place.ring.add("", "clock", "", {"passed": 60.0})) == EVERYBODY
    assert place.whose.of(place.ring.add("blue", "switch", "blue", {"what": "office", "state": "off"})) == EVERYBODY


def test_what_is_remembered_is_bounded(place):
    for number in range(MOST_KNOWN + 50):
        opened(place.ring, ANNAS, f"c{number}")
    assert owners_of_a_line(place, "c0") == EVERYBODY
    assert owners_of_a_line(place, f"c{MOST_KNOWN + 49}") == {ANNA.account}
