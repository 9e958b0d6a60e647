"""Is a backup what was put into it? Every file is read and compared with its manifest. Blocking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from twistmail.backup.create import Step
from twistmail.backup.manifest import MAIL, MANIFESTS, SERVER, DamagedBackup, Entry, Share, Summary, digest_of, read_manifest


def problems_of(backup: Path, summary: Summary, step: Step) -> Iterator[str]:
    """A line for everything that is missing, different, or not in a manifest. *step* hears of every file."""
    for account, share in summary.accounts.items():
        yield from _problems(backup / MAIL / account, backup / MANIFESTS / account, share, step)
    if summary.server:
        yield from _problems(backup / SERVER, backup / MANIFESTS / SERVER, summary.server, step)


def _problems(folder: Path, manifest: Path, share: Share, step: Step) -> Iterator[str]:
    listed = set()
    try:
        for entry in read_manifest(manifest, share.sha256):
            listed.add(entry.path)
            if trouble := _trouble(folder / entry.path, entry):
                yield f"{folder / entry.path}: {trouble}"
            step(1, folder.name)
    except DamagedBackup as damage:
        yield str(damage)
        return
    for above, _, files in os.walk(folder):
        for file in files:
            path = os.path.relpath(os.path.join(above, file), folder)
            if path not in listed:
                yield f"{folder / path}: is not in the manifest"


def _trouble(path: Path, entry: Entry) -> str:
    try:
        size = path.stat().st_size
        if size != entry.size:
            return f"has {size} octets instead of {entry.size}"
        return "" if digest_of(path) == entry.sha256 else "has another content than was backed up"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
