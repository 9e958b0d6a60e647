"""A mail program stays as long as its user: sessions over a simulated day (R67)."""

from __future__ import annotations

import pytest

MINUTE = 60.0
HOUR = 60 * MINUTE


@pytest.fixture
def house(build):
    made = build()
    made.send(b"Subject: first\r\n\r\nhello\r\n", "ann@blue.test")
    return made


def test_a_day_of_idle_begun_again_each_29_minutes(house):
    client = house.login("imap")
    assert "* 1 EXISTS" in client.say("s SELECT INBOX")
    letters = 1
    for turn in range(int(24 * HOUR / (29 * MINUTE))):
        assert client.say(f"i{turn} IDLE")[0].startswith("+ ")
        if turn % 5 == 0:
            house.pass_time(10 * MINUTE)
            house.send(b"Subject: news\r\n\r\nhello\r\n", "ann@blue.test")
            letters += 1
            house.pass_time(1)
            assert f"* {letters} EXISTS" in client.heard()
            house.pass_time(19 * MINUTE - 1)
        else:
            house.pass_time(29 * MINUTE)
        assert not client.transport.closed
        assert client.say("DONE")[-1].startswith(f"i{turn} OK")
    assert client.say("n UID SEARCH ALL")[0] == "* SEARCH " + " ".join(map(str, range(1, letters + 1)))


@pytest.mark.parametrize("words", ["n NOOP", "i IDLE"], ids=["silent", "in-idle"])
def test_nobody_is_dismissed_before_thirty_minutes_of_silence(house, words):
    """RFC 3501 §5.4, RFC 2177 §3."""
    client = house.login("imap")
    client.say("s SELECT INBOX")
    client.say(words)
    house.pass_time(30 * MINUTE - 1)
    assert not client.transport.closed
    house.pass_time(2 * MINUTE)
    assert client.transport.closed
    assert any(line.startswith("* BYE") for line in client.heard())


def test_who_comes_back_fetches_only_what_is_new(house):
    first = house.login("imap")
    told = first.say("s SELECT INBOX")
    assert first.say("o LOGOUT")
    house.pass_time(12 * HOUR, step=HOUR)
    house.send(b"Subject: second\r\n\r\nhello\r\n", "ann@blue.test")
    again = house.login("imap")
    (validity,) = [line for line in told if "UIDVALIDITY" in line]
    assert validity in again.say("s SELECT INBOX")
    lines = again.say("f UID FETCH 2:* (UID)")
    assert [line for line in lines if "FETCH" in line and line.startswith("*")] == ["* 2 FETCH (UID 2)"]
