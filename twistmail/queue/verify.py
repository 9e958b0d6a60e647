"""Looking at a spool without changing anything: can every item be sent, and is everything there an item?

Works while a server runs on it: what looks wrong is looked at again before it is
told. What a start clears up by itself (see `spool`) is a note. Blocking, stdlib only.
"""

from __future__ import annotations

import os
from pathlib import Path

from twistmail.anomalies import BY_ITSELF, Anomaly, Report, Severity, text_of
from twistmail.queue import express, records
from twistmail.queue.folders import CONTENT, ENVELOPE

_NEXT_START = "goes at the next start"
_PUT_ASIDE = "the next start puts it into corrupt/; read it there, and send it again by hand"


def verify_spool(root: Path) -> Report:
    """All that is odd below *root*, the folder of the queue. A folder that is not there is an empty queue."""
    report = Report()
    ready = root / "ready"
    names = _names(ready)
    for name in sorted(names):
        stem, _, kind = name.rpartition(".")
        if kind == "envelope":
            report.counted["items"] += 1
            if anomaly := _item_oddity(ready, stem):
                anomaly = _item_oddity(ready, stem)  # its last record may just have been written
            report.add(*([anomaly] if anomaly and _is_there(ready / name) else []))
        elif kind != "content":
            report.add(Anomaly(Severity.WARNING, "queue-stranger", text_of(ready / name), "is no file of the queue", "move it elsewhere"))
        elif stem + ENVELOPE not in names and _is_there(ready / name) and not _is_there(ready / (stem + ENVELOPE)):
            report.add(Anomaly(Severity.NOTE, "queue-content", text_of(ready / name), "has no envelope: was never promised", _NEXT_START))
    if logged := sum(identifier + ENVELOPE not in names for identifier in express.pending(root)):
        report.counted["items"] += logged
    for name in express.unreadable(root):
        what, cure = "is no log of this version", "start the server that has written it, and stop it"
        report.add(Anomaly(Severity.ERROR, "queue-log", text_of(root / name), what, cure))
    for name in sorted(_names(root / "tmp")):
        if _is_there(root / "tmp" / name):
            report.add(Anomaly(Severity.NOTE, "queue-leftover", text_of(root / "tmp" / name), "is being received, or was", _NEXT_START))
    for name in sorted(_names(root / "corrupt")):
        cure = f"read it; send its mail again by hand, or move it back to {text_of(ready)}; then delete it"
        report.add(Anomaly(Severity.WARNING, "queue-corrupt", text_of(root / "corrupt" / name), "was damaged and has been put aside", cure))
    return report


def verify_pickup(folder: Path) -> Report:
    """What was left while no server ran (`queue.dropbox`): what waits is a note, what was put aside wants somebody to look."""
    report = Report()
    for name in sorted(_names(folder / "new")):
        report.add(Anomaly(Severity.NOTE, "pickup", text_of(folder / "new" / name), "waits to be picked up", "goes when the server runs"))
    for name in sorted(_names(folder / "bad")):
        if not name.endswith(".why"):
            cure = f"read {name}.why; mend it and move it to {text_of(folder / 'new')}, or delete both"
            report.add(Anomaly(Severity.WARNING, "pickup-aside", text_of(folder / "bad" / name), "could not be taken", cure))
    return report


def verify_drafts(folder: Path) -> Report:
    """Content that was being received (`drafts`): left over unless the server runs."""
    report = Report()
    for name in sorted(_names(folder)):
        report.add(Anomaly(Severity.NOTE, "draft", text_of(folder / name), "is being received, or was", _NEXT_START))
    return report


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _item_oddity(ready: Path, identifier: str) -> Anomaly | None:
    envelope, content = ready / (identifier + ENVELOPE), ready / (identifier + CONTENT)
    try:
        data = envelope.read_bytes()
        item, sound = records.read(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Anomaly(Severity.ERROR, "queue-unreadable", text_of(envelope), f"cannot be read: {error.strerror}", "see who owns it")
    except records.Damaged as damage:
        return Anomaly(Severity.ERROR, "queue-damaged", text_of(envelope), str(damage), _PUT_ASIDE)
    if item.id != identifier:
        return Anomaly(Severity.ERROR, "queue-name", text_of(envelope), f"is the envelope of {item.id}", _PUT_ASIDE)
    try:
        size = content.stat().st_size
    except FileNotFoundError:
        return Anomaly(Severity.ERROR, "queue-content-missing", text_of(content), "is not there, but its envelope is", _PUT_ASIDE)
    wanted = item.size - len(item.prefix)
    if size != wanted:
        return Anomaly(Severity.ERROR, "queue-size", text_of(content), f"has {size} octets where its envelope says {wanted}", _PUT_ASIDE)
    if sound != len(data):
        what = "ends with a record that was cut short: it was never acted upon"
        return Anomaly(Severity.NOTE, "queue-torn", text_of(envelope), what, BY_ITSELF)
    if item.is_settled:
        return Anomaly(Severity.NOTE, "queue-settled", text_of(envelope), "has nobody left to be sent to", _NEXT_START)
    return None
