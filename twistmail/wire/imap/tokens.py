"""The words of one IMAP command (RFC 3501 §9): atoms, strings, literals, lists, dates, names.

`Cursor` reads over one command whose literals have been collected already: its
text is the command's lines, joined by the CRLF that stands behind each literal's
mark, and the literals wait in a list. Every token is one match of a compiled
regex from where the last one ended, so reading is linear. What is not there
raises Misspelled, whose text is fit for the client and never quotes him.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

from twistmail.mail import mutf7
from twistmail.wire.imap import sequence
from twistmail.wire.imap.sequence import SequenceSet

T = TypeVar("T")

MOST_IN_A_LIST = 1000

TAG = rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,255}"
#: A mark that ends a line: (size, "+" where the literal does not wait for leave, RFC 7888 §3).
LITERAL_MARK = re.compile(rb"\{([0-9]{1,19})(\+?)\}\Z")

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_LIST_MAILBOX = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*+)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{[0-9]+\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,10}")
_NUMBER64 = re.compile(rb"[0-9]{1,19}")
_SET = re.compile(rb"[0-9*][0-9*:,]*|\$")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"')

_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_SYSTEM_FLAGS = {name.lower(): name for name in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}


class Misspelled(ValueError):
    """The command is not what the grammar says: BAD. The text is for the client."""


class Refused(Exception):
    """Well spelled, but nothing we can do: NO with a response code."""

    def __init__(self, code: bytes, text: str) -> None:
        super().__init__(text)
        self.code = code


class Cursor:
    """Where we are in a command. `text` and `literals` as the module's note says."""

    __slots__ = ("_literals", "_text", "_utf8", "position")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), position: int = 0, *, utf8: bool = False) -> None:
        """*utf8*: the client has enabled UTF-8, so its mailbox names are not in modified UTF-7."""
        self._utf8 = utf8
        self._text = text
        self._literals = iter(literals)
        self.position = position

    # ----- single octets

    @property
    def at_end(self) -> bool:
        return self.position == len(self._text)

    def next_is(self, octets: bytes) -> bool:
        """Whether *octets* come next; nothing is read."""
        return self._text.startswith(octets, self.position)

    def takes(self, octets: bytes) -> bool:
        """Read *octets* if they come next; whether they did."""
        if self._text.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def takes_word(self, word: bytes) -> bool:
        """Read *word* (upper case), in whatever case it is written, if it comes next; whether it did."""
        end = self.position + len(word)
        if self._text[self.position : end].upper() != word:
            return False
        self.position = end
        return True

    def expect(self, octets: bytes, what: str) -> None:
        """Read *octets*, called *what* towards the client."""
        if not self._text.startswith(octets, self.position):
            raise self.lacking(what)
        self.position += len(octets)

    def space(self) -> None:
        """Exactly one space (RFC 3501 §9, note 2)."""
        if not self._text.startswith(b" ", self.position):
            raise self.lacking("one space")
        self.position += 1

    def end(self) -> None:
        """The end of the command."""
        if self.position != len(self._text):
            raise self.lacking("the end of the line")

    def skip(self) -> None:
        """Read nothing more of this command."""
        self.position = len(self._text)

    def lacking(self, what: str) -> Misspelled:
        return Misspelled(f"Expected {what} at octet {self.position + 1} of the command")

    def matched(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """What *pattern* matches next, read."""
        match = pattern.match(self._text, self.position)
        if match is None:
            raise self.lacking(what)
        self.position = match.end()
        return match

    def takes_match(self, pattern: re.Pattern[bytes]) -> bool:
        """Read what *pattern* matches, if it comes next; whether it did."""
        match = pattern.match(self._text, self.position)
        self.position = match.end() if match else self.position
        return match is not None

    # ----- words and strings

    def atom(self, what: str = "a word") -> bytes:
        return self.matched(_ATOM, what)[0]

    def word(self, what: str = "a word") -> bytes:
        """An atom in upper case: a name of the protocol."""
        return self.matched(_ATOM, what)[0].upper()

    def astring(self, what: str = "a string") -> bytes:
        """An atom (in which "]" is allowed), a quoted string or a literal."""
        match = _ASTRING.match(self._text, self.position)
        if match is None:
            return self.string(what)
        self.position = match.end()
        return match[0]

    def string(self, what: str = "a string") -> bytes:
        """A quoted string, in which other octets than ASCII have to be UTF-8 (RFC 6855 §3), or a literal."""
        match = _QUOTED.match(self._text, self.position)
        if match is not None:
            self.position = match.end()
            if not match[1].isascii():
                self.text(match[1], "a quoted string")
            return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]
        self.matched(_LITERAL, what)
        return next(self._literals)

    def nstring(self, what: str = "a string or NIL") -> bytes | None:
        if self.next_is(b'"') or self.next_is(b"{"):
            return self.string(what)
        if self.word(what) == b"NIL":
            return None
        raise self.lacking(what)

    def text(self, octets: bytes, what: str, encoding: str = "utf-8") -> str:
        """*octets*, just read as *what*, decoded strictly."""
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            raise Misspelled(f"The octets of {what} are not {encoding.upper()}") from None

    # ----- lists

    def several(self, read: Callable[[], T], what: str, *, may_be_empty: bool = False) -> tuple[T, ...]:
        """A list in parentheses, each element by *read*, divided by single spaces; at most MOST_IN_A_LIST."""
        self.expect(b"(", f"{what} in parentheses")
        if self.takes(b")"):
            if may_be_empty:
                return ()
            raise Misspelled(f"The list of {what} is empty")
        elements = [read()]
        while not self.takes(b")"):
            self.space()
            elements.append(read())
            if len(elements) > MOST_IN_A_LIST:
                raise Misspelled(f"A list holds {MOST_IN_A_LIST} elements at most")
        return tuple(elements)

    # ----- values

    def number(self, what: str = "a number") -> int:
        """0 to 4294967295."""
        number = int(self.matched(_NUMBER, what)[0])
        if number > 0xFFFFFFFF:
            raise Misspelled("A number is larger than 4294967295")
        return number

    def number64(self, what: str = "a number") -> int:
        """0 to 9223372036854775807 (RFC 9051 §9)."""
        number = int(self.matched(_NUMBER64, what)[0])
        if number > 0x7FFFFFFFFFFFFFFF:
            raise Misspelled("A number is larger than 9223372036854775807")
        return number

    def sequence_set(self) -> SequenceSet:
        match = self.matched(_SET, "a set of message numbers")
        try:
            return sequence.parse(match[0])
        except ValueError as error:
            raise Misspelled(str(error)) from None

    def mailbox(self) -> str:
        """A mailbox name, decoded; INBOX in any case is "INBOX" (RFC 3501 §5.1)."""
        return self.mailbox_name(self.astring("a mailbox name"))

    def pattern(self) -> str:
        """A mailbox name with wildcards (`list-mailbox`)."""
        match = _LIST_MAILBOX.match(self._text, self.position)
        if match is None:
            return self.mailbox_name(self.string("a mailbox pattern"))
        self.position = match.end()
        return self.mailbox_name(match[0])

    def mailbox_name(self, octets: bytes) -> str:
        """*octets*, just read as a mailbox name, decoded; UTF-8 is understood before it is enabled too (RFC 6855 §3)."""
        if self._utf8 or not octets.isascii():
            name = self.text(octets, "a mailbox name")
        else:
            try:
                name = mutf7.decode(octets.decode("ascii"))
            except ValueError:
                raise Misspelled("A mailbox name is not in modified UTF-7 (RFC 3501 section 5.1.3)") from None
        return "INBOX" if name.upper() == "INBOX" else name

    def flag(self) -> str:
        """A system flag that clients may set, in its usual spelling, or a keyword."""
        flag = self.matched(_FLAG, "a flag")[0].decode("ascii")
        if flag[0] != "\\":
            return flag
        known = _SYSTEM_FLAGS.get(flag.lower())
        if known is None:
            raise Misspelled("Flags that begin with a backslash are \\Answered, \\Flagged, \\Deleted, \\Seen and \\Draft")
        return known

    def flags(self) -> tuple[str, ...]:
        """A flag list in parentheses, repetitions dropped."""
        return tuple(dict.fromkeys(self.several(self.flag, "flags", may_be_empty=True)))

    def date(self) -> date:
        """A `date`, such as 1-Feb-1994, with or without quotes."""
        _, day, month, year = self.matched(_DATE, "a date such as 1-Feb-1994").groups()
        try:
            return date(int(year), _MONTHS[month.lower()], int(day))
        except (ValueError, KeyError):
            raise Misspelled("There is no such date") from None

    def date_time(self) -> float:
        """A `date-time` as POSIX seconds."""
        match = self.matched(_DATE_TIME, 'a date and time such as "17-Jul-1996 02:44:25 +0000"')
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        east = (int(zone_hours) * 60 + int(zone_minutes)) * (60 if sign == b"+" else -60)
        try:
            # a leap second counts as the one before
            when = datetime(int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
        except (ValueError, KeyError):
            raise Misspelled("There is no such date and time") from None
        return when.timestamp() - east
