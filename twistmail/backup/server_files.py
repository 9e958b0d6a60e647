"""What a server needs besides the mail: its accounts, its queue, and its configuration.

The databases of accounts, aliases and members of lists are copied by SQLite itself, so they may be in use. Of the
queue each item is whole: its envelope is a log that is read once, its content
never changes. The configuration is copied as it is written, with the alias and
passwd files that it names, and so are the server's own secret, which signs
addresses in mail that is under way, and the files with members of lists; these
come back with the databases. Values that the configuration takes from elsewhere
(env:, file:, cred:) and the keys in [tls] directory are no part of a backup.

Blocking.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from twistmail.backup.copying import copy, link_or_copy
from twistmail.backup.manifest import MANIFESTS, SERVER, Entry, Share, digest_of, write_manifest
from twistmail.mail.values import frozen
from twistmail.queue.express import pending

ACCOUNTS, ALIASES, LISTS, QUEUE, CONFIGURATION = "accounts.sqlite", "aliases.sqlite", "lists.sqlite", "queue", "config"
OWN_SECRET, MEMBERS = "secret", "members"


@frozen
class ServerFiles:
    """Where they are: the databases of accounts, of aliases and of lists, the folder of the queue, the files of the configuration,
    the server's own secret, and the members of lists, by how the configuration names their files.

    None of them need be there.
    """

    database: Path
    aliases: Path
    lists: Path
    queue: Path
    configuration: tuple[Path, ...]
    secret: Path
    members: Mapping[str, Path]


def back_up_server(files: ServerFiles, part: Path) -> tuple[Share, list[str]]:
    """Copy them into the unfinished backup *part*: what is there now, and lines about what could not be read."""
    target = part / SERVER
    if target.exists():  # of an interrupted run
        shutil.rmtree(target)
    for folder in (target, target / CONFIGURATION, target / QUEUE, target / MEMBERS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = [path for name, source in _databases(files) for path in _database(source, target / name)]
    paths += _queue(files.queue / "ready", target / QUEUE)
    paths += _configuration(files.configuration, target / CONFIGURATION)
    problems: list[str] = []
    for name, source in ((OWN_SECRET, files.secret), *_members(files).items()):
        try:
            copy(source.resolve(), target / name)
            paths.append(target / name)
        except FileNotFoundError:
            pass
        except OSError as error:
            problems.append(f"{source} is left out: {error.strerror}")
    return write_manifest(part / MANIFESTS / SERVER, (_entry(path, target) for path in sorted(paths))), problems


def _members(files: ServerFiles) -> dict[str, Path]:
    """What the files with members are called in a backup: by their names in the configuration, whatever folder those begin in."""
    return {
        f"{MEMBERS}/{hashlib.sha256(text.encode()).hexdigest()[:16]}-{quote(path.name, safe='')[-100:]}": path
        for text, path in files.members.items()
    }


def _databases(files: ServerFiles) -> tuple[tuple[str, Path], ...]:
    """What each is called in a backup, and where it is."""
    return (ACCOUNTS, files.database), (ALIASES, files.aliases), (LISTS, files.lists)


def _entry(path: Path, root: Path) -> Entry:
    status = path.stat()
    return Entry(str(path.relative_to(root)), status.st_size, status.st_mtime_ns, digest_of(path))


def _database(source: Path, target: Path) -> Iterator[Path]:
    if not source.exists():
        return
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as live,
        closing(sqlite3.connect(target)) as copy_,
    ):
        live.backup(copy_)
        copy_.execute("PRAGMA journal_mode = DELETE")
    target.chmod(0o600)
    yield target


def _queue(ready: Path, target: Path) -> Iterator[Path]:
    """Every item that is there with content and envelope; one that is sent meanwhile is left out."""
    for envelope in sorted(ready.glob("*.envelope")):
        content = envelope.with_suffix(".content")
        to = target / content.name, target / envelope.name
        try:
            link_or_copy(content, to[0])
            copy(envelope, to[1])  # never linked: it is appended to
        except FileNotFoundError:
            for path in to:
                path.unlink(missing_ok=True)
            continue
        yield from to
    for identifier, logged in pending(ready.parent).items():
        if not (ready / f"{identifier}.envelope").exists():
            for path, data in ((target / f"{identifier}.content", logged.content), (target / f"{identifier}.envelope", logged.envelope)):
                path.write_bytes(data)
                yield path


def _configuration(files: Iterable[Path], target: Path) -> Iterator[Path]:
    taken: set[str] = set()
    for path in files:
        name = path.name
        while name in taken:
            name = f"{path.parent.name}-{name}"
        taken.add(name)
        with suppress(FileNotFoundError):
            copy(path, target / name)
            yield target / name


def restore_accounts(backup: Path, files: ServerFiles) -> list[Path]:
    """Put the databases of accounts, aliases and lists and the server's own secret back; which of them.

    FileExistsError where there is one, and it is not the same: whose passwords would hold?
    """
    ours = (*_databases(files), (OWN_SECRET, files.secret))
    wanted = [(kept, path) for name, path in ours if (kept := backup / SERVER / name).exists()]
    for kept, path in wanted:
        if path.exists() and not (path == files.secret and _is_same(kept, path)):
            raise FileExistsError(f"{path} exists; move it away first")
    for kept, path in wanted:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy(kept, path)
    return [path for _, path in wanted]


def restore_members(backup: Path, files: ServerFiles) -> tuple[list[Path], list[str]]:
    """Put the files with members of lists back that are missing: which, and lines about others that are there, or cannot be written."""
    restored, problems = [], []
    for name, path in _members(files).items():
        kept = backup / SERVER / name
        try:
            if not kept.exists() or (path.exists() and _is_same(kept, path)):
                continue
            if path.exists():
                problems.append(f"{path} is there, and stays as it is; the members of then are in {kept}")
                continue
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy(kept, path)
            restored.append(path)
        except OSError as error:
            problems.append(f"{path} cannot be written ({error.strerror}); its members are in {kept}")
    return restored, problems


def _is_same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def restore_queue(backup: Path, queue: Path) -> int:
    """Put the items of the queue back that are not there; how many. What was sent since the backup is sent again."""
    ready = queue / "ready"
    ready.mkdir(mode=0o700, parents=True, exist_ok=True)
    count = 0
    for envelope in sorted((backup / SERVER / QUEUE).glob("*.envelope")):
        if not (ready / envelope.name).exists():
            copy(envelope.with_suffix(".content"), ready / envelope.with_suffix(".content").name)
            copy(envelope, ready / envelope.name)
            count += 1
    descriptor = os.open(ready, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return count
