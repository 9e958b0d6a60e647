"""Mail for programs: `pipe:NAME` as a route, and a section [pipe:NAME] for the program (spec/limits.md, section 4).

What a program is called with and what its end means is in `programs`; how it is run,
as whom and within which limits, in `piping`. Each recipient is a run of his own.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.letter import letter
from twistmail.mail.status import Status
from twistmail.options import COUNT, DURATION, TEXT, Option, Reload, Section
from twistmail.piping import Piper
from twistmail.programs import BAD_NAME, COMMAND, GONE, OUTPUT, may_be_given, status_of, values_of

log = Logger()

OPTIONS = Section(
    "pipe", "A program that a route gives mail to, as pipe:NAME. It gets the message on standard input, with LF line ends, and no shell "
    "sees what it is called with.",
    Option("command", COMMAND, "", "The program's path and its words; {recipient}, {user}, {domain}, {sender}, {size}, {id} are filled in.",
           Reload.RESTART, example="/usr/local/bin/tickets --to {recipient}", required=True),
    Option("user", TEXT, "", "The user of this machine who runs it, never root; another than the server takes a start as root. Empty: the "
           "server itself, which lets the program read all mail.", Reload.RESTART, example="tickets"),
    Option("timeout", DURATION, "60s", "After this it is ended, with all that it has begun, and the mail is tried again later.",
           Reload.RESTART),
    Option("concurrency", COUNT, "4", "Runs at a time.", Reload.RESTART),
    Option("output", OUTPUT, "4K", "How much is heard of what it says; its first line goes into reports to senders.", Reload.RESTART),
    pattern=True,
)  # fmt: skip

class Program:
    """`name`: its section. `threads` run what blocks; so many runs at a time."""

    def __init__(self, name: str, piper: Piper, threads: Any, concurrency: int = 4) -> None:
        self.name = name
        self._piper = piper
        self._threads = threads
        self._limit = tasks.Limit(max(concurrency, 1))

    async def run(self, item: Item, target: Target, content: Content) -> Status:
        """Give *item* to the program, for *target*; what came of it."""
        values = values_of(item, target)
        if not may_be_given(values):
            return BAD_NAME
        try:
            async with self._limit:
                run = await self._threads.run(self._piper.run, self.name, values, letter(item, target, content).chunks())
        except OSError as error:
            log.error("relay: [pipe:{name}] for {id}: {error}", name=self.name, id=item.id, error=error)
            return GONE
        if run.status or run.late:
            log.warn("relay: [pipe:{name}] for {id} ended with {run}", name=self.name, id=item.id, run=run)
        return status_of(run)
