"""What a store throws away by itself, and when: `Rules`, and what is due by them. Blocking; in a thread, an account at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.store import kept, names
from twistmail.store.folders import FolderTree
from twistmail.store.listing import read_list
from twistmail.store.uidlist import FILE

_SECOND = re.compile(rb"(\d{9,11})\.")


@frozen
class Rules:
    """All in seconds; None: never.

    `keep_expunged`: how long what users expunge can be had back (None: not at all); `trash_after`, `junk_after`: when mail goes that
    lies in the folders with the special uses \\Trash and \\Junk.
    """

    keep_expunged: float | None = None
    trash_after: float | None = None
    junk_after: float | None = None


NO_RULES = Rules()


@frozen
class Due:
    """Messages of `folder` whose time has come, if it still has this `uidvalidity`."""

    folder: str
    uidvalidity: int
    uids: list[int]


def tidied(tree: FolderTree, rules: Rules, now: float) -> list[Due]:
    """Delete expunged mail of an account that has been kept for long enough; what else is due. *now*: POSIX seconds."""
    kept.sweep(tree.root, tree.names(), now - (rules.keep_expunged or 0.0))
    after = {"\\Trash": rules.trash_after, "\\Junk": rules.junk_after}
    found = []
    for folder in tree.folders():
        spans = [span for use in folder.uses if (span := after.get(use)) is not None]
        if spans and folder.selectable:
            uidvalidity, uids = _listed(tree.root / names.directory_of(folder.name), now - min(spans))
            if uids:
                found.append(Due(folder.name, uidvalidity, uids))
    return found


def _listed(folder: Path, before: float) -> tuple[int, list[int]]:
    """(UIDVALIDITY, the UIDs of the messages in *folder* that were saved before a moment)."""
    bases = {names.base_of(path) for path, _ in saved_before(folder, before)}
    listing = read_list(folder / FILE) if bases else None
    if listing is None:
        return 0, []
    return listing.uidvalidity, [uid for uid, base in zip(listing.uids, listing.bases, strict=True) if base in bases]


def saved_before(folder: Path, before: float) -> Iterator[tuple[bytes, float]]:
    """(path, when it was saved) of the messages in *folder* that came into it before a moment (POSIX seconds).

    That is told by the name of the file, which begins with the second in which it was made here (RFC 8514 §2); a date that
    is later counts too, and alone where the name does not tell.
    """
    for place in (b"new", b"cur"):
        try:
            entries = os.scandir(os.path.join(os.fsencode(folder), place))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                match = _SECOND.match(entry.name)
                if entry.name.startswith((b".", b":")) or (match and int(match[1]) >= before):
                    continue
                try:
                    saved = max(entry.stat(follow_symlinks=False).st_mtime, float(match[1]) if match else 0.0)
                except FileNotFoundError:
                    continue
                if saved < before:
                    yield place + b"/" + entry.name, saved
