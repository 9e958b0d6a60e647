"""A committer without threads that uses logs."""

from __future__ import annotations

from twistmail import disk


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
