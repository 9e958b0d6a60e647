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


def recipient(house, address, size=0):
    """What the MX answers to RCPT for *address*, of a message of *size* octets."""
    return house.smtp(f"MAIL FROM:<eve@far.test> SIZE={size}", f"RCPT TO:<{address}>")[-1]


def test_who_asks_for_a_full_mailbox_hears_it_before_sending(house):
    assert recipient(house, "ann@blue.test").startswith("250 2.1.5")
    assert recipient(house, "ann@blue.test", 1001).startswith("452 4.2.2")
    assert house.send(LETTER, "ann@blue.test").startswith("250")
    assert recipient(house, "ann@blue.test", len(LETTER)).startswith("452 4.2.2")
    assert recipient(house, "bob@blue.test", len(LETTER)).startswith("250 2.1.5")


@pytest.fixture
def warning_house(tmp_path, monkeypatch):
    made = House(tmp_path, monkeypatch, "[store]\nquota = 10000B\nquota_warnings = 30 60\n")
    yield made
    made.close()


def warnings(house, name):
    house.pass_time(5, step=0.5)
    return [str(message["Subject"]) for message in house.mail(name) if "Mail system" in str(message["From"])]


def test_people_are_told_once_that_their_mailbox_fills_up(warning_house):
    house, letter = warning_house, b"Subject: long\r\n\r\n" + b"a line of a letter\r\n" * 60
    told = []
    for _ in range(6):
        assert house.send(letter, "ann@blue.test").startswith("250")
        told.append(len(warnings(house, "ann")))
    assert told[0] == 0
    assert told[-1] == 2
    assert sorted(told) == told
    first, second = (int(subject.split()[3]) for subject in warnings(house, "ann"))  # Your mailbox is 42 % full
    assert 30 <= first < 60 <= second
    assert warnings(house, "bob") == []


def test_who_has_made_room_is_told_again(warning_house):
    house, letter = warning_house, b"Subject: long\r\n\r\n" + b"a line of a letter\r\n" * 100
    for _ in range(2):
        assert house.send(letter, "ann@blue.test").startswith("250")
    assert len(warnings(house, "ann")) == 1
    client = house.login("imap")
    for line in ("a SELECT INBOX", "b STORE 1:* +FLAGS (\\Deleted)", "c EXPUNGE"):
        client.say(line)
    assert warnings(house, "ann") == []
    for _ in range(2):
        assert house.send(letter, "ann@blue.test").startswith("250")
        house.pass_time(5, step=0.5)
    assert len(warnings(house, "ann")) == 1
