"""The folder tree of one account on disk (Maildir++): directories, `subscriptions`, special uses, the UIDVALIDITY counter.

Blocking, and safe to call from several threads. Knows nothing of what lies in a
folder; `mailstore` tells those who have a folder open that it went away.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from twistmail.disk import make_durable
from twistmail.giving import Owner
from twistmail.mail.mailbox import Folder, NoSuchMailbox, StoreError
from twistmail.mail.names import USES, checked_uses
from twistmail.mail.values import frozen
from twistmail.store import names
from twistmail.store.maildir import KEPT, Maildir, NotAMaildir, make_directory
from twistmail.store.names import INBOX, SEPARATOR
from twistmail.store.redolog import RedoLog
from twistmail.store.uidlist import FILE as LIST
from twistmail.store.uidlist import LARGEST_UID, UidList, sync_directory
from twistmail.store.unsynced import Unsynced

MOST_FOLDERS = 10_000
#: What has changed within this time (nanoseconds) may change again without showing it.
QUIET_NS = 1_000_000_000

_SUBSCRIPTIONS = "subscriptions"
_USES = "twistmail-special-use"
_COUNTER = "dovecot-uidvalidity"
_DELETED = "..twistmail-deleted-"
#: A file in the maildir of an account that has got mail, and that nobody has looked into yet: the standard folders are missing.
_NEW = "twistmail-new"


@frozen
class Surroundings:
    """What a folder tree needs from outside: a clock (POSIX seconds), random octets, names for files."""

    now: Callable[[], float]
    random: Callable[[int], bytes]
    fresh_name: Callable[[], bytes]
    keeps: bool = False  # expunged mail, and deleted folders
    redo: RedoLog | None = None
    owner: Owner | None = None  # whom files and folders of messages belong to; None: us
    syncfs: bool = False  # many new files and folders are synced by one call


class FolderTree:
    """The folders below *root*, the account's maildir. Names are normal (`names.normal`)."""

    def __init__(self, root: Path, standard: Sequence[str], around: Surroundings) -> None:
        self.root = root
        self._standard = tuple(standard)
        self._around = around
        self._maildirs: dict[str, Maildir] = {}
        self._guard = threading.RLock()
        self._counting = threading.Lock()  # of UIDVALIDITY, also for who holds the guard of a UID list: within it no other is taken
        self._spelled: dict[str, str | None] = {}  # directory -> the folder that it is
        self._told: tuple[tuple[tuple[int, int, int], ...], tuple[Folder, ...]] | None = None  # `folders`, and when that was true
        self.unsynced = Unsynced()
        self.ready = False

    # ----- maildirs

    def maildir(self, name: str) -> Maildir:
        """The one Maildir object of folder *name*; it may not exist on disk."""
        with self._guard:
            found = self._maildirs.get(name)
            if found is None:
                path = self.root / names.directory_of(name)
                uids = UidList(path, self.next_uidvalidity, self._around.random)
                around = self._around
                found = Maildir(path, around.fresh_name, uids, keeps=around.keeps, redo=around.redo, owner=around.owner)
                self._maildirs[name] = found
            return found

    def is_there(self) -> bool:
        """Whether anything has been made yet."""
        return (self.root / "cur").is_dir()

    def begin(self) -> None:
        """Make INBOX, all that mail needs to come in. Durable once what is `unsynced` is. The standard folders can wait until somebody
        looks (`prepare`); a mark says so. Cheap when it is there.
        """
        if self.maildir(INBOX).exists:
            return
        with self._guard:
            if not self.is_there():
                self.unsynced.add(*make_directory(self.root))
                (self.root / _NEW).touch(mode=0o600)
            self._make(INBOX)

    def prepare(self) -> None:
        """Make what an account needs that is used: INBOX and the standard folders, subscribed, durably. Cheap when it is there."""
        if self.ready:
            return
        mark = self.root / _NEW
        with self._guard:
            self.begin()
            is_new = mark.exists()
            if is_new:
                self._make_standard_folders()
            for leftover in self.root.glob(_DELETED + "*"):
                shutil.rmtree(leftover, ignore_errors=True)
        self._settle()
        if is_new:
            mark.unlink(missing_ok=True)
            self.unsynced.add(self.root)
            self._settle()
        self.ready = True

    def _settle(self) -> None:
        """Make durable whatever was made."""
        if made := self.unsynced.now():
            make_durable(set(made.values()), syncfs=self._around.syncfs)
            self.unsynced.synced(made)

    @property
    def redo(self) -> RedoLog | None:
        return self._around.redo

    def undisturbed(self) -> AbstractContextManager[None]:
        """Around changes of names that the redo log goes by: meanwhile it holds nothing, and nothing new is published. Raises OSError."""
        return self.redo.at_rest() if self.redo else nullcontext()

    def forget(self) -> None:
        """Something has gone under us: `prepare` looks again."""
        self.ready = False

    def _make_standard_folders(self) -> None:
        for name in self._standard:
            self._make(name)
        _put_file(self.root / _SUBSCRIPTIONS, _subscriptions_text([INBOX, *self._standard]))
        _put_file(self.root / _USES, _uses_text({name: (USES[name],) for name in self._standard if name in USES}))
        self.unsynced.add(self.root / _SUBSCRIPTIONS, self.root / _USES, self.root)

    def close(self) -> None:
        with self._guard:
            for maildir in self._maildirs.values():
                maildir.close()

    # ----- the tree

    def names(self) -> list[str]:
        """All folders that are mailboxes, sorted, INBOX first."""
        return self._looked_around()[0]

    def _looked_around(self) -> tuple[list[str], bool]:
        """The same, and whether all that could become a folder without a trace in the directory's time is one."""
        found, known, is_whole = [], dict[str, str | None](), True
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    continue
                known[entry.name] = name = self._spelled[entry.name] if entry.name in self._spelled else names.name_of(entry.name)
                if name and _is_made(entry):
                    found.append(name)
                elif name:
                    is_whole = False
        self._spelled = known
        return [INBOX, *sorted(found)], is_whole

    def exists(self, name: str) -> bool:
        return (self.root / names.directory_of(name) / "cur").is_dir()

    def folders(self) -> tuple[Folder, ...]:
        """Every name of the tree, also levels that are no mailboxes, sorted, INBOX first. What has not changed is not looked at twice."""
        stamps = tuple(_stamp(self.root / name) for name in ("", _SUBSCRIPTIONS, _USES))
        told = self._told
        if told is not None and told[0] == stamps:
            return told[1]
        existing, is_whole = self._looked_around()
        folders = self._described(existing)
        quiet = int(self._around.now() * 1e9) - QUIET_NS
        self._told = (stamps, folders) if is_whole and all(stamp[0] < quiet for stamp in stamps) else None
        return folders

    def _described(self, existing: Sequence[str]) -> tuple[Folder, ...]:
        mailboxes = set(existing)
        levels = {level for name in mailboxes for level in names.parents(name)}
        subscribed, uses = set(self.subscriptions()), self.uses()
        return tuple(
            Folder(name, name in subscribed, name in mailboxes, name in levels, uses.get(name, ()))
            for name in sorted(mailboxes | levels, key=lambda name: (name != INBOX, name))
        )

    def create(self, name: str, uses: Sequence[str] = ()) -> None:
        with self._guard:
            if self.exists(name):
                raise StoreError(f"There is a mailbox {name} already", "ALREADYEXISTS")
            taken = self.uses()
            asked = checked_uses(uses, taken.values())
            self.make(name)
            if asked:
                self._write_uses(taken | {name: asked})
        self._settle()

    def make(self, name: str) -> None:
        """The mailbox *name*, where there is none, with the levels above it. Durable once what is `unsynced` is. OSError, StoreError."""
        with self._guard:
            self.begin()
            wanted = [level for level in (*names.parents(name), name) if not self.exists(level)]
            if wanted and len(self.names()) + len(wanted) > MOST_FOLDERS:
                raise StoreError("You have too many mailboxes", "LIMIT")
            for level in wanted or [name]:
                self._make(level)

    def set_uses(self, name: str, uses: Sequence[str]) -> None:
        """See IMailboxes."""
        with self._guard:
            if not self.exists(name):
                raise NoSuchMailbox(name)
            others = {other: some for other, some in self.uses().items() if other != name}
            asked = checked_uses(uses, others.values())
            self._write_uses(others | {name: asked})

    def _make(self, name: str) -> None:
        """A mailbox and its UID list, whose UIDVALIDITY is thereby settled (spec D6). Nothing where it is there."""
        maildir = self.maildir(name)
        changed = maildir.make()
        self.unsynced.add(*changed)
        if changed and not maildir.uids.path.exists():
            with self._counting:
                uidvalidity = self._mark_uidvalidity(self._fresh_uidvalidity(maildir.uids.uidvalidity))
            maildir.uids.make(uidvalidity)
            self.unsynced.add(maildir.uids.path, self.root)
        maildir.exists = True  # not before: who finds it there takes it that what must be synced is noted

    def delete(self, name: str) -> None:
        if name == INBOX:
            raise StoreError("INBOX cannot be deleted", "CANNOT")
        with self.undisturbed(), self._guard:
            if not self.exists(name):
                if any(other.startswith(name + SEPARATOR) for other in self.names()):
                    raise StoreError(f"{name} is only a level above other mailboxes", "HASCHILDREN")
                raise NoSuchMailbox(name)
            doomed = self._place_for_deleted(name)
            os.rename(self.root / names.directory_of(name), doomed)
            self._maildirs.pop(name, None)
            self._write_uses({other: use for other, use in self.uses().items() if other != name})
        sync_directory(self.root)
        if doomed.name.startswith(_DELETED):
            shutil.rmtree(doomed, ignore_errors=True)

    def _place_for_deleted(self, name: str) -> Path:
        """Where the directory of *name* goes: out of sight, or to what is kept for a while (`kept`)."""
        directory = f"{names.directory_of(name)}.{self._around.random(4).hex()}"
        if not self._around.keeps or len(directory) > names.LONGEST_PART:
            return self.root / (_DELETED + self._around.random(8).hex())
        (self.root / KEPT).mkdir(mode=0o700, exist_ok=True)
        return self.root / KEPT / directory

    def fresh_name(self) -> bytes:
        """A base name that nobody has."""
        return self._around.fresh_name()

    def rename(self, old: str, new: str) -> list[tuple[str, str]]:
        """Rename *old* and all below it: the pairs (old name, new name) of what was renamed. Not for INBOX."""
        with self.undisturbed(), self._guard:
            moves = self._moves(old, new)
            for level in names.parents(new):
                if not self.exists(level):
                    self._make(level)
            for source, target in moves:
                os.rename(self.root / names.directory_of(source), self.root / names.directory_of(target))
                self._maildirs.pop(source, None)
                self._maildirs.pop(target, None)
            renamed = dict(moves)
            self._write_uses({renamed.get(name, name): use for name, use in self.uses().items()})
        self.unsynced.add(self.root)
        self._settle()
        return moves

    def _moves(self, old: str, new: str) -> list[tuple[str, str]]:
        existing = self.names()
        moves = [(name, new + name[len(old) :]) for name in existing if name == old or name.startswith(old + SEPARATOR)]
        if not moves:
            raise NoSuchMailbox(old)
        if new == old or new.startswith(old + SEPARATOR):
            raise StoreError("A mailbox cannot be moved into itself", "CANNOT")
        for _, target in moves:
            names.normal(target)
            if target in existing:
                raise StoreError(f"There is a mailbox {target} already", "ALREADYEXISTS")
        return moves

    # ----- small files

    def subscriptions(self) -> tuple[str, ...]:
        """The subscribed names, sorted (Dovecot's format: version 2, or one name a line)."""
        return tuple(sorted(set(self._read_subscriptions())))

    def subscribe(self, name: str, *, subscribed: bool) -> None:
        with self._guard:
            before = self._read_subscriptions()
            after = [other for other in before if other != name] + [name] * subscribed
            if sorted(before) != sorted(after):
                self._write_subscriptions(after)

    def _read_subscriptions(self) -> list[str]:
        lines = _read_lines(self.root / _SUBSCRIPTIONS)
        separator = "\t" if lines[:1] == ["V\t2"] else "."
        found = []
        for line in lines[1:] if separator == "\t" else lines:
            with suppress(ValueError):
                if line:
                    found.append(SEPARATOR.join(names.part_from_disk(part) for part in line.split(separator)))
        return found

    def _write_subscriptions(self, subscribed: Sequence[str]) -> None:
        replace_file(self.root / _SUBSCRIPTIONS, _subscriptions_text(subscribed))

    def uses(self) -> dict[str, tuple[str, ...]]:
        """The special uses (RFC 6154 §2) of each folder that has some. The file has a line `USE NAME` for each."""
        found: dict[str, tuple[str, ...]] = {}
        for use, _, name in (line.partition(" ") for line in _read_lines(self.root / _USES)):
            if use.startswith("\\") and name:
                found[name] = (*found.get(name, ()), use)
        return found

    def _write_uses(self, uses: Mapping[str, Sequence[str]]) -> None:
        if uses != self.uses():
            replace_file(self.root / _USES, _uses_text(uses))

    def next_uidvalidity(self, above: int = 0) -> int:
        """A UIDVALIDITY above *above* and above every one this account ever had. Counted in the file that Dovecot counts in."""
        with self._counting:
            value = self._fresh_uidvalidity(above)
            replace_file(self.root / _COUNTER, f"{value:08x}")
            return self._mark_uidvalidity(value)

    def _fresh_uidvalidity(self, above: int) -> int:
        last = [int(line, 16) for line in _read_lines(self.root / _COUNTER)[:1] if re.fullmatch(r"[0-9a-f]{1,8}", line)]
        last += [int(mark.suffix[1:], 16) for mark in self._uidvalidity_marks() if re.fullmatch(r"\.[0-9a-f]{8}", mark.suffix)]
        value = max(int(self._around.now()), above + 1, *(number + 1 for number in last))
        if value > LARGEST_UID:
            raise OSError(errno.EOVERFLOW, "no UIDVALIDITY is left")
        return value

    def _mark_uidvalidity(self, value: int) -> int:
        """Note it in a file's name, where Dovecot looks, too, when the counter is missing or behind; not synced."""
        new = self.root / f"{_COUNTER}.{value:08x}"
        new.touch(mode=0o444)
        for mark in self._uidvalidity_marks():
            if mark.name < new.name:  # another process may just have noted a larger one
                mark.unlink(missing_ok=True)
        return value

    def _uidvalidity_marks(self) -> list[Path]:
        return list(self.root.glob(_COUNTER + ".????????"))


def _is_made(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder: cur/ is made last, then the list. A directory that a crash has left without both is none, yet."""
    return entry.is_dir(follow_symlinks=False) and (os.path.isdir(entry.path + "/cur") or os.path.exists(f"{entry.path}/{LIST}"))


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes whenever a name in a directory, or a file that is always replaced, does."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return []


def _subscriptions_text(subscribed: Iterable[str]) -> str:
    lines = ["\t".join(names.part_on_disk(part) for part in name.split(SEPARATOR)) for name in subscribed]
    return "\n".join(["V\t2", "", *lines, ""])


def _uses_text(uses: Mapping[str, Sequence[str]]) -> str:
    return "".join(sorted(f"{use} {name}\n" for name, some in uses.items() for use in some))


def replace_file(path: Path, text: str) -> None:
    """Durably, by a new file under the old name. Blocking."""
    _put_file(path, text, durable=True)
    sync_directory(path.parent)


def _put_file(path: Path, text: str, *, durable: bool = False) -> None:
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.rename(temporary, path)


__all__ = ["USES", "FolderTree", "NotAMaildir", "Surroundings", "replace_file"]
