"""A plain walk over maildirs and spools that knows nothing of twistmail: what a second pair of eyes sees after a crash.

Only the standard library, and only the formats as they are published: maildir(5),
Maildir++, `dovecot-uidlist` version 3. `walk(root)` finds every mailbox below
*root*; `differences(before, after)` says what became of messages and UIDs.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Message:
    """One file: `place` is new or cur, `flags` what follows `:2,`."""

    base: str
    place: str
    flags: str
    size: int
    digest: str  # SHA-256 of the content with LF line ends, in hexadecimal
    date: float


@dataclass
class Box:
    """One mailbox. `uids`: base name by UID as the list says, also of what is gone."""

    path: Path
    messages: dict[str, Message] = field(default_factory=dict)  # by base name
    uids: dict[int, str] = field(default_factory=dict)
    uidvalidity: int = 0
    uidnext: int = 0
    leftovers: list[str] = field(default_factory=list)  # in tmp
    anomalies: list[str] = field(default_factory=list)

    @property
    def uid_of(self) -> dict[str, int]:
        return {base: uid for uid, base in self.uids.items()}

    @property
    def listed(self) -> dict[int, Message]:
        """The messages that have a UID and are there, by UID."""
        return {uid: self.messages[base] for uid, base in sorted(self.uids.items()) if base in self.messages}

    @property
    def digests(self) -> list[str]:
        return sorted(message.digest for message in self.messages.values())


def walk(root: str | os.PathLike[str]) -> dict[str, Box]:
    """Every mailbox below *root* by its path relative to it; what is wrong stands in its `anomalies`."""
    boxes = {}
    for folder, below, _ in os.walk(root):
        if "cur" in below and "new" in below:
            boxes[os.path.relpath(folder, root)] = look(Path(folder))
        below[:] = [name for name in below if name not in ("cur", "new", "tmp")]
    return boxes


def look(folder: Path) -> Box:
    """The mailbox in *folder*."""
    box = Box(folder)
    for place in ("new", "cur"):
        for entry in sorted(os.scandir(folder / place), key=lambda entry: entry.name):
            _file(box, place, entry)
    if (folder / "tmp").is_dir():
        box.leftovers = sorted(os.listdir(folder / "tmp"))
    _list(box, folder / "dovecot-uidlist")
    return box


def _file(box: Box, place: str, entry: os.DirEntry[str]) -> None:
    where = f"{place}/{entry.name}"
    if not entry.is_file(follow_symlinks=False):
        box.anomalies.append(f"{where}: no plain file")
        return
    data = Path(entry.path).read_bytes()
    base, _, flags = entry.name.partition(":2,")
    if not data:
        box.anomalies.append(f"{where}: empty")
    for word in base.split(",")[1:]:
        if word.startswith("S=") and int(word[2:]) != len(data):
            box.anomalies.append(f"{where}: {len(data)} octets, {word} in its name")
    if bytes(512) in data:
        box.anomalies.append(f"{where}: holds a block of zeros")
    if base in box.messages:
        box.anomalies.append(f"{where}: a second file of this base name")
    digest = hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()
    box.messages[base] = Message(base, place, flags, len(data), digest, entry.stat().st_mtime)


def _list(box: Box, path: Path) -> None:
    if not path.exists():
        return
    first, *lines = path.read_bytes().split(b"\n")
    words = {word[:1]: word[1:] for word in first.split(b" ")[1:]}
    if not first.startswith(b"3 ") or not words.get(b"V", b"").isdigit() or not words.get(b"N", b"").isdigit():
        box.anomalies.append(f"{path.name}: header {first[:80]!r}")
        return
    box.uidvalidity, box.uidnext = int(words[b"V"]), int(words[b"N"])
    if not box.uidvalidity:
        box.anomalies.append(f"{path.name}: UIDVALIDITY 0")
    last, bases = 0, set()
    for line in lines[:-1]:
        number, colon, base = line.partition(b":")
        uid = number.split(b" ")[0]
        if not colon or not base or not uid.isdigit():
            box.anomalies.append(f"{path.name}: line {line[:80]!r}")
            continue
        if int(uid) <= last:
            box.anomalies.append(f"{path.name}: UID {int(uid)} after {last}")
        if base in bases:
            box.anomalies.append(f"{path.name}: {os.fsdecode(base)} is listed twice")
        last = max(last, int(uid))
        bases.add(base)
        box.uids[int(uid)] = os.fsdecode(base)
    box.uidnext = max(box.uidnext, last + 1)


def anomalies(boxes: dict[str, Box]) -> list[str]:
    """All that is wrong in *boxes*, one line each."""
    return [f"{name}: {what}" for name, box in boxes.items() for what in box.anomalies]


def changed_uids(before: dict[str, Box], after: dict[str, Box]) -> list[str]:
    """Where a UID means another message than before although UIDVALIDITY is the same, or where UIDVALIDITY went down."""
    found = []
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if new.uidvalidity < old.uidvalidity:
            found.append(f"{name}: UIDVALIDITY {old.uidvalidity} -> {new.uidvalidity}")
        if new.uidvalidity == old.uidvalidity:
            for uid in old.uids.keys() & new.uids.keys():
                if old.uids[uid] != new.uids[uid]:
                    found.append(f"{name}: UID {uid} was {old.uids[uid]} and is {new.uids[uid]}")
            here, there = old.uid_of, new.uid_of
            found += [
                f"{name}: {base} was UID {here[base]} and is {there[base]}"
                for base in here.keys() & there.keys()
                if here[base] != there[base]
            ]
    return sorted(found)


def walk_spool(root: str | os.PathLike[str]) -> tuple[dict[str, int], list[str]]:
    """{id: size of the content} of the items of a queue below *root*, and what is wrong there."""
    ready = Path(root) / "ready"
    names = set(os.listdir(ready)) if ready.is_dir() else set()
    items, wrong = {}, []
    for name in sorted(names):
        stem, _, kind = name.rpartition(".")
        if kind == "content" and f"{stem}.envelope" not in names:
            wrong.append(f"{name}: no envelope")
        elif kind == "envelope":
            lines = (ready / name).read_bytes().split(b"\n")
            sums = [line[:8] == b"%08x" % zlib.crc32(line[9:]) for line in lines[:-1]]
            if not sums or not all(sums) or lines[-1]:
                wrong.append(f"{name}: a record is not whole")
            if f"{stem}.content" in names:
                items[stem] = (ready / f"{stem}.content").stat().st_size
            else:
                wrong.append(f"{name}: no content")
        elif kind != "content":
            wrong.append(f"{name}: a stranger")
    corrupt = Path(root) / "corrupt"
    wrong += [f"corrupt/{name}" for name in (sorted(os.listdir(corrupt)) if corrupt.is_dir() else ())]
    return items, wrong
