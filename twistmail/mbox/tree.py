"""Where the mailboxes of an account lie: INBOX where the house says, the others as `A/B.mbox` below a folder. Blocking.

A level of a name is the name of a file or folder as it is; only a dot that would
hide it, or give it another meaning, and the percent sign are written as %2E and %25.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from twistmail.mail.mailbox import Folder, NoSuchMailbox, StoreError
from twistmail.mail.names import INBOX, SEPARATOR, USES, checked_uses, normal, parents
from twistmail.mbox.ledger import Ledger

SUFFIX = ".mbox"
#: With the suffixes of the file and of its locks it must find room in a name.
LONGEST_PART = 230


class Tree:
    """The mailboxes of one account: *inbox* is a file, *root* the folder of the others, *standard* those that it gets at once."""

    def __init__(self, root: Path, inbox: Path, standard: Sequence[str], ledger: Ledger) -> None:
        self.root = root
        self.inbox = inbox
        self.ledger = ledger
        self._standard = tuple(standard)

    def is_there(self) -> bool:
        """Whether all that an account needs has been made."""
        return self.ledger.path.exists() and self.inbox.parent.is_dir()

    def prepare(self) -> None:
        """Make what a new account needs; nothing where it is there."""
        if self.is_there():
            return
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.inbox.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in self._standard:
            self._make(name)
        self.ledger.subscribe((INBOX, *self._standard))
        for name in self._standard:
            if name in USES:
                self.ledger.use(name, (USES[name],))

    def path(self, name: str) -> Path:
        """The file of mailbox *name* (normal)."""
        if name == INBOX:
            return self.inbox
        *levels, last = map(_on_disk, name.split(SEPARATOR))
        return self.root.joinpath(*levels, last + SUFFIX)

    def exists(self, name: str) -> bool:
        return name == INBOX or self.path(name).is_file()

    def names(self) -> list[str]:
        """All mailboxes, INBOX first."""
        return [INBOX, *sorted(self._found())]

    def _found(self) -> Iterator[str]:
        for directory, _, files in os.walk(self.root):
            levels = Path(directory).relative_to(self.root).parts
            for file in files:
                if file.endswith(SUFFIX):
                    name = _name((*levels, file.removesuffix(SUFFIX)))
                    if name:
                        yield name

    def folders(self) -> tuple[Folder, ...]:
        names, uses, subscribed = self.names(), self.ledger.uses(), set(self.ledger.subscriptions())
        levels = {level for name in names for level in parents(name)}
        every = sorted(levels.union(names), key=lambda name: (name != INBOX, name))
        known = set(names)
        return tuple(Folder(name, name in subscribed, name in known, name in levels, uses.get(name, ())) for name in every)

    # ----- changes

    def create(self, name: str, uses: Sequence[str]) -> None:
        """Raises StoreError."""
        if self.exists(name):
            raise StoreError(f"There is a mailbox {name} already", "ALREADYEXISTS")
        asked = checked_uses(uses, self.ledger.uses().values())
        self.make(name)
        self.ledger.use(name, asked)

    def set_uses(self, name: str, uses: Sequence[str]) -> None:
        """Raises StoreError."""
        if not self.exists(name):
            raise NoSuchMailbox(name)
        others = [some for other, some in self.ledger.uses().items() if other != name]
        self.ledger.use(name, checked_uses(uses, others))

    def make(self, name: str) -> None:
        """Make a mailbox and the levels above it, where they are missing."""
        for level in (*parents(name), name):
            self._make(level)

    def _make(self, name: str) -> None:
        if name != INBOX:
            path = self.path(checked(name))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def remove(self, name: str) -> None:
        """The file and what is known of it; its subscription stays."""
        path = self.path(name)
        path.unlink()
        self.ledger.forget(name)
        self._remove_empty(path.parent)

    def moves(self, old: str, new: str) -> list[tuple[str, str]]:
        """Pairs (old, new) for a rename of mailbox or level *old*. Raises StoreError."""
        every = self.names()
        moves = [(name, new + name[len(old) :]) for name in every if name == old or name.startswith(old + SEPARATOR)]
        if not moves:
            raise NoSuchMailbox(old)
        if new == old or new.startswith(old + SEPARATOR):
            raise StoreError("A mailbox cannot be moved into itself", "CANNOT")
        for _, target in moves:
            if checked(target) in every:
                raise StoreError(f"There is a mailbox {target} already", "ALREADYEXISTS")
        return moves

    def rename(self, source: str, target: str) -> None:
        before, after = self.path(source), self.path(target)
        after.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.rename(before, after)
        self.ledger.renamed([(source, target)])
        self._remove_empty(before.parent)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def checked(name: str) -> str:
    """*name* as `mail.names.normal` has it, if its files can be called so. Raises StoreError CANNOT."""
    name = normal(name)
    if any(len(_on_disk(part).encode()) > LONGEST_PART for part in name.split(SEPARATOR)):
        raise StoreError("That mailbox name is too long", "CANNOT")
    return name


def _on_disk(part: str) -> str:
    part = part.replace("%", "%25")
    if part.startswith("."):
        part = "%2E" + part[1:]
    return part[: -len(SUFFIX)] + "%2E" + SUFFIX[1:] if part.endswith(SUFFIX) else part


def _name(parts: Sequence[str]) -> str:
    """The mailbox whose file has these levels; empty where that is none's."""
    try:
        name = SEPARATOR.join(part.replace("%2E", ".").replace("%25", "%") for part in parts)
        is_one = checked(name) == name and tuple(map(_on_disk, name.split(SEPARATOR))) == tuple(parts) and name != INBOX
    except (StoreError, UnicodeEncodeError):
        return ""
    return name if is_one else ""
