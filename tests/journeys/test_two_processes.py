"""R07: one server takes mail in, another lets people read it; all that they share is the folder with the mailboxes."""

from __future__ import annotations

import pytest


@pytest.fixture
def pair(build, tmp_path):
    """(who receives, who serves): two Houses over one store."""
    store = f"[store]\npath = {tmp_path}/mail/%d/%n\n"
    return build(store), build(store)


def test_mail_that_one_takes_in_the_other_serves(pair):
    receiving, serving = pair
    receiving.send(b"Subject: one\r\n\r\nhello\r\n", "fred@blue.test")
    client = serving.login("imap", "fred")
    assert "* 1 EXISTS" in client.say("s SELECT INBOX")
    assert "hello" in client.say("f FETCH 1 BODY[TEXT]")
    client.say("i IDLE")
    receiving.send(b"Subject: two\r\n\r\nhello again\r\n", "fred@blue.test")
    serving.run(serving.foundation.look_around())
    assert "* 2 EXISTS" in client.heard()
    pop3 = serving.login("pop3", "fred")
    assert pop3.say("STAT")[0].startswith("+OK 2 ")


def test_what_is_removed_here_is_gone_there_and_no_uid_comes_twice(pair):
    receiving, serving = pair
    for number in range(3):
        receiving.send(b"Subject: %d\r\n\r\nhello\r\n" % number, "fred@blue.test")
    reader, other = serving.login("imap", "fred"), receiving.login("imap", "fred")
    reader.say("s SELECT INBOX")
    other.say("s SELECT INBOX")
    other.say("d STORE 3 +FLAGS (\\Deleted)")
    other.say("e EXPUNGE")
    assert "* 3 EXPUNGE" in reader.say("n NOOP")
    receiving.send(b"Subject: 4\r\n\r\nhello\r\n", "fred@blue.test")
    reader.say("n NOOP")
    assert reader.say("u UID SEARCH ALL")[0] == "* SEARCH 1 2 4"
