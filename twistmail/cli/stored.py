"""The files of store and queue, for commands that work on them whether or not the server runs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.owner import get_ready
from twistmail.cli.terminal import Terminal
from twistmail.options import Settings
from twistmail.store import names
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.homes import accounts_in
from twistmail.store.mailstore import OPTIONS as STORE

T = TypeVar("T")


class Storage:
    """Where the mail lies, as the configuration says. The folder of the data itself must be there."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.config = terminal.glance(STORE)
        self.settings: Settings = self.config["store"]
        self.root: Path = self.config.data_dir
        if self.settings.use != "maildir":
            raise Failure(f"[store] use = {self.settings.use}: only the maildir store lies in files", Exit.CONFIG)
        if not self.root.is_dir():
            raise Failure(f"there is no mail: {self.root} does not exist", Exit.NOINPUT, "see [server] data_dir, or start the server once")

    def become_owner(self) -> None:
        """Root acts as whom the server runs as, else the server could not read what is made here."""
        owner = self.root.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            get_ready()
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)

    def as_caller(self) -> AbstractContextManager[None]:
        """After `become_owner`: for a while as who has called, to read and write what is his."""
        return _acting_as(os.getuid(), os.getgid() if os.geteuid() != os.getuid() else os.getegid())

    @contextmanager
    def visiting(self, place: AbstractContextManager[T]) -> Iterator[T]:
        """*place* (an open mailbox of the caller's) entered and left as the caller; what is done in it is done as now."""
        user, group = os.geteuid(), os.getegid()
        with self.as_caller(), place as value, _acting_as(user, group):
            yield value

    def accounts(self) -> list[str]:
        """All that have a maildir, sorted."""
        return accounts_in(self.root, self.settings.path)

    def chosen(self, wanted: Sequence[str]) -> list[str]:
        """The accounts that are meant by *wanted*: all of them where it is empty. Failure where one is not there."""
        return [self.account(name) for name in wanted] if wanted else self.accounts()

    def account(self, name: str) -> str:
        """The account called *name*; a missing domain is completed where only one fits. Failure where it has no maildir."""
        if (self.checked(name) / "cur").is_dir():
            return name
        known = self.accounts()
        fitting = [one for one in known if one.partition("@")[0] == name]
        if len(fitting) == 1:
            self.terminal.hint(f"meaning {fitting[0]}")
            return fitting[0]
        spellings = {one: one for one in known} | {one.partition("@")[0]: one for one in known if "@" not in name}
        near = get_close_matches(name, spellings, 1, 0.6)
        step = f"did you mean {spellings[near[0]]}?" if near else "twistmail mailbox usage --all   lists those that have mail"
        raise Failure(f"{name} has no mail here", Exit.NOUSER, step)

    def checked(self, name: str) -> Path:
        """The maildir that an account called *name* has or would have. Failure where there can be no such account."""
        try:
            return self.directory(name)
        except ValueError:
            raise Failure(f"{name} cannot be an account", Exit.USAGE, "write the full address, such as anna@blue.example") from None

    def directory(self, account: str) -> Path:
        """The maildir of *account*. ValueError."""
        return self.root / names.account_directory(self.settings.path, account)

    def tree(self, account: str) -> FolderTree:
        return FolderTree(self.directory(account), self.settings.folders, self.surroundings())

    def surroundings(self) -> Surroundings:
        fresh = names.UniqueNames("cli", os.getpid(), time.time, secrets.token_bytes)
        return Surroundings(time.time, secrets.token_bytes, fresh.fresh, keeps=bool(self.settings.keep_expunged))


@contextmanager
def _acting_as(user: int, group: int) -> Iterator[None]:
    before = os.geteuid(), os.getegid()
    _become(user, group)
    try:
        yield
    finally:
        _become(*before)


def _become(user: int, group: int) -> None:
    if (os.geteuid(), os.getegid()) != (user, group):
        os.seteuid(os.getuid())  # only root may change the group
        os.setegid(group)
        os.seteuid(user)
