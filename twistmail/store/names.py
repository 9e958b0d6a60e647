"""Names on disk: of accounts, folders (Maildir++) and message files. Pure, except that `UniqueNames` counts.

A message file is called `BASE` in new/ and `BASE:2,FLAGS` in cur/. BASE never
changes and is the key of `dovecot-uidlist`. A *path* in this package is bytes
relative to the mailbox: `b"cur/BASE:2,S"`.

A folder `A/b.c` is the directory `.A.b\\2ec`, each part in modified UTF-7 and
escaped as Dovecot's listescape does.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from twistmail.mail.account import account_directory as account_directory
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, Flag, StoreError
from twistmail.mail.mutf7 import part_from_disk, part_on_disk

INBOX = "INBOX"
SEPARATOR = "/"
#: spec/limits.md `imap.mailbox_name`; a directory name holds all levels, so the file system's 255 octets bind too.
LONGEST_PART = 255
LONGEST_NAME = 1024
MOST_LEVELS = 16

#: dovecot-keywords knows the letters a to z and no more.
MOST_KEYWORDS = 26

_LETTERS = ((b"D", Flag.DRAFT), (b"F", Flag.FLAGGED), (b"R", Flag.ANSWERED), (b"S", Flag.SEEN), (b"T", Flag.DELETED))
_BITS = {letter[0]: int(flag) for letter, flag in _LETTERS}
_FIRST_LETTER = ord("a")
INFO = b":2,"

#: Names that are sorted in one call.
RUN = 5000

_SIZES = re.compile(rb",S=\d{1,18},W=(\d{1,18})(?=:|$)")
_CRLF_SIZE = re.compile(rb",W=(\d{1,18})(?=[,:]|$)")
_TIME = re.compile(rb"(\d{1,18})\.(?:M(\d{1,18}))?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


# ----- folders --------------------------------------------------------------


def normal(name: str) -> str:
    """*name* with its first level INBOX spelled so (RFC 3501 §5.1). Raises StoreError CANNOT for a name that cannot be one."""
    parts = name.split(SEPARATOR)
    if parts[0].upper() == INBOX:
        parts[0] = INBOX
    if len(parts) > MOST_LEVELS or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise StoreError("That mailbox name is too long", "CANNOT")
    for part in parts:
        if part in ("", ".", "..") or _CONTROLS.search(part):
            raise StoreError("That is not a name for a mailbox", "CANNOT")
        if len(part.encode()) > LONGEST_PART:
            raise StoreError("That mailbox name is too long", "CANNOT")
    normalised = SEPARATOR.join(parts)
    if len(directory_of(normalised)) > LONGEST_PART:
        raise StoreError("That mailbox name is too long", "CANNOT")
    return normalised


def parents(name: str) -> list[str]:
    """The levels above *name*, the highest first."""
    parts = name.split(SEPARATOR)
    return [SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts))]


def directory_of(name: str) -> str:
    """The directory of folder *name* (normal) below the account's maildir; empty for INBOX itself."""
    return "" if name == INBOX else "." + ".".join(part_on_disk(part) for part in name.split(SEPARATOR))


def name_of(directory: str) -> str | None:
    """The folder that lies in *directory*, or None where that is no folder's name."""
    try:
        name = SEPARATOR.join(part_from_disk(part) for part in directory[1:].split("."))
        return name if name != INBOX and normal(name) == name and directory_of(name) == directory else None
    except (ValueError, StoreError):
        return None


# ----- message files --------------------------------------------------------


#: Names for which random digits are drawn at a time.
DRAWN = 256


class UniqueNames:
    """Makes base names that no other process, host or time makes (`<sec>.M<usec>P<pid>Q<n>R<16 hex>.<host>`)."""

    def __init__(self, host: str, pid: int, now: Callable[[], float], random: Callable[[int], bytes]) -> None:
        safe = host.replace("/", "\\057").replace(":", "\\072").encode()
        self._now, self._random, self._numbers = now, random, count(1)
        self._drawn: Iterator[bytes] = iter(())
        self._form = b"%d.M%06dP" + b"%d" % pid + b"Q%dR%s." + safe.replace(b"%", b"%%")

    def fresh(self) -> bytes:
        now = self._now()
        seconds = int(now)
        return self._form % (seconds, int((now - seconds) * 1_000_000), next(self._numbers), self._draw())

    def _draw(self) -> bytes:
        """16 random hex digits. They are drawn for many names at a time: each draw is a system call."""
        while (drawn := next(self._drawn, None)) is None:
            digits = self._random(8 * DRAWN).hex().encode()
            self._drawn = iter([digits[place : place + 16] for place in range(0, len(digits), 16)])
        return drawn


def with_sizes(base: bytes, stored: int, crlf: int) -> bytes:
    """*base* with the size of the file and its size with CRLF line ends."""
    return b"%s,S=%d,W=%d" % (base, stored, crlf)


def crlf_size(name: bytes) -> int | None:
    """The size that a file name tells, or None."""
    match = _CRLF_SIZE.search(name)
    return int(match[1]) if match else None


def sizes_in(path: bytes, crlf: int) -> bytes | None:
    """The sizes as `with_sizes` has put them into *path*; None where there are none, or where they are about another message."""
    match = _SIZES.search(path)
    return match[0] if match and int(match[1]) == crlf else None


def base_of(path: bytes) -> bytes:
    """The base name in a path `new/BASE` or `cur/BASE:2,S`."""
    return path[4:].partition(INFO)[0]


def letters_of(path: bytes) -> bytes:
    """The flag letters at the end of *path*."""
    return path.partition(INFO)[2]


def bits_of(letters: bytes, keywords: int) -> int:
    """The bits that flag *letters* stand for in a mailbox with so many *keywords*; letters without a meaning are left out."""
    bits = 0
    for letter in letters:
        if letter in _BITS:
            bits |= _BITS[letter]
        elif 0 <= letter - _FIRST_LETTER < keywords:
            bits |= 1 << (FIRST_KEYWORD_BIT + letter - _FIRST_LETTER)
    return bits


def wanted_path(path: bytes, bits: int, keywords: int) -> bytes:
    """Where the message at *path* belongs when its flags are *bits*: in cur/. Letters that mean nothing to us stay."""
    strange = bytes(letter for letter in letters_of(path) if not bits_of(bytes([letter]), keywords))
    known = b"".join(letter for letter, flag in _LETTERS if bits & flag)
    words = bytes(_FIRST_LETTER + n for n in range(keywords) if bits >> (FIRST_KEYWORD_BIT + n) & 1)
    return b"cur/" + base_of(path) + INFO + bytes(sorted(known + words + strange))


def time_of(base: bytes) -> float:
    """When a file with this base name was made (POSIX seconds), as far as the name tells; else 0."""
    match = _TIME.match(base)
    return int(match[1]) + int(match[2] or 0) / 1_000_000 if match else 0.0


def oldest_first(bases: Sequence[bytes]) -> list[bytes]:
    """*bases* in the order in which they were delivered, as far as the names tell: by second, microsecond, then by name."""
    return sorted(bases, key=_age)


def sort_paths(paths: list[bytes]) -> None:
    """Put very many paths into that order; blocking, but never for long in one call."""
    runs = [sorted(paths[start : start + RUN], key=_age_of) for start in range(0, len(paths), RUN)]
    paths[:] = list(heapq.merge(*runs, key=_age_of))


def _age_of(path: bytes) -> tuple[int, int, bytes]:
    return _age(base_of(path))


def _age(base: bytes) -> tuple[int, int, bytes]:
    match = _TIME.match(base)
    return (int(match[1]), int(match[2] or 0), base) if match else (0, 0, base)
