"""What a backup consists of, written down: the files of each account with size, date and SHA-256, and a summary of the whole.

20261121T064500Z/            NAME.part until it is complete
  summary.json               when, what, how much, and the SHA-256 of every manifest
  manifests/ACCOUNT          a JSON line for each file, then {"end": ...}
  manifests/server           the same for what is below server/
  mail/ACCOUNT/...           the maildir as it was: any mail program can read it
  server/...                 accounts, queue, configuration
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twistmail.mail.values import frozen

VERSION = 1
SUMMARY = "summary.json"
MANIFESTS, MAIL, SERVER = "manifests", "mail", "server"
PART = ".part"


class DamagedBackup(Exception):
    """A backup that cannot be believed; the text says which file, and why."""


@frozen
class Entry:
    """One file: `path` relative to the account's maildir (or to server/), as the file system has it."""

    path: str
    size: int
    mtime_ns: int
    sha256: str

    @property
    def is_message(self) -> bool:
        return Path(self.path).parent.name in ("new", "cur")


@frozen
class Share:
    """What one manifest holds, and its own digest."""

    messages: int
    files: int
    octets: int
    sha256: str


@dataclass(slots=True)
class Summary:
    """`created`: POSIX seconds. `accounts`: by name. `server`: what is not mail; None where it was not asked for."""

    created: float
    hostname: str
    accounts: dict[str, Share] = field(default_factory=dict)
    server: Share | None = None

    @property
    def messages(self) -> int:
        return sum(share.messages for share in self.accounts.values())

    @property
    def octets(self) -> int:
        return sum(share.octets for share in self.accounts.values())


def write_manifest(path: Path, entries: Iterable[Entry]) -> Share:
    """Write the manifest at *path*, whole or not at all; durable with the backup."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_name(path.name + PART)
    messages = files = octets = 0
    with temporary.open("w", encoding="ascii") as file:
        for entry in entries:
            file.write(json.dumps(asdict(entry), separators=(",", ":")) + "\n")
            messages, files, octets = messages + entry.is_message, files + 1, octets + entry.size
        file.write(json.dumps({"end": {"messages": messages, "files": files, "octets": octets}}) + "\n")
    os.rename(temporary, path)
    return Share(messages, files, octets, digest_of(path))


def share_of(path: Path) -> Share:
    """The Share of a manifest that was written before. Raises DamagedBackup."""
    entries = list(read_manifest(path))
    return Share(sum(entry.is_message for entry in entries), len(entries), sum(entry.size for entry in entries), digest_of(path))


def read_manifest(path: Path, sha256: str = "") -> Iterator[Entry]:
    """The entries of the manifest at *path*, whose digest must be *sha256* where that is given. Raises DamagedBackup."""
    try:
        if sha256 and digest_of(path) != sha256:
            raise DamagedBackup(f"{path} is not what was written")
        with path.open(encoding="ascii") as file:
            for line in file:
                record = json.loads(line)
                if "end" in record:
                    return
                yield Entry(str(record["path"]), int(record["size"]), int(record["mtime_ns"]), str(record["sha256"]))
    except FileNotFoundError:
        raise DamagedBackup(f"{path} is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedBackup(f"{path}: {error}") from None
    raise DamagedBackup(f"{path} has no end")


def write_summary(folder: Path, summary: Summary) -> None:
    record: dict[str, Any] = {"version": VERSION, **asdict(summary)}
    temporary = folder / (SUMMARY + PART)
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")
    os.rename(temporary, folder / SUMMARY)


def read_summary(folder: Path) -> Summary:
    """Raises DamagedBackup."""
    try:
        record = json.loads((folder / SUMMARY).read_text(encoding="ascii"))
        if record["version"] != VERSION:
            raise DamagedBackup(f"{folder} is of version {record['version']}; this program reads version {VERSION}")
        accounts = {str(name): Share(**share) for name, share in record["accounts"].items()}
        server = Share(**record["server"]) if record["server"] else None
        return Summary(float(record["created"]), str(record["hostname"]), accounts, server)
    except FileNotFoundError:
        raise DamagedBackup(f"{folder} is no backup, or was never finished: it has no {SUMMARY}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedBackup(f"{folder / SUMMARY}: {error}") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
