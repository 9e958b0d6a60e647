"""R68: a message of 100 MB passes through a small server without anybody noticing."""

from __future__ import annotations

import binascii
import contextlib
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
from tests.interop.house import CONFIG, House, Person, eventually, folder, running

MIB = 1024 * 1024
ALLOWED = 32 * MIB
HEADER = b'From: eve@red.test\r\nTo: alice@blue.test\r\nSubject: the film\r\nContent-Type: multipart/mixed; boundary="cut"\r\n\r\n'
NOTE = b"--cut\r\n\r\nHere it is.\r\n--cut\r\nContent-Type: text/plain; name=film\r\n\r\n"
BEGIN = b"begin 644 film\r\n"
BLOCK = b"".join(binascii.b2a_uu(bytes((7 * n + k) % 256 for k in range(45))).replace(b"\n", b"\r\n") for n in range(MIB // 63))
BLOCKS = 100 * MIB // len(BLOCK) + 1
END = b"`\r\nend of the film\r\n"
CLOSE = b"\r\n--cut--\r\n"
FILM = len(BEGIN) + BLOCKS * len(BLOCK) + len(END)
SIZE = len(HEADER) + len(NOTE) + FILM + len(CLOSE)
POLLERS = 49
PEOPLE = [Person(f"poller{number}") for number in range(7)]
ALICE, BOB = Person("alice"), Person("bob")


def film():
    yield BEGIN
    for _ in range(BLOCKS):
        yield BLOCK
    yield END


def pieces():
    yield HEADER + NOTE
    yield from film()
    yield CLOSE


def digest_of(chunks):
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def digest_of_lines(lines):
    """The same of a message that ends with a dot, behind its trace fields, which are the server's."""
    digest, began = hashlib.sha256(), False
    while (line := lines.readline()) != b".\r\n":
        assert line, "the connection has ended within a message"
        began = began or line == HEADER[: len(line)]
        if began:
            digest.update(line[1:] if line.startswith(b"..") else line)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def sink():
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def house(sink):
    hashed = hash_of_password()
    accounts = "\n".join(f"[user:{person.address}]\npassword = {hashed}" for person in (ALICE, BOB, *PEOPLE))
    away = f"[route:green.test]\nvia = [127.0.0.1]:{sink.port}\n[aliases]\nsource = config\n[alias:away@blue.test]\nto = carol@green.test\n"
    more = f"{away}[users]\nsource = config\n{accounts}"
    configuration = CONFIG.format(domain="blue.test", tls="offered", mx=0, more_mx="", more=more)
    configuration = configuration.replace("64M", "128M").replace("[imap]\n", "[imap]\nmax_connections_per_ip = 100\n")
    with folder(where=Path("/var/tmp")) as place, running(House(place, configuration)) as house:
        yield house


class Sink:
    """An SMTP server that takes one message and digests it behind the trace fields."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.port = self._listener.getsockname()[1]
        self.digest = ""
        self._thread = threading.Thread(target=self._serve)

    def _serve(self):
        with self._listener, self._listener.accept()[0] as peer, peer.makefile("rb") as lines:
            peer.settimeout(60)
            peer.sendall(b"220 sink.test\r\n")
            while line := lines.readline():
                if line.upper().startswith(b"DATA"):
                    peer.sendall(b"354 go on\r\n")
                    self.digest = digest_of_lines(lines)
                peer.sendall(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()


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
        with contextlib.suppress(PermissionError):  # who is not root sees the peak since the start
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
    """The digest of the first message."""
    pop = poplib.POP3("127.0.0.1", house.port("pop3"), timeout=60)
    pop.user(person.address)
    pop.pass_(person.password)
    pop._putcmd("RETR 1")
    assert pop._getline()[0].startswith(b"+OK")
    digest = digest_of_lines(pop.file)
    pop.close()
    return digest


def comes_in(house, _):
    sent_by_smtp(house, ALICE)
    assert over_pop3(house, ALICE) == digest_of(pieces())


def goes_away(house, sink):
    sent_by_smtp(house, Person("away"))
    eventually(lambda: sink.digest, "the message at the next server", 30)
    assert sink.digest == digest_of(pieces())


def whole_and_in_pieces(house, _):
    imap = Imap(house, BOB)
    imap.append("Archive")
    imap.ask("SELECT Archive")
    whole, in_pieces, in_parts = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    imap.ask("FETCH 1 (BODY.PEEK[])", whole)
    for start in range(0, SIZE, MIB):
        imap.ask(f"FETCH 1 (BODY.PEEK[]<{start}.{MIB}>)", in_pieces)
    assert (whole.hexdigest(), in_pieces.hexdigest()) == (digest_of(pieces()), digest_of(pieces()))
    for start in range(0, FILM, MIB):
        imap.ask(f"FETCH 1 (BODY.PEEK[2]<{start}.{MIB}>)", in_parts)
    assert in_parts.hexdigest() == digest_of(film())
    imap.close()


def described(house, _):
    imap = Imap(house, BOB)
    imap.ask("SELECT Archive")
    (told,) = imap.ask("FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    lines = sum(piece.count(b"\n") for piece in film())
    assert f"RFC822.SIZE {SIZE}".encode() in told
    assert f'"7bit" {FILM} {lines} '.encode() in told
    header, part = hashlib.sha256(), hashlib.sha256()
    imap.ask("FETCH 1 (BODY.PEEK[HEADER])", header)
    imap.ask("FETCH 1 (BODY.PEEK[2])", part)
    assert (header.hexdigest(), part.hexdigest()) == (digest_of([HEADER]), digest_of(film()))
    imap.close()


def searched(house, _):
    imap = Imap(house, BOB)
    imap.ask("SELECT Archive")
    assert imap.ask('SEARCH TEXT "end of the film"')[0].split() == [b"*", b"SEARCH", b"1"]
    assert imap.ask('SEARCH BODY "end of all films"')[0].split() == [b"*", b"SEARCH"]
    imap.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is counted by Linux only")
def test_a_hundred_megabytes_come_in_and_go_out(house, sink):
    with Pollers(house) as pollers:
        time.sleep(0.5)
        memory = Memory(house.process.pid)
        for step in (comes_in, goes_away, whole_and_in_pieces, described, searched):
            step(house, sink)
            print(f"{step.__name__}: {memory.risen / MIB:.1f} MiB, {pollers.slowest:.2f} s")  # noqa: T201 - for whoever looks into a failure
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
