"""SORT and THREAD as Debian's Dovecot gives them, over one directory (RFC 5256, RFC 5957).

One thing is known to be different and is not in the corpus: messages whose references contradict each other in a circle,
which Dovecot cuts where it comes by; see `mail/threads.py`.
"""

from __future__ import annotations

import contextlib
import random
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import imapclient
import pytest

from tests.interop.dovecot import LIBRARY, Dovecot
from tests.interop.house import House, Person, folder, give_away, running

pytestmark = pytest.mark.client(str(LIBRARY / "imap"))

ALICE = Person("alice")
START = datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)
SUBJECTS = (
    "lunch", "Re: lunch", "RE[2]: Lunch", "[list] lunch", "Re: [list] lunch (fwd)", "[Fwd: lunch]", "Fwd: Re: lunch", "fw: dinner",
    "dinner", "[list]", "[a] [b]", "Re:", "", "  spaced   out  ", "=?utf-8?q?Caf=C3=A9?=", "=?iso-8859-1?q?Re=3A_caf=E9?=", "zebra",
    "Zebra 2", "apple", "reply: apple", "Re: =?utf-8?b?w4RwZmVs?=", None,
)  # fmt: skip
PEOPLE = (
    "Ann Other <ann@away.test>", "bob@away.test", '"Zoe, Queen" <zoe@blue.test>', "=?utf-8?q?J=C3=B6rg?= <joerg@away.test>", "ANN@red.test",
    "carl@away.test (Carl in a comment)", "friends: dora@a.test, emil@b.test;", "undisclosed-recipients:;", "<>", None,
)  # fmt: skip


def mail(rng: random.Random, number: int, known: list[str]) -> bytes:
    own = f"<{number}@away.test>"
    sent = START + timedelta(minutes=rng.randrange(100_000))
    lines = [f"Date: {format_datetime(sent)}"] if rng.random() < 0.9 else []
    if rng.random() < 0.95:
        lines.append(f"Message-ID: {own}")
    if known and rng.random() < 0.6:
        chain = rng.sample(known, min(len(known), rng.randrange(1, 4)))
        chain.sort(key=lambda one: int(one[1:].partition("@")[0]))
        lines.append(f"References: {' '.join(chain)}" if rng.random() < 0.7 else f"In-Reply-To: {chain[-1]} said")
    for name, choices in (("Subject", SUBJECTS), ("From", PEOPLE), ("To", PEOPLE), ("Cc", PEOPLE)):
        value = rng.choice(choices)
        if value is not None:
            lines.append(f"{name}: {value}")
    known.append(own)
    return "\r\n".join([*lines, "", "x" * rng.randrange(500), ""]).encode()


@pytest.fixture(scope="module")
def answers():
    """What both say: (command) -> (ours, Dovecot's)."""
    rng, known = random.Random(7), []
    corpus = [mail(rng, number, known) for number in range(300)]
    rng.shuffle(corpus)
    with folder() as place:
        house = House(place)
        house.add(ALICE)
        maildir = house.maildir(ALICE)
        for level in (maildir.parent.parent, maildir.parent):
            level.mkdir(exist_ok=True)
            give_away(level)
        with running(house), client_of(house) as client:
            for number, message in enumerate(corpus):
                client.append("INBOX", message, (), START + timedelta(hours=rng.randrange(2000), seconds=number))
            client.select_folder("INBOX")
            ours = {command: said(client, command) for command in COMMANDS}
        dovecot = Dovecot(place, maildir)
        with dovecot.client() as client:
            client.select_folder("INBOX")
            theirs = {command: said(client, command) for command in COMMANDS}
        dovecot.check_log()
    return ours, theirs


@contextlib.contextmanager
def client_of(house):
    with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False, timeout=20) as client:
        client.login(ALICE.address, ALICE.password)
        yield client


SORTS = [f"({key})" for key in ("ARRIVAL", "DATE", "SIZE", "CC", "FROM", "TO", "SUBJECT", "DISPLAYFROM", "DISPLAYTO")]
SORTS += ["(REVERSE DATE)", "(SUBJECT REVERSE DATE)", "(FROM SUBJECT DATE)", "(REVERSE FROM DATE)"]
THREADS = ("ORDEREDSUBJECT", "REFERENCES", "REFS")
COMMANDS = [f"SORT {keys}" for keys in SORTS] + [f"THREAD {how}" for how in THREADS] + ["THREAD REFERENCES 50:200", "THREAD REFS 50:200"]


def said(client: imapclient.IMAPClient, command: str) -> str:
    name, rest = command.split(" ", 1)
    words, _, numbers = rest.rpartition(" ") if re.search(r" \d", rest) else (rest, "", "ALL")
    client._imap._simple_command(name, words, "UTF-8", numbers)
    _, lines = client._imap._untagged_response("OK", [None], name)
    return b" ".join(line or b"" for line in lines).decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_both_say_the_same(answers, command):
    ours, theirs = answers
    assert ours[command] == theirs[command]
