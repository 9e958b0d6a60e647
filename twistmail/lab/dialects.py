"""Where a connection is that somebody speaks by hand, told from what both sides say. Pure.

For SMTP the server's own wire follows what is typed; POP3 and IMAP go by the wires' own tables. So the states that the console
draws and the commands that it calls legal are those that the server goes by.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, Wants
from twistmail.wire.imap import grammar
from twistmail.wire.imap import rows as imap_rows
from twistmail.wire.pop3 import commands as pop3
from twistmail.wire.pop3 import server as pop3_server
from twistmail.wire.smtp import parsing, states
from twistmail.wire.smtp.commands import Chunk, Hello
from twistmail.wire.smtp.content import BASIC, Limits
from twistmail.wire.smtp.server import SmtpServerWire

_LITERAL = re.compile(r"\{(\d{1,9})\+?\}$")


@frozen
class Next:
    """A command that is legal now: how it is written, and what it does."""

    example: str
    words: str


class Dialect:
    """One connection. `waiting`: the server owes an answer (its greeting first). `wants_tls`: now the handshake comes."""

    name = ""
    opening = ""  # the state at the beginning

    def __init__(self) -> None:
        self.state = self.opening
        self.waiting = True
        self.wants_tls = False

    def sent(self, line: str) -> None:
        """The client has said *line*, without its CRLF."""

    def heard(self, line: str) -> None:
        """The server has said *line*."""

    def tls_started(self) -> None:
        self.wants_tls = False

    def next(self) -> tuple[Next, ...]:
        """What may be said now."""
        return ()


# ----- SMTP

#: Where chunks and XCLIENT are known too, whatever the server offers.
_LIMITS = Limits(extensions=BASIC | {"CHUNKING", "BURL", "ETRN", "XCLIENT", "SMTPUTF8", "DSN"}, command_line=12_288)

_SMTP_WORDS = {
    "EHLO": Next("EHLO pc.test", "says who you are, and asks what the server can do"),
    "MAIL": Next("MAIL FROM:<me@red.test>", "begins a letter: who gets it back if it cannot arrive"),
    "RCPT": Next("RCPT TO:<{person}>", "whom it is for; again for each"),
    "DATA": Next("DATA", "the letter itself follows, up to a line with one dot"),
    "BDAT": Next("BDAT 5 LAST", "so many octets of the letter follow"),
    "RSET": Next("RSET", "forgets the letter that was begun"),
    "AUTH": Next("AUTH PLAIN {plain}", "says name and password"),
    "STARTTLS": Next("STARTTLS", "encrypts from here on"),
    "VRFY": Next("VRFY {person}", "asks whether there is somebody"),
    "NOOP": Next("NOOP", "does nothing"),
    "HELP": Next("HELP", "lists the commands"),
    "QUIT": Next("QUIT", "says good-bye"),
}
_CONTENT = (Next("Subject: Hello", "a line of the letter"), Next("", "an empty line ends its head"), Next(".", "one dot ends the letter"))


class SmtpTalk(Dialect):
    """SMTP: the server's wire is fed with what is typed, and moves on as the answers say (RFC 5321 §4.1.4)."""

    name = "smtp"
    opening = states.State.GREETED.value

    def __init__(self) -> None:
        super().__init__()
        self._wire = SmtpServerWire(_LIMITS)

    def sent(self, line: str) -> None:
        self._wire.receive_bytes(line.encode() + b"\r\n")
        self._go_on()

    def _go_on(self) -> None:
        """Read what is typed as far as it needs no answer."""
        while (event := self._wire.next_event()) is not PAUSED and event is not NEED_DATA:
            pass
        self.waiting = event is PAUSED
        self.state = self._wire.state.value

    def heard(self, line: str) -> None:
        if not re.match(r"\d{3}(?: |$)", line):
            return
        try:
            self._wire.send(Status(int(line[:3]), "", ""))
        except (LocalProtocolError, ValueError):
            return  # the server knows what we do not: an answer to nothing, or one that the command cannot have
        if self._wire.wants is Wants.START_TLS:
            self.waiting, self.wants_tls = False, True
            return
        self._go_on()

    def tls_started(self) -> None:
        super().tls_started()
        self._wire.tls_started()
        self._go_on()

    def next(self) -> tuple[Next, ...]:
        state = self._wire.state
        if state is states.State.CONTENT:
            return _CONTENT
        if state is states.State.AUTHENTICATING:
            return (Next("*", "breaks off"),)
        legal = {kind for where, kind in states.TRANSITIONS if where is state} | states.ALWAYS
        return tuple(word for verb, word in _SMTP_WORDS.items() if _kind(verb) in legal)


def _kind(verb: str) -> type:
    """The command of the table that *verb* is read as."""
    rest = {"MAIL": "FROM:<>", "RCPT": "TO:<a@b>", "AUTH": "PLAIN", "EHLO": "a", "VRFY": "a"}.get(verb, "")
    if verb == "BDAT":
        return Chunk
    return Hello if verb == "EHLO" else type(parsing.command(verb, rest, _LIMITS))


def smtp_arrows() -> dict[tuple[str, str], list[str]]:
    """(state, state) -> what leads there: TRANSITIONS and AFTER_CHALLENGE in words."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, kind), behind in (*states.TRANSITIONS.items(), *states.AFTER_CHALLENGE.items()):
        word = _WORDS_OF_KINDS.get(kind.__name__, kind.__name__.upper())
        words = arrows.setdefault((before.value, behind.value), [])
        if word not in words:
            words.append(word)
    return arrows


_WORDS_OF_KINDS = {
    "Hello": "EHLO", "ContentEnd": "a dot", "Chunk": "BDAT", "LastChunk": "BDAT LAST", "Burl": "BURL", "LastBurl": "BURL LAST",
    "AuthResponse": "answer",
}


# ----- POP3

_POP3_WORDS = {
    "CAPA": Next("CAPA", "asks what the server can do"),
    "USER": Next("USER {person}", "says who you are"),
    "PASS": Next("PASS {password}", "says your password"),
    "AUTH": Next("AUTH PLAIN {plain}", "says both at once"),
    "STLS": Next("STLS", "encrypts from here on"),
    "STAT": Next("STAT", "how many messages there are, and how big"),
    "LIST": Next("LIST", "the size of each"),
    "UIDL": Next("UIDL", "a name of each that stays"),
    "RETR": Next("RETR 1", "fetches a message"),
    "TOP": Next("TOP 1 5", "fetches its head and five lines"),
    "DELE": Next("DELE 1", "marks it: gone at QUIT"),
    "RSET": Next("RSET", "takes all marks away"),
    "NOOP": Next("NOOP", "does nothing"),
    "QUIT": Next("QUIT", "says good-bye; now marked messages go"),
}
_LOGINS = frozenset({"PASS", "APOP", "AUTH"})
_ALWAYS_MANY = frozenset({"RETR", "TOP", "CAPA"})
_MANY_WITHOUT_NUMBER = frozenset({"LIST", "UIDL", "LANG"})


class PopTalk(Dialect):
    """POP3 (RFC 1939 §3): logged in or not, and the answers that are several lines."""

    name = "pop3"
    opening = pop3.State.AUTHORIZATION.value

    def __init__(self) -> None:
        super().__init__()
        self._asked: deque[str] = deque(["greeting"])
        self._in_list = False

    def sent(self, line: str) -> None:
        if self.state == pop3.State.EXCHANGE.value:
            self.waiting = True
            return
        verb, _, rest = line.partition(" ")
        self._asked.append(verb.upper() + (" " if rest.strip() else ""))
        self.waiting = True

    def heard(self, line: str) -> None:
        if self._in_list:
            self._in_list = line != "."
            self.waiting = self._in_list or bool(self._asked)
            return
        if line.startswith("+ "):
            self.state, self.waiting = pop3.State.EXCHANGE.value, False
            return
        asked = self._asked.popleft() if self._asked else ""
        good, verb = line.startswith("+OK"), asked.strip()
        if self.state == pop3.State.EXCHANGE.value:
            self.state = self.opening
        if good and verb in _LOGINS:
            self.state = pop3.State.TRANSACTION.value
        self.wants_tls = good and verb == "STLS"
        self._in_list = good and (verb in _ALWAYS_MANY or (verb in _MANY_WITHOUT_NUMBER and not asked.endswith(" ")))
        self.waiting = self._in_list or bool(self._asked)

    def tls_started(self) -> None:
        super().tls_started()
        self.state = self.opening

    def next(self) -> tuple[Next, ...]:
        if self.state == pop3.State.EXCHANGE.value:
            return (Next("*", "breaks off"),)
        state = pop3.State(self.state)
        return tuple(word for verb, word in _POP3_WORDS.items() if state in pop3_server.COMMANDS[verb.encode()][0])


# ----- IMAP

_IMAP_WORDS = {
    "CAPABILITY": Next("a1 CAPABILITY", "asks what the server can do"),
    "STARTTLS": Next("a2 STARTTLS", "encrypts from here on"),
    "LOGIN": Next("a3 LOGIN {person} {password}", "says who you are, and your password"),
    "LIST": Next('a4 LIST "" "*"', "lists the mailboxes"),
    "SELECT": Next("a5 SELECT INBOX", "opens a mailbox"),
    "EXAMINE": Next("a6 EXAMINE INBOX", "opens it and changes nothing"),
    "STATUS": Next("a7 STATUS INBOX (MESSAGES UNSEEN)", "counts without opening"),
    "SEARCH": Next("a8 SEARCH UNSEEN", "looks for messages"),
    "FETCH": Next("a9 FETCH 1:* (FLAGS ENVELOPE)", "fetches something of messages"),
    "STORE": Next("b1 STORE 1 +FLAGS (\\Seen)", "sets flags"),
    "COPY": Next("b2 COPY 1 Trash", "copies to another mailbox"),
    "IDLE": Next("b3 IDLE", "waits for news; DONE ends it"),
    "EXPUNGE": Next("b4 EXPUNGE", "takes away what is marked as deleted"),
    "CLOSE": Next("b5 CLOSE", "closes the mailbox"),
    "NOOP": Next("b6 NOOP", "asks whether there is news"),
    "LOGOUT": Next("b7 LOGOUT", "says good-bye"),
}
_ON_OK = {kind.__name__.upper(): state.value for kind, state in grammar.ON_OK.items()} | {
    "EXAMINE": imap_rows.State.SELECTED.value,
}
_ON_NO = {kind.__name__.upper(): state.value for kind, state in grammar.ON_NO.items()} | {"EXAMINE": imap_rows.State.AUTHENTICATED.value}


class ImapTalk(Dialect):
    """IMAP (RFC 3501 §3): answers find their command by its tag; literals are no answers."""

    name = "imap"
    opening = imap_rows.State.NOT_AUTHENTICATED.value

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, str] = {}
        self._greeted = False
        self._goes_on = False  # what is typed belongs to a command that has begun
        self._ours = 0  # octets of a literal that we still have to send
        self._theirs = 0  # octets of a literal that are still to come

    def sent(self, line: str) -> None:
        if self._ours > 0:
            self._ours -= len(line.encode()) + 2
            self.waiting = self._ours <= 0
            return
        if match := _LITERAL.search(line):
            self._ours = int(match[1])
        if self._goes_on:
            self.waiting, self._goes_on = True, False
            return
        tag, _, rest = line.partition(" ")
        words = rest.upper().split() or [""]
        self._asked[tag] = words[1] if words[0] == "UID" and len(words) > 1 else words[0]
        self.waiting = True

    def heard(self, line: str) -> None:
        if self._theirs > 0:
            self._theirs -= len(line.encode()) + 2
            if self._theirs < 0 and (match := _LITERAL.search(line)):  # what stands behind a literal is the same answer
                self._theirs = int(match[1])
            return
        if match := _LITERAL.search(line):
            self._theirs = int(match[1])
        tag, _, rest = line.partition(" ")
        if tag == "+":
            self.waiting, self._goes_on = False, self._ours <= 0
        elif tag == "*":
            self._untagged(rest)
        elif tag in self._asked:
            self._settle(self._asked.pop(tag), rest.upper())

    def _untagged(self, rest: str) -> None:
        if not self._greeted:
            self._greeted, self.waiting = True, False
            if rest.upper().startswith("PREAUTH"):
                self.state = imap_rows.State.AUTHENTICATED.value

    def _settle(self, verb: str, rest: str) -> None:
        if rest.startswith("OK"):
            self.state = _ON_OK.get(verb, self.state)
            self.wants_tls = verb == "STARTTLS"
        elif rest.startswith("NO"):
            self.state = _ON_NO.get(verb, self.state)
        self._goes_on, self._ours = False, 0
        self.waiting = bool(self._asked)

    def next(self) -> tuple[Next, ...]:
        if self._goes_on:
            return (Next("DONE", "ends IDLE"), Next("*", "breaks off"))
        state = imap_rows.State(self.state)
        return tuple(word for verb, word in _IMAP_WORDS.items() if state in _row(verb).states)


def _row(verb: str) -> Any:
    return grammar.COMMANDS[verb.encode()]


# ----- HTTP


class WebTalk(Dialect):
    """HTTP, for comparison: one request, one answer (RFC 9112)."""

    name = "http"
    opening = "asks"

    def __init__(self) -> None:
        super().__init__()
        self.waiting = False  # no greeting: the client speaks first

    def sent(self, line: str) -> None:
        self.waiting = not line

    def heard(self, line: str) -> None:
        self.waiting = False

    def next(self) -> tuple[Next, ...]:
        return (
            Next("GET /about HTTP/1.1", "asks for a page"),
            Next("Host: {host}", "which site is meant"),
            Next("Connection: close", "no more requests after this one"),
            Next("", "an empty line ends the request"),
        )


#: What is spoken at a service.
DIALECTS: dict[str, type[Dialect]] = {"mx": SmtpTalk, "submission": SmtpTalk, "pop3": PopTalk, "imap": ImapTalk, "web": WebTalk}

#: (from, to) -> what leads there; the tables of POP3 and IMAP as they are drawn.
POP3_ARROWS = {
    (pop3.State.AUTHORIZATION.value, pop3.State.TRANSACTION.value): ["PASS", "AUTH"],
    (pop3.State.AUTHORIZATION.value, pop3.State.EXCHANGE.value): ["AUTH"],
    (pop3.State.EXCHANGE.value, pop3.State.TRANSACTION.value): ["answer"],
    (pop3.State.EXCHANGE.value, pop3.State.AUTHORIZATION.value): ["*"],
}


def imap_arrows() -> dict[tuple[str, str], list[str]]:
    """(state, state) -> what leads there, by the table of the wire."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for verb in ("LOGIN", "AUTHENTICATE", "UNAUTHENTICATE", "SELECT", "EXAMINE", "CLOSE", "UNSELECT"):
        for before in imap_rows.State:
            behind = _ON_OK[verb]
            if before in _row(verb).states and before.value != behind:
                arrows.setdefault((before.value, behind), []).append(verb)
    return arrows
