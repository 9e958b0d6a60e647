"""What STATUS tells of mailboxes that nobody has open, many at a time: from the index, where that is still true. Blocking.

A mailbox is not read into memory for it, nothing is written, and no lock is taken. What is not certain is left
out: whoever wants to know opens that mailbox, and then the index knows it again.
"""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import compress
from pathlib import Path

from twistmail.mail.mailbox import MODSEQS_A_SECOND, Flag, MailboxStatus
from twistmail.store import names, uidlist
from twistmail.store.index import Index, Known
from twistmail.store.loading import is_true, mailboxid
from twistmail.store.maildir import Stamp
from twistmail.store.namebook import NEW

_SEEN, _DELETED = int(Flag.SEEN), int(Flag.DELETED)


def statuses(root: Path, index: Index, wanted: Iterable[str], around: tuple[str, float], *, deleted: bool) -> dict[str, MailboxStatus]:
    """{name: MailboxStatus} of those folders *wanted* of which it is certain.

    *around*: the boot of the machine, see Workshop, and the time (POSIX seconds); *deleted*: as in `IMailboxes.status`.
    """
    boot, now = around
    looked = {}
    for name in wanted:
        folder = os.path.join(root, names.directory_of(name))
        with suppress(OSError, uidlist.DamagedList):
            looked[name] = _times(folder), *uidlist.peek(folder)
    try:
        known = index.glance({name: names.directory_of(name) for name in looked})
    except (sqlite3.Error, ValueError, TypeError):
        return {}
    found = {}
    for name, (times, header, nextuid) in looked.items():
        if not header.guid:  # it has no name yet that would stay
            continue
        identity = header.uidvalidity, mailboxid(header.guid.decode("ascii"))
        told = known.get(name)
        if told is None:
            if nextuid == 1 and _is_empty(os.path.join(root, names.directory_of(name))):
                found[name] = MailboxStatus(0, 0, 0, 1, identity[0], 0, int(now * MODSEQS_A_SECOND), identity[1])
        elif told[0].uidvalidity == header.uidvalidity and told[0].boot == boot and boot:
            with suppress(ValueError, TypeError):  # it is damaged: whoever opens the mailbox sees to that
                status = _counted(*told, identity[1], deleted=deleted)
                if is_true(told[0], times, nextuid, status.messages):
                    found[name] = status
    return found


def _times(folder: str) -> Stamp:
    return Stamp(os.stat(folder + "/new").st_mtime_ns, os.stat(folder + "/cur").st_mtime_ns)


def _is_empty(folder: str) -> bool:
    return not os.listdir(folder + "/new") and not os.listdir(folder + "/cur")


def _counted(known: Known, blocks: Sequence[tuple[bytes, bytes, bytes]], identity: str, *, deleted: bool) -> MailboxStatus:
    """*blocks*: the columns sizes, bits, named of each, as octets. ValueError where they do not fit."""
    messages = recent = unseen = size = gone = gone_size = 0
    for size_column, bit_column, named_column in blocks:
        sizes, bits, named = (array("Q", column) for column in (size_column, bit_column, named_column))
        if not len(sizes) == len(bits) == len(named):
            raise ValueError("columns of different lengths")
        messages += len(bits)
        recent += named.count(NEW)
        unseen += len(bits) - sum(map(_SEEN.__and__, bits))
        size += sum(sizes)
        if deleted:
            doomed = list(compress(sizes, map(_DELETED.__and__, bits)))
            gone, gone_size = gone + len(doomed), gone_size + sum(doomed)
    return MailboxStatus(
        messages, recent, unseen, known.uidnext, known.uidvalidity, size, max(known.modseq, 1), identity, gone, gone_size
    )  # fmt: skip
