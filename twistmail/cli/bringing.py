"""What import and pull share: folders that are made when they are missing, messages that are appended, and how one goes on."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.opened import finished
from twistmail.cli.stored import Storage
from twistmail.cli.tally import Tally
from twistmail.formats.imported import fingerprint
from twistmail.formats.locks import MailboxBusy
from twistmail.mail.mailbox import FLAG_NAMES, NewMessage, StoreError
from twistmail.store import names

#: Beside the account's mail: see `formats.imported`.
MEMORY = "twistmail-imported"
#: What becomes durable together.
MOST_MESSAGES = 100
MOST_OCTETS = 8 * 1024 * 1024


@contextmanager
def goes_on(tally: Tally) -> Iterator[None]:
    """What stops an import says how far it came and that it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure(f"stopped; {tally.sentence()}", Exit.TEMPFAIL, "the same command goes on") from None
    except (MailboxBusy, FileNotFoundError):
        raise
    except OSError as trouble:
        full = trouble.errno in (errno.ENOSPC, errno.EDQUOT)
        step = "make room, or give more quota; then the same command goes on" if full else "the same command goes on"
        raise Failure(f"{trouble}; {tally.sentence()}", Exit.IOERR, step) from trouble


def target(below: str, folder: str) -> str:
    """*folder* of the source, below the folder that was asked for. StoreError where that cannot be one."""
    if folder.upper() == names.INBOX:
        return names.normal(below)
    return names.normal(folder if below.upper() == names.INBOX else f"{below}/{folder}")


def made(boxes: Any, name: str) -> str:
    """Folder *name*, made and subscribed where it is missing."""
    if name not in {folder.name for folder in finished(boxes.folders()) if folder.selectable}:
        finished(boxes.create(name))
        finished(boxes.subscribe(name, True))
    return name


def append(box: Any, messages: Sequence[NewMessage]) -> None:
    """All of them; without keywords where the mailbox has as many as it can have."""
    try:
        finished(box.append(messages))
    except StoreError:
        if len(messages) > 1:
            for message in messages:
                append(box, [message])
            return
        known = tuple(flag for flag in messages[0].flags if flag in FLAG_NAMES or flag in box.keywords)
        finished(box.append([replace(messages[0], flags=known)]))


def fingerprints_above(box: Any, uidvalidity: int, uidnext: int) -> list[bytes]:
    """Of the messages that have come since the mailbox had this UIDNEXT."""
    fresh = [uid for uid in box.uids if uid >= uidnext] if uidvalidity == box.uidvalidity else []
    return [fingerprint(content) for _, content in finished(box.read(fresh))]


def account_for(storage: Storage, name: str, *, is_new: bool) -> str:
    """The account that is meant. It may have no mail yet, then the database of users must know it, or who calls."""
    database = storage.config.file(storage.terminal.glance(USERS)[USERS.name].database)
    known = [account.name for account in AccountDatabase(database).list()] if database.exists() else []
    fitting = [one for one in known if name in (one, one.partition("@")[0])]
    if is_new or len(fitting) == 1:
        name = name if is_new else fitting[0]
        storage.checked(name)
        return name
    try:
        return storage.account(name)
    except Failure as unknown:
        step = f"{unknown.step}; a new one: twistmail user add, or --new where its account is kept elsewhere"
        raise Failure(unknown.message, unknown.exit_code, step) from None
