"""Maildir: a file for each message, its flags in its name; Maildir++ keeps folders beside it in directories `.A.B`.

Read as it is, whoever wrote it: keywords through `dovecot-keywords`, the file's
time as date of arrival, nothing locked. Directories below directories (`A/B`,
mutt's and Dovecot's LAYOUT=fs) are folders, too. What is written has the sizes
in the names that Dovecot and we read (`S=`, `W=`). Our own store is another
matter: `store.maildir`.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from twistmail.formats.contract import Format, Found, NotThisFormat, Skipped, Writer
from twistmail.formats.status import MOST_KEYWORDS, keywords
from twistmail.formats.streamed import content_of, write_lf
from twistmail.mail.mailbox import FLAG_NAMES, NewMessage
from twistmail.mail.mutf7 import part_from_disk, part_on_disk

KEYWORDS = "dovecot-keywords"

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_FIRST_KEYWORD = ord("a")
_TIME = re.compile(r"(\d{1,18})")
_MOST_OCTETS = 64 * 1024
_DEEPEST = 16


# ----- reading


@contextmanager
def reading(path: Path) -> Iterator[Iterator[Found | Skipped]]:
    if not (path / "cur").is_dir():
        raise NotThisFormat(f"{path} has no directory cur, so it is no Maildir")
    yield _messages(path)


def _messages(path: Path) -> Iterator[Found | Skipped]:
    known = _keywords(path)
    for file in sorted(_files(path), key=_age):
        try:
            content, status = content_of(file)
        except OSError as error:
            yield Skipped(str(file), error.strerror or str(error))
            continue
        if content.size == 0:
            yield Skipped(str(file), "empty")
        else:
            yield Found(str(file), NewMessage(content, _flags(file.name, known), status.st_mtime))


def _files(path: Path) -> list[Path]:
    return [
        path / folder / entry.name
        for folder in ("new", "cur")
        if (path / folder).is_dir()
        for entry in os.scandir(path / folder)
        if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
    ]


def _age(file: Path) -> tuple[int, str]:
    """In the order of delivery, as far as the names tell it."""
    match = _TIME.match(file.name)
    return (int(match[1]) if match else 0, file.name)


def _flags(name: str, known: list[str]) -> tuple[str, ...]:
    letters = name.partition(":2,")[2]
    words = [known[ord(letter) - _FIRST_KEYWORD] for letter in letters if 0 <= ord(letter) - _FIRST_KEYWORD < len(known)]
    return (*(flag for letter, flag in _LETTERS.items() if letter in letters), *(word for word in words if word))


def _keywords(path: Path) -> list[str]:
    """The keyword of each letter from a on, empty where it has none."""
    try:
        with (path / KEYWORDS).open("rb") as file:
            text = file.read(_MOST_OCTETS).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    found = [""] * MOST_KEYWORDS
    for line in text.split("\n"):
        number, _, name = line.partition(" ")
        if re.fullmatch(r"\d{1,2}", number) and int(number) < MOST_KEYWORDS and keywords([name]):
            found[int(number)] = name
    return found


# ----- writing


@contextmanager
def writing(path: Path, *, now: Callable[[], float] = time.time) -> Iterator[Writer]:
    """Messages are added to the maildir *path*, which is made."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ("tmp", "new", "cur"):
        (path / folder).mkdir(mode=0o700, exist_ok=True)
    if path.name.startswith("."):
        (path / "maildirfolder").touch(mode=0o600)
    yield _Writer(path, now)


class _Writer:
    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path, self._now = path, now
        self._numbers = count(1)
        self._host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
        self._keywords = [word for word in _keywords(path) if word]

    def add(self, message: NewMessage) -> None:
        now = self._now()
        base = f"{int(now)}.M{int(now % 1 * 1_000_000):06d}P{os.getpid()}Q{next(self._numbers):06d}.{self._host}"
        temporary = self._path / "tmp" / base
        date = now if message.internaldate is None else message.internaldate
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            stored = write_lf(descriptor, message.content)
            os.utime(descriptor, (date, date))
        except BaseException:
            temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        name = f"{base},S={stored},W={message.content.size}:2,{self._letters(message.flags)}"
        os.rename(temporary, self._path / "cur" / name)

    def _letters(self, flags: tuple[str, ...]) -> str:
        """The letters of *flags*; keywords get theirs until there are no more."""
        wanted = keywords([flag for flag in flags if flag not in FLAG_NAMES])
        known = [word.lower() for word in self._keywords]
        fresh = [word for word in wanted if word.lower() not in known][: MOST_KEYWORDS - len(known)]
        if fresh:
            self._keywords += fresh
            known += [word.lower() for word in fresh]
            (self._path / KEYWORDS).write_text("".join(f"{n} {word}\n" for n, word in enumerate(self._keywords)), "utf-8")
        system = [letter for letter, flag in _LETTERS.items() if flag in flags]
        return "".join(system + sorted(chr(_FIRST_KEYWORD + known.index(word.lower())) for word in wanted if word.lower() in known))


# ----- trees of maildirs


def folders(path: Path) -> list[tuple[str, Path]]:
    found = []
    for directory, below, _ in os.walk(path):
        here = Path(directory)
        levels = here.relative_to(path).parts
        if "cur" in below:
            found.append((_name(levels) or "INBOX", here))
        deeper = [name for name in below if name not in ("cur", "new", "tmp") and (len(levels) < _DEEPEST)]
        below[:] = sorted(name for name in deeper if name.strip(".") and (not levels or not name.startswith(".")))
    return found


def _name(levels: tuple[str, ...]) -> str:
    """`.A.B` as Maildir++ spells it; other directories by their names."""
    parts = levels[0][1:].split(".") if levels and levels[0].startswith(".") else list(levels[:1])
    return "/".join(_plain(part) for part in [*parts, *levels[1:]])


def _plain(part: str) -> str:
    try:
        return part_from_disk(part)
    except ValueError:
        return part


def path_of(root: Path, folder: str) -> Path:
    return root if folder == "INBOX" else root / ("." + ".".join(part_on_disk(part) for part in folder.split("/")))


FORMAT = Format("maildir", folders, reading, writing, path_of)
