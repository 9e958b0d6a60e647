"""A spool whose log takes everything from the beginning, on a clock of its own."""

from __future__ import annotations

from twisted.internet.task import Clock

from tests.inline_log import LoggingCommitter
from twistmail.queue.express import begin
from twistmail.queue.spool import Spool
from twistmail.tasks import Inline


class LoggedSpool(Spool):
    def __init__(self, root, bounds=None):
        self.clock = Clock()
        super().__init__(root, LoggingCommitter(), Inline(), bounds, clock=self.clock)
        self.express = begin(self.folders)
        assert self.express is not None
        self.express.prepare()
        self._fast.open(self.express)
        self._fast._is_prepared = True

    async def recover(self):
        self.express.close()
        found = await super().recover()
        self.express = self._fast._express
        self.express.prepare()
        return found

    def killed(self):
        """The process has ended; what it had written is there."""
        for timer in self.clock.getDelayedCalls():
            timer.cancel()
        self.express.close()
