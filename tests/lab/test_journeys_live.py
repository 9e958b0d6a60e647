"""A letter through a town that really runs: what the journey's page tells is what has happened."""

from __future__ import annotations

import imaplib
import re
import smtplib
from base64 import b64encode
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
import pytest_twisted

from tests.lab.living import living, wait_for
from twistmail.lab import site as sites
from twistmail.lab.offices import PASSWORD
from twistmail.lab.stations import stations, summary

LETTER = "From: Alice <alice@blue.test>\r\nTo: Carol <carol@green.test>\r\nSubject: Lunch?\r\nMessage-ID: <{name}@laptop>\r\n\r\nHi\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        yield SimpleNamespace(town=town, guest=guest)


def submit(port, name, *recipients):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.login("alice@blue.test", PASSWORD)
        client.sendmail("alice@blue.test", list(recipients), LETTER.format(name=name))


def fetch(port):
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
        client.login("carol@green.test", PASSWORD)
        client.select("INBOX")
        client.fetch("1:*", "(RFC822)")


def read(where):
    with urlopen(where, timeout=20) as answer:
        return answer.read().decode()


def of(town, name):
    return next(one for one in town.journeys.latest(50) if one.message_id == f"<{name}@laptop>" and one.first.service)


@pytest_twisted.ensureDeferred
async def test_a_letter_is_followed_from_its_writer_to_its_reader(place):
    town = place.town
    began = town.ring.last
    await place.guest.do(submit, town.ports["blue", "submission"], "one", "carol@green.test")
    await wait_for(town, "store", "green", after=began)
    await wait_for(town, "mail", "blue", after=began, state="removed")
    await place.guest.do(fetch, town.ports["green", "imap"])
    await wait_for(town, "read", "green", after=began)
    journey = of(town, "one")
    blue, green = journey.legs
    assert (blue.office, blue.account, green.office, green.parent, green.peer) == ("blue", "alice@blue.test", "green", blue.node, "blue")
    assert [one.state for one in stations(journey)] == ["done"] * 6
    assert summary(journey) == ("done", "read by carol")
    assert [(one.kind, one.peer) for one in journey.dialogues] == [("in", "alice"), ("out", "green"), ("reading", "carol")]
    assert {"green.test", "10.2.0.192.in-addr.arpa"} <= {one.name for one in journey.questions}
    assert journey.first.look_ups[0].servers == ("mx.green.test [192.0.2.20]",)
    (copy,) = journey.copies
    assert list((town.folder / "green").rglob(copy.file.partition("/")[2].partition(":")[0] + "*"))


@pytest_twisted.ensureDeferred
async def test_its_page_and_what_is_exported_tell_the_truth(place):
    town = place.town
    began = town.ring.last
    await place.guest.do(submit, town.ports["blue", "submission"], "two", "mallory@red.test")
    await wait_for(town, "mail", "blue", after=began, state="removed")
    await wait_for(town, "store", "red", after=began)
    port = town.reactor.listenTCP(0, sites.make(town), interface="127.0.0.1")
    where = f"http://127.0.0.1:{port.getHost().port}/m/{of(town, 'two').key}"
    try:
        shown, words, exported = [await place.guest.do(read, where + end) for end in ("", "/export.txt", "/export.html")]
    finally:
        await port.stopListening()
    for one in ("Alice &lt;alice@blue.test&gt;", "written by red", "written by blue", "MX red.test", "delivered to mallory"):
        assert one in shown, one
    said = shown.partition('role="log"')[2].partition("</ol>")[0]
    assert "AUTH " in said
    assert b64encode(f"\0alice@blue.test\0{PASSWORD}".encode()).decode() not in shown
    assert "mallory@red.test, INBOX, UID" in words
    assert "RCPT TO:&lt;mallory@red.test&gt;" in exported


@pytest_twisted.ensureDeferred
async def test_a_report_is_a_journey_that_knows_what_it_is_about(place):
    town = place.town
    began = town.ring.last
    await place.guest.do(submit, town.ports["blue", "submission"], "three", "nobody@green.test")
    await wait_for(town, "store", "blue", after=began, recipient="alice@blue.test")
    journey = of(town, "three")
    (report,) = journey.first.reports
    assert town.journeys.of(report).about == journey.key
    assert summary(journey) == ("trouble", "came back to its sender")
    assert summary(town.journeys.of(report)) == ("done", "delivered to alice")


@pytest_twisted.ensureDeferred
async def test_what_waits_is_counted_down_and_goes_when_the_other_office_is_there(place):
    town = place.town
    await town.switch_off("red")
    began = town.ring.last
    await place.guest.do(submit, town.ports["blue", "submission"], "four", "mallory@red.test")
    await wait_for(town, "queue", "blue", after=began, state="waiting")
    journey = of(town, "four")
    assert journey.next > town.clock.seconds()
    assert summary(journey)[0] == "waiting"
    await town.switch_on("red")
    town.jump(60)
    await wait_for(town, "mail", "blue", after=began, about=journey.key, state="removed")
    journey = of(town, "four")
    assert journey.first.attempts[0].state == "deferred"
    assert summary(journey) == ("done", "delivered to mallory")


@pytest_twisted.ensureDeferred
async def test_what_can_be_broken_on_its_way_stands_beside_it(place):
    town = place.town
    began = town.ring.last
    await place.guest.do(submit, town.ports["blue", "submission"], "five", "carol@green.test")
    await wait_for(town, "store", "green", after=began)
    port = town.reactor.listenTCP(0, sites.make(town), interface="127.0.0.1")
    try:
        shown = await place.guest.do(read, f"http://127.0.0.1:{port.getHost().port}/m/{of(town, 'five').key}")
    finally:
        await port.stopListening()
    named = re.findall(r'name="name" value="([^"]+)">\s*<input type="hidden" name="place" value="([^"]+)"', shown)
    assert named == [
        ("office-off", "green"),
        *((name, "blue&gt;green") for name in ("slow", "black-hole", "cut-after-the-dot", "no-starttls")),
        ("dns-nxdomain", "green.test"),
        ("mailbox-full", "carol@green.test"),
    ]
    assert shown.count('aria-pressed="false"') == len(named)
