"""Walk 5 of ARCHITECTURE.md: POP3 fetches and deletes, beside IMAP on the same mailbox."""

from __future__ import annotations

import pytest

MESSAGES = [b"Subject: %d\r\n\r\n.dot and %s\r\n" % (n, b"x" * n) for n in range(1, 4)]


@pytest.fixture
def letters(house):
    """A house in which ann has three messages."""
    for message in MESSAGES:
        house.send(message, "ann@blue.test")
    return house


def uids(client) -> list[str]:
    """The unique ids of all messages."""
    return [line.split()[1] for line in client.say("UIDL")[1:-1]]


def test_all_is_fetched_as_it_was_sent_and_removed_at_quit(letters):
    """R04, R65."""
    client = letters.login("pop3")
    assert client.say("STAT")[0].startswith("+OK 3 ")
    for number, message in enumerate(MESSAGES, 1):
        first, *lines, end = client.say(f"RETR {number}")
        content = "\r\n".join(line[1:] if line.startswith("..") else line for line in lines) + "\r\n"
        assert first == f"+OK {len(content)} octets"
        assert end == "."
        assert content.encode().endswith(message)
        client.say(f"DELE {number}")
    assert len(letters.files("ann")) == 3
    assert client.say("QUIT")[0].startswith("+OK")
    assert letters.files("ann") == []


def test_a_connection_that_breaks_removes_nothing(letters):
    """R65."""
    client = letters.login("pop3")
    client.say("DELE 1")
    client.leave()
    assert len(letters.files("ann")) == 3
    assert letters.login("pop3").say("STAT")[0].startswith("+OK 3 ")


def test_a_silent_client_is_dismissed_after_ten_minutes_and_removes_nothing(letters):
    """R65."""
    client = letters.login("pop3")
    client.say("DELE 1")
    letters.pass_time(599)
    assert not client.transport.closed
    letters.pass_time(2)
    assert client.transport.closed
    assert len(letters.files("ann")) == 3


def test_unique_ids_stay_over_sessions_and_whatever_imap_does_with_flags(letters):
    """R65."""
    first = letters.login("pop3")
    before = uids(first)
    assert first.say("QUIT")[0].startswith("+OK")
    imap = letters.login("imap")
    imap.say("s SELECT INBOX")
    imap.say("f STORE 1:* +FLAGS (\\Seen \\Flagged)")
    letters.send(b"Subject: new\r\n\r\nnews\r\n", "ann@blue.test")
    after = uids(letters.login("pop3"))
    assert after[:3] == before
    assert len(set(after)) == 4


def test_unique_ids_stay_over_a_restart(letters, monkeypatch):
    """R65: the same folder, another process's memory."""
    from tests.journeys.house import House

    before = uids(letters.login("pop3"))
    letters.close()
    again = House(letters.folder, monkeypatch)
    try:
        assert uids(again.login("pop3")) == before
    finally:
        again.close()
        monkeypatch.setattr(letters, "close", lambda: None)


def test_a_message_that_imap_moves_away_is_not_counted_any_more(letters):
    """R66: POP3 sees the inbox and nothing else."""
    imap = letters.login("imap")
    imap.say("s SELECT INBOX")
    assert imap.say("m UID MOVE 2 Archive")[-1].startswith("m OK")
    client = letters.login("pop3")
    assert client.say("STAT")[0].startswith("+OK 2 ")
    assert [line for line in client.say("TOP 2 0") if line.startswith("Subject")] == ["Subject: 3"]
    assert len(letters.files("ann", ".Archive")) == 1


def test_copy_and_expunge_do_the_same(letters):
    """R66."""
    imap = letters.login("imap")
    imap.say("s SELECT INBOX")
    imap.say("c COPY 1 Archive")
    imap.say("d STORE 1 +FLAGS (\\Deleted)")
    imap.say("e EXPUNGE")
    assert letters.login("pop3").say("STAT")[0].startswith("+OK 2 ")


def test_folders_below_folders_are_no_business_of_pop3(letters):
    """R66."""
    imap = letters.login("imap")
    for command in ("CREATE Archive/2024", "SUBSCRIBE Archive/2024", "RENAME Archive/2024 Archive/2025", "LIST \"\" Archive/%"):
        *lines, end = imap.say(f"x {command}")
        assert end.startswith("x OK")
    assert lines[-1].endswith("Archive/2025")
    assert letters.login("pop3").say("STAT")[0].startswith("+OK 3 ")


def test_fetching_and_expunging_over_imap_leaves_an_empty_mailbox(letters):
    """R66: IMAP used as POP is used."""
    imap = letters.login("imap")
    imap.say("s SELECT INBOX")
    assert imap.say("f UID FETCH 1:* BODY[]")[-1].startswith("f OK")
    imap.say("d STORE 1:* +FLAGS.SILENT (\\Deleted)")
    assert imap.say("e EXPUNGE").count("* 1 EXPUNGE") >= 1
    assert letters.files("ann") == []
    assert letters.login("pop3").say("STAT")[0].startswith("+OK 0 0")


def test_what_pop3_removes_an_imap_client_hears(letters):
    imap = letters.login("imap")
    imap.say("s SELECT INBOX")
    imap.say("i IDLE")
    client = letters.login("pop3")
    client.say("DELE 2")
    client.say("QUIT")
    assert "* 2 EXPUNGE" in imap.heard()


def test_a_second_session_is_told_that_the_mailbox_is_in_use(letters):
    letters.login("pop3")
    assert letters.login("pop3").said[0].startswith("-ERR [IN-USE]")


def test_mail_that_is_left_here_goes_when_it_has_been_read_and_its_time_has_come(build):
    """RFC 2449 §6.7: nobody loses what he has not seen, and nothing goes before the days that were announced."""
    house = build("[pop3]\nexpire = 30d\n")  # it is the 15th of January there
    imap = house.login("imap")
    for flags, day in (("\\Seen", "10-Dec-2026"), ("", "10-Dec-2026"), ("\\Seen", "20-Dec-2026"), ("", "20-Dec-2026"), ("", "10-Dec-2026")):
        said = imap.feed(b'a APPEND INBOX (%b) "%b 10:00:00 +0000" {3+}\r\nx\r\n\r\n' % (flags.encode(), day.encode()))
        assert said[-1].startswith("a OK")
    client = house.login("pop3")
    assert "EXPIRE 30" in client.say("CAPA")
    client.say("RETR 4")
    client.say("RETR 5")
    client.say("TOP 2 9")
    client.leave()
    client = house.login("pop3")
    client.say("RETR 4")
    client.say("RETR 5")
    assert client.say("QUIT")[0] == "+OK Good bye, 2 deleted, 3 left"
    imap.say("s SELECT INBOX")
    assert imap.say("u UID SEARCH SEEN")[0] == "* SEARCH 3 4"
    assert imap.say("u UID SEARCH UNSEEN")[0] == "* SEARCH 2"
    house.pass_time(6 * 86_400, step=3600.0)
    assert house.login("pop3").say("QUIT")[0] == "+OK Good bye, 2 deleted, 1 left"


def test_where_nothing_may_be_left_what_was_fetched_goes_at_quit_and_only_there(build):
    house = build("[pop3]\nexpire = 0s\n")
    for message in MESSAGES:
        house.send(message, "ann@blue.test")
    client = house.login("pop3")
    assert "EXPIRE 0" in client.say("CAPA")
    client.say("RETR 1")
    client.leave()
    assert len(house.files("ann")) == 3
    client = house.login("pop3")
    for command in ("RETR 1", "RETR 3", "TOP 2 9"):
        client.say(command)
    assert client.say("QUIT")[0] == "+OK Good bye, 2 deleted, 1 left"
    assert house.login("pop3").say("TOP 1 0")[-3].startswith("Subject: 2")
