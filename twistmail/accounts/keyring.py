"""The app passwords of the accounts in the database, for operators and for their owners. Blocking, in any thread."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

from twistmail.accounts import app_passwords
from twistmail.accounts.secrets import AppPassword
from twistmail.accounts.sqlite import AccountDatabase

#: What one can be for; `submission` is sending, by whichever port.
SERVICES = ("imap", "pop3", "submission")
#: POSIX seconds: the last second of a year of four digits, which every reader of times understands.
LAST_SECOND = 253_402_300_799.0
#: Verb -> the method that does it.
DONE_BY = {"list": "rows", "add": "add", "remove": "remove"}


class Keyring:
    """*database*'s app passwords. *epoch*() gives POSIX seconds.

    Every row is {"user", "label", "services", "expires", "expires_s", "expired"}. LookupError where there is no such account or
    app password, ValueError (two lines: what, and what to do) where one cannot be made.
    """

    def __init__(self, database: AccountDatabase, epoch: Callable[[], float] = time.time) -> None:
        self._database = database
        self._epoch = epoch

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Those of the account *name*, by label."""
        return [self._row(name, one) for one in self._of(name)]

    def add(self, name: str, label: str, services: Collection[str], expires: float | None) -> dict[str, Any]:
        """One more, for *services* (none: all) until *expires*; its row, with "password", which nobody sees again."""
        known = self._of(name)
        if any(one.label == label for one in known):
            raise ValueError(f"{name} has an app password {label} already\nor first: twistmail app-password remove {name} {label}")
        if len(known) >= app_passwords.MOST:
            raise ValueError(f"{name} has {len(known)} app passwords\ntake some away; twistmail app-password list")
        if strange := sorted(set(services) - set(SERVICES)):
            raise ValueError(f"there is no service {strange[0]}\nthere are: {', '.join(SERVICES)}")
        if expires is not None and expires <= self._epoch():
            raise ValueError("that is over already\ntake a time to come")
        if expires is not None and not expires <= LAST_SECOND:  # nor is "not a number"
            raise ValueError("that is never over\ntake an earlier time, or none at all")
        password = app_passwords.generate(secrets.choice)
        made = app_passwords.make(label, password, services, expires)
        self._database.add_app_password(name, made)
        return self._row(name, made) | {"password": password}

    def remove(self, name: str, label: str) -> dict[str, Any]:
        """The row that there was."""
        for one in self._of(name):
            if one.label == label and self._database.remove_app_password(name, label):
                return self._row(name, one)
        labels = ", ".join(one.label for one in self._of(name))
        raise LookupError(f"{name} has no app password {label}" + (f"\nthere are: {labels}" if labels else ""))

    def _of(self, name: str) -> list[AppPassword]:
        entry = self._database.entry_apart(name)
        if entry is None:
            raise LookupError(f"{name} is not in the database\nonly accounts of the source sqlite have app passwords")
        return sorted(entry.app_passwords, key=lambda one: one.label)

    def _row(self, name: str, one: AppPassword) -> dict[str, Any]:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.expires)) if one.expires is not None else None
        return {
            "user": name,
            "label": one.label,
            "services": sorted(one.services) or [*SERVICES],
            "expires": until,
            "expires_s": one.expires,
            "expired": one.expires is not None and one.expires <= self._epoch(),
        }
