"""Walk 3 of ARCHITECTURE.md: out into the world, again and again, and back to the sender where it is no use."""

from __future__ import annotations

import email.utils
import itertools

import pytest

from tests.journeys.house import FAR, NOW, identifier
from tests.relay.peers import HANG_UP, Peer
from twistmail.facts import Queued, Removed, ServersFound
from twistmail.mail.outcome import GaveUp, Outcome, Reported, Result, SenderWarned
from twistmail.mail.schedule import DAY, HOUR, MINUTE

LETTER = (
    b"From: ann@blue.test\r\nTo: harry@far.test\r\nDate: Fri, 15 Jan 2027 07:00:00 +0000\r\nSubject: hello\r\n"
    b"Message-ID: <1@blue.test>\r\n\r\nhow are you\r\n"
)
NO_USER = {b"RCPT": b"550 5.1.1 No such user here"}


def attempts(house, about: str) -> list[float]:
    """Seconds after the start at which something was tried for the item *about*."""
    return [fact.at - NOW for fact in house.facts if fact.about == about and isinstance(fact.what, Outcome)]


def block(report, number: int = 1):
    """The fields about one recipient in a delivery status; 0 are those about the message."""
    return report.get_payload()[1].get_payload()[number]


def test_what_the_other_town_takes_is_gone_at_once(house):
    """The content goes as it is, behind our Received; the envelope's sender is ann."""
    far = house.town("far.test", FAR)
    about = identifier(house.submit(LETTER, "harry@far.test"))
    assert far.said[1].startswith(b"MAIL FROM:<ann@blue.test>")
    assert far.said[2] == b"RCPT TO:<harry@far.test>"
    (content,) = far.contents
    assert content.startswith(b"Received: from ann.home.test")
    assert content.endswith(LETTER)
    assert house.waiting == []
    assert [type(what) for what in house.told(about=about)][1:] == [Queued, ServersFound, Outcome, Removed]


def test_an_alias_that_leads_elsewhere_keeps_the_sender_of_the_envelope(house):
    """R26 as far as it is done."""
    far = house.town("far.test", FAR)
    house.send(LETTER, "authors@blue.test", sender="eve@green.test")
    assert far.said[1].startswith(b"MAIL FROM:<eve@green.test>")


# ----- again and again (R38)


def test_attempts_come_later_and_later_until_the_other_town_answers(house):
    """R38: 5, 15, 30 minutes, 1, 2, 4 hours, each at most a tenth later, and none after it has gone."""
    about = identifier(house.submit(LETTER, "harry@far.test"))
    house.pass_time(16 * HOUR)
    waits = [after - before for before, after in itertools.pairwise([0.0, *attempts(house, about)[1:]])]
    for wait, planned in zip(waits, (5, 15, 30, 60, 120, 240, 240), strict=True):
        assert planned * MINUTE <= wait <= planned * MINUTE * 1.1 + 2 * MINUTE
    far = house.town("far.test", FAR)
    house.pass_time(5 * HOUR)
    assert (len(far.contents), house.waiting) == (1, [])
    house.pass_time(DAY, step=HOUR)
    assert len(far.contents) == 1


@pytest.mark.parametrize("answers", [
    pytest.param({b"": b"421 4.3.2 Shutting down"}, id="421-at-the-door"),
    pytest.param({b"MAIL": b"451 4.3.0 Not now"}, id="4xx-to-MAIL"),
    pytest.param({b"RCPT": b"450 4.2.0 Greylisted"}, id="4xx-to-RCPT"),
    pytest.param({b".": b"452 4.3.1 No room"}, id="4xx-to-the-content"),
    pytest.param({b".": HANG_UP}, id="gone-at-the-end"),
])  # fmt: skip
def test_what_may_pass_is_tried_again(house, answers):
    """R38."""
    far = house.town("far.test", FAR, answers)
    about = identifier(house.submit(LETTER, "harry@far.test"))
    house.pass_time(MINUTE, step=1)
    assert [(outcome.result, str(outcome.status.code)[0]) for outcome in house.told(Outcome, about=about)] == [(Result.DEFERRED, "4")]
    (item,) = house.waiting
    assert 5 * MINUTE <= item.due - NOW <= 7 * MINUTE
    far.answers = Peer().answers
    house.pass_time(8 * MINUTE)
    assert (far.contents[-1][-len(LETTER) :], house.waiting, house.files("ann")) == (LETTER, [], [])


def test_the_sender_is_warned_after_four_hours_and_gets_it_back_after_five_days(house):
    """R38, R39."""
    about = identifier(house.submit(LETTER, "harry@far.test"))
    house.pass_time(4 * HOUR - 10 * MINUTE)
    assert house.files("ann") == []
    house.pass_time(20 * MINUTE)
    assert len(house.files("ann")) == 1
    house.pass_time(5 * DAY, step=10 * MINUTE)
    warning, report = house.mail("ann")
    assert (warning["Subject"], report["Subject"]) == ("Your message is late", "Your message could not be delivered")
    assert (block(warning)["Action"], block(report)["Action"], block(report)["Status"]) == ("delayed", "failed", "4.4.1")
    assert [len(house.told(kind, about=about)) for kind in (SenderWarned, GaveUp, Reported)] == [1, 1, 1]
    assert house.waiting == []
    assert 4.7 * DAY < attempts(house, about)[-1] <= 5 * DAY + 10 * MINUTE  # we look every ten minutes


# ----- back (R39, R40)


def test_a_refusal_comes_back_as_a_report_without_a_sender(house):
    """R39."""
    house.town("far.test", FAR, NO_USER)
    house.submit(LETTER, "harry@far.test")
    (report,) = house.mail("ann")
    assert report["Return-Path"] == "<>"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert block(report, 0)["Reporting-MTA"] == "dns; mx.blue.test"
    assert (block(report)["Final-Recipient"], block(report)["Action"], block(report)["Status"], block(report)["Remote-MTA"]) == (
        "rfc822; harry@far.test", "failed", "5.1.1", "dns; mx.far.test")  # fmt: skip
    assert block(report)["Diagnostic-Code"].startswith("smtp; 550 5.1.1 No such user here")
    assert "Subject: hello" in report.get_payload()[2].get_payload()
    assert house.waiting == []


def test_a_report_names_those_only_who_were_not_reached(house):
    """R39: partial failure, of a message with eight bits."""
    far = house.town("far.test", FAR, {b"RCPT TO:<harry@far.test>": b"550 5.1.1 No such user here"})
    house.submit(LETTER.replace(b"hello", "Grüße".encode()), "harry@far.test", "sally@far.test", "bob@blue.test")
    (report,) = house.mail("ann")
    assert [part["Final-Recipient"] for part in report.get_payload()[1].get_payload()[1:]] == ["rfc822; harry@far.test"]
    assert "sally" not in report.as_string()
    assert (len(far.contents), len(house.files("bob"))) == (1, 1)
    assert "Grüße".encode() in report.get_payload()[2].get_payload(decode=True)


def test_a_report_travels_to_the_sender_s_town_with_a_null_sender(house):
    """R39: to a stranger, whose alias we have followed."""
    house.town("far.test", FAR, NO_USER)
    green = house.town("green.test", "192.0.2.26")
    house.send(LETTER, "authors@blue.test", sender="eve@green.test")
    assert green.said[1].startswith(b"MAIL FROM:<>")
    assert green.said[2] == b"RCPT TO:<eve@green.test>"
    assert len(green.contents) == 1


def test_a_report_that_cannot_be_delivered_goes_to_the_postmaster_and_no_further(house):
    """R40: the sender's domain does not exist."""
    house.town("far.test", FAR, NO_USER)
    house.send(LETTER, "authors@blue.test", sender="nobody@gone.test")
    house.pass_time(6 * DAY, step=HOUR)
    (letter,) = house.mail("ann")
    assert letter["Subject"].startswith("Double bounce")
    attached = letter.get_payload()[2].get_payload()[0]
    assert (attached["Subject"], attached["To"]) == ("Your message could not be delivered", "<nobody@gone.test>")
    assert house.waiting == []


def test_a_report_tells_in_plain_words_what_happened_and_what_to_do(build):
    """R39: somebody who runs no mail server understands it, whoever has refused the message."""
    house = build("[dsn]\ncontact = Call the help desk, extension 12.\n")
    said = b"550 5.7.1 Unfortunately, messages from [192.0.2.9] weren't sent, part of their network is on our block list (S3150)"
    house.town("mail.protection.outlook.com", FAR, {b"RCPT": said})
    house.zone.names["far.test"] = {"MX": [(10, "mx.mail.protection.outlook.com")]}
    house.submit(LETTER, "harry@far.test")
    (report,) = house.mail("ann")
    text = " ".join(report.get_payload(0).get_payload().split())
    assert "Subject: hello" in text
    assert "<harry@far.test> Outlook (Microsoft) does not trust the computer that sends our mail" in text
    assert "mx.mail.protection.outlook.com [192.0.2.25] answered: 550 5.7.1 Unfortunately, messages from [192.0.2.9] weren't sent" in text
    assert "Questions? Call the help desk, extension 12." in text
    assert (report["From"], report["In-Reply-To"]) == ('"Mail Delivery System" <postmaster@blue.test>', "<1@blue.test>")
    assert block(report)["Last-Attempt-Date"]


def test_who_answers_a_report_reaches_the_postmaster(house):
    """RFC 3464 §2."""
    house.town("far.test", FAR, NO_USER)
    house.submit(LETTER, "harry@far.test")
    (report,) = house.mail("ann")
    address = email.utils.parseaddr(report["From"])[1]
    house.send(b"Subject: why?\r\n\r\nI do not understand this\r\n", address)
    assert [letter["Subject"] for letter in house.mail("ann")][1:] == ["why?"]  # ann is the postmaster here


@pytest.mark.parametrize(("choice", "letters", "waiting"), [
    pytest.param("postmaster", 1, 0, id="postmaster"),
    pytest.param("discard", 0, 0, id="discard"),
    pytest.param("freeze", 0, 1, id="freeze"),
])
def test_what_becomes_of_a_double_bounce_is_the_operator_s_choice(build, choice, letters, waiting):
    """R40."""
    house = build(f"[dsn]\ndouble_bounce = {choice}\n")
    house.town("far.test", FAR, NO_USER)
    house.send(LETTER, "authors@blue.test", sender="nobody@gone.test")
    house.pass_time(6 * DAY, step=HOUR)
    assert (len(house.mail("ann")), len(house.waiting)) == (letters, waiting)
    assert [item.held for item in house.waiting] == [True] * waiting


def test_a_frozen_report_goes_when_its_way_is_mended_and_it_is_released(build):
    """R40: the sender's domain had been lost for a week."""
    house = build("[dsn]\ndouble_bounce = freeze\n")
    house.town("far.test", FAR, NO_USER)
    house.send(LETTER, "authors@blue.test", sender="eve@gone.test")
    house.pass_time(7 * DAY, step=HOUR)
    (report,) = house.waiting
    assert report.held_for == "it can be neither delivered nor returned: it has no sender"
    gone = house.town("gone.test", "192.0.2.27")
    house.run(house.foundation.runner.release(report.id))
    house.settle()
    assert (len(gone.contents), house.waiting) == (1, [])


def test_strangers_cannot_use_our_reports_to_fill_a_mailbox(build):
    """R40: the first two are told, then the journal alone."""
    house = build("[dsn]\nlimit = 2/1h\n")
    house.town("far.test", FAR, NO_USER)
    victim = house.town("green.test", "192.0.2.26")
    for _ in range(5):
        house.send(LETTER, "authors@blue.test", sender="eve@green.test")
    assert (len(victim.contents), house.waiting) == (2, [])
    assert [told.why for told in house.told(Reported)][-1] == "its sender got so many reports already"
    house.submit(LETTER, "harry@far.test")
    house.submit(LETTER, "harry@far.test")
    house.submit(LETTER, "harry@far.test")
    assert len(house.mail("ann")) == 3  # who has logged in hears of everything


def test_mail_without_a_sender_is_never_answered(house):
    """R38, R40: neither a warning nor a report to anybody but the postmaster."""
    house.town("far.test", FAR, {b"RCPT": b"451 4.2.0 Later"})
    house.send(LETTER, "authors@blue.test", sender="")
    house.pass_time(6 * DAY, step=HOUR)
    assert house.told(SenderWarned) == []
    assert [letter["Subject"] for letter in house.mail("ann")] == ["Double bounce: a delivery report could not be delivered"]


# ----- where to (R44 to R46)


def test_while_the_dns_does_not_answer_the_mail_waits(house):
    """R38, R45: SERVFAIL is weather."""
    far = house.town("far.test", FAR)
    house.zone.broken.add("far.test")
    about = identifier(house.submit(LETTER, "harry@far.test"))
    house.pass_time(HOUR)
    assert {str(outcome.status)[:9] for outcome in house.told(Outcome, about=about)} == {"451 4.4.3"}
    assert (house.net.dialled, house.files("ann"), len(house.waiting)) == ([], [], 1)
    house.zone.broken.clear()
    house.pass_time(2 * HOUR)
    assert (len(far.contents), house.waiting) == (1, [])


@pytest.mark.parametrize(("records", "status"), [
    pytest.param(None, "5.1.2", id="no-such-domain"),
    pytest.param({"MX": [(0, ".")]}, "5.1.10", id="null-MX"),
    pytest.param({"MX": [(10, "mx.blue.test")]}, "5.4.6", id="only-ourselves"),
    pytest.param({"TXT": [b"x"]}, "5.1.2", id="neither-MX-nor-address"),
])
def test_what_can_never_be_delivered_comes_back_at_once(house, records, status):
    """R45."""
    if records:
        house.zone.names["odd.test"] = records
    house.submit(LETTER, "harry@odd.test")
    (report,) = house.mail("ann")
    assert block(report)["Status"] == status
    assert (house.net.dialled, house.waiting) == ([], [])


def test_the_next_server_is_tried_in_the_same_attempt(house):
    """R44: the first does not answer, the second does; each is asked for in order of preference."""
    second = house.net.peers["192.0.2.62"] = Peer()
    house.zone.names |= {"two.test": {"MX": [(20, "b.two.test"), (10, "a.two.test")]},
                         "a.two.test": {"A": ["192.0.2.61"]}, "b.two.test": {"A": ["192.0.2.62"]}}  # fmt: skip
    about = identifier(house.submit(LETTER, "harry@two.test"))
    assert house.net.dialled == [("192.0.2.61", 25), ("192.0.2.62", 25)]
    (outcome,) = house.told(Outcome, about=about)
    assert (outcome.result, outcome.host, len(second.contents)) == (Result.RELAYED, "b.two.test [192.0.2.62]", 1)


@pytest.fixture
def campus(build):
    """A house that sends all its mail by way of relay.test, port 587."""
    house = build("[relay]\nsmarthost = [relay.test]:587\n")
    house.zone.names["relay.test"] = {"A": ["192.0.2.50"], "MX": [(10, "wrong.test")]}
    return house


def test_everything_for_others_goes_to_the_smart_host_and_no_mx_is_asked_for(campus):
    """R46."""
    relay = campus.net.peers["192.0.2.50"] = Peer()
    campus.submit(LETTER, "harry@far.test", "sally@green.test", "bob@blue.test")
    assert campus.net.dialled == [("192.0.2.50", 587)]
    assert [line for line in relay.said if line.startswith(b"RCPT")] == [b"RCPT TO:<harry@far.test>", b"RCPT TO:<sally@green.test>"]
    assert "MX" not in {kind for _, kind in campus.zone.asked}
    assert len(campus.files("bob")) == 1


def test_while_the_smart_host_is_away_the_mail_waits(campus):
    """R46."""
    campus.submit(LETTER, "harry@far.test", "bob@blue.test")
    campus.pass_time(HOUR)
    assert (len(campus.waiting), len(campus.files("bob")), campus.files("ann")) == (1, 1, [])
    relay = campus.net.peers["192.0.2.50"] = Peer()
    campus.pass_time(2 * HOUR)
    assert (len(relay.contents), campus.waiting) == (1, [])
    assert {port for _, port in campus.net.dialled} == {587}


def test_a_password_is_not_said_to_a_smart_host_that_offers_no_encryption(build, tmp_path):
    """R46: the mail waits instead. The password is in a file that nobody else may read."""
    (tmp_path / "secret").write_text("of ours\n")
    (tmp_path / "secret").chmod(0o600)
    house = build(f"[relay]\nsmarthost = [192.0.2.50]:587\nsmarthost_user = us\nsmarthost_password = file:{tmp_path}/secret\n")
    relay = house.net.peers["192.0.2.50"] = Peer({b"EHLO": b"250-peer\r\n250 AUTH PLAIN LOGIN"})
    house.submit(LETTER, "harry@far.test")
    assert not any(line.startswith((b"AUTH", b"MAIL")) for line in relay.said)
    assert len(house.waiting) == 1
