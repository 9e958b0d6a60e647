"""How a mailbox behaves as it grows: `python -m benchmarks.million [exponents, such as 3 4 5 6] [--folder DIR]`.

For 10^n messages, hard links of one file, which costs what a mailbox costs without filling the disk: how long it takes to be
opened after a restart and when it is open, what it holds in memory, and how fast messages are delivered into it. Each size has
a process of its own, because memory that was used once tells nothing later.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, FlagChange
from twistmail.store.mailstore import MailStore

WHO = "alice@blue.test"
MESSAGE = b"From: ann@away.test\nSubject: one of many\nDate: Sat, 21 Nov 2026 03:20:00 +0000\n\n" + b"a line of text\n" * 20
DELIVERIES = 200


def filled(root: Path, count: int) -> None:
    """A maildir of *count* messages, read, as another program would have left it, with its list."""
    maildir = root / "mail/blue.test/alice"
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True)
    first = maildir / "cur/source"
    first.write_bytes(MESSAGE)
    size = len(MESSAGE) + MESSAGE.count(b"\n")
    with (maildir / "dovecot-uidlist").open("wb") as listed:
        listed.write(b"3 V1700000000 N%d G%032x\n" % (count + 1, 7))
        for number in range(count):
            if number % 60_000 == 59_999:  # a file has at most 65,000 names
                first.unlink()
                first.write_bytes(MESSAGE)
            unique = b"%d.M%06dP42Q%dRfeedfacecafebeef.mx.blue.test" % (1_700_000_000 + number, number % 1_000_000, number)
            base = unique + b",S=%d,W=%d" % (len(MESSAGE), size)
            os.link(first, os.fsencode(maildir) + b"/cur/" + base + b":2,S")
            listed.write(b"%d :%s\n" % (number + 1, base))
    first.unlink()
    os.sync()


def resident() -> int:
    """Octets of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measured(root: Path) -> dict[str, float]:
    threads = tasks.Threads(reactor, "bench", 4)
    committer = disk.Committer(reactor)
    store = MailStore(root, reactor, committer, threads)
    figures: dict[str, float] = {}
    try:
        before = resident()
        figures["cold open s"] = await timed(store)
        figures["warm open s"] = await timed(store)
        mailbox = await (await store.mailboxes(WHO)).open("INBOX")
        figures["MiB"] = (resident() - before) / 2**20
        delivery = Delivery(WHO, b"", Memory(MESSAGE.replace(b"\n", b"\r\n")))
        start = time.perf_counter()
        for _ in range(DELIVERIES):
            await store.deliver([delivery])
        figures["deliveries/s"] = DELIVERIES / (time.perf_counter() - start)
        start = time.perf_counter()
        await mailbox.store([mailbox.uids[len(mailbox.uids) // 2]], FlagChange.ADD, ["\\Flagged"])
        figures["one flag ms"] = (time.perf_counter() - start) * 1000
        start = time.perf_counter()
        await mailbox.expunge([mailbox.uids[len(mailbox.uids) // 2]])
        figures["one expunge ms"] = (time.perf_counter() - start) * 1000
    finally:
        store.close()
        committer.stop()
        threads.stop()
    return figures


async def timed(store: MailStore) -> float:
    start = time.perf_counter()
    mailbox = await (await store.mailboxes(WHO)).open("INBOX")
    took = time.perf_counter() - start
    mailbox.close()
    return took


def run(root: Path) -> None:
    def told(result: object) -> None:
        sys.stdout.write((json.dumps(result) if isinstance(result, dict) else repr(result)) + "\n")
        reactor.stop()  # type: ignore[attr-defined]

    def begin() -> None:
        done: Deferred[dict[str, float]] = Deferred.fromCoroutine(measured(root))
        done.addBoth(told)

    reactor.callWhenRunning(begin)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exponents", nargs="*", type=int, default=[3, 4, 5, 6])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        run(asked.only)
        return
    for exponent in asked.exponents:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            filled(Path(folder), 10**exponent)
            figures = {}
            for turn in ("built", "again"):  # first the index is built, then it is read
                command = [sys.executable, "-m", "benchmarks.million", "--only", folder]
                figures[turn] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        told = "  ".join(f"{name} {value:.4g}" for name, value in figures["again"].items())
        sys.stdout.write(f"10^{exponent}: index built in {figures['built']['cold open s']:.3g} s; then {told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
