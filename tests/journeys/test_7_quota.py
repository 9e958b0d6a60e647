"""An account has only so much room: who sends hears it, who cleans up can be written to again (spec D7)."""

from __future__ import annotations

import pytest

from tests.journeys.house import House

LETTER = b"Subject: hello\r\n\r\n" + b"a line of a letter\r\n" * 20


@pytest.fixture
def house(tmp_path, monkeypatch):
    made = House(tmp_path, monkeypatch, "[store]\nquota = 1000B\n")
    yield made
    made.close()


def test_mail_beyond_the_quota_waits_with_its_sender(house):
    assert house.send(LETTER, "ann@blue.test").startswith("250")
    assert house.send(LETTER, "ann@blue.test").startswith("452 4.2.2")
    assert len(house.mail("ann")) == 1
    assert house.send(LETTER, "bob@blue.test").startswith("250")


def test_over_imap_it_is_told_by_its_code_and_making_room_helps(house):
    assert house.send(LETTER, "ann@blue.test").startswith("250")
    client = house.login("imap")
    append = b"a APPEND Sent {%d+}\r\n%b" % (len(LETTER), LETTER)
    assert client.say(append)[-1].startswith("a NO [OVERQUOTA]")
    client.say("b SELECT INBOX")
    assert client.say("c COPY 1 Sent")[-1].startswith("c NO [OVERQUOTA]")
    assert client.say("d MOVE 1 Trash")[-1].startswith("d OK")
    client.say("e SELECT Trash")
    client.say("f STORE 1 +FLAGS (\\Deleted)")
    assert client.say("g EXPUNGE")[-1].startswith("g OK")
    assert client.say(append)[-1].startswith("a OK")
