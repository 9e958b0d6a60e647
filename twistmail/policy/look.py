"""One look through one message by the rules of `checks_file`: plain and blocking, done in a thread. Touches nothing shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from twistmail.interfaces import Fate
from twistmail.mail import headers
from twistmail.mail.content import Content
from twistmail.mail.parts import scan
from twistmail.mail.status import Status
from twistmail.mail.texts import texts_of
from twistmail.mail.words import decode_words
from twistmail.policy.checks_file import ALL, KEPT, Act, Check, Checks

#: Letters of one line that are looked at in one go: what is longer is cut, and an expression does not see across the cut.
LONGEST_LINE = 8 * 1024
#: From this length of a line on we look at the clock after each expression.
LONG = 200
_FATES = {Act.HOLD: Fate.HOLD, Act.DISCARD: Fate.DISCARD}


class Slow(Exception):
    """The time is over."""


class _Read:
    """One field, and its value as people read it, decoded when somebody asks."""

    __slots__ = ("_text", "field")

    def __init__(self, field: headers.Field) -> None:
        self.field = field
        self._text: str | None = None

    @property
    def name(self) -> str:
        return self.field.name.decode("latin-1")

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = decode_words(headers.unfold(self.field.value))
        return self._text


class _Header:
    """A header block whose fields are found by name: once, and again after a change, however many rules there are."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._find()

    def _find(self) -> None:
        self._all = [_Read(field) for field in headers.fields(self.octets)]
        self._named: dict[str, list[_Read]] = {}
        for one in self._all:
            self._named.setdefault(one.name.lower(), []).append(one)

    def called(self, name: str) -> list[_Read]:
        """The fields of that name (lower case, or ALL)."""
        return self._all if name == ALL else self._named.get(name, [])

    def change(self, fields: Sequence[_Read], value: bytes | None) -> None:
        """Give *fields* this *value*; None: take them out. What must be kept is kept."""
        pieces, at = [], 0
        for name, _, start, end in (one.field for one in fields if one.name.lower() not in KEPT):
            pieces.append(self.octets[at:start])
            if value is not None:
                pieces.append(b"%b: %b\r\n" % (name, value))
            at = end
        if pieces:
            self.octets = b"".join(pieces) + self.octets[at:]
            self._find()


class Look:
    """What comes of it: `header`, `added` (fields to put in front), `fate`, and the `rule` (its line) that decided, with its `reason`.

    *now* gives seconds; after *until* it ends with Slow.
    """

    def __init__(self, header: bytes, now: Callable[[], float], until: float) -> None:
        self.header = _Header(header)
        self.added = b""  # in front, because whatever follows, even no header at all, they are fields there
        self.fate = Fate.USUAL
        self.rule = 0
        self.reason = ""
        self._now = now
        self._until = until

    def at(self, checks: Checks, content: Content, most: int | None) -> Status | None:
        """The refusal that *checks* lead to, or None. *most*: octets of the body that are looked at. Raises Slow."""
        size = len(self.header.octets)
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

    def told(self, path: Path) -> str:
        """The rule that decided, for facts and people."""
        return f"{path}:{self.rule}" + (f" ({self.reason})" if self.reason else "") if self.rule else ""

    def _in_time(self) -> None:
        if self._now() > self._until:
            raise Slow

    def _header(self, check: Check) -> Status | None:
        assert check.field is not None
        fitting = [one for one in self.header.called(check.field) if self._fits(check, one)]
        if not fitting:
            return None
        if check.act not in (Act.REMOVE, Act.REPLACE):
            return self._does(check)
        self.header.change(fitting, check.text.encode() if check.act is Act.REPLACE else None)
        return None

    def _fits(self, check: Check, one: _Read) -> bool:
        self._in_time()
        return check.pattern is None or check.pattern.found_in(f"{one.name}: {one.text}" if check.field == ALL else one.text)

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
