"""R68: a message of 100 MB passes through a small server without anybody noticing."""

from __future__ import annotations

import binascii
import hashlib
import imaplib
import os
import poplib
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.interop.conftest import hash_of_password
from tests.interop.house import CONFIG, House, Person, folder, running

MIB = 1024 * 1024
ALLOWED = 32 * MIB
HEADER = b"From: eve@red.test\r\nTo: alice@blue.test\r\nSubject: the film\r\nContent-Type: text/plain\r\n\r\nbegin 644 film\r\n"
BLOCK = b"".join(binascii.b2a_uu(bytes((7 * n + k) % 256 for k in range(45))).replace(b"\n", b"\r\n") for n in range(MIB // 63))
BLOCKS = 100 * MIB // len(BLOCK) + 1
END = b"`\r\nend\r\n"
SIZE = len(HEADER) + BLOCKS * len(BLOCK) + len(END)
POLLERS = 49
PEOPLE = [Person(f"poller{number}") for number in range(7)]
ALICE, BOB = Person("alice"), Person("bob")


def pieces():
    yield HEADER
    for _ in range(BLOCKS):
        yield BLOCK
    yield END


def digest_of(chunks):
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def house():
    hashed = hash_of_password()
    accounts = "\n".join(f"[user:{person.address}]\npassword = {hashed}" for person in (ALICE, BOB, *PEOPLE))
    configuration = CONFIG.format(domain="blue.test", tls="offered", mx=0, more_mx="", more=f"[users]\nsource = config\n{accounts}")
    configuration = configuration.replace("64M", "128M").replace("[imap]\n", "[imap]\nmax_connections_per_ip = 100\n")
    with folder(where=Path("/var/tmp")) as place, running(House(place, configuration)) as house:
        yield house


class Pollers:
    """49 sessions that ask for news again and again; `slowest` is the longest that one of them has waited, in seconds."""

    def __init__(self, house):
        self.slowest = 0.0
        self._sessions = [self._session(house, PEOPLE[number % len(PEOPLE)]) for number in range(POLLERS)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def _session(self, house, person):
        imap = imaplib.IMAP4("127.0.0.1", house.port("imap"))
        imap.login(person.address, person.password)
        imap.select()
        return imap

    def _poll(self):
        while not self._stopping.is_set():
            for imap in self._sessions:
                start = time.monotonic()
                imap.noop()
                self.slowest = max(self.slowest, time.monotonic() - start)
            self._stopping.wait(0.05)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        for imap in self._sessions:
            imap.shutdown()


class Memory:
    """What the server takes beyond what it took at the beginning: the highest since then (VmHWM), in octets."""

    def __init__(self, pid):
        self._status = Path(f"/proc/{pid}/status")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): the peak is counted anew
        self._before = self._peak()

    def _peak(self):
        return int(re.search(r"VmHWM:\s+(\d+) kB", self._status.read_text())[1]) * 1024

    @property
    def risen(self):
        return self._peak() - self._before


def sent_by_smtp(house, person):
    with socket.create_connection(("127.0.0.1", house.port("mx")), timeout=60) as peer:
        answers = peer.makefile("rb")

        def said(code, line):
            peer.sendall(line)
            while (answer := answers.readline())[3:4] == b"-":
                pass
            assert answer.startswith(code), answer

        said(b"220", b"")
        said(b"250", b"EHLO lab.test\r\n")
        said(b"250", f"MAIL FROM:<eve@red.test> SIZE={SIZE}\r\n".encode())
        said(b"250", f"RCPT TO:<{person.address}>\r\n".encode())
        said(b"354", b"DATA\r\n")
        for piece in pieces():
            peer.sendall(piece)
        said(b"250", b".\r\n")


class Imap:
    """A session whose literals are digested, not kept."""

    def __init__(self, house, person):
        self.socket = socket.create_connection(("127.0.0.1", house.port("imap")), timeout=60)
        self.answers = self.socket.makefile("rb", buffering=MIB)
        self.answers.readline()
        self.ask(f"LOGIN {person.address} {person.password}")

    def ask(self, command, digest=None):
        """Every line of the answer; the octets of literals go into *digest*."""
        self.socket.sendall(b"a " + command.encode() + b"\r\n")
        lines = []
        while not (line := self.answers.readline()).startswith(b"a "):
            lines.append(line)
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                left = int(literal[1])
                while left:
                    piece = self.answers.read(min(left, MIB))
                    assert piece, "the connection has ended within a literal"
                    left -= len(piece)
                    if digest is not None:
                        digest.update(piece)
        assert line.startswith(b"a OK"), line
        return lines

    def append(self, mailbox):
        self.socket.sendall(f"a APPEND {mailbox} {{{SIZE}}}\r\n".encode())
        assert self.answers.readline().startswith(b"+")
        for piece in pieces():
            self.socket.sendall(piece)
        self.socket.sendall(b"\r\n")
        assert self.answers.readline().startswith(b"a OK")

    def close(self):
        self.answers.close()
        self.socket.close()


def over_pop3(house, person):
    """The digest of the first message behind its trace fields, which are ours."""
    pop = poplib.POP3("127.0.0.1", house.port("pop3"), timeout=60)
    pop.user(person.address)
    pop.pass_(person.password)
    pop._putcmd("RETR 1")
    assert pop._getline()[0].startswith(b"+OK")
    digest, began = hashlib.sha256(), False
    while (line := pop.file.readline()) != b".\r\n":
        began = began or line == HEADER[: len(line)]
        if began:
            digest.update(line[1:] if line.startswith(b"..") else line)
    pop.close()
    return digest.hexdigest()


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is counted by Linux only")
def test_a_hundred_megabytes_come_in_and_go_out(house):
    expected = digest_of(pieces())
    with Pollers(house) as pollers:
        time.sleep(0.5)
        memory = Memory(house.process.pid)
        sent_by_smtp(house, ALICE)
        assert over_pop3(house, ALICE) == expected
        imap = Imap(house, BOB)
        imap.append("Archive")
        imap.ask("SELECT Archive")
        whole, in_pieces = hashlib.sha256(), hashlib.sha256()
        imap.ask("FETCH 1 (BODY.PEEK[])", whole)
        for start in range(0, SIZE, 4 * MIB):
            imap.ask(f"FETCH 1 (BODY.PEEK[]<{start}.{4 * MIB}>)", in_pieces)
        assert (whole.hexdigest(), in_pieces.hexdigest()) == (expected, expected)
        (described,) = imap.ask("FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        body = SIZE - HEADER.index(b"\r\n\r\n") - 4
        assert f"RFC822.SIZE {SIZE}".encode() in described
        assert f'"7bit" {body} '.encode() in described
        text = hashlib.sha256()
        imap.ask("FETCH 1 (BODY.PEEK[1])", text)
        assert text.hexdigest() == digest_of([HEADER.partition(b"\r\n\r\n")[2], *[BLOCK] * BLOCKS, END])
        imap.close()
        risen = memory.risen
    assert risen <= ALLOWED, f"{risen / MIB:.0f} MiB"
    assert pollers.slowest < 1.0


def test_what_is_larger_than_allowed_is_refused_before_and_after_it_came(house):
    with socket.create_connection(("127.0.0.1", house.port("mx")), timeout=60) as peer:
        answers = peer.makefile("rb")

        def asked(line):
            peer.sendall(line)
            while (answer := answers.readline())[3:4] == b"-":
                pass
            return answer

        asked(b"")
        asked(b"EHLO lab.test\r\n")
        assert asked(b"MAIL FROM:<eve@red.test> SIZE=999999999\r\n").startswith(b"552 5.3.4")
        asked(b"MAIL FROM:<eve@red.test>\r\n")
        asked(b"RCPT TO:<alice@blue.test>\r\n")
        asked(b"DATA\r\n")
        for _ in range(130 * MIB // len(BLOCK)):
            peer.sendall(BLOCK)
        assert asked(b".\r\n").startswith(b"552 5.3.4")
        assert asked(b"NOOP\r\n").startswith(b"250")
