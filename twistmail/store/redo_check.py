"""Looking at the redo log without changing it: is every message that it speaks of in its mailbox?

After a crash some may not be, until the next start completes them: that is what
the log is for. Works beside a running server. Blocking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from twistmail.anomalies import Anomaly, Report, Severity, text_of
from twistmail.segments import HEADER_SIZE
from twistmail.store import names
from twistmail.store.redolog import FILES
from twistmail.store.redorecords import Record, Stored, parse_header, parse_records
from twistmail.store.replaying import by_mailbox

#: How often, and after how many seconds each, what is not in its mailbox is looked for again: a server that runs has logged it a moment
#: ago and is about to give it its name, and one whose flags have just changed may be missed once.
LOOKS, PAUSE = 10, 0.2
_COMPLETED = "start the server: it completes them, and verify after that"


def verify_redo(root: Path, pause: Callable[[float], None] = time.sleep) -> Report:
    """All that is odd about the redo log of the store in *root*, which need not have one. *pause* waits for so many seconds."""
    report = Report()
    records: list[Record] = []
    for path in (root / name for name in FILES):
        data = path.read_bytes() if path.exists() else b""
        header = parse_header(data[:HEADER_SIZE])
        if header:
            records += parse_records(data[HEADER_SIZE:], header.generation)
        elif data.strip(b"\0"):
            what, cure = "is no redo log of this version", "start the server that has written it, and stop it"
            report.add(Anomaly(Severity.ERROR, "redo-unreadable", text_of(path), what, cure))
    wanted = {
        root / os.fsdecode(name): [record for record in mailbox.stored if record.base not in mailbox.removed]
        for name, mailbox in by_mailbox(records).items()
    }
    report.counted["logged"] += sum(map(len, wanted.values()))
    for folder, lacking in _still_lacking(wanted, pause).items():
        what = f"messages that are whole only in the redo log: {len(lacking)}"
        report.add(Anomaly(Severity.WARNING, "redo-pending", text_of(folder), what, _COMPLETED))
    return report


def _still_lacking(wanted: Mapping[Path, Sequence[Stored]], pause: Callable[[float], None]) -> dict[Path, set[bytes]]:
    """What is not in its folder after all looks, for the folders that are there and lack something."""
    lacking = {folder: bases for folder, records in wanted.items() if folder.is_dir() and (bases := _lacking(folder, records))}
    for _ in range(LOOKS):
        if not lacking:
            break
        pause(PAUSE)
        lacking = {folder: left for folder, before in lacking.items() if (left := before & _lacking(folder, wanted[folder]))}
    return lacking


def _lacking(folder: Path, wanted: Iterable[Stored]) -> set[bytes]:
    """The base names of those that are not in *folder*, or not as large as they were written."""
    sizes = {record.base: len(record.content) for record in wanted}
    for place in (b"new", b"cur"):
        try:
            entries = os.scandir(os.path.join(os.fsencode(folder), place))
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                base = entry.name.partition(names.INFO)[0]
                try:
                    if sizes.get(base) == entry.stat(follow_symlinks=False).st_size:
                        del sizes[base]
                except FileNotFoundError:
                    continue
    return set(sizes)
