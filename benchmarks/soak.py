"""Whether the server stays as it is for a long time (R70): `make soak`, or `python -m benchmarks.soak --minutes 10`.

Many accounts, some hundred clients in IDLE, mail for everybody, visitors who fetch and remove mail, HUPs. What
it takes in memory and descriptors is noted all the time; at the end it must be within TOLERANCE of what it was after a
sixth of the time. Whoever is in IDLE must have heard of every letter. Exit 0 or 1. Needs Linux (/proc), nothing else.
"""

from __future__ import annotations

import argparse
import imaplib
import json
import os
import random
import selectors
import signal
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compare import wait_for
from benchmarks.serve import DOMAIN, PASSWORD, soldier

TOLERANCE = 0.05
IDLE_AGAIN = 29 * 60.0
TELL_EVERY = 60.0
SECONDS_IN_WINDOW = 1 / 12  # of the whole, over which the median is taken
LETTER = "From: eve@red.test\r\nTo: {to}\r\nSubject: letter {number}\r\n\r\n" + "Some text, so that it is a letter.\r\n" * 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--idle", type=int, default=500, help="clients in IDLE")
    parser.add_argument("--rate", type=float, default=100, help="letters a minute")
    parser.add_argument("--visits", type=float, default=60, help="visits a minute")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--warm", type=float, default=0, help="minutes of the same before the first of them")
    parser.add_argument("--hup", type=float, default=60, help="seconds between two HUPs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "server.json"
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.serve", "--json", str(told), "--accounts", str(options.accounts)])
        try:
            wait_for(told)
            soak = Soak(json.loads(told.read_text()), options)
            soak.prepare()
            soak.run()
            return soak.judge()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)


@dataclass
class Sample:
    """What the server takes at a moment; `at` in seconds since the beginning, memory in KiB."""

    at: float
    memory: int
    descriptors: int


@dataclass
class Idler:
    """A client in IDLE. `letters`: of how many messages it has heard."""

    account: str
    socket: socket.socket
    begun: float
    letters: int = 0
    rest: bytes = b""

    def hear(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit(f"the server has left {self.account}")
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        for line in lines:
            if line.endswith(b" EXISTS"):
                self.letters = int(line.split()[1])

    def say(self, line: bytes) -> None:
        self.socket.sendall(line + b"\r\n")


@dataclass
class Soak:
    """See the module note. `server` is what `benchmarks.serve` tells."""

    server: dict
    options: argparse.Namespace
    samples: list[Sample] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    idlers: list[Idler] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.options.seed)
        self.accounts = [f"{soldier(number)}@{DOMAIN}" for number in range(self.options.accounts)]
        self.selector = selectors.DefaultSelector()
        self.number = 0

    # ----- before

    def prepare(self) -> None:
        """Everybody gets a letter, so that all mailboxes exist; then the first ones wait for more and get one: their files are open."""
        self.send_to(self.accounts)
        for account in self.accounts[: self.options.idle]:
            self.idlers.append(self.idler(account))
        self.send_to([idler.account for idler in self.idlers])
        say(f"{len(self.accounts)} accounts, {len(self.idlers)} in IDLE, {self.options.rate:g} letters a minute")

    def idler(self, account: str) -> Idler:
        connection = socket.create_connection(("127.0.0.1", self.server["imap"]), timeout=30)
        lines = connection.makefile("rb")
        connection.sendall(b"a LOGIN %s %s\r\nb SELECT INBOX\r\nc IDLE\r\n" % (account.encode(), PASSWORD.encode()))
        letters = 0
        while not (line := lines.readline()).startswith(b"+ "):
            letters = int(line.split()[1]) if line.endswith(b" EXISTS\r\n") else letters
            if not line or line.startswith((b"a NO", b"b NO")):
                raise SystemExit(f"{account} cannot come in: {line!r}")
        made = Idler(account, connection, time.monotonic(), letters)
        self.selector.register(connection, selectors.EVENT_READ, made)
        return made

    # ----- meanwhile

    def run(self) -> None:
        now = time.monotonic()
        self.began = now + self.options.warm * 60
        end = self.began + self.options.minutes * 60
        jobs = [
            [60 / self.options.rate, self.letter],
            [60 / self.options.visits, self.visit],
            [self.options.hup, lambda: os.kill(self.server["pid"], signal.SIGHUP)],
            [TELL_EVERY, self.tell],
            [max(0.5, self.options.minutes / 10), self.sample],
            [10.0, self.idle_again],
        ]
        due = [now + every for every, _ in jobs]
        while (now := time.monotonic()) < end:
            for key, _ in self.selector.select(max(0.0, min(due) - now)):
                key.data.hear()
            for place, (every, job) in enumerate(jobs):
                if due[place] <= time.monotonic():
                    job()
                    due[place] += every

    def letter(self) -> None:
        self.send_to([self.chance.choice(self.accounts)])

    def send_to(self, accounts: Sequence[str]) -> None:
        with smtplib.SMTP("127.0.0.1", self.server["smtp"]) as smtp:
            for account in accounts:
                self.number += 1
                smtp.sendmail("eve@red.test", [account], LETTER.format(to=account, number=self.number))
                self.sent[account] = self.sent.get(account, 0) + 1

    def visit(self) -> None:
        """Somebody who is not in IDLE reads all his mail and removes it."""
        with imaplib.IMAP4("127.0.0.1", self.server["imap"]) as imap:
            imap.login(self.chance.choice(self.accounts[self.options.idle :]), PASSWORD)
            imap.select()
            imap.fetch("1:*", "(FLAGS ENVELOPE BODY.PEEK[])")
            imap.store("1:*", "+FLAGS", "\\Deleted")
            imap.expunge()

    def idle_again(self) -> None:
        for idler in self.idlers:
            if time.monotonic() - idler.begun > IDLE_AGAIN:
                idler.begun = time.monotonic()
                idler.say(b"DONE\r\nd IDLE")

    def sample(self) -> None:
        process = Path(f"/proc/{self.server['pid']}")
        (memory,) = (int(line.split()[1]) for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS:"))
        self.samples.append(Sample(time.monotonic() - self.began, memory, len(list((process / "fd").iterdir()))))

    def tell(self) -> None:
        last = self.samples[-1]
        say(f"minute {last.at / 60:.0f}: {last.memory / 1024:.1f} MiB, {last.descriptors} descriptors, {self.number} letters")

    # ----- afterwards

    def judge(self) -> int:
        seconds = self.options.minutes * 60
        before, after = self.around(seconds / 6), self.around(seconds)
        say(f"after a sixth: {before[0] / 1024:.1f} MiB, {before[1]:g} descriptors; at the end: {after[0] / 1024:.1f} MiB, {after[1]:g}")
        grown = [now / then - 1 for then, now in zip(before, after, strict=True)]
        deaf = self.deaf()
        for account in deaf[:5]:
            say(f"{account} was not told of every letter")
        say(f"memory {grown[0]:+.1%}, descriptors {grown[1]:+.1%}")
        return int(max(grown) > TOLERANCE or bool(deaf))

    def around(self, moment: float) -> tuple[float, float]:
        """Median memory and descriptors in the window that ends at *moment* seconds."""
        window = self.options.minutes * 60 * SECONDS_IN_WINDOW
        near = [sample for sample in self.samples if moment - window <= sample.at <= moment]
        return statistics.median(s.memory for s in near), statistics.median(s.descriptors for s in near)

    def deaf(self) -> list[str]:
        """The accounts in IDLE that have not heard of all their mail, two seconds after the last letter."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for key, _ in self.selector.select(0.1):
                key.data.hear()
        return [idler.account for idler in self.idlers if idler.letters != self.sent[idler.account]]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
