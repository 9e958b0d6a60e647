"""kill -9, twenty times, under load: what was acknowledged is there, whole and once, and no UID ever means another message.

Senders keep a ledger of what they were promised. They never repeat themselves, so nothing may be there twice.
"""

import imaplib
import itertools
import json
import random
import re
import threading
from collections import Counter

import pytest

from tests.interop.house import House, Person, folder, running
from tests.interop.talk import Talk

ALICE, BOB = Person("alice"), Person("bob")
OUT = "out@blue.test"  # an alias that leads away; nobody is asked about names, so that mail waits
KILLS = 20
SENDERS = 4
MARK = re.compile(rb"^X-Mark: (\S+)\r?$", re.MULTILINE)

#: Who is written to, again and again: (recipients, octets of the body).
ERRANDS = [
    ((ALICE.address,), 500),
    ((BOB.address,), 2_000),
    ((ALICE.address, BOB.address), 500),
    ((OUT,), 500),
    ((ALICE.address, OUT), 30_000),
    ((BOB.address,), 400_000),  # more than stays in memory
]


class Sender(threading.Thread):
    """Sends until the server is gone. `promised`: (mark, recipients) of every 250 that was heard."""

    def __init__(self, port, name, ledger):
        super().__init__(daemon=True)
        self.port = port
        self.mark = name
        self.promised = ledger

    def run(self):
        try:
            with Talk(self.port) as talk:
                talk.reply()
                talk.ask("EHLO lab.test")
                for number in itertools.count():
                    if not self.one(talk, f"{self.mark}-{number}", *ERRANDS[number % len(ERRANDS)]):
                        return
        except OSError:
            return  # killed

    def one(self, talk, mark, recipients, size):
        for line in ("MAIL FROM:<eve@red.test>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"):
            if talk.ask(line)[:1] not in ("2", "3"):
                return False
        filling = "\r\n".join([mark * 3] * (size // (3 * len(mark))))
        talk.socket.sendall(f"Subject: {mark}\r\nX-Mark: {mark}\r\n\r\n{filling}\r\nEND {mark}\r\n.\r\n".encode())
        if not talk.reply().startswith("250"):
            return False
        self.promised.append((mark, recipients))
        return True


class Reader:
    """What one IMAP client has ever seen: UID by UID."""

    def __init__(self, person):
        self.person = person
        self.validity = None
        self.seen = {}

    def look(self, port):
        """The marks in INBOX; whatever was seen before must still be what it was."""
        with imaplib.IMAP4("127.0.0.1", port) as imap:
            imap.login(self.person.address, self.person.password)
            imap.select("INBOX", readonly=True)
            (validity,) = imap.response("UIDVALIDITY")[1]
            assert self.validity in (None, validity)
            self.validity = validity
            answer = imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (X-MARK)])")[1]
        now = {int(re.search(rb"UID (\d+)", part[0])[1]): MARK.search(part[1])[1].decode() for part in answer if isinstance(part, tuple)}
        assert {uid: now.get(uid) for uid in self.seen} == self.seen
        self.seen = now
        return Counter(now.values())


@pytest.fixture
def house():
    with folder() as place:
        house = House(place, more=f"[alias:{OUT}]\nto = carol@green.test\n")
        house.add(ALICE, BOB)
        yield house
        if house.process and house.process.poll() is None:
            house.stop()
        assert "Traceback" not in house.log  # of all its lives


def whole(message):
    """The mark of a stored message, which must be there to its last line."""
    mark = MARK.search(message)[1]
    assert message.endswith((b"END " + mark + b"\n", b"END " + mark + b"\r\n")), message[-200:]
    return mark.decode()


def promised_to(ledger, address):
    return {mark for mark, recipients in ledger if address in recipients}


def test_no_promise_is_broken(house):
    dice = random.Random(20)
    ledger, readers = [], [Reader(ALICE), Reader(BOB)]
    for life in range(KILLS):
        house.start()
        senders = [Sender(house.port("mx"), f"{life}-{number}", ledger) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for reader in readers[: life % 3]:
            reader.look(house.port("imap"))
        senders[0].join(dice.uniform(0.02, 0.5))
        house.kill()
        for sender in senders:
            sender.join(10)
    assert len(ledger) > KILLS * 10, "there was no load"
    with running(house):
        in_boxes = [(reader.look(house.port("imap")), reader.person) for reader in readers]
        rows = [json.loads(line) for line in house.twistmail("queue", "list", "--json", "--limit", 100_000).splitlines()]
        check_mailboxes(house, ledger, in_boxes)
        check_queue(house, ledger, rows)
        assert list(house.data.glob("drafts/*")) == []


def check_mailboxes(house, ledger, in_boxes):
    for found, person in in_boxes:
        assert promised_to(ledger, person.address) - set(found) == set()
        assert {mark: count for mark, count in found.items() if count > 1} == {}
        assert Counter(map(whole, house.stored(person))) == found


def check_queue(house, ledger, rows):
    assert all([to["address"] for to in row["to"] if to["state"] in ("waiting", "deferred")] == ["carol@green.test"] for row in rows)
    files = {path.name for path in house.data.glob("queue/ready/**/*") if path.is_file()}
    assert {name.partition(".")[0] for name in files} == {row["id"] for row in rows}
    waiting = Counter(whole(path.read_bytes()) for path in house.data.glob("queue/ready/**/*.content"))
    assert len(files) == 2 * len(rows) == 2 * waiting.total()
    assert promised_to(ledger, OUT) - set(waiting) == set()
    assert {mark: count for mark, count in waiting.items() if count > 1} == {}
    assert list(house.data.glob("queue/corrupt/*")) == []
