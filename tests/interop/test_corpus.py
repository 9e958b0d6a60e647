"""The corpus of odd mails: FETCH tells of each what Dovecot tells, but for the differences with a reason in docs/structure.md."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.all import MAILS
from tests.corpus.asking import STRUCTURES, read, sections
from tests.dialogues.imap_house import Guest, ImapHouse
from tests.interop.dovecot import LIBRARY, Dovecot
from tests.interop.house import PATIENCE, folder, give_away
from twistmail.mail import lines

pytestmark = pytest.mark.client(str(LIBRARY / "imap"))

TABLE = Path(__file__).parents[2] / "docs" / "structure.md"
#: Items of one FETCH.
TOGETHER = 40


class Dovecots:
    """Dovecot's answers: its IMAP process on a socket of ours, with the corpus as INBOX."""

    def __init__(self, place: Path) -> None:
        maildir = place / "Maildir"
        for name in ("", "new", "cur", "tmp"):
            (maildir / name).mkdir()
            give_away(maildir / name)
        for number, message in enumerate(MAILS.values(), 1):
            path = maildir / "cur" / f"{1_795_231_200 + number}.M{number}.host:2,S"
            path.write_bytes(lines.to_lf(message))
            give_away(path)
        self._said = b""
        self._socket, its = socket.socketpair()
        self._socket.settimeout(PATIENCE)
        self._process: subprocess.Popen[bytes] = Dovecot(place, maildir).start("imap", stdin=its, stdout=its)
        its.close()
        while b"\r\n" not in self._said:
            self._said += self._socket.recv(65536)
        self.say("SELECT INBOX")

    def say(self, command: str) -> bytes:
        self._socket.sendall(b"x " + command.encode() + b"\r\n")
        said = b""
        while not (said.endswith(b"\r\n") and (b"\r\nx " in said or said.startswith(b"x "))):
            more = self._socket.recv(1 << 20)
            assert more, said
            said += more
        return said

    def close(self) -> None:
        self._socket.close()
        self._process.wait(PATIENCE)


class Ours:
    def __init__(self) -> None:
        house = ImapHouse(settings={"utf8_headers": "raw"})  # Dovecot shows no surrogates
        house.put(*[lines.to_crlf(lines.to_lf(message)) for message in MAILS.values()])  # as the disk gives it back
        self._guest = Guest(house, select="INBOX")

    def say(self, command: str) -> bytes:
        self._guest.transport.clear()
        self._guest.feed(b"x " + command.encode() + b"\r\n")
        return bytes(self._guest.transport.value())


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Dovecots, Ours]]:
    with folder() as place:
        dovecot = Dovecots(place)
        yield dovecot, Ours()
        dovecot.close()


def reasons() -> dict[str, set[str]]:
    """{mail: what of it is told otherwise}, as the table in docs/structure.md has it."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| \S.* \|$", TABLE.read_text("utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"`([^`]+)`", asked)) for name, asked in rows}


def told(speaker: Any, number: int, items: list[str]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for start in range(0, len(items), TOGETHER):
        answers |= read(speaker.say(f"FETCH {number} ({' '.join(items[start : start + TOGETHER])})"))
    return {label: compared(label, value) for label, value in answers.items()}


def compared(label: str, value: Any) -> Any:
    """What holds for all mails: see the list in docs/structure.md."""
    if ".FIELDS" in label:
        return (value or b"").rstrip(b"\r\n")
    return value or b"" if label.startswith("BODY[") else value


@pytest.mark.parametrize("name", MAILS)
def test_an_odd_mail_is_told_as_dovecot_tells_it(both: tuple[Dovecots, Ours], name: str) -> None:
    number = list(MAILS).index(name) + 1
    items = ["RFC822.SIZE", *STRUCTURES, *sections(MAILS[name])]
    theirs, ours = (told(speaker, number, items) for speaker in both)
    assert theirs.keys() == ours.keys()
    different = {label: (theirs[label], ours[label]) for label in theirs if theirs[label] != ours[label]}
    assert set(different) == reasons().get(name, set()), different


def test_no_reason_is_given_for_what_is_not_in_the_corpus() -> None:
    assert reasons().keys() <= MAILS.keys()
    assert len(MAILS) >= 120
