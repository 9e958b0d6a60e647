"""SMTP, two IMAP clients, POP3, mutt, cp, rm and Dovecot's delivery agent on one mailbox at once (R63).

Everybody does random things to messages of a class of his own, so that a ledger can say what must be there in the end; the
store sees them all at once. `make mixed` runs it for ten minutes.
"""

from __future__ import annotations

import mailbox
import os
import poplib
import random
import re
import smtplib
import threading
from collections import Counter
from contextlib import suppress

import imapclient
import pytest

from tests.interop.dovecot import LIBRARY, Dovecot
from tests.interop.house import House, Person, as_ordinary_user, eventually, folder, give_away, run, running

pytestmark = pytest.mark.client("mutt", str(LIBRARY / "dovecot-lda"))

ALICE = Person("alice")
SECONDS = float(os.environ.get("MIXED_SECONDS", "15"))
SEED = int(os.environ.get("MIXED_SEED", "1"))
BOX = "Box"
#: Who may remove or move the messages of a class.
CLASSES = READER, OTHER, POP, DIRECTORY = range(4)
NUMBER = re.compile(rb"Subject: letter (\d+) ")


def letter(number: int) -> bytes:
    return b"From: eve@red.test\r\nSubject: letter %d class%d.\r\n\r\nText of %d.\r\n" % (number, number % len(CLASSES), number)


class Ledger:
    """What was promised, and what was removed on purpose. Shared by all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = iter(range(1, 10**9))
        self.delivered = set()
        self.removed = set()
        self.uids = {}  # (folder, UIDVALIDITY, UID) -> number: never two

    def next(self):
        with self.lock:
            return next(self.numbers)

    def saw(self, client, place, validity):
        """{uid: number} of the selected folder as *client* sees it; no UID may ever mean another message."""
        found = client.fetch(client.search(), ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
        header = b"BODY[HEADER.FIELDS (SUBJECT)]"  # not there: somebody has just removed the message, or changed its flags
        numbers = {uid: int(NUMBER.search(parts[header])[1]) for uid, parts in found.items() if header in parts}
        with self.lock:
            for uid, number in numbers.items():
                assert self.uids.setdefault((place, validity, uid), number) == number, f"{place} {uid} was another message"
        return numbers

    def mine(self, numbers, owner):
        return [uid for uid, number in numbers.items() if number % len(CLASSES) == owner and number in self.delivered]


class Everybody:
    """The threads. What one of them raises ends the test."""

    def __init__(self, house, place, seed):
        self.house = house
        self.dovecot = Dovecot(place, house.maildir(ALICE))
        self.place = place
        self.ledger = Ledger()
        self.seed = seed
        self.end = threading.Event()
        self.trouble = []
        self.steps = Counter()

    def go(self, seconds):
        threads = [threading.Thread(target=self._run, args=(who, number)) for number, who in enumerate(self.ALL)]
        for thread in threads:
            thread.start()
        self.end.wait(seconds)
        self.end.set()
        for thread in threads:
            thread.join(60)
        if self.trouble:
            raise self.trouble[0]

    def _run(self, who, number):
        chance = random.Random(self.seed * 100 + number)
        try:
            while not self.end.is_set():
                who(self, chance)
                self.steps[who.__name__] += 1
                self.end.wait(chance.random() * 0.05)
        except BaseException as error:
            self.trouble.append(error)
            self.end.set()

    def imap(self):
        client = imapclient.IMAPClient("127.0.0.1", self.house.port("imap"), ssl=False, timeout=30)
        client.login(ALICE.address, ALICE.password)
        return client

    # ----- who brings mail

    def smtp(self, chance):
        with smtplib.SMTP("127.0.0.1", self.house.port("mx")) as smtp:
            for _ in range(chance.randint(1, 5)):
                number = self.ledger.next()
                smtp.sendmail("eve@red.test", [ALICE.address], letter(number))
                self.ledger.delivered.add(number)

    def agent(self, chance):
        number = self.ledger.next()
        self.dovecot.deliver(letter(number))
        self.ledger.delivered.add(number)

    def copier(self, chance):
        """As cp does: the file grows under its name while others may look, but not in new/ or cur/."""
        number = self.ledger.next()
        path = self.place / f"{1600000000 + number}.cp.host"
        path.write_bytes(letter(number))
        give_away(path)
        os.rename(path, self.house.maildir(ALICE) / chance.choice([f"new/{path.name}", f"cur/{path.name}:2,S"]))
        self.ledger.delivered.add(number)

    # ----- who reads and removes

    def reader(self, chance):
        self._read(chance, READER)

    def other_reader(self, chance):
        self._read(chance, OTHER)

    def _read(self, chance, owner):
        with self.imap() as client:
            for _ in range(chance.randint(1, 6)):
                here, there = chance.sample(["INBOX", BOX], 2)
                validity = client.select_folder(here)[b"UIDVALIDITY"]
                numbers = self.ledger.saw(client, here, validity)
                chance.choice([self._flag, self._move, self._remove, self._append])(client, chance, numbers, owner, there)

    def _flag(self, client, chance, numbers, owner, there):
        if numbers:
            some = chance.sample(sorted(numbers), min(len(numbers), 5))
            chance.choice([client.add_flags, client.remove_flags])(some, [b"\\Seen", b"\\Answered", b"word%d" % chance.randrange(9)])

    def _move(self, client, chance, numbers, owner, there):
        mine = self.ledger.mine(numbers, owner)
        if mine:
            client.move(chance.sample(mine, min(len(mine), 4)), there)

    def _remove(self, client, chance, numbers, owner, there):
        mine = self.ledger.mine(numbers, owner)[:2]
        if mine:
            client.delete_messages(mine)
            client.expunge(mine)
            with self.ledger.lock:
                self.ledger.removed.update(numbers[uid] for uid in mine)

    def _append(self, client, chance, numbers, owner, there):
        number = self.ledger.next()
        client.append(there, letter(number), [b"\\Flagged"])
        self.ledger.delivered.add(number)

    def pop(self, chance):
        pop = poplib.POP3("127.0.0.1", self.house.port("pop3"), timeout=30)
        pop.user(ALICE.address)
        pop.pass_(ALICE.password)
        gone = []
        for line in pop.list()[1][: chance.randint(1, 8)]:
            place = int(line.split()[0])
            try:
                text = b"\n".join(pop.top(place, 0)[1])
            except poplib.error_proto:  # somebody has removed or moved it since we have logged in
                continue
            number = int(NUMBER.search(text)[1])
            if number % len(CLASSES) == POP and number in self.ledger.delivered:
                pop.dele(place)
                gone.append(number)
        if chance.random() < 0.8:
            pop.quit()
            with self.ledger.lock:
                self.ledger.removed.update(gone)
        else:
            pop.close()  # without QUIT nothing is removed

    # ----- who works on the files

    def mutt(self, chance):
        """It forgets the keys that it was given when the mailbox changes under it; then it is ended after three seconds.

        In the foreground, or a mutt that asks its terminal something is stopped for ever; by force, for it may not hear a request.
        """
        pattern = f"~s letter.*{chance.randrange(10)}.class{chance.randrange(4)}"
        keys = f'push "<tag-pattern>{pattern}<enter><tag-prefix-cond><set-flag>!<end-cond><sync-mailbox><exit>"'
        words = ["mutt", "-n", "-F", "/dev/null", "-f", str(self.house.maildir(ALICE)), "-e", "set quit=yes move=no", "-e", keys]
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if as_ordinary_user() else []
        line = " ".join(f"'{word}'" for word in ["timeout", "--foreground", "-k", "1", "3", *prefix, *words])
        run("script", "-qfc", line, "/dev/null", cwd=self.place, expect=None, HOME=str(self.place), TERM="xterm")

    def remover(self, chance):
        maildir = self.house.maildir(ALICE)
        path = chance.choice([path for sub in ("new", "cur") for path in (maildir / sub).iterdir()] or [None])
        with suppress(FileNotFoundError):  # somebody was faster
            if path and (found := NUMBER.search(path.read_bytes())):
                number = int(found[1])
                if number % len(CLASSES) == DIRECTORY and number in self.ledger.delivered:
                    path.unlink()
                    with self.ledger.lock:
                        self.ledger.removed.add(number)
        self.end.wait(0.1)

    ALL = (smtp, agent, copier, reader, other_reader, pop, mutt, remover)


class Counting:
    """A client that only listens: what it is told must add up."""

    def __init__(self, client):
        self.client = client
        self.count = client.select_folder("INBOX", readonly=True)[b"EXISTS"]
        client.idle()

    def listen(self):
        for news in self.client.idle_check(0.1):
            if news[1] == b"EXISTS":
                assert news[0] >= self.count, "fewer messages without an EXPUNGE"
                self.count = news[0]
            elif news[1] == b"EXPUNGE":
                assert 1 <= news[0] <= self.count
                self.count -= 1


def test_nothing_is_lost_or_doubled_whatever_happens_at_once():
    with folder() as place:
        house = House(place)
        house.add(ALICE)
        with running(house):
            everybody = Everybody(house, place, SEED)
            ledger = everybody.ledger
            with everybody.imap() as first, everybody.imap() as listening:
                first.create_folder(BOX)
                counting = Counting(listening)
                work = threading.Thread(target=everybody.go, args=(SECONDS,))
                work.start()
                while work.is_alive():
                    counting.listen()
                work.join()
                assert not everybody.trouble, everybody.trouble
                assert set(everybody.steps) == {who.__name__ for who in everybody.ALL}, everybody.steps
                wanted = Counter(ledger.delivered - ledger.removed)
                eventually(lambda: found(ledger, first) == wanted, difference(wanted, found(ledger, first)), 4)
                inbox = first.select_folder("INBOX")[b"EXISTS"]
                eventually(lambda: counting.listen() or counting.count == inbox, "the listener's count adds up", 4)
                listening.idle_done()
            assert len(ledger.delivered) > SECONDS * 5, everybody.steps
            everybody.dovecot.check_log()
        # Only now, for a server that runs gives files other names, and what is renamed while it is listed may be missed or come twice.
        assert inbox == len(mailbox.Maildir(house.maildir(ALICE), create=False))
        assert len(wanted) == sum(len(house.stored(ALICE, at)) for at in (".", f".{BOX}"))


def found(ledger, client):
    """How often each message is there, in both folders."""
    total = Counter()
    for place in ("INBOX", BOX):
        validity = client.select_folder(place, readonly=True)[b"UIDVALIDITY"]
        total.update(ledger.saw(client, place, validity).values())
    return total


def difference(wanted, seen):
    return f"lost {sorted(wanted - seen)}, too many {sorted(seen - wanted)}"
