"""What every format promises: a mailbox of another program is read as `Found` and `Skipped`, and written by a `Writer`. Values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from twistmail.mail.mailbox import NewMessage
from twistmail.mail.values import frozen


@frozen
class Found:
    """A message. `place` says where, for people: `path:line` or `path`. Its content can be read while its mailbox is open."""

    place: str
    message: NewMessage


@frozen
class Skipped:
    """Something that is no message, or cannot be read."""

    place: str
    reason: str


class Writer(Protocol):
    """Puts messages into a mailbox, in order."""

    def add(self, message: NewMessage) -> None:
        """One message; None as its date means now. OSError leaves the mailbox as it was before this message."""


class NotThisFormat(ValueError):
    """What lies there is something else. The text is a sentence with the path."""


@frozen
class Format:
    """A way to keep mail in files.

    `folders(path)` finds the mailboxes at and below *path*: pairs of folder name ("INBOX" for what lies at *path* itself
    where that is a mailbox) and path; none where there is nothing of this format. `reading(path)` opens one mailbox, locked
    where the format has locks; `writing(path)` one for adding, made when it is missing; a file is durable when its block
    ends, directories of files are the caller's to sync. `path_of(root, folder)` is where a tree keeps a folder. All may
    raise OSError, `reading` NotThisFormat.
    """

    name: str
    folders: Callable[[Path], list[tuple[str, Path]]]
    reading: Callable[[Path], AbstractContextManager[Iterator[Found | Skipped]]]
    writing: Callable[[Path], AbstractContextManager[Writer]]
    path_of: Callable[[Path, str], Path]
