"""Where people send their own mail on to (rows R32 to R34): what arrives where, what is refused, and circles between two hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.house import FAR, House
from twistmail.mail.outcome import Reported

LETTER = b"From: eve@green.test\r\nTo: bob@blue.test\r\nSubject: hello\r\nMessage-ID: <1@green.test>\r\n\r\nhow are you\r\n"
LOOP = b"554 5.4.6 The message has been delivered to the same mailbox before: it runs in circles"


def put(house: House, text: str, extension: str = "", name: str = "bob") -> Path:
    """What *name* has written where his mail is."""
    path = house.config.data_dir / "mail" / "blue.test" / name / ("forward" + extension)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_mail_goes_on_with_the_sender_of_the_envelope_and_says_by_which_name(house: House) -> None:
    """R32 to R34: nothing stays in the inbox; the header is left alone below what we put in front."""
    far = house.town("far.test", FAR)
    put(house, "bob@far.test\n")
    house.send(LETTER, "Bob@blue.test", sender="eve@green.test")
    assert (far.said[1][:28], far.said[2]) == (b"MAIL FROM:<eve@green.test> S", b"RCPT TO:<bob@far.test>")
    (content,) = far.contents
    assert content.count(b"Delivered-To: bob@blue.test\r\n") == 1
    assert content.endswith(LETTER)
    assert (house.files("bob"), house.waiting) == ([], [])


def test_a_copy_stays_where_that_is_written(house: House) -> None:
    far = house.town("far.test", FAR)
    put(house, "\\bob, bob@far.test\n")
    house.send(LETTER, "bob@blue.test")
    assert (len(far.contents), len(house.files("bob"))) == (1, 1)


def test_the_first_mail_makes_a_mailbox_around_the_file(house: House) -> None:
    """Somebody may set his forward before he has ever got mail; the empty file means that nothing goes on."""
    path = put(house, "# nothing\n")
    house.send(LETTER, "bob@blue.test")
    assert (len(house.files("bob")), path.exists()) == (1, True)
    imap = house.login("imap", "bob")
    assert any("1 EXISTS" in line for line in imap.say("s SELECT INBOX"))
    assert not any("forward" in line for line in imap.say('l LIST "" *'))


def test_an_extension_goes_its_own_way(house: House) -> None:
    """S04: bob+list@ by `forward+list`, others as bob."""
    far = house.town("far.test", FAR)
    put(house, "list@far.test\n", "+list")
    house.send(LETTER, "bob+List@blue.test")
    house.send(LETTER, "bob+other@blue.test")
    assert [line for line in far.said if line.startswith(b"RCPT")] == [b"RCPT TO:<list@far.test>"]
    assert b"Delivered-To: bob+list@blue.test\r\n" in far.contents[0]
    assert len(house.files("bob")) == 1


def test_aliases_come_before_forwards(house: House) -> None:
    """R32: flintstone leads to fred, whose mail goes on."""
    far = house.town("far.test", FAR)
    put(house, "fred@far.test\n", name="fred")
    house.send(LETTER, "flintstone@blue.test")
    assert far.said[2] == b"RCPT TO:<fred@far.test>"
    assert b"Delivered-To: fred@blue.test\r\n" in far.contents[0]


@pytest.mark.parametrize("text", [
    pytest.param("/tmp/owned\n", id="a-file"),
    pytest.param('"|/usr/bin/touch /tmp/owned"\n', id="a-program"),
    pytest.param(":include:/etc/passwd\n", id="a-list"),
    pytest.param('\\bob, "|vacation bob"\n', id="vacation"),
    pytest.param("two words\n", id="nothing-at-all"),
])
def test_what_may_not_be_waits_outside(house: House, text: str) -> None:
    """R34: pipes and files never; the peer keeps the message until it is mended."""
    path = put(house, text)
    assert house.smtp("MAIL FROM:<eve@green.test>", "RCPT TO:<bob@blue.test>")[-1].startswith("451 ")
    path.unlink()
    house.pass_time(2, step=1)
    house.send(LETTER, "bob@blue.test")
    assert len(house.files("bob")) == 1


def test_a_file_that_others_may_write_to_is_passed_over(house: House) -> None:
    """R33."""
    far = house.town("far.test", FAR)
    put(house, "eve@far.test\n").chmod(0o666)
    house.send(LETTER, "bob@blue.test")
    assert (far.contents, len(house.files("bob"))) == ([], 1)


def test_two_people_who_forward_to_each_other_get_one_copy(house: House) -> None:
    put(house, "fred@blue.test\n", name="bob")
    put(house, "bob@blue.test\n", name="fred")
    house.send(LETTER, "bob@blue.test")
    assert len(house.files("bob") + house.files("fred")) == 1


# ----- circles between two hosts (R33)


def test_mail_that_comes_back_is_sent_on_once_more_and_then_refused(house: House) -> None:
    """Once may be fetched mail (R76). The other host sends on what we have sent, with trace fields of its own in front."""
    far = house.town("far.test", FAR)
    put(house, "bob@far.test\n")
    content = LETTER
    answers = []
    for _ in range(4):
        client = house.client("mx")
        for line in ("EHLO mx.far.test", "MAIL FROM:<eve@green.test>", "RCPT TO:<bob@blue.test>"):
            client.say(line)
        answers.append(client.content(content))
        if not answers[-1].startswith("250"):
            break
        trace = b"Delivered-To: bob@far.test\r\nReceived: from mx.blue.test by mx.far.test; Fri, 15 Jan 2027 08:00:00 +0000\r\n"
        content = trace + far.contents[-1]
    assert ([answer[:3] for answer in answers], answers[-1].encode(), len(far.contents)) == (["250", "250", "554"], LOOP, 2)


def test_the_host_that_hears_of_the_circle_tells_the_sender_once(house: House) -> None:
    far = house.town("far.test", FAR, {b".": LOOP})
    put(house, "bob@far.test\n")
    house.submit(LETTER.replace(b"eve@green.test", b"ann@blue.test"), "bob@blue.test")
    house.pass_time(3600)
    (report,) = house.mail("ann")
    assert (len(far.contents), len(house.told(Reported)), house.waiting) == (1, 1, [])
    assert "5.4.6" in report.as_string()


def test_with_srs_the_report_finds_its_way_back(build) -> None:
    """The sender that is said is one of ours; a report to it goes on to who has written (docs/leaving.md)."""
    house = build("[srs]\nenabled = yes\n")
    far, green = house.town("far.test", FAR), house.town("green.test", "192.0.2.26")
    put(house, "bob@far.test\n")
    house.send(LETTER, "bob@blue.test", sender="eve@green.test")
    said = far.said[1].partition(b"<")[2].partition(b">")[0].decode()
    assert said.startswith("SRS0=")
    client = house.client("mx")
    for line in ("EHLO mx.far.test", "MAIL FROM:<>", f"RCPT TO:<{said}>"):
        assert client.say(line)[-1].startswith("250")
    assert client.content(b"Subject: failed\r\n\r\nno\r\n").startswith("250")
    assert green.said[2] == b"RCPT TO:<eve@green.test>"
