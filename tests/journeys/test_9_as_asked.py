"""What a sender asks for by the parameters of MAIL and RCPT is done: reports, deadlines, later delivery, mail that is called for."""

from __future__ import annotations

import pytest

from tests.journeys.house import FAR, NOW, identifier
from tests.relay.peers import EHLO
from twistmail.mail.outcome import Outcome
from twistmail.mail.schedule import DAY, HOUR, MINUTE

LETTER = (
    b"From: ann@blue.test\r\nTo: harry@far.test\r\nDate: Fri, 15 Jan 2027 07:00:00 +0000\r\nSubject: hello\r\n"
    b"Message-ID: <1@blue.test>\r\n\r\nhow are you\r\n"
)
LATER = {b"RCPT": b"451 4.2.0 Later"}
NO_USER = {b"RCPT": b"550 5.1.1 No such user here"}


def submit(house, *recipients: str, mail: str = "") -> str:
    """ann's LETTER; *recipients* with their parameters. The item's id."""
    client = house.login("submission")
    assert client.say(f"MAIL FROM:<ann@blue.test>{mail}")[-1].startswith("250"), client.said
    for recipient in recipients:
        assert client.say(f"RCPT TO:{recipient}")[-1].startswith("250"), client.said
    return identifier(client.content(LETTER))


def blocks(report):
    return report.get_payload()[1].get_payload()


def actions(house):
    return [[block["Action"] for block in blocks(report)[1:]] for report in house.mail("ann")]


@pytest.mark.parametrize(("to", "notify", "answers", "told"), [
    pytest.param("bob@blue.test", "SUCCESS", None, [["delivered"]], id="in-a-mailbox-here"),
    pytest.param("bob@blue.test", "NEVER", None, [], id="in-a-mailbox-here-never"),
    pytest.param("bob@blue.test", "FAILURE,DELAY", None, [], id="in-a-mailbox-here-only-trouble"),
    pytest.param("flintstone@blue.test", "SUCCESS", None, [["delivered"]], id="a-name-of-one"),
    pytest.param("authors@blue.test", "SUCCESS", {}, [["expanded"]], id="a-name-of-several"),
    pytest.param("harry@far.test", "SUCCESS", {}, [["relayed"]], id="passed-on-to-who-does-not-report"),
    pytest.param("harry@far.test", "SUCCESS,FAILURE", NO_USER, [["failed"]], id="refused"),
    pytest.param("harry@far.test", "NEVER", NO_USER, [], id="refused-never"),
    pytest.param("harry@far.test", "SUCCESS", NO_USER, [], id="refused-only-success"),
    pytest.param("harry@far.test", "DELAY", LATER, [["delayed"]], id="late"),
    pytest.param("harry@far.test", "FAILURE", LATER, [["failed"]], id="late-only-failure"),
    pytest.param("harry@far.test", "NEVER", LATER, [], id="late-never"),
])  # fmt: skip
def test_the_sender_is_told_what_he_asked_for(house, to, notify, answers, told):
    if answers is not None:
        house.town("far.test", FAR, answers)
    submit(house, f"<{to}> NOTIFY={notify}")
    house.settle()
    house.pass_time(6 * DAY, step=HOUR)
    assert actions(house) == told
    assert house.waiting == []


def test_a_report_answers_in_the_words_of_the_sender(house):
    house.town("far.test", FAR, NO_USER)
    submit(house, "<authors@blue.test> NOTIFY=FAILURE ORCPT=rfc822;Au+2Bthors@Blue.Test", mail=" RET=FULL ENVID=QQ+2B1")
    (report,) = house.mail("ann")
    about, harry = blocks(report)
    assert about["Original-Envelope-Id"] == "QQ+1"
    assert (harry["Original-Recipient"], harry["Final-Recipient"]) == ("rfc822; Au+thors@Blue.Test", "rfc822; harry@far.test")
    assert report.get_payload()[2].get_content_type() == "message/rfc822"
    assert "how are you" in report.get_payload()[2].as_string()


def test_those_who_got_it_at_once_are_in_one_report(house):
    submit(house, "<bob@blue.test> NOTIFY=SUCCESS", "<fred@blue.test> NOTIFY=SUCCESS", "<ann@blue.test> NOTIFY=NEVER")
    (_, report) = sorted(house.mail("ann"), key=lambda message: message.is_multipart())
    assert [block["Final-Recipient"] for block in blocks(report)[1:]] == ["rfc822; bob@blue.test", "rfc822; fred@blue.test"]


def test_what_must_be_there_by_then_comes_back_then(house):
    house.town("far.test", FAR, LATER | {b"EHLO": EHLO.replace(b"250-SIZE", b"250-DELIVERBY 60\r\n250-SIZE")})
    about = submit(house, "<harry@far.test>", mail=" BY=7200;R")
    house.pass_time(3 * HOUR)
    (report,) = house.mail("ann")
    assert blocks(report)[1]["Status"] == "5.4.7"
    tried = [fact.at - NOW for fact in house.facts if fact.about == about and isinstance(fact.what, Outcome)]
    assert 7200 - 120 <= tried[-2] < 7200 <= tried[-1] <= 7260


def test_what_must_be_there_by_then_is_not_given_to_who_promises_nothing(house):
    far = house.town("far.test", FAR)
    submit(house, "<harry@far.test>", mail=" BY=7200;R")
    (report,) = house.mail("ann")
    assert (blocks(report)[1]["Status"], far.contents) == ("5.4.7", [])


def test_what_the_next_server_reports_itself_is_left_to_it(house):
    far = house.town("far.test", FAR, {b"EHLO": EHLO.replace(b"250-SIZE", b"250-DSN\r\n250-SIZE")})
    submit(house, "<flintstone@blue.test> NOTIFY=NEVER", "<harry@far.test> NOTIFY=SUCCESS ORCPT=rfc822;h@x", mail=" ENVID=Q1")
    assert far.said[2] == b"RCPT TO:<harry@far.test> NOTIFY=SUCCESS ORCPT=rfc822;h@x"
    assert far.said[1].endswith(b" ENVID=Q1")
    assert (house.mail("ann"), house.waiting) == ([], [])


def test_what_is_to_be_sent_later_is_sent_later(house):
    far = house.town("far.test", FAR)
    submit(house, "<harry@far.test>", "<bob@blue.test>", mail=" HOLDFOR=7200")
    house.pass_time(2 * HOUR - MINUTE)
    assert (far.contents, house.files("bob")) == ([], [])
    house.pass_time(2 * MINUTE)
    assert (len(far.contents), len(house.files("bob"))) == (1, 1)


KEPT = "[route:far.test]\nhold = yes\netrn_from = 192.0.2.0/24\n"


def test_kept_mail_goes_when_its_server_calls_for_it(build):
    """R43."""
    house = build(KEPT)
    far = house.town("far.test", FAR)
    house.submit(LETTER, "harry@far.test")
    house.pass_time(DAY, step=HOUR)
    assert (house.net.dialled, len(house.waiting)) == ([], 1)
    assert house.client("mx", "198.51.100.9").say("EHLO x")
    stranger, server = house.client("mx", "198.51.100.9"), house.client("mx", FAR)
    for client in (stranger, server):
        client.say("EHLO peer.far.test")
    assert stranger.say("ETRN far.test")[-1].startswith("459")
    assert server.say("ETRN other.test")[-1].startswith("458")
    assert server.say("ETRN far.test")[-1].startswith("250 2.0.0")
    assert len(far.contents) == 1
    assert house.waiting == []
    assert server.say("ETRN far.test")[-1].startswith("251")


def test_submission_has_no_etrn(build):
    """R43, RFC 6409 §7."""
    house = build(KEPT)
    assert house.login("submission").say("ETRN far.test")[-1].startswith("502")
