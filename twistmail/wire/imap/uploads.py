"""APPEND and REPLACE, whose messages are handed on as they come and never gathered.

RFC 3501 §6.3.11; RFC 3502 (several messages at once), RFC 4469 (messages put together), RFC 3516 §4.4 (any octets), RFC 6855 §4
(UTF-8 in the header), RFC 8508 (REPLACE).

Such a command is texts and literals by turns: a text ends with the mark of a literal, the last one with the line. `Upload`
reads the texts; the wire counts the octets of the literals. What the client has said so far becomes an AppendBegin at the
first message's literal, an AppendMore at each later one, and an AppendEnd at the end; AppendChunks are between them. A
literal that only spells a name or a URL is gathered by the wire and handed to `Upload` with the text that follows it.
"""

from __future__ import annotations

from collections.abc import Generator

from twistmail.mail.values import frozen
from twistmail.wire.contract import Tell
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.framing import Mark
from twistmail.wire.imap.rows import AFTER_LOGIN, WITH_MAILBOX, Row
from twistmail.wire.imap.tokens import Cursor, Misspelled

#: Heads, URLs and literals of one command.
MOST_WORDS = 2000


@frozen
class Head:
    """A message begins. `internaldate`: POSIX seconds, None for now."""

    flags: tuple[str, ...] = ()
    internaldate: float | None = None


@frozen
class Url:
    """The octets that an IMAP URL means are part of the message (RFC 4469 §3)."""

    url: str


@frozen
class Literal:
    """`size` octets of the message are to come. `binary`: NUL may be among them; `utf8`: 8-bit octets may be in its header."""

    size: int
    binary: bool = False
    utf8: bool = False


@frozen
class Replaced:
    """The message that REPLACE replaces, a sequence number, or a UID where `uid`."""

    number: int
    uid: bool


@frozen
class AppendBegin(c.Command):
    """APPEND or REPLACE up to its first literal, or the whole of it where it has none (`literal` is None).

    `words` begins with the first message's Head. Answer: `Continuation()`, then AppendChunks and an AppendMore or AppendEnd
    follow; or Tagged NO, and nothing follows. The wire knows whether the literal is a synchronising one: it says the
    Continuation only where the client waits for it, and swallows a refused literal that comes nevertheless.
    """

    mailbox: str
    words: tuple[Head | Url, ...]
    literal: Literal | None
    replaced: Replaced | None = None

    @property
    def by_number(self) -> bool:
        return self.replaced is not None and not self.replaced.uid


@frozen
class AppendMore(c.Command):
    """More of the same command, up to its next literal. A Head among `words` begins the next message. Answer: as AppendBegin."""

    words: tuple[Head | Url, ...]
    literal: Literal


@frozen
class AppendChunk(Tell):
    """Octets of the latest literal, as they come; line ends and NUL are the session's business."""

    data: bytes


@frozen
class AppendEnd(c.Command):
    """The command is complete, with the last of its `words`. Answer: Tagged OK once all is durable, or Postponed."""

    words: tuple[Head | Url, ...] = ()


@frozen
class AppendAbandoned(Tell):
    """What followed a literal cannot be understood, or not be had: forget the messages. A Bad or a No comes next."""


Event = AppendBegin | AppendMore | AppendEnd


class Upload:
    """The arguments of one command called *name*, as far as they have come."""

    __slots__ = ("_count", "_cursor", "_has_begun", "_mark", "_name", "_reading", "_tag", "_target", "_words")

    def __init__(self, tag: bytes, name: bytes) -> None:
        self._tag = tag
        self._name = name
        self._words: list[Head | Url] = []
        self._target: tuple[str, Replaced | None] = ("", None)
        self._count = 0
        self._has_begun = False  # the AppendBegin has been made
        self._cursor = Cursor(b"")
        self._mark: Mark | None = None
        self._reading = self._arguments()

    def read(self, cursor: Cursor, mark: Mark | None, string: bytes | None = None) -> Event | None:
        """Read one text, behind which stands *mark* or the end of the line. Raises Misspelled.

        *string*: the literal before this text, where it was a string. None: the literal that *mark* announces is a string.
        """
        self._cursor, self._mark = cursor, mark
        return self._reading.send(string)

    # ----- the grammar, top to bottom; what is yielded waits for the next text

    def _arguments(self) -> Generator[Event | None, bytes | None, None]:
        """The whole command behind its name."""
        self._cursor.space()
        replaced = None
        if self._name != b"APPEND":
            replaced = Replaced(self._message_number(), self._name != b"REPLACE")
            self._cursor.space()
        mailbox = self._cursor.mailbox_name((yield from self._string("a mailbox name")))
        self._target = mailbox, replaced
        yield from self._message()
        while self._mark is not None or not self._cursor.at_end:
            if replaced or not self._cursor.next_is(b" "):
                raise Misspelled("Behind the message comes the end of the line" + ("" if replaced else ", or a space and one more"))
            yield from self._message()
        if not self._has_begun:
            yield self._event(None)
        yield AppendEnd(self._tag, tuple(self._words))

    def _message_number(self) -> int:
        number = self._cursor.number("the number of a message")
        if not number:
            raise Misspelled("Messages are numbered from 1")
        return number

    def _message(self) -> Generator[Event | None, bytes | None, None]:
        """`append-message` (RFC 4466 §6)."""
        cursor = self._cursor
        if cursor.at_end and self._mark is None:
            raise self._no_message()
        cursor.space()
        flags: tuple[str, ...] = ()
        when = None
        if cursor.next_is(b"("):
            flags = cursor.flags()
            cursor.space()
        if cursor.next_is(b'"'):
            when = cursor.date_time()
            cursor.space()
        self._add(Head(flags, when))
        if cursor.takes_word(b"CATENATE"):
            cursor.expect(b" (", "parts in parentheses")
            yield from self._parts()
        elif cursor.takes_word(b"UTF8"):
            yield from self._utf8()
        else:
            yield from self._literal()

    def _parts(self) -> Generator[Event | None, bytes | None, None]:
        """`cat-part`s, and the parenthesis behind them (RFC 4469 §5)."""
        while True:
            match self._cursor.word("TEXT, URL or UTF8"):
                case b"URL":
                    self._cursor.space()
                    url = yield from self._string("a URL")
                    self._add(Url(self._cursor.text(url, "a URL")))
                case b"TEXT":
                    self._cursor.space()
                    yield from self._literal()
                case b"UTF8":
                    yield from self._utf8()
                case _:
                    raise Misspelled("CATENATE takes TEXT, URL and UTF8")
            if self._cursor.takes(b")"):
                return
            self._cursor.space()

    def _utf8(self) -> Generator[Event | None, bytes | None, None]:
        """`utf8-literal`, behind its name (RFC 6855 §4)."""
        self._cursor.expect(b" (~", "a literal such as (~{310}")
        yield from self._literal(binary=True, utf8=True)
        self._cursor.expect(b")", ")")

    def _literal(self, *, binary: bool = False, utf8: bool = False) -> Generator[Event | None, bytes | None, None]:
        """Octets of a message: what has been said so far becomes an event."""
        binary = binary or self._cursor.takes(b"~")
        if self._mark is None:
            raise self._no_message()
        self._cursor.end()
        self._count_one()
        yield self._event(Literal(self._mark.size, binary, utf8))

    def _string(self, what: str) -> Generator[Event | None, bytes | None, bytes]:
        """An astring; as a literal it comes with the next text."""
        if self._cursor.at_end and self._mark is not None:
            self._count_one()
            return (yield None) or b""
        return self._cursor.astring(what)

    def _no_message(self) -> Misspelled:
        return Misspelled(f"{self._name.decode('ascii')} needs a message as a literal")

    # ----- what becomes of it

    def _add(self, word: Head | Url) -> None:
        self._words.append(word)
        self._count_one()

    def _count_one(self) -> None:
        self._count += 1
        if self._count > MOST_WORDS:
            raise Misspelled(f"A command may have {MOST_WORDS // 2} messages or parts")

    def _event(self, literal: Literal | None) -> Event:
        words, self._words = tuple(self._words), []
        if self._has_begun and literal is not None:
            return AppendMore(self._tag, words, literal)
        self._has_begun = True
        mailbox, replaced = self._target
        return AppendBegin(self._tag, mailbox, words, literal, replaced)


def _streamed(cursor: Cursor, tag: bytes) -> c.Command:
    """Such a command is never read as a whole: the wire has an `Upload` for it."""
    raise Misspelled("The message is missing")


ROWS: dict[bytes, Row] = {
    b"APPEND": Row(_streamed, AFTER_LOGIN),
    b"REPLACE": Row(_streamed, WITH_MAILBOX),
    b"UID REPLACE": Row(_streamed, WITH_MAILBOX),
}
