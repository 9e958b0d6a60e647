"""MH: a directory is a mailbox, a file that is called by a number is a message, `.mh_sequences` names sets of messages.

Sequences are flags: `unseen` is the absence of \\Seen, `replied`, `flagged`,
`deleted` and `draft` are what they say, every other one is a keyword (`cur` is
nobody's). A file's time is the date of arrival. Whoever writes takes the next
number by link(2), so several may do it at once.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from twistmail.formats.contract import Format, Found, NotThisFormat, Skipped, Writer
from twistmail.formats.locks import TIMEOUT, locked
from twistmail.formats.mbox import visible
from twistmail.formats.status import keywords
from twistmail.formats.streamed import content_of, write_all, write_lf
from twistmail.mail.mailbox import FLAG_NAMES, NewMessage

SEQUENCES = ".mh_sequences"
UNSEEN = "unseen"
#: Sequences with a meaning of their own.
_FLAGS = {"replied": "\\Answered", "flagged": "\\Flagged", "deleted": "\\Deleted", "draft": "\\Draft"}
_NOBODYS = {"cur", "all", "first", "last", "prev", "next", UNSEEN}
_NUMBER = re.compile(r"[1-9]\d{0,9}")
_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")
_MOST_SEQUENCES = 8 * 1024 * 1024
_DEEPEST = 16


# ----- reading


@contextmanager
def reading(path: Path) -> Iterator[Iterator[Found | Skipped]]:
    if not path.is_dir():
        raise NotThisFormat(f"{path} is no directory, so no MH folder")
    yield _messages(path)


def _messages(path: Path) -> Iterator[Found | Skipped]:
    numbers = _numbers(path)
    told = _flags_of(path / SEQUENCES, numbers)
    for number in numbers:
        file = path / str(number)
        try:
            content, status = content_of(file)
        except OSError as error:
            yield Skipped(str(file), error.strerror or str(error))
            continue
        if content.size == 0:
            yield Skipped(str(file), "empty")
        else:
            yield Found(str(file), NewMessage(content, told.get(number, ("\\Seen",)), status.st_mtime))


def _numbers(path: Path) -> list[int]:
    """The messages of a folder; directories with such names are folders."""
    with os.scandir(path) as entries:
        return sorted(int(entry.name) for entry in entries if _NUMBER.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False))


def _flags_of(file: Path, numbers: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The flags of those messages that have others than \\Seen."""
    members = {name: _expanded(text, numbers) for name, text in _sequences(file).items() if name not in _NOBODYS or name == UNSEEN}
    unseen = members.pop(UNSEEN, set())
    words = {name: word for name in members for word in ([_FLAGS[name]] if name in _FLAGS else keywords([name]))}
    told: dict[int, list[str]] = {number: [] for number in unseen}
    for name, word in words.items():
        for number in members[name]:
            told.setdefault(number, []).append(word)
    return {number: tuple(found if number in unseen else ["\\Seen", *found]) for number, found in told.items()}


def _sequences(file: Path) -> dict[str, str]:
    """Name -> what stands behind it, as written: `1-3 5 8`. Lines that are none are left out."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_SEQUENCES).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    pairs = (line.partition(":") for line in re.sub(r"\n[ \t]+", " ", text).split("\n"))
    return {name.strip(): numbers.strip() for name, colon, numbers in pairs if colon and name.strip()}


def _expanded(text: str, numbers: Iterable[int]) -> set[int]:
    """Those of *numbers* (ascending) that *text* names."""
    existing = list(numbers)
    found: set[int] = set()
    ranges = sorted((int(m[1]), int(m[2] or m[1])) for m in map(_RANGE.fullmatch, text.split()) if m)
    place = 0
    for first, last in ranges:
        while place < len(existing) and existing[place] < first:
            place += 1
        while place < len(existing) and existing[place] <= last:
            found.add(existing[place])
            place += 1
    return found


# ----- writing


@contextmanager
def writing(
    path: Path, *, timeout: float = TIMEOUT, now: Callable[[], float] = time.time, durable: bool = False
) -> Iterator[Writer]:
    """Messages are added to the folder *path*, which is made; the sequences are written at the end, also after an error.

    *durable*: each message is on disk before it has its number.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = _Writer(path, now, durable=durable)
    try:
        yield writer
    finally:
        writer.write_sequences(timeout)


class _Writer:
    def __init__(self, path: Path, now: Callable[[], float], *, durable: bool) -> None:
        self._path, self._now, self._durable = path, now, durable
        self._next = count(max(_numbers(path), default=0) + 1)
        self._temporary = path / f".twistmail-{os.getpid()}-{threading.get_ident()}"
        self._members: dict[str, list[int]] = {}

    def add(self, message: NewMessage) -> None:
        date = self._now() if message.internaldate is None else message.internaldate
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_lf(descriptor, message.content)
            os.utime(descriptor, (date, date))
            if self._durable:
                os.fsync(descriptor)
            number = self._numbered()
        finally:
            os.close(descriptor)
            self._temporary.unlink(missing_ok=True)
        self._note(number, message.flags)

    def _numbered(self) -> int:
        for number in self._next:
            with suppress(FileExistsError):
                os.link(self._temporary, self._path / str(number), follow_symlinks=False)
                return number
        raise AssertionError("there is always a next number")

    def _note(self, number: int, flags: Iterable[str]) -> None:
        names = [name for name, flag in _FLAGS.items() if flag in flags]
        names += [word for word in keywords([f for f in flags if f not in FLAG_NAMES]) if ":" not in word and word not in _NOBODYS]
        for name in names if "\\Seen" in flags else [*names, UNSEEN]:
            self._members.setdefault(name, []).append(number)

    def write_sequences(self, timeout: float) -> None:
        if not self._members:
            return
        file = self._path / SEQUENCES
        with locked(file, create=True, follow=False, timeout=timeout) as held:
            known = _sequences(file)
            for name, numbers in self._members.items():
                known[name] = f"{known.get(name, '')} {_ranges(numbers)}".strip()
            os.ftruncate(held.descriptor, 0)
            write_all(held.descriptor, "".join(f"{name}: {text}\n" for name, text in known.items()).encode())
        self._members.clear()


def _ranges(numbers: Iterable[int]) -> str:
    """`1-3 5` for ascending 1, 2, 3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


# ----- trees of folders


def folders(path: Path) -> list[tuple[str, Path]]:
    """Every directory at or below *path* that has messages or sequences. `inbox` is INBOX."""
    found = []
    for directory, below, files in os.walk(path):
        here = Path(directory)
        levels = here.relative_to(path).parts
        below[:] = [] if len(levels) >= _DEEPEST else sorted(name for name in below if not name.startswith("."))
        if SEQUENCES in files or any(_NUMBER.fullmatch(name) for name in files):
            found.append(("/".join(levels) or "INBOX", here))
    return found


def path_of(root: Path, folder: str) -> Path:
    """INBOX is `inbox`; a level that is a number gets a `_`, as files of that name are messages."""
    if folder == "INBOX":
        return root / "inbox"
    return root.joinpath(*(level + "_" if _NUMBER.fullmatch(level) else visible(level) for level in folder.split("/")))


FORMAT = Format("mh", folders, reading, writing, path_of)
