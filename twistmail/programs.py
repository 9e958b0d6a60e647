"""Programs that get mail, wherever they are named: how a command is written, what fills its gaps, and what its end means.

Values. How programs are run, as whom and within which limits, is `piping`'s business.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping

from twistmail.mail.address import Address
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.status import Status
from twistmail.options import SIZE, Kind
from twistmail.piping import Run
from twistmail.piping_helper import GAP

GAPS = frozenset({"recipient", "user", "domain", "sender", "size", "id"})
MOST_OUTPUT = 64 * 1024


def read_command(text: str, gaps: Collection[str] = GAPS) -> tuple[str, ...]:
    """The program and its words, with gaps. ValueError with two lines."""
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise ValueError(f"{text} has an unfinished quote\nwrite a path and words, such as /usr/bin/tickets --to {{recipient}}") from None
    if words and not words[0].startswith("/"):
        raise ValueError(f"{words[0]} is no path\nwrite where the program lies, beginning with /; no shell looks for it")
    if words and GAP.search(words[0]):
        raise ValueError("which program it is cannot hang on the message\nwrite its path without {}")
    if unknown := {gap for word in words for gap in GAP.findall(word)} - set(gaps):
        raise ValueError(f"there is no {{{min(unknown)}}}\nthere are {', '.join(f'{{{gap}}}' for gap in sorted(gaps))}")
    return words


def _read_output(text: str) -> int:
    size = SIZE.read(text)
    if size is None or size > MOST_OUTPUT:
        raise ValueError(f"{text} is too much\nwrite {MOST_OUTPUT // 1024}K or less")
    return int(size)


COMMAND = Kind("a program and its words", read_command, shlex.join)
OUTPUT = Kind("a size", _read_output)
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


def values_of(item: Item, target: Target, extension: str = "") -> dict[str, str]:
    """What is filled in; characters that could mean something to somebody have become underscores."""
    address = target.address
    return safe({
        "recipient": _plain(address), "user": address.local, "domain": address.domain, "extension": _harmless(extension),
        "original": _plain(target.original), "sender": _plain(item.sender_for(target)), "size": str(item.size), "id": item.id,
    })  # fmt: skip


def safe(values: Mapping[str, str]) -> dict[str, str]:
    """*values* without what could mean something to somebody."""
    return {name: _UNSAFE.sub("_", value) for name, value in values.items()}


def may_be_given(values: Mapping[str, str]) -> bool:
    """Whether none of *values* would be taken for an option, or for a folder."""
    return not any(value.startswith("-") or value in (".", "..") for value in values.values())


def _harmless(extension: str) -> str:
    """*extension* such that it may be given: whoever wrote al+-x has written to al, who is there."""
    return extension if may_be_given({"extension": extension}) else "_" + extension[1:]


def _plain(address: Address | None) -> str:
    return f"{address.local}@{address.domain}" if address else ""


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
