"""A small IMAP client that asks several things at once and shows the answers as they are. Made for crash tests: whatever is not heard
to its end is a ConnectionError.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tests.interop.house import Person

LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
COPYUID = re.compile(rb"\[COPYUID (\d+) (\S+) (\S+)\]")
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_BODY = re.compile(rb"\bBODY\[[^\]]*\] \{(\d+)\}\r\n")


@dataclass(frozen=True)
class Answer:
    """The tagged line of a command, and everything that was said before it (literals included), each with its line end."""

    line: bytes
    said: tuple[bytes, ...]

    @property
    def ok(self) -> bool:
        return self.line.split(b" ")[1] == b"OK"

    @property
    def text(self) -> bytes:
        return b"".join((*self.said, self.line))


@dataclass(frozen=True)
class Fetched:
    uid: int
    flags: frozenset[str]
    body: bytes


class Imap:
    """One connection, logged in."""

    def __init__(self, port: int, person: Person, timeout: float = 20.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._file = self._socket.makefile("rb")
        self._tags = map("t{}".format, itertools.count())
        self._line()
        self.ask(f"LOGIN {person.address} {person.password}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, command: str | bytes) -> Answer:
        return self.ask_all([command])[0]

    def ask_all(self, commands: Iterable[str | bytes]) -> list[Answer]:
        """Send all, then hear the answers; ConnectionError where not all of them came."""
        asked = [(next(self._tags).encode(), command if isinstance(command, bytes) else command.encode()) for command in commands]
        self._socket.sendall(b"".join(tag + b" " + command + b"\r\n" for tag, command in asked))
        return [self._answer(tag) for tag, _ in asked]

    def _answer(self, tag: bytes) -> Answer:
        said = []
        while not (line := self._response()).startswith(tag + b" "):
            if line.startswith(b"* BYE"):
                raise ConnectionError(line.decode("latin-1"))
            said.append(line)
        assert not line.startswith(tag + b" BAD"), line
        return Answer(line, tuple(said))

    def _response(self) -> bytes:
        """A line with the literals in it."""
        whole = line = self._line()
        while literal := LITERAL.search(line):
            content = self._file.read(int(literal[1]))
            if len(content) < int(literal[1]):
                raise ConnectionError("gone in a literal")
            line = self._line()
            whole += content + line
        return whole

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("gone")
        return line

    # ----- what is asked often

    def select(self, folder: str, *, readonly: bool = False) -> tuple[int, int]:
        """(UIDVALIDITY, UIDNEXT)."""
        answer = self.ask(f'{"EXAMINE" if readonly else "SELECT"} "{folder}"')
        if not answer.ok:
            raise ConnectionError(f"{folder}: {answer.line!r}")
        return int(_number(b"UIDVALIDITY", answer.text)), int(_number(b"UIDNEXT", answer.text))

    def fetch(self, uids: str, items: str) -> list[Fetched]:
        answer = self.ask(f"UID FETCH {uids} (UID {items})")
        if not answer.ok:
            raise ConnectionError(f"{answer.line!r}")
        return [_fetched(line) for line in answer.said if b" FETCH (" in line[:40] and _UID.search(line)]

    def folders(self) -> list[str]:
        found = re.findall(rb'^\* LIST \(([^)]*)\) "/" "?([^"\r\n]*)"?\r$', self.ask('LIST "" "*"').text, re.MULTILINE)
        return [name.decode() for flags, name in found if b"\\noselect" not in flags.lower() and b"\\nonexistent" not in flags.lower()]


def append(folder: str, content: bytes, flags: str = "") -> bytes:
    """An APPEND with a literal that does not wait."""
    return b'APPEND "%s" (%s) {%d+}\r\n%s' % (folder.encode(), flags.encode(), len(content), content)


def _number(name: bytes, text: bytes) -> bytes:
    found = re.search(rb"\[%s (\d+)\]" % name, text)
    assert found, text
    return found[1]


def _fetched(line: bytes) -> Fetched:
    body = _BODY.search(line)
    content = line[body.end() : body.end() + int(body[1])] if body else b""
    items = line[: body.start()] + line[body.end() + int(body[1]) :] if body else line
    uid, flags = _UID.search(items), _FLAGS.search(items)
    assert uid
    return Fetched(int(uid[1]), frozenset(flags[1].decode().split()) if flags else frozenset(), content)


def set_of(uids: Iterable[int]) -> str:
    return ",".join(map(str, uids))


def numbers(text: bytes) -> list[int]:
    """A set of UIDs as COPYUID shows it, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found
