"""No password is found in anything that the server has written, said to an operator, or shows of its process.

Every dialogue below is a way in which people and programs say passwords: right, wrong, at the wrong time, misspelled, cut
short. Each uses passwords of its own; afterwards everything is searched for all of them, as they were said and as base64.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import secrets
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.interop.house import House, Person, as_ordinary_user, eventually, folder, running

ALICE = Person("alice", password=f"right-{secrets.token_hex(8)}")
PATIENCE = 30.0  # seconds; answers to failures are late

#: name: (service, lines). {who} has no account, {whob} is his name in base64; {s} is a secret, {p} what PLAIN says of one, {b} one
#: in base64, {n} its length; alice has {right}.
DIALOGUES = {
    "pop3-right": ("pop3", ["USER alice", "PASS {right}", "STAT", "QUIT"]),
    "pop3-wrong": ("pop3", ["USER {who}", "PASS {s}"]),
    "pop3-small-letters": ("pop3", ["user alice", "pAsS {s}"]),
    "pop3-words": ("pop3", ["USER {who}", "PASS {s} {s} {s}"]),
    "pop3-nobody": ("pop3", ["USER nobody", "PASS {s}"]),
    "pop3-too-early": ("pop3", ["PASS {s}"]),
    "pop3-too-late": ("pop3", ["USER alice", "PASS {right}", "PASS {s}", "QUIT"]),
    "pop3-long": ("pop3", ["USER {who}", "PASS {s}" + "x" * 2000]),
    "pop3-nul": ("pop3", ["USER {who}", "PASS {s}\0{s}"]),
    "pop3-eight-bit": ("pop3", ["USER {who}", "PASS {s}\xe4"]),
    "pop3-apop": ("pop3", ["APOP {who} {s}"]),
    "pop3-plain": ("pop3", ["AUTH PLAIN {p}"]),
    "pop3-plain-in-two": ("pop3", ["AUTH PLAIN", "{p}"]),
    "pop3-login": ("pop3", ["AUTH LOGIN", "{whob}", "{b}"]),
    "pop3-no-base64": ("pop3", ["AUTH PLAIN {p}!"]),
    "pop3-not-even-encoded": ("pop3", ["AUTH PLAIN", "{who} {s}"]),
    "pop3-no-such-mechanism": ("pop3", ["AUTH CRAM-PLAIN {p}"]),
    "pop3-nothing-but": ("pop3", ["USER alice", "{s}", "{p}"]),
    "pop3-two-blanks": ("pop3", ["USER alice", " PASS {s}", "PASS  {s}"]),
    "pop3-misspelled": ("pop3", ["USER {who}", "PAS {s}", "PASSWORD {s}"]),
    "imap-right": ("imap", ["a LOGIN alice {right}", "b SELECT INBOX", "c LOGOUT"]),
    "imap-wrong": ("imap", ["a LOGIN {who} {s}"]),
    "imap-quoted": ("imap", ['a login "{who}" "{s}"']),
    "imap-literal": ("imap", ["a LOGIN {who} {{{n}}}", "{s}"]),
    "imap-literal-at-once": ("imap", ["a LOGIN {{4+}}\r\n{who} {{{n}+}}\r\n{s}"]),
    "imap-too-many-words": ("imap", ["a LOGIN {who} {s} {s}"]),
    "imap-cut-short": ("imap", ['a LOGIN {who} "{s}']),
    "imap-no-tag": ("imap", ["LOGIN {who} {s}"]),
    "imap-too-late": ("imap", ["a LOGIN alice {right}", "b LOGIN alice {s}"]),
    "imap-plain": ("imap", ["a AUTHENTICATE PLAIN {p}"]),
    "imap-plain-in-two": ("imap", ["a AUTHENTICATE PLAIN", "{p}"]),
    "imap-login": ("imap", ["a AUTHENTICATE LOGIN", "{whob}", "{b}"]),
    "imap-no-base64": ("imap", ["a AUTHENTICATE PLAIN", "{p}!"]),
    "imap-not-even-encoded": ("imap", ["a AUTHENTICATE PLAIN", "{who} {s}"]),
    "imap-two-blanks": ("imap", ["a  LOGIN {who} {s}", " a LOGIN {who} {s}"]),
    "imap-nothing-but": ("imap", ["{s}", "a {s}", "{p}"]),
    "imap-misspelled": ("imap", ["a LOGON {who} {s}", "b AUTH PLAIN {p}"]),
    "smtp-right": ("submission", ["EHLO me.test", "AUTH PLAIN {rightp}", "MAIL FROM:<alice@blue.test>", "QUIT"]),
    "smtp-plain": ("submission", ["EHLO me.test", "AUTH PLAIN {p}"]),
    "smtp-small-letters": ("submission", ["EHLO me.test", "auth plain {p}"]),
    "smtp-plain-in-two": ("submission", ["EHLO me.test", "AUTH PLAIN", "{p}"]),
    "smtp-login": ("submission", ["EHLO me.test", "AUTH LOGIN", "{whob}", "{b}"]),
    "smtp-login-at-once": ("submission", ["EHLO me.test", "AUTH LOGIN {whob}", "{b}"]),
    "smtp-no-base64": ("submission", ["EHLO me.test", "AUTH PLAIN {p}!"]),
    "smtp-not-even-encoded": ("submission", ["EHLO me.test", "AUTH PLAIN", "{who} {s}"]),
    "smtp-no-such-mechanism": ("submission", ["EHLO me.test", "AUTH SECRET {p}"]),
    "smtp-before-hello": ("submission", ["AUTH PLAIN {p}"]),
    "smtp-twice": ("submission", ["EHLO me.test", "AUTH PLAIN {rightp}", "AUTH PLAIN {p}"]),
    "smtp-where-nobody-logs-in": ("mx", ["EHLO me.test", "AUTH PLAIN {p}", "AUTH LOGIN", "{b}"]),
    "smtp-eight-bit": ("submission", ["EHLO me.test", "AUTH PLAIN {p}\xe4"]),
    "smtp-a-tab": ("submission", ["EHLO me.test", "AUTH\tPLAIN {p}", " AUTH PLAIN {p}"]),
    "smtp-a-bare-cr": ("submission", ["EHLO me.test", "AUTH PLAIN {p}\r{p}"]),
    "smtp-misspelled": ("submission", ["EHLO me.test", "AUHT PLAIN {p}", "PLAIN {p}"]),
}


def plain(secret: str, who: str = "alice") -> str:
    return coded(f"\0{who}\0{secret}")


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Words(dict[str, str]):
    """What stands for the names in a dialogue; the secrets that were said are kept."""

    def __init__(self, number: int) -> None:
        self.said = [ALICE.password]
        who = f"u{number:03}"  # of each dialogue its own, or they would wait for each other
        super().__init__(right=ALICE.password, rightp=plain(ALICE.password), who=who, whob=coded(who))

    def of(self, line: str) -> str:
        secret = f"wrong-{secrets.token_hex(8)}"
        self.said.append(secret)
        return line.format_map(
            self | {"s": secret, "n": str(len(secret)), "p": plain(secret, self["who"]), "b": coded(secret)}
        )


@pytest.fixture(scope="module")
def house():
    """A server that writes down as much as it can be asked to."""
    kept = f"kept-{secrets.token_hex(8)}"
    with folder() as place:
        house = House(place, more=f"[log]\ntranscripts = all\n[relay]\nsmarthost_password = {kept}\n")
        house.write(house.config.read_text().replace("[auth]\n", "[auth]\nlog_failures = yes\n"))
        house.kept = kept
        house.add(ALICE)
        with running(house):
            yield house


def play(house: House, number: int, service: str, lines: list[str], words: Words) -> None:
    """Say *lines*, each after an answer to the last one, from an address of its own, and go."""
    peer = socket.create_connection(("127.0.0.1", house.port(service)), PATIENCE, source_address=(f"127.0.7.{number + 1}", 0))
    with peer, contextlib.suppress(OSError):  # we are sent away for some of it
        peer.recv(4096)
        for line in lines:
            peer.sendall(words.of(line).encode("latin-1") + b"\r\n")
            if not peer.recv(65536):
                break


def spellings(secret: str) -> set[bytes]:
    """As it may stand somewhere: plain, and in base64 at each of its three positions."""
    shifted = {base64.b64encode(b"\0" * shift + secret.encode())[4 if shift else 0 : -4] for shift in range(3)}
    return {secret.encode(), secret.encode().hex().encode(), *shifted}


@pytest.fixture(scope="module")
def said(house) -> list[str]:
    """Every password that was said in all dialogues, after everything has been written down."""
    words = [Words(number) for number in range(len(DIALOGUES))]
    with ThreadPoolExecutor(len(words)) as threads:
        services, lines = zip(*DIALOGUES.values(), strict=True)
        list(threads.map(partial(play, house), range(len(words)), services, lines, words))
    assert house.twistmail("user", "password", ALICE.address, "--password-stdin", stdin=f"changed-{ALICE.password}\n")
    eventually(lambda: '"Closed"' in "".join(path.read_text() for path in (house.data / "journal").iterdir()), "the journal is written")
    eventually(lambda: house.twistmail("session", "list", "--json") == "", "everybody has gone", 30.0)
    house.twistmail("trace", "find", "--json", expect=None)  # writes down what has gathered
    return [house.kept, *itertools.chain.from_iterable(one.said for one in words)]


def found(secrets_: list[str], where: bytes) -> list[str]:
    return [secret for secret in secrets_ if any(spelling in where for spelling in spellings(secret))]


def test_the_search_would_find_them(said) -> None:
    assert len(said) > len(DIALOGUES)
    assert found(said[-1:], b"x" + base64.b64encode(f"\0alice\0{said[-1]}".encode()))
    assert found(said[-1:], base64.b64encode(b"?" + said[-1].encode()))


def test_nothing_that_the_server_has_written_holds_a_password(house, said) -> None:
    paths = [path for path in house.folder.rglob("*") if path.is_file() and path != house.config]
    names = {path.name for path in paths}
    assert {"log", "accounts.db", "door.sqlite"} <= names
    assert any(path.parent.name == "transcripts" for path in paths)
    assert [line for path in paths for line in path.read_bytes().split(b"\n") if found(said, line)] == []


def test_the_transcripts_tell_the_dialogues_all_the_same(house, said) -> None:
    def told() -> str:  # once a second
        return "".join(path.read_text() for path in (house.data / "transcripts").iterdir())

    words = ("STAT", "SELECT INBOX", "MAIL FROM:<alice@blue.test>", "EHLO me.test", "AUTHENTICATE PLAIN")
    eventually(lambda: all(word in told() for word in words), "the dialogues are in the transcripts")


@pytest.mark.parametrize("line", [
    "session list --json", "status --json", "user show alice@blue.test --json", "user list --json", "ban list --json", "trace find --json",
    "config show", "config show --json",
])
def test_nothing_that_an_operator_is_told_holds_a_password(house, said, line: str) -> None:
    assert found(said, house.twistmail(*line.split(), expect=None).encode()) == []


def test_nothing_that_the_process_shows_of_itself_holds_a_password(house, said) -> None:
    place = Path(f"/proc/{house.process.pid}")
    shown = (place / "cmdline").read_bytes()
    if os.geteuid() == 0:
        shown += (place / "environ").read_bytes()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
    assert found(said, shown + listed) == []


def test_no_core_is_written_and_nobody_of_the_same_user_looks_inside(house) -> None:
    limits = Path(f"/proc/{house.process.pid}/limits").read_text()
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
    looked = subprocess.run(["cat", f"/proc/{house.process.pid}/maps"], capture_output=True, check=False, **as_ordinary_user())
    assert looked.returncode != 0
    assert b"Permission denied" in looked.stderr


def test_a_password_is_no_argument_of_a_command(house) -> None:
    for line in ("user add", "user password", "user hash"):
        assert "PASSWORD]" not in house.twistmail(*line.split(), "--help")


def test_what_is_said_under_tls_is_kept_from_the_transcripts_too(house, said) -> None:
    context = ssl.create_default_context(cafile=str(house.authority))
    context.check_hostname = False
    words = Words(999)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", house.port("imap", tls=True)), PATIENCE)) as peer:
        peer.recv(4096)
        peer.sendall(words.of("a LOGIN {who} {s}").encode() + b"\r\n")
        peer.recv(4096)
    house.twistmail("trace", "find", "--json", expect=None)
    for path in (house.data / "transcripts").iterdir():
        assert found(words.said, path.read_bytes()) == []
