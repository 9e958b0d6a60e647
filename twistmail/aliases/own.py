"""Where people themselves have their mail sent on to (rows R32 to R34): IForwards.

A user of this machine writes ~/.forward, or `.forward+list` for mail to
`fred+list`. Everybody else has a file `forward` (`forward+list`) in the folder of
his mail, which he changes by `twistmail forward`; it leads to addresses only.
Such a file counts before what is set for the account; an empty one means that
nothing goes on.

What others could have written is passed over, with a line in the log, and the
mail goes to the mailbox (`dotfiles`). What cannot be understood, or is not
allowed, is never passed over: mail for it waits, and the log says where.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import dotfiles
from twistmail.aliases.forward import Permissions, read
from twistmail.interfaces import IForwards, Unavailable
from twistmail.mail.account import Account, account_directory
from twistmail.mail.alias import Goal, Step
from twistmail.mail.forward import settled
from twistmail.mail.values import frozen
from twistmail.options import SWITCH, Option, Reload, Section
from twistmail.watched import Broken

log = Logger()

#: Files, and people whose files are told about, that are remembered.
MOST_REMEMBERED = 10_000
#: The name of the file in somebody's mail folder.
NAME = "forward"


OPTIONS = Section(
    "forward",
    "Where users themselves have their mail sent on to: twistmail forward, and ~/.forward of users of this machine.",
    Option("homes", SWITCH, "yes", "Source system: look for ~/.forward. Closed homes take a start of the server as root."),
    Option("files", SWITCH, "no", "~/.forward may name files, to which mail is appended as its user. Otherwise mail for it waits.",
           Reload.RESTART),
    Option("programs", SWITCH, "no", "~/.forward may name programs, which are run as its user, within the bounds of those of aliases. "
           "Otherwise mail for it waits.", Reload.RESTART),
    Option("users", SWITCH, "yes", "Everybody else may have his mail sent on, to addresses only: twistmail forward. It is kept in his "
           "mail folder ([store] path)."),
)  # fmt: skip

#: Of everybody who is no user of this machine.
ADDRESSES_ONLY = Permissions(why="for users without a home on this machine")


@frozen
class Folders:
    """Where the forwards of everybody else are: *template* (as in [store] path), relative to *root*."""

    root: Path
    template: str

    def of(self, account: str) -> str | None:
        """The folder of *account*; None where its name cannot be one."""
        try:
            return os.path.join(self.root, account_directory(self.template, account))
        except ValueError:
            return None


@dataclass(slots=True)
class _Remembered:
    """The file `place` as it was when it had this `stamp`; `goals` None: it does not count. `problems`: why mail for it waits."""

    stamp: tuple[int, ...]
    place: str
    goals: tuple[Goal, ...] | None = None
    problems: tuple[tuple[int, str], ...] = field(default=())


@implementer(IForwards)
class OwnForwards:
    """*home*(numeric user, extension) reads ~/.forward and blocks (`dotfiles.Reader.read`); None: nobody looks for it.

    *folders* None: nobody else has forwards. *allowed*: what ~/.forward may lead to.
    """

    def __init__(
        self,
        threads: Any,
        *,
        home: Callable[[int, str], dotfiles.Found] | None = None,
        folders: Folders | None = None,
        allowed: Permissions = ADDRESSES_ONLY,
    ) -> None:
        self._threads = threads
        self._home = home
        self._folders = folders
        self._allowed = allowed
        self._files: OrderedDict[str, _Remembered] = OrderedDict()
        self._told: OrderedDict[str, str] = OrderedDict()
        self._places: dict[str, str] = {}  # account -> its folder: what a name makes of the template is worth remembering

    async def lookup(self, account: Account, extension: str) -> Step | None:
        if account.uid is not None:
            return await self._from_home(account, extension)
        folder = self._places.get(account.name) or self._place(account.name)
        if folder:
            for name in dotfiles.names(NAME, extension):
                if (kept := await self._kept(f"{folder}/{name}")) is not None:
                    return self._step(kept.place, kept.goals or (), kept.problems)
        return settled(account)

    # ----- homes

    async def _from_home(self, account: Account, extension: str) -> Step | None:
        assert account.uid is not None
        if self._home is None:
            return settled(account)
        try:
            found: dotfiles.Found = await self._threads.run(self._home, account.uid, extension)
        except OSError as error:
            raise Unavailable(f"the forward of {account.name} cannot be read: {error}") from error
        if found.trouble:
            raise Unavailable(f"the forward of {account.name} cannot be read: {found.trouble}")
        self._tell(account.name, "".join(f"{why}; it is passed over\n" for why in found.unsafe))
        if found.text is None:
            return settled(account)
        goals, problems = _understood(found.text, self._allowed)
        return self._step(found.place, goals, problems)

    # ----- folders

    def _place(self, account: str) -> str:
        """The folder of *account*; empty where it has none."""
        if len(self._places) >= MOST_REMEMBERED:
            self._places.clear()
        folder = self._places[account] = (self._folders.of(account) if self._folders is not None else None) or ""
        return folder

    async def _kept(self, path: str) -> _Remembered | None:
        """What the file at *path* says; None where there is none that counts. One `stat` where nothing has changed."""
        try:
            status = os.stat(path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            self._files.pop(path, None)
            return None
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error
        stamp = status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode, status.st_uid
        known = self._files.get(path)
        if known is None or known.stamp != stamp:
            known = self._files[path] = await self._load(path, stamp)
            if len(self._files) > MOST_REMEMBERED:
                self._files.popitem(last=False)
        return known if known.goals is not None or known.problems else None

    async def _load(self, path: str, stamp: tuple[int, ...]) -> _Remembered:
        folder, name = os.path.split(path)
        found: dotfiles.Found = await self._threads.run(dotfiles.look, folder, "", (os.geteuid(), 0), name=name, above=False)
        if found.trouble:
            raise Unavailable(found.trouble)
        self._tell(path, "".join(f"{why}; it is passed over\n" for why in found.unsafe))
        if found.text is None:
            return _Remembered(stamp, path)
        goals, problems = _understood(found.text, ADDRESSES_ONLY)
        return _Remembered(stamp, path, None if problems else goals, problems)

    # ----- both

    def _step(self, place: str, goals: tuple[Goal, ...], problems: tuple[tuple[int, str], ...]) -> Step | None:
        """What the file *place* means. Unavailable where it means nothing that could be done."""
        if problems:
            self._tell(place, "".join(f"{place}:{line}: {text}; mail for it has to wait\n" for line, text in problems))
            line, text = problems[0]
            raise Unavailable(f"{place}:{line}: {text}")
        self._told.pop(place, None)
        return Step(goals, place) if goals else None

    def _tell(self, about: str, lines: str) -> None:
        """Log *lines* unless the last word about that was the same."""
        if not lines:
            self._told.pop(about, None)
            return
        if self._told.get(about) != lines:
            self._told[about] = lines
            if len(self._told) > MOST_REMEMBERED:
                self._told.popitem(last=False)
            for line in lines.splitlines():
                log.warn("{line}", line=line)


def _understood(text: str, allowed: Permissions) -> tuple[tuple[Goal, ...], tuple[tuple[int, str], ...]]:
    """The goals of *text*, and what is wrong with it."""
    try:
        return read(text, allowed), ()
    except Broken as broken:
        return (), broken.problems
