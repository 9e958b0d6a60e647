"""An address that came from outside is a name and nothing else: no program is run, no file opened or made because of it.

strace looks at every process of a running server while peers say what they like: senders, recipients, names of hosts, logins,
headers. Each of them carries a mark that no path may have.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.house import IS_ROOT, House, Person, eventually, folder, give_away, running

pytestmark = pytest.mark.client("strace")

ALICE, BOB = Person("alice"), Person("bob")
MARK = "zq7"
#: What runs something, and what opens or changes something by its name.
CALLS = (
    "execve,execveat,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,"
    "truncate,mknod,mknodat"
)
LOCALS = (
    "|/bin/touch /tmp/zq7", "/tmp/zq7", "/tmp/zq7/", ":include:/etc/zq7", "../../../zq7", "zq7/../../../etc/passwd", "$(touch zq7)",
    "`touch zq7`", "zq7;id", "zq7|id", "zq7&id", "zq7>x", "\\zq7", "~zq7", "~/zq7", "%00zq7", "-Ozq7", "--zq7", "zq7' or '1'='1",
    "zq7%s%n%d", "zq7,alice", "zq7 alice", "{zq7}", "(a+)+zq7", "zq7*)(uid=*", "zq7.mbox", "zq7%far.test", "far.test!zq7", ".zq7", "zq7..x",
)  # fmt: skip
#: Behind a name that is somebody's.
SUFFIXES = ("zq7", "/zq7", "../zq7", "../../zq7", "|zq7", "zq7/../../x", "$(zq7)", "zq7;id", ".zq7", "zq7%n")
DOMAINS = ("zq7.test", "../zq7", "[/tmp/zq7]", "zq7|id.test", "$(zq7).test", "blue.test/zq7", "/tmp/zq7", "[zq7]", "zq7;id")
MORE = """\
[aliases]
source = config file:aliases
files = yes
programs = yes
[users]
source = sqlite
[checks]
file = checks
[access]
file = access
[alias:catch@blue.test]
to = bob
[domain:red.test]
catchall = bob@blue.test
[srs]
enabled = yes
"""

PATIENT = """\
soft_errors = 10000
hard_errors = 10000
tarpit_after = unlimited
max_unknown_per_ip = unlimited
vrfy = everybody
expn = everybody
"""
PROGRAMS = """\
[delivery]
file_dirs = {0}/boxes
program_dir = {0}/programs
program_user = daemon
"""


def test_no_address_runs_opens_or_makes_anything(tmp_path: Path) -> None:
    with _house() as house:
        before = _outside(house)
        with _watched(house, tmp_path / "calls"), _logins(house):
            _say_everything(house)
            eventually(lambda: b"Subject: the last" in b"".join(house.stored(ALICE)), "alice has all her mail")
        assert _outside(house) == before
        assert [path for path in house.data.rglob("*") if MARK in path.name.lower()] == []
    calls = (tmp_path / "calls").read_text("utf-8", "replace").splitlines()
    assert any("/mail/blue.test/alice" in call for call in calls), "strace has seen nothing"
    assert [call for call in calls if "exec" in call.partition("(")[0]] == []
    assert [call for call in calls if MARK in call.lower()] == []


@pytest.mark.skipif(not IS_ROOT, reason="programs are run as somebody else, which takes root")
def test_where_programs_and_files_get_mail_an_address_chooses_neither(tmp_path: Path) -> None:
    with _house(PROGRAMS) as house:
        place = house.folder
        with _watched(house, tmp_path / "calls"):
            with _client(house) as client:
                addresses = [(name, f'"{name}+{_quoted(suffix)}"@blue.test') for suffix in SUFFIXES for name in ("ticket", "archive")]
                taken = [name for name, address in addresses if _letter(client, f"<{address}>", f"<{address}>")]
            eventually(lambda: not house.twistmail("queue", "list", "--json").strip(), "all has been brought", 60)
        said, archive = (place / "said" / "said").read_text(), (place / "boxes" / "box").read_text()
    calls = (tmp_path / "calls").read_text("utf-8", "replace").splitlines()
    runs = [call for call in calls if "execve(" in call]
    assert runs, "no program was run"
    assert all(f'execve("{place}/programs/ticket", ["{place}/programs/ticket", "--new"]' in run for run in runs), runs
    assert [call for call in calls if MARK in call.lower()] == []
    assert re.fullmatch(r"([A-Za-z0-9.@_+=-]*\n)+", said), said
    assert len(re.findall("(?m)^From ", archive)) == taken.count("archive") > 5


@contextlib.contextmanager
def _house(more: str = "") -> Iterator[House]:
    with folder() as place:
        if more:
            _furnish(place)
        house = House(place, domain="blue.test", more=MORE + more.format(place), more_mx=PATIENT)
        house.config.write_text(house.config.read_text().replace("local = blue.test", "local = blue.test red.test"))
        (house.data / "aliases").write_text(f"team: alice, bob\nlist: alice\nticket: |ticket --new\narchive: {place}/boxes/box\n")
        (house.data / "checks").write_text("header Subject /nothing/ hold\n")
        (house.data / "access").write_text("From:nobody@nowhere.test REJECT\n")
        for name in ("aliases", "checks", "access"):
            give_away(house.data / name)
        house.add(ALICE, BOB)
        with running(house):
            yield house


def _furnish(place: Path) -> None:
    """A folder of programs with one that tells what it was told, and a folder for files of aliases."""
    place.chmod(0o755)
    for name, mode in (("programs", 0o755), ("said", 0o777), ("boxes", 0o700)):
        (place / name).mkdir()
        (place / name).chmod(mode)
    give_away(place / "boxes")
    program = place / "programs" / "ticket"
    words = '"$@" "$SENDER" "$RECIPIENT" "$USER" "$EXTENSION" "$DOMAIN"'
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' {words} >>{place}/said/said\nwhile read -r line; do :; done\n")
    program.chmod(0o755)


@contextlib.contextmanager
def _watched(house: House, calls: Path) -> Iterator[None]:
    """strace, attached to the server and to all that it has started."""
    assert house.process is not None
    processes = [word for pid in _family(house.process.pid) for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(calls), *processes], stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if b"not permitted" in said:
            pytest.skip("one process may not trace another here")
        assert b"attached" in said, said
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)


def _family(pid: int) -> list[int]:
    """*pid* and the processes below it."""
    found = [pid]
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = process.read_text().rpartition(")")[2].split()
            if int(words[1]) in found:
                found.append(int(process.parent.name))
    return found


def _outside(house: House) -> set[str]:
    """What lies beside the house's own files."""
    return {entry.name for place in (Path("/tmp"), house.folder) for entry in os.scandir(place) if MARK in entry.name.lower()}


# ----- what peers say


def _say_everything(house: House) -> None:
    addresses = [f'"{_quoted(local)}"@{domain}' for local in LOCALS for domain in ("blue.test", "red.test", "far.test")]
    addresses += [f"{name}+{suffix}@blue.test" for name in ("alice", "team", "catch") for suffix in SUFFIXES]
    addresses += [f'"{name}+{_quoted(suffix)}"@blue.test' for name in ("alice", "team") for suffix in SUFFIXES]
    addresses += [f"alice@{domain}" for domain in DOMAINS]
    for address in addresses:
        with _client(house) as client:
            _letter(client, f"<{address}>", "<alice@blue.test>")
            _letter(client, "<eve@far.test>", f"<{address}>")
            for verb in ("VRFY", "EXPN", "HELP", "ETRN"):
                client.docmd(verb, address)
    for word in (*LOCALS, *DOMAINS):
        with _client(house) as client:
            client.docmd("EHLO", word)
            client.docmd("HELO", word)
    with _client(house) as client:
        _letter(client, "<eve@far.test>", "<alice@blue.test>", "the last")


def _client(house: House) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", house.port("mx"), local_hostname="client.example", timeout=30)
    client.ehlo()
    return client


def _quoted(text: str) -> str:
    return re.sub(r'([\\"])', r"\\\1", text)


def _letter(client: smtplib.SMTP, sender: str, recipient: str, subject: str = "$(touch zq7)") -> bool:
    """A whole transaction, as far as it gets: whether it was taken. Its header has the same words."""
    client.docmd("RSET")
    if client.docmd(f"MAIL FROM:{sender}")[0] != 250 or client.docmd(f"RCPT TO:{recipient}")[0] != 250:
        return False
    client.docmd("DATA")
    words = (sender, "|zq7", "/tmp/zq7", ":include:/zq7")
    header = [f"{name}: {word}" for name in ("To", "Return-Receipt-To", "Resent-To") for word in words]
    header += ["Content-Type: text/plain; name=../../zq7", "Apparently-To: |/bin/touch zq7", "X-Forward: /zq7", f"Subject: {subject}"]
    client.send(("\r\n".join(header) + "\r\n\r\n|touch zq7\r\n.\r\n").encode("utf-8", "replace"))
    return client.getreply()[0] == 250


@contextlib.contextmanager
def _logins(house: House) -> Iterator[None]:
    """Names that are nobody's, given as names of accounts. The answers come late, and nobody waits for them."""
    with contextlib.ExitStack() as stack:
        for word in ("../../zq7", "/tmp/zq7", "|zq7", "zq7@../zq7", "alice+zq7@blue.test", "alice/../zq7"):
            imap, pop = (stack.enter_context(socket.create_connection(("127.0.0.1", house.port(name)))) for name in ("imap", "pop3"))
            imap.sendall(f'a LOGIN "{word}" "x"\r\n'.encode())
            pop.sendall(f"USER {word}\r\nPASS x\r\n".encode())
        yield
