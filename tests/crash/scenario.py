"""A process that plays one scenario on a real store, so that it can be killed at each of its system calls.

`python -m tests.crash.scenario SOCKET` imports everything, then makes a child for
every connection to the unix socket SOCKET: a fresh server's foundation (reactor,
committer, threads, store) that does what the first line asks for, and dies with
its work. It tells the test what it does over the connection, with `send`, which
is not among the calls that are counted.

    prepare   what the store holds before the scenario
    cold      say which threads there are, wait for a line, then play
    warm      the same, with the redo log in use from the beginning
    crowd     as warm; mail comes for many who never had a mailbox
    again     they get mail once more
    look      all that the store shows
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.crash.ledger import MARK, Step, letter
from twistmail import foundation, sections, tasks
from twistmail.config.load import load
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES, Delivery, FlagChange, NewMessage
from twistmail.plugins import discover
from twistmail.store import jobs, redolog
from twistmail.store.homes import accounts_in
from twistmail.store.redo_check import verify_redo

#: So small that it is full, and begun again, while the scenario is played.
SEGMENT = 512 * 1024
ANN, BEN = "ann@blue.test", "ben@blue.test"
ACCOUNTS = (ANN, BEN)
#: They have no mailbox, and are so many that a message to all of them is written once.
CROWD = tuple(f"new{number}@blue.test" for number in range(5))
ALONE = "alone@blue.test"
WORK, RENAMED = "Work", "Done/Work"
TRACE = b"Return-Path: <eve@red.test>\r\nReceived: from lab.test\r\n"


class Told:
    """The ledger, which lives in the test: whatever is said to this one is said there."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self.say(name, *args)

    def say(self, name: str, *args: Any) -> None:
        self._connection.sendall(json.dumps([name, *args], default=_plain).encode() + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Step):
        return {"step": [value.account, value.mark, value.source, value.target]}
    return {"set": sorted(value)}


class Scenario:
    """What is done to the store of *foundation*, told to *ledger* before and after."""

    def __init__(self, ground: foundation.Foundation, ledger: Any, name: str, data: Path) -> None:
        self.store = ground.store
        self.data = data
        self.ledger = ledger
        self._dice = random.Random(name)
        self._name = name
        self._count = 0

    def fresh(self, size: int = 500) -> tuple[str, bytes]:
        self._count += 1
        mark = f"{self._name}-{self._count}"
        content = letter(mark, size, self._dice)
        self.ledger.wrote(content.decode())
        return mark, content

    # ----- the steps

    async def deliver(self, *accounts: str) -> None:
        """One message by SMTP to *accounts*."""
        mark, content = self.fresh()
        steps = [Step(account, mark, None, "INBOX") for account in accounts]
        self.ledger.begin(*steps)
        errors = await self.store.deliver([Delivery(account, TRACE, Memory(content)) for account in accounts])
        assert not any(errors), errors
        self.ledger.done(*steps)

    async def append(self, folder: str, count: int, size: int = 500, name: str = "") -> None:
        """*count* messages in one call to *folder*, which the ledger knows as *name*."""
        letters = [self.fresh(size) for _ in range(count)]
        steps = [Step(ANN, mark, None, name or folder) for mark, _ in letters]
        box = await self.opened(folder)
        self.ledger.begin(*steps)
        copied = await box.append([NewMessage(Memory(content), ("\\Seen", "work"), 1.5e9) for _, content in letters])
        self.ledger.done(*steps)
        marks = dict(zip(copied.target, (mark for mark, _ in letters), strict=True))
        self.ledger.saw(ANN, name or folder, copied.uidvalidity, marks)
        box.close()

    async def copy(self, source: str, target: str, places: slice) -> None:
        box, uids, marks = await self.chosen(source, places)
        steps = [Step(ANN, mark, None, target) for mark in marks]
        self.ledger.begin(*steps)
        copied = await box.copy(uids, target)
        self.ledger.done(*steps)
        self.ledger.saw(ANN, target, copied.uidvalidity, dict(zip(copied.target, marks, strict=True)))
        box.close()

    async def move(self, source: str, target: str, places: slice) -> None:
        box, uids, marks = await self.chosen(source, places)
        steps = [Step(ANN, mark, source, target) for mark in marks]
        self.ledger.begin(*steps)
        copied = await box.move(uids, target)
        self.ledger.done(*steps)
        self.ledger.saw(ANN, target, copied.uidvalidity, dict(zip(copied.target, marks, strict=True)))
        box.close()

    async def expunge(self, source: str, places: slice) -> None:
        box, uids, marks = await self.chosen(source, places)
        steps = [Step(ANN, mark, source) for mark in marks]
        self.ledger.begin(*steps)
        await box.expunge(uids)
        self.ledger.done(*steps)
        box.close()

    async def flag(self, source: str, places: slice, *flags: str) -> None:
        box, uids, _ = await self.chosen(source, places)
        self.ledger.flagging(ANN, source, uids, frozenset(flags))
        await box.store(uids, FlagChange.SET, flags)
        self.ledger.flagged(ANN, source, uids, frozenset(flags))
        box.close()

    async def rename(self, old: str, new: str) -> None:
        home = await self.store.mailboxes(ANN)
        self.ledger.renaming(ANN, old, new)
        await home.rename(old, new)
        self.ledger.renamed(ANN, old, new)

    async def create(self, folder: str) -> None:
        await (await self.store.mailboxes(ANN)).create(folder)

    async def subscribe(self, folder: str) -> None:
        await (await self.store.mailboxes(ANN)).subscribe(folder, True)

    # ----- what they need

    async def opened(self, folder: str) -> Any:
        return await (await self.store.mailboxes(ANN)).open(folder)

    async def chosen(self, folder: str, places: slice) -> tuple[Any, list[int], list[str]]:
        """The mailbox, and UIDs and marks of some of its messages."""
        box = await self.opened(folder)
        uids = list(box.uids[places])
        return box, uids, [_mark(body) for _, body in await box.load(uids)]


def _mark(content: bytes) -> str:
    found = MARK.search(content)
    assert found, content
    return found[1].decode()


async def prepare(scenario: Scenario) -> None:
    for _ in range(6):
        await scenario.deliver(*ACCOUNTS)
    await scenario.create(WORK)
    await scenario.append(WORK, 14)
    await scenario.create(WORK + "/Plan")
    await scenario.append(WORK + "/Plan", 1)


async def warm_up(scenario: Scenario, reactor: Any, data: Path) -> None:
    """The first messages start the thread of the redo log, and go another way until it is ready."""
    await scenario.deliver(BEN)
    while not verify_redo(data).counted["logged"]:
        await tasks.sleep(reactor, 0.05)
        await scenario.deliver(BEN)


async def play(scenario: Scenario) -> None:
    """All that an account may see, each once or twice: the first time much is opened, the second time it is open."""
    await scenario.deliver(*ACCOUNTS)
    await scenario.deliver(*ACCOUNTS)
    await scenario.append(WORK, 1)
    await scenario.append(WORK, 3, size=100_000)
    await scenario.append(WORK, 1, size=270_000)  # too large for the redo log
    await scenario.append(WORK, 2, size=100_000)  # more than the rest of its segment
    await scenario.copy("INBOX", WORK, slice(0, 2))
    await scenario.flag("INBOX", slice(0, 2), "\\Seen", "later")
    await scenario.flag(WORK, slice(0, 12), "\\Answered", "work")  # more than are renamed at once
    await scenario.move("INBOX", WORK, slice(1, 3))
    await scenario.expunge("INBOX", slice(2, 4))
    await scenario.expunge(WORK, slice(0, 1))
    await scenario.subscribe(WORK)
    await scenario.rename(WORK, RENAMED)
    await scenario.append(RENAMED, 1, name=WORK)
    await scenario.deliver(BEN, ANN)


async def crowd(scenario: Scenario) -> None:
    await scenario.deliver(*CROWD)
    await scenario.deliver(ALONE)
    await scenario.deliver(*CROWD, ANN)
    await (await scenario.store.mailboxes(CROWD[0])).folders()
    await scenario.deliver(CROWD[0], CROWD[1])


async def again(scenario: Scenario) -> None:
    await scenario.deliver(*CROWD)
    await scenario.deliver(ALONE, CROWD[0])


async def look(scenario: Scenario) -> None:
    for account in {*ACCOUNTS, *accounts_in(scenario.data, "mail/%d/%n")}:
        home = await scenario.store.mailboxes(account)
        for folder in await home.folders():
            if folder.selectable:
                box = await home.open(folder.name)
                bodies = dict(await box.load(list(box.uids)))
                found = {uid: (body.decode("latin-1"), _flags(box, place)) for place, (uid, body) in enumerate(bodies.items())}
                assert list(found) == list(box.uids), f"{account} {folder.name}: {list(box.uids)}, and {list(found)} can be read"
                scenario.ledger.shows(account, folder.name, box.uidvalidity, box.uidnext, found)
                box.close()


def _flags(box: Any, place: int) -> list[str]:
    bits = box.bits[place]
    words = [word for number, word in enumerate(box.keywords) if bits >> (FIRST_KEYWORD_BIT + number) & 1]
    return [name for name, bit in FLAG_NAMES.items() if bits & bit] + words


# ----- the process


def serve(path: str) -> None:
    """A child for every connection; it starts with everything imported but the reactor, which would not survive the fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            if os.fork():
                connection.close()
            else:
                listening.close()
                child(connection)
                os._exit(0)


def child(connection: socket.socket) -> None:
    lines = connection.makefile("rb")
    order, config = json.loads(lines.readline())
    told = Told(connection)
    try:
        run(order, Path(config), told, lines)
    except BaseException as error:
        told.failed(f"{order}: {error!r}")


def run(order: str, path: Path, told: Told, lines: Any) -> None:
    from twisted.internet import reactor

    discovery = discover()
    config = load(sections.everything(discovery), path, (), checks=sections.checks(discovery)).config
    assert config is not None
    foundation.FILE_THREADS = 1  # so that it is always the same one
    jobs.SHARED_FROM = len(CROWD)
    redolog.RedoLog = functools.partial(redolog.RedoLog, size=SEGMENT)  # type: ignore[assignment, misc]
    ground = foundation.lay(config, reactor, discovery)
    failures: list[str] = []

    async def work() -> None:
        try:
            scenario = Scenario(ground, told, order, config.data_dir)
            await ground.threads.run(int)  # so that the thread is there
            if order in ("warm", "crowd"):
                await warm_up(scenario, reactor, config.data_dir)
            if order in ("cold", "warm", "crowd"):
                told.ready(os.getpid(), sorted(map(int, os.listdir("/proc/self/task"))))
                lines.readline()
            await ORDERS[order](scenario)
        except Exception as error:
            failures.append(f"{order}: {error!r}")
        reactor.stop()  # type: ignore[attr-defined]

    reactor.callWhenRunning(lambda: tasks.start(work(), order))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    ground.close()
    told.say("failed" if failures else "ended", *failures)


ORDERS: dict[str, Callable[[Scenario], Any]] = {
    "prepare": prepare, "cold": play, "warm": play, "crowd": crowd, "again": again, "look": look,
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    serve(arguments[1])


if __name__ == "__main__":
    main(sys.argv)
