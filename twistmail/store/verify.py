"""Looking at the maildirs of an account without changing anything: is everything there what it says it is?

Works while a server runs on them. What changes meanwhile is no anomaly, so the
directories are read before the UID list (a message is listed before it gets
its name), and whatever looks wrong is looked at again before it is told. Only
names and sizes are read, unless `deep`: then every message is, which takes as
long as reading them all.

Blocking. What it finds are `anomalies.Anomaly` values; `store.repair`
cures those that can be cured.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twistmail.anomalies import BY_ITSELF, Anomaly, Report, Severity, first_and_count, text_of
from twistmail.store import keywords, names, uidlist
from twistmail.store.annotations import FILE as ANNOTATIONS
from twistmail.store.database import FILE as INDEX
from twistmail.store.folders import FolderTree
from twistmail.store.indexed import differences, read_index, told
from twistmail.store.listing import ListReading, read_list
from twistmail.store.maildir import LEFTOVER_AFTER
from twistmail.store.message_check import Oddity, content_oddity, size_oddity

REPAIR = "twistmail mailbox repair {account}"
#: Flag letters that have a meaning in a maildir: ours, and P (passed), which IMAP does not know.
_KNOWN_LETTERS = b"DFPRST"
_KEYWORD_LINE = re.compile(rb"(\d{1,3}) ([^\x00-\x20(){%*\"\\\]\x7f-\xff]+)")
_OPEN_TO_OTHERS = 0o007
_NEW_LIST = "a new one is made when the mailbox is opened; clients fetch everything again"


@dataclass(slots=True)
class Found:
    """What lies in new/ and cur/: paths by base name, `files` with their status, and names that are no message's."""

    files: dict[bytes, os.stat_result] = field(default_factory=dict)  # by path
    paths: dict[bytes, list[bytes]] = field(default_factory=dict)  # by base name
    strange: list[bytes] = field(default_factory=list)

    def forget(self, path: bytes) -> None:
        """The file at *path* is no message."""
        del self.files[path]
        paths = self.paths[names.base_of(path)]
        paths.remove(path)
        if not paths:
            del self.paths[names.base_of(path)]


def look(folder: Path) -> Found:
    """All that is in new/ and cur/ of *folder*. FileNotFoundError where one of them is missing."""
    found = Found()
    for place in (b"new", b"cur"):
        with os.scandir(os.path.join(os.fsencode(folder), place)) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                path = place + b"/" + entry.name
                if not is_message_name(entry.name) or not stat.S_ISREG(status.st_mode):
                    found.strange.append(path)
                else:
                    found.files[path] = status
                    found.paths.setdefault(names.base_of(path), []).append(path)
    return found


def is_message_name(name: bytes) -> bool:
    """Whether a file of this name is a message that can be found again by its name."""
    return not name.startswith((b".", b":")) and b"\n" not in name


class MailboxCheck:
    """One mailbox: all checks write into `report`. *folder* is its directory, *name* what IMAP calls it."""

    def __init__(self, report: Report, account: str, name: str, folder: Path, now: float, *, deep: bool = False) -> None:
        self.report = report
        self.account, self.name, self.folder, self.now, self.deep = account, name, folder, now, deep
        self.listing = ListReading()
        self.found = Found()

    def run(self) -> None:
        try:
            self.found = look(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            if self.folder.is_dir():  # else it was deleted or renamed meanwhile
                self._tell(Severity.ERROR, "directory-missing", b"", "new/ or cur/ is missing", self._repair)
            return
        self.report.counted.update(mailboxes=1, messages=len(self.found.files))
        self._check_list()
        self._check_messages()
        self._check_names()
        self._check_keywords()
        self._check_owners()
        self._check_leftovers()

    # ----- the UID list

    def _check_list(self) -> None:
        self.listing = read_list(self.folder / uidlist.FILE)
        if self.listing.troubles:
            self.listing = read_list(self.folder / uidlist.FILE, locked=True)
        for trouble in self.listing.troubles:
            if self.listing.is_missing and not self.found.files:
                continue  # it is made when somebody opens the mailbox for the first time
            severity = Severity(trouble.severity)
            cure = {"note": BY_ITSELF, "warning": _NEW_LIST}.get(trouble.severity, self._repair)
            self._tell(severity, trouble.kind, uidlist.FILE.encode(), trouble.what, cure)
        if not self.listing.is_unreadable and not self.listing.is_missing:
            self._check_unlisted()

    def _check_unlisted(self) -> None:
        listed = set(self.listing.bases)
        self.report.counted["expunged"] += sum(base not in self.found.paths for base in listed)
        unlisted = [base for base in self.found.paths if base not in listed]
        if unlisted:  # somebody may have compacted the list since, or a file may have gone
            listed.update(read_list(self.folder / uidlist.FILE).bases)
        for base in unlisted:
            for path in self.found.paths[base]:
                if base not in listed and self._is_there(path):
                    self._tell(Severity.NOTE, "unlisted", path, "has no UID yet", "it gets one when the mailbox is opened")

    # ----- messages

    def _check_messages(self) -> None:
        words = len(keywords.read(self.folder))
        for path, status in self.found.files.items():
            oddity = size_oddity(path, status.st_size)
            if oddity:
                oddity = self._again(path)
            elif self.deep:
                oddity = content_oddity(self.folder, path)
            if oddity:
                self._tell(Severity(oddity.severity), oddity.kind, path, oddity.what, self._repair)
            if letters := self._strange_letters(path, words):
                self._tell(
                    Severity.WARNING, "letters", path, f"flag letters that mean nothing here: {letters}", f"add them to {keywords.FILE}"
                )

    def _again(self, path: bytes) -> Oddity | None:
        """What is odd about the size of a file now."""
        try:
            return size_oddity(path, os.lstat(os.fsencode(self.folder) + b"/" + path).st_size)
        except FileNotFoundError:
            return None

    def _strange_letters(self, path: bytes, words: int) -> str:
        letters = names.letters_of(path)
        strange = bytes(c for c in letters if c not in _KNOWN_LETTERS and not names.bits_of(bytes((c,)), words))
        return strange.decode("latin-1")

    def _check_names(self) -> None:
        for path in self.found.strange:
            if self._is_there(path) and not self._is_being_written(path):
                self._tell(Severity.WARNING, "name", path, "is no message file: nobody sees it", self._repair)
        for paths in self.found.paths.values():
            if len(paths) > 1 and all(self._is_there(path) for path in paths):
                self._tell(Severity.WARNING, "file-twice", paths[1], f"has the base name of {text_of(paths[0])}", self._repair)

    # ----- what stands beside

    def _check_keywords(self) -> None:
        _, is_sound = keyword_lines(self.folder)
        if not is_sound:
            self._tell(Severity.WARNING, "keywords", keywords.FILE.encode(), "has lines that are no keyword, or come twice", self._repair)

    def _check_owners(self) -> None:
        owner = self.folder.stat().st_uid
        odd = (path for path, status in self.found.files.items() if status.st_uid != owner or status.st_mode & _OPEN_TO_OTHERS)
        path, count = first_and_count(text_of(self.folder, path) for path in odd)
        if count:
            others = f", and so are {count - 1} others" if count > 1 else ""
            cure = f"chown and chmod 600, if that is not meant ({text_of(self.folder)})"
            self.report.add(
                Anomaly(Severity.NOTE, "owner", path, f"is somebody else's, or open to all{others}", cure, self.account, self.name)
            )

    def _check_leftovers(self) -> None:
        try:
            with os.scandir(os.path.join(os.fsencode(self.folder), b"tmp")) as entries:
                old = [b"tmp/" + entry.name for entry in entries if _age(entry, self.now) > LEFTOVER_AFTER]
        except FileNotFoundError:
            self._tell(Severity.WARNING, "directory-missing", b"tmp", "is missing", self._repair)
            return
        for path in old:
            self._tell(Severity.NOTE, "leftover", path, "was begun and never finished", "it goes when the mailbox is opened")
        for name in os.listdir(os.fsencode(self.folder)):
            if re.match(rb"(dovecot-|subscriptions|twistmail-).*\.tmp\d+$", name):
                self._tell(Severity.NOTE, "leftover", name, "was begun and never finished", "delete it while the server is stopped")

    # ----- telling

    @property
    def _repair(self) -> str:
        return REPAIR.format(account=self.account)

    def _is_there(self, path: bytes) -> bool:
        return os.path.lexists(os.fsencode(self.folder) + b"/" + path)

    def _is_being_written(self, path: bytes) -> bool:
        """Whether somebody (rsync, say) may be making this file: hidden, and not old."""
        try:
            return path[4:].startswith(b".") and os.lstat(os.fsencode(self.folder) + b"/" + path).st_ctime > self.now - LEFTOVER_AFTER
        except FileNotFoundError:
            return True

    def _tell(self, severity: Severity, kind: str, path: bytes, what: str, cure: str) -> None:
        self.report.add(Anomaly(severity, kind, text_of(self.folder, path), what, cure, self.account, self.name))


def keyword_lines(folder: Path) -> tuple[dict[int, str], bool]:
    """{number: keyword} of `dovecot-keywords`, without what cannot be read or comes again; and whether that is all there is."""
    try:
        lines = (folder / keywords.FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}, True
    found: dict[int, str] = {}
    is_sound = True
    for line in filter(None, lines):
        match = _KEYWORD_LINE.fullmatch(line)
        word = match[2].decode("ascii") if match else ""
        if (
            match
            and int(match[1]) < names.MOST_KEYWORDS
            and int(match[1]) not in found
            and word.lower() not in map(str.lower, found.values())
        ):
            found[int(match[1])] = word
        else:
            is_sound = False
    return found, is_sound


def _age(entry: os.DirEntry[bytes], now: float) -> float:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0.0
    return now - max(status.st_mtime, status.st_ctime)


# ----- an account -------------------------------------------------------------


def verify_account(tree: FolderTree, account: str, now: float, *, deep: bool = False) -> Report:
    """All that is odd in the maildirs of *account*. *now*: POSIX seconds. *deep*: read every message, too."""
    report = Report()
    report.counted["accounts"] += 1
    if not tree.root.is_dir():
        report.add(
            Anomaly(Severity.ERROR, "account-missing", text_of(tree.root), "there is no such directory", "check [store] path", account)
        )
        return report
    mailboxes = tree.names()
    for name in mailboxes:
        MailboxCheck(report, account, name, tree.root / names.directory_of(name), now, deep=deep).run()
    report.add(*_tree_oddities(tree, account, set(mailboxes)))
    report.add(*_index_oddities(tree, account, set(mailboxes)))
    return report


def _tree_oddities(tree: FolderTree, account: str, mailboxes: set[str]) -> Iterator[Anomaly]:
    for directory in sorted(os.listdir(tree.root)):
        path = tree.root / directory
        if directory.startswith("..twistmail-"):
            yield Anomaly(Severity.NOTE, "leftover", text_of(path), "a folder that was being deleted", "it goes at the next start", account)
        elif directory.startswith(".") and path.is_dir() and (name := names.name_of(directory)) and name not in mailboxes:
            cure = "create the folder again, or delete the directory"
            yield Anomaly(Severity.NOTE, "leftover", text_of(path), "a folder that was begun and never finished", cure, account)
        elif directory.startswith(".") and names.name_of(directory) is None and (path / "cur").is_dir():
            cure = "rename it: levels are divided by dots, each in modified UTF-7"
            yield Anomaly(Severity.WARNING, "folder-name", text_of(path), "cannot be a folder's name: nobody sees it", cure, account)
    beside = (("subscriptions", tree.subscriptions(), "is subscribed"), ("twistmail-special-use", tree.uses(), "has a use"))
    for file, listed, has in beside:
        for name in listed:
            if name not in mailboxes:
                what = f"{name} {has} and is not there"
                yield Anomaly(Severity.NOTE, file.replace("twistmail-", ""), text_of(tree.root / file), what, BY_ITSELF, account, name)
    yield from _annotation_oddities(tree.root / ANNOTATIONS, account, mailboxes)


def _annotation_oddities(path: Path, account: str, mailboxes: set[str]) -> Iterator[Anomaly]:
    aside = path.with_name(path.name + ".broken")
    if aside.exists():
        what, cure = "could not be read and was put aside", f"mend it and call it {path.name}, or delete it"
        yield Anomaly(Severity.WARNING, "annotations", text_of(aside), what, cure, account)
    try:
        annotated = json.loads(path.read_bytes()).keys() if path.exists() else ()
    except (ValueError, AttributeError, RecursionError) as error:
        cure = "it is put aside when the mailbox is opened"
        yield Anomaly(Severity.WARNING, "annotations", text_of(path), f"cannot be read: {error}", cure, account)
        return
    for name in sorted(set(annotated) - mailboxes - {""}):
        yield Anomaly(Severity.NOTE, "annotations", text_of(path), f"{name} has annotations and is not there", BY_ITSELF, account, name)


def _index_oddities(tree: FolderTree, account: str, mailboxes: set[str]) -> Iterator[Anomaly]:
    path = text_of(tree.root / INDEX)
    try:
        for one in read_index(tree.root):
            name = names.name_of(one.directory) if one.directory else names.INBOX
            if name not in mailboxes:
                yield Anomaly(Severity.NOTE, "index-folder", path, f"knows a folder {one.directory} that is not there", BY_ITSELF, account)
            elif found := differences(tree.root, one):
                cure = f"stop the server; {REPAIR.format(account=account)}"
                yield Anomaly(
                    Severity.ERROR, "index-differs", path, f"says otherwise than the disk: {told(found)}", cure, account, name or ""
                )
    except (sqlite3.Error, ValueError) as error:
        yield Anomaly(Severity.WARNING, "index-damaged", path, f"cannot be read: {error}", "it is built anew when it is used", account)
