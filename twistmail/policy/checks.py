"""Header and body checks (R15): the operator's rules about what stands in a message; what they look like is in `checks_file`.

A rule about the header sees each field unfolded and decoded (RFC 2047). A rule
about the body sees, line by line, the text parts with their encoding undone, and
the headers of the parts, where names of attached files stand; of a long message
only the beginning ([checks] body). Rules are asked in the order of the file, those
about headers first; the first that rejects ends the questions, everything
else adds up.

Expressions take linear time (`patterns`). Looking through a message is still
work, so it is done in a thread, piece by piece; after [checks] timeout the sender is told to
come again, as he is when the rules cannot be read: nothing passes unlooked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.interfaces import Edit, Fate, IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail import headers
from twistmail.mail.content import Content
from twistmail.mail.envelope import Transaction
from twistmail.mail.parts import scan
from twistmail.mail.status import Status
from twistmail.mail.texts import texts_of
from twistmail.mail.words import decode_words
from twistmail.options import DURATION, SIZE, TEXT, Option, Section, Settings
from twistmail.policy.checks_file import ALL, KEPT, Act, Check, Checks, parse
from twistmail.policy.pipeline import House
from twistmail.watched import WatchedFile

log = Logger()

OPTIONS = Section(
    "checks",
    "Rules about the header and the text of messages: refuse, hold, throw away, add, remove, replace.",
    Option("file", TEXT, "", "The rules, one a line, read again when the file changes; empty: none.", example="/etc/mail/checks"),
    Option("body", SIZE, "64K", "How much of the beginning of a message is looked through."),
    Option("timeout", DURATION, "5s", "How long that may take; then the sender is told to come again."),
)

TOO_SLOW = Status(451, "4.3.0", "The message could not be looked through in time, please try again later")

#: Letters of one line that are looked at in one go: what is longer is cut, and an expression does not see across the cut.
LONGEST_LINE = 8 * 1024
#: From this length of a line on we look at the clock after each expression.
LONG = 200
_FATES = {Act.HOLD: Fate.HOLD, Act.DISCARD: Fate.DISCARD}


class _Slow(Exception):
    """The time is over."""


@implementer(IPolicyStage)
class MessageChecks:
    """*most*: octets that are looked at, None for all; *now* gives seconds, *timeout* of which may pass."""

    name = "checks"
    point = Point.MESSAGE

    def __init__(self, file: WatchedFile[Checks], threads: Any, now: Callable[[], float], *, most: int | None, timeout: float) -> None:
        self._file = file
        self._threads = threads
        self._now = now
        self._most = most
        self._timeout = timeout

    async def judge(self, transaction: Transaction) -> Verdict | Edit | None:
        await self._file.freshen()
        checks = self._file.value
        if not (checks.headers or checks.bodies):
            return None
        assert transaction.content is not None
        look = _Look(transaction.header, self._now, self._now() + self._timeout)
        try:
            status = await self._threads.run(look.at, checks, transaction.content, self._most)
        except _Slow:
            return Verdict(TOO_SLOW, f"{self._file.path}: longer than {self._timeout:g} s")
        rule = look.told(self._file.path)
        if status is not None:
            return Verdict(status, rule)
        header = None if look.header is transaction.header else look.header
        if look.fate is Fate.USUAL and header is None and not look.added:
            return None
        return Edit(look.added, header, rule=rule, fate=look.fate)


class _Look:
    """One look at one message. Plain and blocking; touches nothing shared. `rule` is the line of what decided."""

    def __init__(self, header: bytes, now: Callable[[], float], until: float) -> None:
        self.header = header
        self.added = b""  # fields to put in front: whatever follows, even no header at all, they are fields there
        self.fate = Fate.USUAL
        self.rule = 0
        self.reason = ""
        self._now = now
        self._until = until

    def at(self, checks: Checks, content: Content, most: int | None) -> Status | None:
        """The refusal that *checks* lead to, or None. Raises _Slow."""
        size = len(self.header)
        for check in checks.headers:
            if status := self._header(check):
                return status
        if not checks.bodies:
            return None
        fitting = self._fitting(checks.bodies, content.beginning(content.size if most is None else size + most))
        for check in checks.bodies:
            if check.line in fitting and (status := self._does(check)):
                return status
        return None

    def _fitting(self, checks: Sequence[Check], message: bytes) -> set[int]:
        """The lines of those *checks* that fit the body of *message*."""
        fitting: set[int] = set()
        for line in _lines(message):
            self._in_time()
            for check in checks:
                if check.line not in fitting and check.pattern is not None and check.pattern.found_in(line):
                    fitting.add(check.line)
                if len(line) > LONG:
                    self._in_time()
        return fitting

    def told(self, path: Path) -> str:
        """The rule that decided, for facts and people."""
        return f"{path}:{self.rule}" + (f" ({self.reason})" if self.reason else "") if self.rule else ""

    def _in_time(self) -> None:
        if self._now() > self._until:
            raise _Slow

    # ----- the header

    def _header(self, check: Check) -> Status | None:
        fitting = [field for field in headers.fields(self.header) if self._fits(check, field)]
        if not fitting:
            return None
        if check.act not in (Act.REMOVE, Act.REPLACE):
            return self._does(check)
        self._change(fitting, check.text.encode() if check.act is Act.REPLACE else None)
        return None

    def _fits(self, check: Check, field: headers.Field) -> bool:
        self._in_time()
        name = field.name.decode("latin-1")
        if check.field not in (ALL, name.lower()):
            return False
        if check.pattern is None:
            return True
        value = decode_words(headers.unfold(field.value))
        return check.pattern.found_in(f"{name}: {value}" if check.field == ALL else value)

    def _change(self, fields: list[headers.Field], value: bytes | None) -> None:
        """Give *fields* of the header this *value*; None: take them out."""
        pieces, at = [], 0
        for field in fields:
            if field.name.lower().decode("latin-1") in KEPT:
                continue
            pieces.append(self.header[at : field.start])
            if value is not None:
                pieces.append(b"%b: %b\r\n" % (field.name, value))
            at = field.end
        self.header = b"".join(pieces) + self.header[at:]

    # ----- what follows

    def _does(self, check: Check) -> Status | None:
        if check.act is Act.ADD:
            self.added += b"%b: %b\r\n" % check.added
        elif check.act is Act.REJECT:
            self.rule, self.reason = check.line, ""
            return check.status
        elif _FATES[check.act].value > self.fate.value:
            self.fate, self.rule, self.reason = _FATES[check.act], check.line, check.text
        return None


def _lines(message: bytes) -> Iterator[str]:
    """What rules about the body see of *message*, line by line."""
    for part in scan(message).walk():
        if part.depth:
            for field in headers.fields(message[part.start : part.body]):
                yield f"{field.name.decode('latin-1')}: {decode_words(headers.unfold(field.value))}"
    for text in texts_of(message):
        for piece in text:
            for line in piece.split("\n"):
                for start in range(0, len(line) or 1, LONGEST_LINE):
                    yield line[start : start + LONGEST_LINE].rstrip("\r")


@implementer(IPolicyStageFactory)
class ChecksFactory:
    name = "checks"
    options = OPTIONS

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if settings is None or not settings.file:
            return ()
        file = house.watched.file(house.path(settings.file), parse)
        return (MessageChecks(file, house.threads, house.clock.seconds, most=settings.body, timeout=settings.timeout),)
