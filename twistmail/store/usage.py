"""How much lies in the folders of an account: counted from the names of the files, without a word to the index. Blocking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from twistmail.mail.values import frozen
from twistmail.store import kept, names
from twistmail.store.folders import FolderTree


@frozen
class FolderUsage:
    """One folder. `octets` with CRLF line ends, as quotas count; `kept`: expunged messages that can be had back."""

    name: str
    messages: int
    unseen: int
    octets: int
    subscribed: bool
    uses: tuple[str, ...]
    kept: int


def folder_usages(tree: FolderTree) -> Iterator[FolderUsage]:
    """Every folder that is a mailbox, INBOX first."""
    for folder in tree.folders():
        if not folder.selectable:
            continue
        root = tree.root / names.directory_of(folder.name)
        messages = unseen = octets = 0
        for place in (b"new", b"cur"):
            with suppress(FileNotFoundError), os.scandir(os.path.join(os.fsencode(root), place)) as entries:
                for entry in entries:
                    if not entry.name.startswith((b".", b":")):
                        messages += 1
                        unseen += b"S" not in names.letters_of(place + b"/" + entry.name)
                        octets += _octets(entry)
        yield FolderUsage(folder.name, messages, unseen, octets, folder.subscribed, folder.uses, len(kept.messages(root)))


def _octets(entry: os.DirEntry[bytes]) -> int:
    known = names.crlf_size(entry.name.partition(names.INFO)[0])
    if known is not None:
        return known
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
