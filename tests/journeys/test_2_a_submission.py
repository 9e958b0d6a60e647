"""Walk 2 of ARCHITECTURE.md: a user logs in, writes, and his message is made whole and sent on."""

from __future__ import annotations

import email.utils

import pytest

from tests.journeys.house import FAR, NOW, identifier, plain
from twistmail.facts import Accepted, LoggedIn, LoginFailed, Refused

BARE = b"Subject: hello\r\nBcc: bob@blue.test\r\n\r\nhow are you\r\n"
WHOLE = (
    b"Date: Fri, 15 Jan 2027 07:00:00 +0000\r\nFrom: ann@blue.test\r\nTo: bob@blue.test\r\nMessage-ID: <mine@blue.test>\r\n"
    b"Subject: whole\r\n\r\nhow are you\r\n"
)


def test_nobody_writes_without_having_logged_in(house):
    """R03 (RFC 6409 §4.3): in clear, and behind TLS."""
    client = house.client("submission")
    client.say("EHLO ann.home.test")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("530 5.7.0")
    client.start_tls()
    client.say("EHLO ann.home.test")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("530 5.7.0")
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("235 2.7.0")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("250 2.1.0")
    assert client.say("RCPT TO:<harry@far.test>")[0].startswith("250 2.1.5")


def test_a_password_is_neither_invited_nor_heard_in_clear(house):
    """R51."""
    client = house.client("submission")
    assert not any("AUTH" in line for line in client.say("EHLO ann.home.test"))
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("538 5.7.11")
    client.start_tls()
    assert "250 AUTH PLAIN LOGIN" in [line.replace("250-", "250 ") for line in client.say("EHLO ann.home.test")]
    assert house.told(LoggedIn, LoginFailed) == []


def test_a_wrong_password_costs_time_and_in_the_end_the_connection(house):
    """R51."""
    client = house.client("submission")
    client.say("EHLO ann.home.test")
    client.start_tls()
    client.say("EHLO ann.home.test")
    answers = []
    for _ in range(3):
        assert client.say(f"AUTH PLAIN {plain('ann', 'guess')}") == []
        house.pass_time(30, step=1)
        answers += client.heard()
    assert [answer[:9] for answer in answers] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert client.transport.closed
    assert [failed.login for failed in house.told(LoginFailed)] == ["ann"] * 3


def test_a_user_behind_the_implicit_tls_of_port_465_logs_in_at_once(build):
    """R03 (RFC 8314 §3.3): the handshake comes before the greeting."""
    house = build("[submission]\nlisten = tls:port=0:interface=127.0.0.1\n")
    client = house.client("submission")
    assert (client.said, len(client.transport.contexts)) == ([], 1)
    client.pump.handshakeCompleted()
    house.settle()
    assert client.heard()[0].startswith("220 mx.blue.test")
    answers = client.say("EHLO ann.home.test")
    assert any("AUTH PLAIN" in line for line in answers)
    assert not any("STARTTLS" in line for line in answers)
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("235 2.7.0")


def test_what_is_missing_in_the_header_is_added_and_the_blind_copy_is_taken_out(house):
    """R14 as far as it is done, F012 (RFC 6409 §8)."""
    about = identifier(house.submit(BARE, "bob@blue.test"))
    (message,) = house.mail("bob")
    assert (message["From"], message["Message-ID"], message["Bcc"]) == ("ann@blue.test", f"<{about}@mx.blue.test>", None)
    assert email.utils.parsedate_to_datetime(message["Date"]).timestamp() == NOW
    assert "with ESMTPSA" in " ".join(message["Received"].split())
    (accepted,) = house.told(Accepted)
    assert (accepted.service, accepted.account) == ("submission", "ann@blue.test")


def test_a_whole_header_stays_as_it_is(house):
    house.submit(WHOLE, "bob@blue.test")
    (content,) = house.files("bob")
    assert content.endswith(WHOLE.replace(b"\r\n", b"\n"))


def test_mail_from_the_world_keeps_its_header_however_little_there_is(house):
    """R14: on port 25 nothing is changed but the trace fields."""
    house.send(BARE, "bob@blue.test")
    (message,) = house.mail("bob")
    assert (message["From"], message["Date"], message["Message-ID"], message["Bcc"]) == (None, None, None, "bob@blue.test")


@pytest.mark.parametrize("sender", ["bob@blue.test", "ann@far.test", "nobody@blue.test"])
def test_a_user_writes_as_himself_only(house, sender):
    """R13, in the envelope."""
    client = house.login("submission")
    assert client.say(f"MAIL FROM:<{sender}>")[0].startswith("550 5.7.1")
    assert [refused.stage for refused in house.told(Refused)] == ["senders"]


def test_a_foreign_author_gets_the_user_beside_him(house):
    """R13, in the header: `from_check = add_sender` is the default."""
    house.submit(WHOLE.replace(b"From: ann", b"From: fred"), "bob@blue.test")
    (message,) = house.mail("bob")
    assert (message["From"], message["Sender"]) == ("fred@blue.test", "ann@blue.test")


def test_a_submission_reaches_the_neighbour_at_once_and_the_other_town_in_the_same_minute(house):
    far = house.town("far.test", FAR)
    house.submit(WHOLE, "bob@blue.test", "harry@far.test")
    assert (len(house.files("bob")), house.waiting) == (1, [])
    (content,) = far.contents
    assert content.endswith(WHOLE)
    assert b"MAIL FROM:<ann@blue.test>" in far.said[1]
