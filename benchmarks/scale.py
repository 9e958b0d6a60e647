"""IMAP as mailboxes and clients become many: `python -m benchmarks.scale [3 4 5 6] [--idle N] [--folder DIR]`.

For 10^n messages (a thousand different ones, each under many names): how long everyday commands take over the real protocol, and
the longest that another client, in another mailbox, waited for the answer to NOOP meanwhile, which is how long the reactor was
held. --idle: so many TLS sessions in IDLE; what each costs, when they hear of mail, and what others notice of them.

The server runs in a process of its own (`benchmarks.serve`), and so does the one who waits. All is removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.compare import PATIENCE, wait_for
from benchmarks.crowd import memory, trusting
from benchmarks.serve import DOMAIN, PASSWORD, soldier

#: Seconds that one command may take: the first search of a mailbox reads all of it.
LONGEST = 900.0
DIFFERENT = 1000
COMMANDS = (
    "SELECT INBOX", "SELECT INBOX", "NOOP", "FETCH 1:* FLAGS", "UID FETCH 1:* FLAGS", "SEARCH UNSEEN", "SEARCH SUBJECT 77",
    "SEARCH SUBJECT 77", "SORT (REVERSE DATE) UTF-8 ALL", "SORT (REVERSE DATE) UTF-8 ALL", "SORT (SUBJECT DATE) UTF-8 ALL",
    "SORT (DATE) UTF-8 UNSEEN", "THREAD REFERENCES UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 1:100",
    "STORE 1 +FLAGS (\\Flagged)", "STORE 1:* +FLAGS.SILENT (\\Flagged)", "STORE 1:* -FLAGS (\\Flagged)",
    "STORE 5 +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "NOOP",
)  # fmt: skip


def message(number: int) -> bytes:
    thread = number - number % 7
    answers = f"In-Reply-To: <{thread}@scale.test>\n" if number % 7 else ""
    return (
        f"From: Ann {number % 50} <ann{number % 50}@away.test>\nTo: alice@bench.test\nSubject: {'Re: ' * bool(number % 7)}letter {thread}\n"
        f"Message-ID: <{number}@scale.test>\n{answers}Date: {1 + number % 28} Nov 2026 {number % 24:02}:{number % 60:02}:00 +0000\n\n"
    ).encode() + b"a line of text\n" * (number % 40)


def fill(maildir: Path, count: int) -> None:
    """A maildir as another program would have left it, every other message read."""
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True)
    cur = os.fsencode(maildir) + b"/cur/"
    sources = [message(number) for number in range(min(count, DIFFERENT))]
    names: list[bytes] = []
    with (maildir / "dovecot-uidlist").open("wb") as listed:
        listed.write(b"3 V1700000000 N%d G%032x\n" % (count + 1, 7))
        for number in range(count):
            octets = sources[number % DIFFERENT]
            base = b"%d.M%06dP42Q%d.mx,S=%d,W=%d" % (1_700_000_000 + number, number % 1_000_000, number, len(octets),
                                                      len(octets) + octets.count(b"\n"))  # fmt: skip
            name = cur + base + (b":2,S" if number % 2 else b":2,")
            if number < DIFFERENT:
                Path(os.fsdecode(name)).write_bytes(octets)
                names.append(name)
            else:
                os.link(names[number % DIFFERENT], name)
            listed.write(b"%d :%s\n" % (number + 1, base))


class Client:
    """One IMAP connection."""

    def __init__(self, port: int, user: str, tls: Any = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=LONGEST)
        self.socket = tls.wrap_socket(plain) if tls else plain
        self.socket.recv(4096)
        self.ask(f"LOGIN {user}@{DOMAIN} {PASSWORD}")

    def ask(self, command: str) -> int:
        """The octets of the answer."""
        self.socket.sendall(b"t " + command.encode() + b"\r\n")
        size, end = 0, b"\n"
        while not (end.endswith(b"\r\n") and b"\nt " in end):
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise ConnectionError(f"closed in the midst of {command}")
            size += len(piece)
            end = (end + piece)[-4000:]
        if b"\nt OK" not in end:
            raise ConnectionError(end.decode("latin-1"))
        return size

    def idle(self) -> None:
        self.socket.sendall(b"t IDLE\r\n")
        self.socket.recv(4096)


class Waiting:
    """A process with a client that says NOOP again and again. `longest` and `all_waits` since the last `forget`, in seconds."""

    def __init__(self, port: int) -> None:
        self._here, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_wait, args=(port, there), daemon=True)
        self._process.start()
        self._here.recv()

    def waits(self) -> list[float]:
        """Those since the last time."""
        self._here.send(True)
        found: list[float] = self._here.recv()
        return found

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


def _wait(port: int, pipe: Any) -> None:
    client = Client(port, "bob")
    pipe.send(True)
    waits: list[float] = []
    while True:
        start = time.perf_counter()
        client.ask("NOOP")
        waits.append(time.perf_counter() - start)
        if pipe.poll():
            pipe.recv()
            pipe.send(waits)
            waits = []
        time.sleep(0.001)


@contextlib.contextmanager
def server(folder: Path | None, accounts: int = 0) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "told.json"
        command = [sys.executable, "-m", "benchmarks.serve", "--json", str(told), "--accounts", str(accounts)]
        process = subprocess.Popen(command + (["--folder", str(folder)] if folder else []), stderr=subprocess.DEVNULL)
        try:
            wait_for(told)
            yield json.loads(told.read_text())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10 * PATIENCE)  # a million files have to be removed


def commands(folder: Path | None, count: int) -> None:
    with server(folder) as told:
        fill(Path(told["maildir"].format(user="alice")), count)
        client, other = Client(told["imap"], "alice"), Waiting(told["imap"])
        try:
            for command in COMMANDS:
                time.sleep(0.2)  # what an earlier command has left to do in the background is not this one's
                other.waits()
                start = time.perf_counter()
                size = client.ask(command)
                took = time.perf_counter() - start
                held = max(other.waits())
                say(f"{count:8}  {took * 1000:9.1f} ms  held {held * 1000:6.1f} ms  {size / 1024:8.0f} KiB  {command}")
            say(f"{count:8}  {memory(told['pid']):.0f} MiB")
        finally:
            other.stop()


def idlers(folder: Path | None, count: int, accounts: int = 100) -> None:
    """*count* sessions that idle, the same number on each account."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))  # the server has as many
    with server(folder, accounts) as told:
        before, tls = memory(told["pid"]), trusting()
        other, start, clients = Waiting(told["imap"]), time.perf_counter(), []
        try:
            for number in range(count):
                clients.append(client := Client(told["imaps"], soldier(number % accounts), tls))
                client.ask("SELECT INBOX")
                client.idle()
            took = time.perf_counter() - start
            each = (memory(told["pid"]) - before) * 1024 / count
            say(f"{count} TLS sessions in {took:.0f} s, {each:.1f} KiB each")
            other.waits()
            say("until EXISTS, ms: " + told_of([heard(told["smtp"], clients[number::accounts], number) for number in range(20)]))
            time.sleep(2)
            say("NOOP of another meanwhile, ms: " + told_of(other.waits()))
        finally:
            other.stop()


def heard(port: int, clients: list[Client], number: int) -> float:
    """Seconds from the end of an SMTP transaction until all *clients*, of one account, were told."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as smtp:
        for line in ("EHLO a", "MAIL FROM:<a@away.test>", f"RCPT TO:<{soldier(number)}@{DOMAIN}>", "DATA"):
            smtp.recv(4096)
            smtp.sendall(line.encode() + b"\r\n")
        smtp.recv(4096)
        smtp.sendall(b"Subject: wake\r\n\r\nup\r\n.\r\n")
        smtp.recv(4096)
        start = time.perf_counter()
        for client in clients:
            assert b"EXISTS" in client.socket.recv(4096)
        return time.perf_counter() - start


def told_of(seconds: list[float]) -> str:
    ordered = sorted(value * 1000 for value in seconds)
    return f"median {statistics.median(ordered):.1f}, p99 {ordered[int(len(ordered) * 0.99)]:.1f}, longest {ordered[-1]:.1f}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exponents", nargs="*", type=int)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the mail is kept (default: the system's temporary folder)")
    asked = parser.parse_args()
    for exponent in asked.exponents or ([] if asked.idle else [3, 4, 5, 6]):
        commands(asked.folder, 10**exponent)
    if asked.idle:
        idlers(asked.folder, asked.idle)


if __name__ == "__main__":
    main()
