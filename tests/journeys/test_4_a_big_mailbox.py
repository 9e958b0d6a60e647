"""Walk 4 of ARCHITECTURE.md: IMAP FETCH over thousands of messages, while others come and go."""

from __future__ import annotations

import pytest

from tests.journeys.house import House
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage

MANY = 2000
#: The numbers from 700 on that hold 77.
SEVENTIES = " ".join(str(n) for n in range(700, MANY + 1) if "77" in str(n))


def fill(house: House) -> None:
    """MANY messages in ann's mailbox; every third is seen."""
    inbox = house.run(house.run(house.foundation.store.mailboxes("ann@blue.test")).open("INBOX"))
    messages = (
        NewMessage(Memory(b"Subject: %d\r\n\r\nhello %d\r\n" % (n, n)), () if n % 3 else ("\\Seen",), house.reactor.seconds())
        for n in range(1, MANY + 1)
    )
    house.run(inbox.append(tuple(messages)))
    inbox.close()


@pytest.fixture(params=["memory", "maildir"])
def full(build, request) -> House:
    """A house whose ann has MANY messages, in either store."""
    house = build(f"[store]\nuse = {request.param}\nfsync = no\n")
    fill(house)
    return house


def test_thousands_of_rows_come_in_order_in_bounded_pieces(full):
    client = full.login("imap")
    assert f"* {MANY} EXISTS" in client.say("s SELECT INBOX")
    writes: list[int] = []
    write = client.transport.write
    client.transport.write = lambda data: (writes.append(len(data)), write(data))
    *rows, end = client.say("f FETCH 1:* (FLAGS UID RFC822.SIZE)")
    assert end == "f OK Done"
    assert len(rows) == MANY
    assert [int(row.split()[1]) for row in rows] == list(range(1, MANY + 1))
    assert ("\\Seen" in rows[2], "\\Seen" in rows[3]) == (True, False)
    assert len(writes) > 1
    assert max(writes) < 2 * 64 * 1024


def test_a_client_that_does_not_read_is_not_written_to(full):
    client = full.login("imap")
    client.say("s SELECT INBOX")
    client.pump.pauseProducing()
    before = len(client.transport.value())
    client.say("f FETCH 1:* (FLAGS UID RFC822.SIZE)")
    assert len(client.transport.value()) - before < 2 * 64 * 1024
    client.pump.resumeProducing()
    full.settle()
    assert client.heard()[-1] == "f OK Done"


def test_numbers_hold_until_a_command_that_may_change_them(full):
    """Somebody removes a hundred while we fetch; we hear of it with NOOP, from the highest down (RFC 3501 §7.4.1)."""
    reader, other = full.login("imap"), full.login("imap")
    reader.say("s SELECT INBOX")
    other.say("s SELECT INBOX")
    other.say("d STORE 101:200 +FLAGS.SILENT (\\Deleted)")
    assert other.say("e EXPUNGE")[-1].startswith("e OK")
    rows = reader.say("f FETCH 1:300 (UID)")
    assert not any("EXPUNGE" in row for row in rows[:-1])
    assert [row for row in rows if row.startswith("* 250 ")] == ["* 250 FETCH (UID 250)"]
    expunged = [line for line in reader.say("n NOOP") if line.endswith("EXPUNGE")]
    assert expunged == [f"* {number} EXPUNGE" for number in range(200, 100, -1)]
    assert [row for row in reader.say("g FETCH 150 (UID)") if "FETCH" in row] == ["* 150 FETCH (UID 250)"]


def test_bodies_come_whole_and_only_they_mark_as_seen(full):
    client = full.login("imap")
    client.say("s SELECT INBOX")
    said = client.say("p FETCH 10:40 BODY.PEEK[]")
    assert sum(line.startswith("hello ") for line in said) == 31
    assert client.say("q SEARCH 10:40 SEEN")[0] == "* SEARCH " + " ".join(str(n) for n in range(10, 41) if n % 3 == 0)
    client.say("r FETCH 10 BODY[TEXT]")
    assert " 10 " in client.say("t SEARCH 10:40 SEEN")[0]


def test_a_text_is_found_whether_it_is_indexed_already_or_not(full):
    """What has come since the index was filled, what has gone, and what is above and below it."""
    client = full.login("imap")
    client.say("s SELECT INBOX")
    for needle, found in (("hello 1999", "1999"), ("ELLO 200", "200 2000"), ("77", "77 177 277 377 477 577 677 " + SEVENTIES)):
        first = client.say(f'a SEARCH BODY "{needle}"')
        assert first == [f"* SEARCH {found}", "a OK Done"]
        assert client.say(f'a SEARCH BODY "{needle}"') == first
    inbox = full.run(full.run(full.foundation.store.mailboxes("ann@blue.test")).open("INBOX"))
    full.run(inbox.append([NewMessage(Memory(b"Subject: late\r\n\r\nhello 77 again\r\n"), (), full.reactor.seconds())]))
    full.run(inbox.expunge([77]))
    inbox.close()
    client.say("n NOOP")
    assert client.say("a UID SEARCH BODY HELLO UID 76:77,2001") == ["* SEARCH 76 2001", "a OK Done"]
    assert client.say('a UID SEARCH BODY "hello 77" NOT UID 770:779') == ["* SEARCH 2001", "a OK Done"]
    assert client.say("a UID SEARCH TEXT late") == ["* SEARCH 2001", "a OK Done"]
    assert client.say("a UID SEARCH BODY 77 UID 1:99") == ["* SEARCH", "a OK Done"]
