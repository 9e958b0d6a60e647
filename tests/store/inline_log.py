"""A redo log without threads."""

from __future__ import annotations

import threading

from twistmail import disk

SEGMENT_SIZE = 256 * 1024


class LoggingCommitter(disk.InlineCommitter):
    """Commits at once, in the caller, by the redo log where that takes it."""

    takes_logs = True

    def __init__(self):
        super().__init__()
        self.logged = 0

    async def commit(self, job):
        redo = getattr(job, "redo", None)
        results = redo.commit([job]) if redo else None
        if results is None:
            await super().commit(job)
            return
        self.logged += 1
        if results[0]:
            raise results[0]


def prepare(redo):
    """Make the files of the log at once; its thread has ended already."""
    redo._size = SEGMENT_SIZE
    redo._thread = threading.Thread(target=int)
    redo._thread.start()
    assert redo._prepared()
