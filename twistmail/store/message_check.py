"""One message file: is it as large as its name says, and (reading it) does it hold a message? Changes nothing. Blocking."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from twistmail.mail import lines
from twistmail.mail.content import CHUNK
from twistmail.mail.values import frozen
from twistmail.store import names

_STORED_SIZE = re.compile(rb",S=(\d{1,18})(?=[,:]|$)")
#: Blocks that were never written read as zeros; fewer may stand in odd mail.
_ZEROS = bytes(64)
#: A field name, or mbox's "From " line, which some programs leave in front (RFC 5322 §2.2).
_BEGINNING = re.compile(rb"(?:[!-9;-~]{1,200}[ \t]*:|>?From |\r?\n)")


@frozen
class Oddity:
    """`severity`: "error" or "warning"."""

    severity: str
    kind: str
    what: str


def stored_size(name: bytes) -> int | None:
    """The size of the file that its name tells, or None."""
    match = _STORED_SIZE.search(names.base_of(name))
    return int(match[1]) if match else None


def size_oddity(path: bytes, size: int) -> Oddity | None:
    """What is odd about a file of *size* octets at *path* (`cur/NAME`)."""
    if not size:
        return Oddity("error", "empty", "is empty")
    said = stored_size(path)
    if said is None or said == size:
        return None
    if size < said:
        return Oddity("error", "short", f"has {size} octets where its name says {said}")
    return Oddity("warning", "long", f"has {size} octets where its name says {said}: clients see a part of it")


def content_oddity(folder: Path, path: bytes) -> Oddity | None:
    """Read the whole message. None where it is sound, or has gone meanwhile."""
    try:
        descriptor = os.open(os.fsencode(folder) + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Oddity("error", "unreadable", f"cannot be opened: {error.strerror}")
    try:
        return _read(descriptor, names.crlf_size(names.base_of(path)))
    except OSError as error:
        return Oddity("error", "unreadable", f"cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)


def _read(descriptor: int, said: int | None) -> Oddity | None:
    reading = _Reading(descriptor)
    size = lines.size_with_crlf(reading)
    if reading.zeros >= 0:
        return Oddity("error", "zeros", f"holds zeros from octet {reading.zeros} on, as a power loss leaves them")
    if not _BEGINNING.match(reading.first):
        return Oddity("warning", "no-header", "does not begin with a header field")
    if said is not None and size != said:
        return Oddity("warning", "wire-size", f"has {size} octets on the wire where its name says {said}")
    return None


class _Reading:
    """The chunks of a file, which are looked at while they pass."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.first = b""
        self.zeros = -1  # where they begin

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while chunk := os.read(self.descriptor, CHUNK):
            self.first = self.first or chunk
            place = chunk.find(_ZEROS)
            if place >= 0 and self.zeros < 0:
                self.zeros = at + place
            at += len(chunk)
            yield chunk
