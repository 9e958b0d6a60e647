"""One message to a list of many users of this house: `python -m benchmarks.many_users [users] [octets] [folder]`.

Prints how long the delivery took, into mailboxes that are new and then once more, what the reactor thread had to do, and how
long nothing else had its turn there, at most; then the same for what else makes mailboxes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor

from twistmail import disk, tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.store.courier import MailboxCourier
from twistmail.store.mailstore import MailStore

PREFIX = b"Received: from away.test\r\n\tby blue.test; today\r\n"
LINE = b"a line of text that is long enough to look like one\r\n"


def kept_in(folder: Path) -> tuple[int, float]:
    """How many files there are, and how large (MiB) they are together. One with many names is one file."""
    kept = {(status.st_dev, status.st_ino): status.st_blocks for path in folder.glob("mail/*/*/new/*") if (status := path.stat())}
    return len(kept), sum(kept.values()) * 512 / 2**20


class Heart:
    """Beats each millisecond; `longest`: seconds between two beats."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = time.monotonic()
        self.longest = 0.0
        self._beat()

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now
        self._reactor.callLater(0.001, self._beat)

    def taken(self) -> float:
        """The longest time since this was asked before."""
        longest, self.longest = self.longest, 0.0
        return longest


async def timed(heart: Heart, what: str, doing: Awaitable[Any]) -> Any:
    heart.taken()
    began, own = time.monotonic(), time.thread_time()
    result = await doing
    took, own = time.monotonic() - began, time.thread_time() - own
    sys.stdout.write(f"{what:20} {took:8.3f} s, reactor thread {own:.2f} s, at most {heart.taken() * 1000:.0f} ms in one go\n")
    return result


async def run(reactor: Any, folder: Path, users: int, octets: int) -> None:
    committer, threads = disk.Committer(reactor), tasks.Threads(reactor, "bench", 4)
    store = MailStore(folder, reactor, committer, threads)
    content = Memory(b"From: ann@away.test\r\nSubject: bench\r\n\r\n" + LINE * (octets // len(LINE)))
    everybody, sender = Address("all", "blue.test"), Address("ann", "away.test")
    names = [Address(f"user{number}", "blue.test") for number in range(users)]
    targets = tuple(Target(Kind.MAILBOX, name, everybody, str(name)) for name in names)
    heart = Heart(reactor)
    for time_of_day in ("first", "again", "and again"):
        item = Item(time_of_day, sender, tuple(map(Errand, targets)), time.time(), content.size, PREFIX)
        outcomes = await timed(heart, time_of_day, MailboxCourier(store).carry(item, targets, content))
        wrong = [outcome for outcome in outcomes if not outcome.status.is_positive]
        assert not wrong, wrong[0]
        files, size = await threads.run(kept_in, folder)
        sys.stdout.write(f"{'':20} {files} files in {size:.1f} MiB\n")
    boxes = await timed(heart, "who has mail logs in", store.mailboxes(targets[0].account))
    await timed(heart, "and looks at all", boxes.statuses([folder.name for folder in await boxes.folders()]))
    await timed(heart, "CREATE", boxes.create("Work"))
    await timed(heart, "who is new logs in", store.mailboxes("new@blue.test"))
    store.close()
    committer.stop()
    threads.stop()


def main() -> None:
    words = [*sys.argv[1:], "", "", ""]
    reactor: Any = the_reactor
    with tempfile.TemporaryDirectory(dir=words[2] or None) as folder:

        def begin() -> None:
            tasks.start(run(reactor, Path(folder), int(words[0] or 1000), int(words[1] or 10_000)), "bench").addCallback(
                lambda _: reactor.stop()
            )

        reactor.callWhenRunning(begin)
        reactor.run()


if __name__ == "__main__":
    main()
