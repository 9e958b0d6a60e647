"""The store, opened by a command: its own interface over the same files, whether or not the server runs.

UIDs and names are safe between processes (the UID list is locked); a running
server sees what was done when it looks at the directories next, within a
second. Everything happens at once, in the caller: no reactor, no threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from twisted.python.failure import Failure as TwistedFailure

from twistmail import tasks
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.stored import Storage
from twistmail.config.settled import Config
from twistmail.disk import InlineCommitter
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, FLAG_NAMES, NoSuchMailbox
from twistmail.parts import MAILDIR
from twistmail.store_interfaces import IMailStore
from twistmail.terms import Terms

T = TypeVar("T")


@dataclass(frozen=True)
class _Ground:
    """What the store stands on here (`foundation.Ground`)."""

    config: Config
    data_dir: Path
    committer: InlineCommitter
    threads: tasks.Inline
    terms: Terms
    epoch: Callable[[], float] = time.time
    reactor: Any = None
    giver: Any = None


@contextmanager
def opened(storage: Storage) -> Iterator[IMailStore]:
    """The store; what only it knows is written down at the end."""
    terms = Terms(storage.settings, is_limited=False)
    ground = _Ground(storage.config, storage.root, InlineCommitter(fsync=storage.settings.fsync), tasks.Inline(), terms)
    store = MAILDIR.build(storage.settings, ground)
    try:
        yield store
    finally:
        store.close()


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What *coroutine* returns; raises what it raises. For coroutines that need not wait, as those of the opened store."""
    results: list[Any] = []
    tasks.shielded(coroutine).addBoth(results.append)
    if not results:
        raise AssertionError(f"{coroutine!r} waits, and there is nothing to wait for")
    if isinstance(results[0], TwistedFailure):
        results[0].raiseException()
    return results[0]


@contextmanager
def mailbox(store: IMailStore, account: str, name: str) -> Iterator[Any]:
    """The IMailbox *name* of *account*. Failure where there is none."""
    try:
        box = finished(finished(store.mailboxes(account)).open(name))
    except NoSuchMailbox:
        raise Failure(f"{account} has no mailbox {name}", Exit.NOUSER, f"those that there are: twistmail mailbox list {account}") from None
    try:
        yield box
    finally:
        box.close()


def flags_of(bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """The flags and keywords that *bits* of an IMailbox mean."""
    system = [name for name, flag in FLAG_NAMES.items() if bits & flag]
    return (*system, *(word for number, word in enumerate(keywords) if bits >> (FIRST_KEYWORD_BIT + number) & 1))
