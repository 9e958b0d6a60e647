"""Looking at the redo log without changing it: is every message that it speaks of in its mailbox?

After a crash some may not be, until the next start completes them: that is what
the log is for. Works beside a running server. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from twistmail.anomalies import Anomaly, Report, Severity, text_of
from twistmail.segments import HEADER_SIZE
from twistmail.store import names
from twistmail.store.redolog import FILES
from twistmail.store.redorecords import Record, Stored, parse_header, parse_records
from twistmail.store.replaying import by_mailbox

_COMPLETED = "start the server: it completes them, and verify after that"


def verify_redo(root: Path) -> Report:
    """All that is odd about the redo log of the store in *root*, which need not have one."""
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
    for name, mailbox in by_mailbox(records).items():
        wanted = [record for record in mailbox.stored if record.base not in mailbox.removed]
        folder = root / os.fsdecode(name)
        report.counted["logged"] += len(wanted)
        if lacking := _lacking(folder, wanted):
            lacking &= _lacking(folder, wanted)  # one whose flags have just changed may be missed once
        if lacking and folder.is_dir():
            what = f"messages that are whole only in the redo log: {len(lacking)}"
            report.add(Anomaly(Severity.WARNING, "redo-pending", text_of(folder), what, _COMPLETED))
    return report


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
