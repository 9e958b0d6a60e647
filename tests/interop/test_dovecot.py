"""A user comes from Dovecot and goes back: both serve one directory, and a mail program sees no difference (R59, R62, F015)."""

from __future__ import annotations

import contextlib
import poplib
import random
import smtplib
from datetime import datetime, timedelta

import imapclient
import pytest

from tests.interop.dovecot import LIBRARY, Dovecot, difference, state_of
from tests.interop.house import House, Person, eventually, folder, give_away, running

pytestmark = pytest.mark.client(str(LIBRARY / "imap"), str(LIBRARY / "dovecot-lda"))

ALICE = Person("alice")
#: What a change by another may take until it is seen (R62).
SOON = 2.0
DATE = datetime(2019, 3, 4, 5, 6, 7)

#: Every way in which a name has to be escaped: the separator of the disk, modified UTF-7, the escape itself, `~`.
NAMES = (
    "Work", "Work/2024", "Work/a.b", "Müll", "日本/メール", "this & that", "back\\slash", "looks\\2eescaped", ".dot", "end.", "~home",
    "Work/~tilde", "sp ace", "per%cent", 'quo"te', "INBOX/below", "mixed Case", "it's",
)  # fmt: skip


def message(number: int, end: bytes = b"\r\n") -> bytes:
    lines = (b"From: eve@red.test", b"Subject: letter %d" % number, b"", b"Text of %d" % number, b"." * (number % 7), b"")
    return end.join(lines)


@pytest.fixture
def both():
    """A twistmail that is not running, and a Dovecot; alice has no maildir yet."""
    with folder() as place:
        house = House(place)
        house.add(ALICE)
        maildir = house.maildir(ALICE)
        for level in (maildir.parent.parent, maildir.parent):
            level.mkdir(exist_ok=True)
            give_away(level)
        dovecot = Dovecot(place, maildir)
        yield house, dovecot
        dovecot.check_log()


@contextlib.contextmanager
def client_of(house):
    with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False, timeout=20) as client:
        client.login(ALICE.address, ALICE.password)
        yield client


def send(house, number):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [ALICE.address], message(number))


def both_say(house, dovecot):
    """The two servers' states."""
    with client_of(house) as ours, dovecot.client() as theirs:
        return state_of(ours), state_of(theirs)


def assert_alike(house, dovecot):
    """Soon, both say the same."""
    last = []

    def alike():
        last[:] = difference(*both_say(house, dovecot))
        return not last

    try:
        eventually(alike, "both say the same", SOON)
    except AssertionError:
        pytest.fail("\n".join(last)[:4000])
    dovecot.check_log()


def fill(client):
    """A mailbox tree with everything that must survive."""
    for number, name in enumerate(NAMES):
        client.create_folder(name)
        if number % 3:
            client.subscribe_folder(name)
    flags = ([], [b"\\Seen"], [b"\\Answered", b"\\Flagged"], [b"\\Draft", b"$Forwarded"], [b"\\Deleted", b"work", b"NonJunk"])
    for number in range(40):
        name = ("INBOX", *NAMES)[number % 7]
        client.append(name, message(number), flags[number % 5] + [b"label%d" % (number % 20)], DATE + timedelta(hours=number))
    client.select_folder("INBOX")
    client.copy([1, 2, 3], "Work/a.b")
    client.move([2, 4], "日本/メール")
    client.delete_messages([3])
    client.expunge()
    client.unselect_folder()


def drop(dovecot, path, text):
    """A file as procmail or cp would leave it: nobody has given it a UID."""
    (dovecot.maildir / path).write_bytes(text)
    give_away(dovecot.maildir / path)


def test_what_dovecot_has_written_is_served_as_it_was(both):
    house, dovecot = both
    with dovecot.client() as theirs:
        fill(theirs)
        dovecot.deliver(message(100))
        dovecot.deliver(message(101), "Work/2024")
        before = state_of(theirs)
    assert set(NAMES) < set(before.mailboxes)
    with running(house):
        with client_of(house) as ours:
            assert difference(state_of(ours), before) == []
        assert_alike(house, dovecot)


def test_mail_that_came_in_between_keeps_its_order(both):
    house, dovecot = both
    with dovecot.client() as theirs:
        theirs.append("INBOX", message(1))
    drop(dovecot, "new/1200000000.unlisted.host", message(2, b"\n"))
    drop(dovecot, "cur/1200000001.crlf.host:2,FS", message(3))
    dovecot.deliver(message(4))
    with running(house):
        with client_of(house) as ours:
            state_of(ours)
            send(house, 5)
            inbox = state_of(ours).mailboxes["INBOX"].messages
        assert_alike(house, dovecot)
    assert [text.partition(b"letter ")[2].split()[0] for *_, text in inbox.values()] == [b"1", b"4", b"2", b"3", b"5"]


@pytest.mark.parametrize("index", ["with its indexes", "without indexes"])
def test_what_twistmail_changes_dovecot_sees(both, index):
    house, dovecot = both
    with dovecot.client() as theirs:
        fill(theirs)
        state_of(theirs)
    with running(house):
        with client_of(house) as ours:
            ours.append("INBOX", message(50), [b"\\Seen", b"new-word"], DATE)
            ours.create_folder("Ours/Ünder.dots")
            ours.subscribe_folder("Ours/Ünder.dots")
            ours.unsubscribe_folder("Work/2024")
            ours.rename_folder("Work", "Play")
            ours.rename_folder("~home", "was home")
            ours.delete_folder("end.")
            ours.select_folder("INBOX")
            some = ours.search()
            ours.add_flags(some[:3], [b"\\Answered", b"label3", b"another-word"])
            ours.remove_flags(some[2:4], [b"\\Seen", b"label0"])
            ours.copy(some[:4], "Ours/Ünder.dots")
            ours.move(some[1:2], "Müll")
            ours.delete_messages(some[3:4])
            ours.expunge()
        send(house, 51)
        if index == "without indexes":
            dovecot.forget()
        assert_alike(house, dovecot)
    house.start()  # from nothing but the disk
    assert_alike(house, dovecot)
    house.stop()


class Walk:
    """Random steps through one server, seeded: whatever a mail program may do."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.number = 1000

    def step(self, client):
        names = sorted(name for flags, _, name in client.list_folders() if b"\\noselect" not in {flag.lower() for flag in flags})
        self.chance.choice([self.append, self.append, self.flag, self.flag, self.copy, self.move, self.expunge, self.tree])(client, names)

    def some(self, client, names):
        client.select_folder(self.chance.choice(names))
        uids = client.search()
        return self.chance.sample(uids, min(len(uids), self.chance.randint(1, 4)))

    def words(self):
        return self.chance.sample(
            [b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Deleted", b"work", b"play", b"x%d" % self.chance.randrange(12)], 3
        )

    def append(self, client, names):
        self.number += 1
        date = DATE + timedelta(minutes=self.number)
        client.append(self.chance.choice(names), message(self.number), self.words(), date)

    def flag(self, client, names):
        if uids := self.some(client, names):
            self.chance.choice([client.add_flags, client.remove_flags, client.set_flags])(uids, self.words())

    def copy(self, client, names):
        if uids := self.some(client, names):
            client.copy(uids, self.chance.choice(names))

    def move(self, client, names):
        if uids := self.some(client, names):
            client.move(uids, self.chance.choice(names))

    def expunge(self, client, names):
        if uids := self.some(client, names):
            client.delete_messages(uids[:1])
            client.expunge(uids[:1])

    def tree(self, client, names):
        self.number += 1
        name = f"{self.chance.choice(['Tree', 'Tree/deep.er', 'Bäume'])}/{self.number}"
        client.create_folder(name)
        client.subscribe_folder(name)
        if self.chance.random() < 0.5:
            client.rename_folder(name, name + " again")
        elif self.chance.random() < 0.5:
            client.unsubscribe_folder(name)
            client.delete_folder(name)


@pytest.mark.parametrize("seed", range(3))
def test_back_and_forth_many_times(both, seed):
    house, dovecot = both
    walk = Walk(seed)
    with running(house):
        send(house, 1)
        for turn in range(12):
            with client_of(house) if turn % 2 else dovecot.client() as client:
                for _ in range(8):
                    walk.step(client)
            if turn % 3 == 1:
                send(house, turn)
            elif turn % 3 == 2:
                dovecot.deliver(message(turn))
            drop(dovecot, f"new/{1200000000 + turn}.dropped.host", message(turn, b"\n"))
            if turn == 7:
                dovecot.forget()
            assert_alike(house, dovecot)
        house.stop()
        with dovecot.client() as client:
            for _ in range(8):
                walk.step(client)
        dovecot.deliver(message(0))
        house.start()
        assert_alike(house, dovecot)


def test_both_deliver_at_the_same_time(both):
    """No UID is given twice, nothing is lost, and whoever waits hears of it within two seconds."""
    house, dovecot = both
    with running(house):
        send(house, 0)
        with dovecot.client() as theirs:
            state_of(theirs)
        with client_of(house) as waiting:
            waiting.select_folder("INBOX")
            waiting.idle()
            agents = []
            for number in range(1, 25):
                agents.append(dovecot.begin_delivery(message(number)))
                send(house, 100 + number)
            assert [agent.wait(20) for agent in agents] == [0] * 24
            heard = []
            eventually(lambda: heard.extend(waiting.idle_check(0.1)) or (49, b"EXISTS") in heard, "the last is told", SOON)
            waiting.idle_done()
        assert_alike(house, dovecot)
        with dovecot.client() as theirs:
            texts = [text for *_, text in state_of(theirs).mailboxes["INBOX"].messages.values()]
    assert sorted(int(text.partition(b"Subject: letter ")[2].split()[0]) for text in texts) == [*range(25), *range(101, 125)]


@pytest.mark.client(str(LIBRARY / "pop3"))
def test_pop3_clients_find_the_unique_ids_that_they_know(both):
    """Nobody fetches again what he has fetched from Dovecot: neither what it has numbered itself, nor what it was told names of."""
    house, dovecot = both
    for number in range(5):
        dovecot.deliver(message(number))
    listing = dovecot.maildir / "dovecot-uidlist"
    lines = listing.read_bytes().split(b"\n")
    assert lines[2].startswith(b"2 ")
    lines[2] = b"2 Pfrom.still-another " + lines[2][2:]
    listing.write_bytes(b"\n".join(lines))
    dovecot.forget()
    theirs = dovecot.unique_ids()
    assert theirs[1] == (2, b"from.still-another")
    with running(house):
        assert unique_ids(house) == theirs
        send(house, 6)
        assert len(unique_ids(house)) == 6
        now = unique_ids(house)
    dovecot.forget()
    assert dovecot.unique_ids() == now


def unique_ids(house):
    pop3 = poplib.POP3("127.0.0.1", house.port("pop3"))
    pop3.user(ALICE.address)
    pop3.pass_(ALICE.password)
    lines = [line.split(b" ") for line in pop3.uidl()[1]]
    pop3.quit()
    return [(int(number), name) for number, name in lines]
