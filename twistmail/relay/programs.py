"""Mail for programs: `pipe:NAME` as a route, and a section [pipe:NAME] for the program (spec/limits.md, section 4).

What a program's end means is here; how it is run, as whom and within which
limits, in `piping`. Each recipient is a run of his own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.status import Status
from twistmail.options import COUNT, DURATION, SIZE, TEXT, Kind, Option, Reload, Section
from twistmail.piping import Piper, Run
from twistmail.piping_helper import GAP

log = Logger()

GAPS = frozenset({"recipient", "user", "domain", "sender", "size", "id"})
MOST_OUTPUT = 64 * 1024


def _read_command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise ValueError(f"{text} has an unfinished quote\nwrite a path and words, such as /usr/bin/tickets --to {{recipient}}") from None
    if words and not words[0].startswith("/"):
        raise ValueError(f"{words[0]} is no path\nwrite where the program lies, beginning with /; no shell looks for it")
    if words and GAP.search(words[0]):
        raise ValueError("which program it is cannot hang on the message\nwrite its path without {}")
    if unknown := {gap for word in words for gap in GAP.findall(word)} - GAPS:
        raise ValueError(f"there is no {{{min(unknown)}}}\nthere are {', '.join(f'{{{gap}}}' for gap in sorted(GAPS))}")
    return words


def _read_output(text: str) -> int:
    size = SIZE.read(text)
    if size is None or size > MOST_OUTPUT:
        raise ValueError(f"{text} is too much\nwrite {MOST_OUTPUT // 1024}K or less")
    return int(size)


COMMAND = Kind("a program and its words", _read_command, shlex.join)
OUTPUT = Kind("a size", _read_output)
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

#: What exit codes of mailers mean (sysexits.h): the enhanced code (RFC 3463), and words.
_ENDS = {
    64: ("5.3.5", "was called in the wrong way"), 65: ("5.6.0", "does not understand the message"), 66: ("5.3.0", "misses an input"),
    67: ("5.1.1", "does not know that recipient"), 68: ("5.1.2", "does not know that host"), 69: ("5.3.0", "is not available"),
    70: ("5.3.0", "has a fault"), 71: ("4.3.0", "has trouble with its system"), 72: ("5.3.0", "misses a file"),
    73: ("5.2.0", "cannot write a file"), 74: ("4.3.0", "cannot read or write"), 75: ("4.3.0", "wants the message later"),
    76: ("5.5.0", "was spoken to in the wrong way"), 77: ("5.7.0", "does not allow it"), 78: ("5.3.5", "is set up in a wrong way"),
}  # fmt: skip
DONE = Status(250, "2.0.0", "The program has taken the message")
NOT_BEGUN = Status(451, "4.3.5", "The program for that address could not be begun")
LATE = Status(451, "4.3.0", "The program for that address took too long")
KILLED = Status(451, "4.3.0", "The program for that address was ended by a signal")
GONE = Status(451, "4.3.0", "Programs cannot be run at the moment")
BAD_NAME = Status(550, "5.1.3", "An address that begins with a hyphen is not given to a program")
LONGEST_SAID = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9.@_+=-]")


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
        if any(value.startswith("-") or value in (".", "..") for value in values.values()):
            return BAD_NAME
        try:
            async with self._limit:
                run = await self._threads.run(self._piper.run, self.name, values, _message(item, target, content))
        except OSError as error:
            log.error("relay: [pipe:{name}] for {id}: {error}", name=self.name, id=item.id, error=error)
            return GONE
        if run.status or run.late:
            log.warn("relay: [pipe:{name}] for {id} ended with {run}", name=self.name, id=item.id, run=run)
        return status_of(run)


def values_of(item: Item, target: Target) -> dict[str, str]:
    """What is filled in; characters that could mean something to somebody have become underscores."""
    address, sender = target.address, item.sender_for(target)
    plain = {
        "recipient": f"{address.local}@{address.domain}", "user": address.local, "domain": address.domain,
        "sender": f"{sender.local}@{sender.domain}" if sender else "", "size": str(item.size), "id": item.id,
    }  # fmt: skip
    return {name: _UNSAFE.sub("_", value) for name, value in plain.items()}


def _message(item: Item, target: Target, content: Content) -> Iterator[bytes]:
    """As the final delivery has it (RFC 5321 §4.4)."""
    sender = item.sender_for(target)
    yield b"Return-Path: <%s>\r\nDelivered-To: %s\r\n" % (bytes(sender) if sender else b"", bytes(target.address))
    yield item.prefix + target.front
    yield from content.chunks()


def status_of(run: Run) -> Status:
    """What the end of a run means: 75, a signal and too long a time are temporary, and so is what never began."""
    if run.late:
        return LATE
    if not run.has_begun:
        return NOT_BEGUN
    if run.status < 0:
        return KILLED
    if run.status == 0:
        return DONE
    enhanced, words = _ENDS.get(run.status, ("5.3.0", f"has failed ({run.status})"))
    said = next((line.strip() for line in run.output.split("\n") if line.strip()), "")
    said = "".join(c if c.isprintable() else " " for c in said)[:LONGEST_SAID]
    text = f"The program for that address {words}" + (f": {said}" if said else "")
    return Status(451 if enhanced.startswith("4") else 550, enhanced, text)
