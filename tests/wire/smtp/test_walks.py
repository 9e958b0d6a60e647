"""A hundred thousand random dialogues, each step compared with a second opinion on what may follow what.

The opinion is written down here, not read from the wire's table: what has been said, and what that leaves to say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, Wants
from twistmail.wire.smtp.commands import Auth, AuthResponse, Bad, Chunk, ContentChunk, ContentEnd, Data, LastChunk, StartTls, XClient
from twistmail.wire.smtp.content import BASIC, Limits
from twistmail.wire.smtp.server import SmtpServerWire

DIALOGUES = 100_000
LIMITS = Limits(extensions=BASIC | {"CHUNKING", "BURL", "ETRN", "XCLIENT"})
OK, NO, LATER = Status(250, "2.0.0", "ok"), Status(550, "5.0.0", "no"), Status(451, "4.0.0", "later")
LINES = {
    "EHLO": b"EHLO a\r\n", "MAIL": b"MAIL FROM:<>\r\n", "RCPT": b"RCPT TO:<a@b>\r\n", "DATA": b"DATA\r\n", "BDAT": b"BDAT 3\r\nA\r\n",
    "LAST": b"BDAT 2 LAST\r\n\r\n", "BURL": b"BURL imap://a@b/c;uid=1\r\n",
    "ALL": b"BURL imap://a@b/c;uid=1 LAST\r\n", "RSET": b"RSET\r\n", "NOOP": b"NOOP\r\n", "VRFY": b"VRFY a\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "AUTH": b"AUTH LOGIN\r\n", "ETRN": b"ETRN a\r\n", "XCLIENT": b"XCLIENT ADDR=192.0.2.1\r\n", "JUNK": b"JUNK\r\n",
}  # fmt: skip
WORDS = tuple(LINES)


@dataclass(frozen=True)
class Said:
    """What has been said, and answered well."""

    hello: bool = False
    mail: bool = False
    rcpt: bool = False
    chunk: bool = False

    def may(self, word: str) -> bool:
        match word:
            case "MAIL" | "STARTTLS" | "AUTH" | "ETRN":
                return self.hello and not self.mail
            case "XCLIENT":
                return not self.mail
            case "RCPT":
                return self.mail and not self.chunk
            case "DATA":
                return self.rcpt and not self.chunk
            case "BDAT" | "LAST" | "BURL" | "ALL":
                return self.rcpt
        return True

    def after(self, word: str, well: bool) -> Said:
        match word, well:
            case ("EHLO", True):
                return Said(hello=True)
            case ("MAIL", True):
                return replace(self, mail=True)
            case ("RCPT", True):
                return replace(self, rcpt=True)
            case ("BDAT" | "BURL", True):
                return replace(self, chunk=True)
            case ("RSET", True) | ("LAST" | "ALL", _) | ("BDAT" | "BURL", False) | ("CONTENT", _):
                return Said(hello=self.hello)
            case ("STARTTLS", True) | ("XCLIENT", True):
                return Said()
        return self


def test_no_dialogue_leads_where_it_may_not() -> None:
    chance = random.Random(20261121)
    for _ in range(DIALOGUES):
        wire = SmtpServerWire(LIMITS)
        wire.send(Status(220, "", "hello"))
        said = Said()
        for word in chance.choices(WORDS, k=chance.randint(2, 9)):
            said = _step(wire, said, word, chance)


def _step(wire: SmtpServerWire, said: Said, word: str, chance: random.Random) -> Said:
    wire.receive_bytes(LINES[word])
    event = wire.next_event()
    while type(event) is ContentChunk:
        event = wire.next_event()
    if word == "JUNK" or not said.may(word):
        assert type(event) is Bad, (said, word, event)
        assert event.status.code == (500 if word == "JUNK" else 503)
        wire.send(event.status)
        assert wire.next_event() is NEED_DATA
        return said
    assert type(event) is not Bad, (said, word, event)
    well = chance.random() < 0.8
    if not well:
        wire.send(chance.choice((NO, LATER)))
        return said.after(word, well=False)
    match event:
        case Data():
            wire.send(Status(354, "", "go"))
            return _content(wire, said, chance)
        case Auth():
            return _login(wire, said, chance)
        case StartTls() | XClient():
            wire.send(Status(220, "2.0.0", "go"))
            if type(event) is StartTls:
                assert wire.wants is Wants.START_TLS
                wire.tls_started()
        case Chunk() | LastChunk():
            assert isinstance(event, LastChunk) == (word == "LAST")
            wire.send(OK)
        case _:
            wire.send(OK)
    return said.after(word, well=True)


def _content(wire: SmtpServerWire, said: Said, chance: random.Random) -> Said:
    wire.receive_bytes(chance.choice((b".\r\n", b"QUIT\r\n.\r\n", b"..\r\n.\r\n")))
    event = wire.next_event()
    while type(event) is ContentChunk:
        event = wire.next_event()
    assert type(event) is ContentEnd
    wire.send(chance.choice((OK, NO, LATER)))
    return said.after("CONTENT", well=True)


def _login(wire: SmtpServerWire, said: Said, chance: random.Random) -> Said:
    wire.send(Status(334, "", ""))
    answer = chance.choice((b"YQ==\r\n", b"*\r\n", b"QUIT!\r\n"))
    wire.receive_bytes(answer)
    event = wire.next_event()
    assert type(event) is (Bad if answer.startswith(b"QUIT") else AuthResponse)
    wire.send(event.status if type(event) is Bad else chance.choice((Status(235, "2.7.0", "in"), Status(535, "5.7.8", "no"))))
    return said
