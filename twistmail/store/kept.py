"""Expunged mail that is kept for a while: where it lies, how it comes back, and when it goes.

An expunged message goes to `expunged/` inside its mailbox, under the name that it
had; nobody else looks there, because no reader of Maildir++ knows the name. A
deleted folder goes whole to `expunged/` of the account, under its directory's
name and eight random digits (`expunged/.Work.1f2e3d4c`). When that was is told
by the inode's change time, which a rename sets.

What comes back is renamed into cur/ under a new name, in one step: it has lost
its UID (RFC 3501 §2.3.1.1) and gets a new one as mail from elsewhere does. Date,
flags and keywords stay, \\Deleted does not. A deleted folder comes back as it was,
UIDs and all, unless there is one of its name by now: then only its mail does.

Blocking, stdlib only.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.store import keywords, names
from twistmail.store.folders import FolderTree
from twistmail.store.listing import read_list
from twistmail.store.maildir import KEPT
from twistmail.store.uidlist import FILE, sync_directory

_FOLDER = re.compile(r"(\..+)\.[0-9a-f]{8}")


@frozen
class KeptMessage:
    """One expunged message: its file's `name` in `folder` (a path), the UID that it had (0: not known any more), when it was expunged."""

    folder: Path
    name: bytes
    uid: int
    size: int
    expunged: float

    @property
    def letters(self) -> bytes:
        return self.name.partition(names.INFO)[2]


@frozen
class KeptFolder:
    """One deleted folder: where it lies now, what it was called, and when it was deleted."""

    path: Path
    name: str
    deleted: float


# ----- what there is -----------------------------------------------------------


def messages(folder: Path) -> list[KeptMessage]:
    """The expunged messages of the mailbox in *folder*, the longest gone first."""
    found = []
    uids: dict[bytes, int] | None = None
    for entry, status in _entries(folder / KEPT):
        if stat.S_ISREG(status.st_mode):
            uids = _uids(folder) if uids is None else uids
            base = entry.name.partition(names.INFO)[0]
            found.append(KeptMessage(folder, entry.name, uids.get(base, 0), status.st_size, status.st_ctime))
    return sorted(found, key=lambda message: (message.expunged, message.name))


def folders(root: Path) -> list[KeptFolder]:
    """The deleted folders of the account in *root*, the longest gone first."""
    found = []
    for entry, status in _entries(root / KEPT):
        match = _FOLDER.fullmatch(os.fsdecode(entry.name))
        name = names.name_of(match[1]) if match else None
        if name and stat.S_ISDIR(status.st_mode):
            found.append(KeptFolder(Path(os.fsdecode(entry.path)), name, status.st_ctime))
    return sorted(found, key=lambda one: one.deleted)


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry[bytes], os.stat_result]]:
    with suppress(FileNotFoundError), os.scandir(os.fsencode(folder)) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry, entry.stat(follow_symlinks=False)


def _uids(folder: Path) -> dict[bytes, int]:
    listing = read_list(folder / FILE)
    return dict(zip(listing.bases, listing.uids, strict=True))


# ----- coming back --------------------------------------------------------------


def restore_messages(kept: Sequence[KeptMessage], target: Path, fresh_name: Callable[[], bytes]) -> int:
    """Put messages back into the mailbox in *target*; how many there were. Durable when it returns."""
    if not kept:
        return 0
    translate = translation(kept[0].folder, target)
    count = 0
    for message in kept:
        base, _, letters = message.name.partition(names.INFO)
        sizes = base.partition(b",")
        name = fresh_name() + sizes[1] + sizes[2] + names.INFO + bytes(sorted(translate(letters)))
        with suppress(FileNotFoundError):  # somebody else was faster
            os.rename(os.fsencode(message.folder / KEPT) + b"/" + message.name, os.fsencode(target / "cur") + b"/" + name)
            count += 1
    sync_directory(target / "cur")
    sync_directory(kept[0].folder / KEPT)
    return count


def translation(source: Path, target: Path) -> Callable[[bytes], bytes]:
    """From flag letters in mailbox *source* to those in *target*, which learns the keywords that it lacks; \\Deleted goes."""
    if source == target:
        return lambda letters: letters.replace(b"T", b"")
    words = keywords.read(source)
    known = keywords.read(target)
    wanted = keywords.extended(known, words[: names.MOST_KEYWORDS - len(known)])
    if wanted != known:
        keywords.write(target, wanted)
    places = {word.lower(): place for place, word in enumerate(wanted)}
    table = {ord("a") + n: ord("a") + places[word.lower()] for n, word in enumerate(words) if word.lower() in places}
    return lambda letters: bytes(table.get(c, c) for c in letters if c != ord("T") and (c in table or c < ord("a")))


def restore_folder(tree: FolderTree, kept: KeptFolder) -> int:
    """Bring a deleted folder back; how many messages came with it."""
    target = tree.root / names.directory_of(kept.name)
    if not target.exists():
        for level in names.parents(kept.name):
            if not tree.exists(level):
                tree.create(level)
        os.rename(kept.path, target)
        sync_directory(tree.root)
        return sum(len(os.listdir(target / place)) for place in ("new", "cur"))
    count = restore_messages([*_as_kept(kept)], target, tree.fresh_name)
    shutil.rmtree(kept.path, ignore_errors=True)
    return count


def _as_kept(folder: KeptFolder) -> list[KeptMessage]:
    """The messages of a deleted folder, as if each had been expunged: they are moved to its `expunged/` first."""
    (folder.path / KEPT).mkdir(mode=0o700, exist_ok=True)
    for place in ("new", "cur"):
        for name in os.listdir(os.fsencode(folder.path / place)):
            os.rename(os.fsencode(folder.path / place) + b"/" + name, os.fsencode(folder.path / KEPT) + b"/" + name)
    return messages(folder.path)


# ----- going ---------------------------------------------------------------------


def sweep(root: Path, mailboxes: Iterable[str], before: float) -> int:
    """Delete what was expunged from the *mailboxes* (names) of the account in *root* before a moment (POSIX seconds); how many files."""
    count = 0
    for name in mailboxes:
        folder = root / names.directory_of(name)
        for entry, status in _entries(folder / KEPT):
            if stat.S_ISREG(status.st_mode) and status.st_ctime < before:
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)
                    count += 1
    for gone in folders(root):
        if gone.deleted < before:
            count += sum(len(files) for _, _, files in os.walk(gone.path))
            shutil.rmtree(gone.path, ignore_errors=True)
    return count
