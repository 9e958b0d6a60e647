"""Three who look at what there is, each in its own way: an IMAP client, a POP3 client, and a walk over the directories.

Whoever finds a message has the ledger identify it; the views of the three must agree.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import Counter
from pathlib import Path

from tests import walk
from tests.crash.imap import Imap
from tests.crash.ledger import Ledger, Look
from tests.crash.load import PEOPLE, QUEUE, retrieved
from tests.interop.house import House, Person, eventually, undisturbed
from tests.interop.talk import Talk
from twistmail.queue import express


def by_imap(house: House, ledger: Ledger) -> dict[tuple[str, str], Look]:
    """All mailboxes of all people, every message read."""
    view = {}
    for person in PEOPLE:
        with Imap(house.port("imap"), person) as imap:
            for folder in imap.folders():
                uidvalidity, uidnext = imap.select(folder, readonly=True)
                where = f"IMAP {person.name} {folder}"
                found = imap.fetch("1:*", "FLAGS BODY.PEEK[]")
                messages = {one.uid: (ledger.identify(one.body, f"{where} {one.uid}"), one.flags) for one in found}
                view[person.address, folder] = Look(uidvalidity, uidnext, messages)
    return view


def by_pop3(house: House, ledger: Ledger, person: Person) -> Counter[str]:
    """The marks in the INBOX of *person*."""
    with Talk(house.port("pop3")) as talk:
        talk.hear()
        for line in (f"USER {person.address}", f"PASS {person.password}", "STAT"):
            talk.say(line)
            answer = talk.hear()
            assert answer.startswith("+OK"), f"{line}: {answer}"
        found: Counter[str] = Counter()
        for number in range(1, int(answer.split(" ")[1]) + 1):
            found[ledger.identify(retrieved(talk, number), f"POP3 {person.name} {number}")] += 1
        talk.say("QUIT")
        talk.hear()
    return found


def by_walk(data: Path, ledger: Ledger) -> dict[tuple[str, str], Look]:
    """All mailboxes below *data*, as any other program finds them. What has no UID yet has a negative one."""
    view = {}
    for place, box, contents in undisturbed(lambda: _files(data / "mail"), lambda: _boxes(data / "mail")):
        domain, name, *folder = Path(place).parts
        where = (f"{name}@{domain}", folder[0][1:].replace(".", "/") if folder else "INBOX")
        for anomaly in box.anomalies:
            ledger.complain(f"walk {' '.join(where)}: {anomaly}")
        uids = box.uid_of
        messages = {
            uids.get(base, -number): (ledger.identify(content, f"walk {' '.join(where)} {base}"), frozenset[str]())
            for number, (base, content) in enumerate(contents, 1)
        }
        view[where] = Look(box.uidvalidity, box.uidnext, messages)
    return view


def _files(folder: Path) -> list[Path]:
    return sorted(Path(where, name) for where, _, names in os.walk(folder) for name in names)


def _boxes(root: Path) -> list[tuple[str, walk.Box, list[tuple[str, bytes]]]]:
    """(place, mailbox, its contents) of all below *root*."""
    return [(place, box, _contents(box.path)) for place, box in walk.walk(root).items()]


def _contents(folder: Path) -> list[tuple[str, bytes]]:
    """(base name, content) of the messages in a maildir."""
    paths = sorted([*folder.glob("new/*"), *folder.glob("cur/*")])
    return [(path.name.partition(":2,")[0], path.read_bytes()) for path in paths]


def queued(data: Path, ledger: Ledger) -> Look:
    """The mail that waits. The number of an item is made of its name, which is never given twice."""
    wrong, contents = undisturbed(lambda: _files(data / "queue"), lambda: _waiting(data / "queue"))
    for anomaly in wrong:
        ledger.complain(f"queue: {anomaly}")
    messages = {
        zlib.crc32(item.encode()): (ledger.identify(content, f"queue {item}"), frozenset[str]()) for item, content in contents.items()
    }
    return Look(1, 1 << 32, messages)


def _waiting(spool: Path) -> tuple[list[str], dict[str, bytes]]:
    """What is wrong in *spool*, and the contents by item."""
    contents = {item: logged.content for item, logged in express.pending(spool).items()}  # what has come just now has no files
    items, wrong = walk.walk_spool(spool)
    return wrong, contents | {item: (spool / "ready" / f"{item}.content").read_bytes() for item in items}


def agree(house: House, ledger: Ledger) -> None:
    """Look through all eyes at a running server that nobody uses; the ledger judges what IMAP shows and what waits in the queue."""
    with contextlib.suppress(AssertionError):  # what the first attempt has left may come from the queue
        eventually(lambda: not ledger.missing({**by_imap(house, ledger), QUEUE: queued(house.data, ledger)}), "all is there", 3.0)
    view = by_imap(house, ledger)
    ledger.judge({**view, QUEUE: queued(house.data, ledger)})
    walked = by_walk(house.data, ledger)
    for where in sorted({*view, *walked}):
        same(ledger, where, view.get(where), walked.get(where))
    for person in PEOPLE:
        shown = Counter(mark for mark, _ in view[person.address, "INBOX"].messages.values())
        if (fetched := by_pop3(house, ledger, person)) != shown:
            ledger.complain(f"POP3 {person.name}: {fetched - shown} more and {shown - fetched} less than IMAP")


def same(ledger: Ledger, where: tuple[str, str], imap: Look | None, walked: Look | None) -> None:
    """Complain where a mailbox is not the same to IMAP and to the walk."""
    if imap is None or walked is None:
        ledger.complain(f"{' '.join(where)}: only {'the walk' if imap is None else 'IMAP'} knows it")
        return
    shown = {uid: mark for uid, (mark, _) in imap.messages.items()}
    there = {uid: mark for uid, (mark, _) in walked.messages.items()}
    if shown != there or imap.uidvalidity != walked.uidvalidity:
        more, less = dict(there.items() - shown.items()), dict(shown.items() - there.items())
        ledger.complain(f"{' '.join(where)}: the walk finds {more} more and {less} less than IMAP")
