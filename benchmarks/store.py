"""Deliveries into one mailbox per second, through a real committer: `python benchmarks/store.py [messages] [at a time] [folder]`.

Prints the rate, the reactor thread's share, and what STATUS asks every 20 ms meanwhile.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor

from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store.mailstore import MailStore

PREFIX = b"Return-Path: <ann@away.test>\r\nDelivered-To: alice@blue.test\r\nReceived: from away.test\r\n\tby blue.test; today\r\n"
CONTENT = Memory(b"From: ann@away.test\r\nSubject: bench\r\n\r\n" + b"a line of text that is long enough to look like one\r\n" * 76)


async def run(reactor: Any, folder: Path, messages: int, at_a_time: int) -> None:
    committer, threads = disk.Committer(reactor), tasks.Threads(reactor, "bench", 4)
    store = MailStore(folder, reactor, committer, threads)
    mailboxes = await store.mailboxes("alice@blue.test")
    left = messages
    polls = 0

    async def deliver_some() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            errors = await store.deliver([Delivery("alice@blue.test", PREFIX, CONTENT)])
            assert errors == [None], errors

    async def poll() -> None:
        nonlocal polls
        while left > 0:
            await mailboxes.status("INBOX")
            polls += 1
            await tasks.sleep(reactor, 0.02)

    began, own = time.monotonic(), time.thread_time()
    await tasks.gather(poll(), *(deliver_some() for _ in range(at_a_time)))
    took, own = time.monotonic() - began, time.thread_time() - own
    status = await mailboxes.status("INBOX")
    assert status.messages == messages, status
    sys.stdout.write(f"{messages / took:.0f} messages/s, {own / messages * 1e6:.0f} us of the reactor thread each, {polls} polls\n")
    store.close()
    committer.stop()
    threads.stop()


def main() -> None:
    words = [*sys.argv[1:], "", "", ""]
    reactor: Any = the_reactor
    with tempfile.TemporaryDirectory(dir=words[2] or None) as folder:

        def begin() -> None:
            tasks.start(run(reactor, Path(folder), int(words[0] or 5000), int(words[1] or 20)), "bench").addCallback(
                lambda _: reactor.stop()
            )

        reactor.callWhenRunning(begin)
        reactor.run()


if __name__ == "__main__":
    main()
