"""Which command may follow which: the transition table of the server side (RFC 5321 §4.1.4, RFC 3207, RFC 4954, RFC 3030)."""

from __future__ import annotations

from enum import Enum

from twistmail.wire.smtp.commands import (
    Auth,
    AuthResponse,
    Bad,
    Burl,
    Chunk,
    ContentEnd,
    Data,
    Etrn,
    Expn,
    Hello,
    Help,
    LastBurl,
    LastChunk,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
)


class State(Enum):
    """Where a connection is. GREETED also stands for the time after STARTTLS, when everything is forgotten."""

    __hash__ = object.__hash__  # each is there once; the usual one is Python, and these are keys

    GREETED = "greeted"
    HELLO = "said hello"
    AUTHENTICATING = "authenticating"
    MAIL = "has a sender"
    RCPT = "has a recipient"
    CONTENT = "sending content"
    CHUNKS = "has sent a chunk"  # and not the last one (RFC 3030)


#: (state, command) -> state after a positive reply. A missing pair is 503.
#: After a negative reply the state stays what it was, unless AFTER_REFUSAL says otherwise.
#: Commands legal in every state that reads commands, and changing none, are in ALWAYS.
TRANSITIONS: dict[tuple[State, type], State] = {
    (State.GREETED, Hello): State.HELLO,
    (State.HELLO, Hello): State.HELLO,
    (State.MAIL, Hello): State.HELLO,  # a second EHLO abandons any transaction
    (State.RCPT, Hello): State.HELLO,

    (State.HELLO, Mail): State.MAIL,
    (State.MAIL, Rcpt): State.RCPT,  # a refused RCPT leaves us in MAIL: DATA is still 503
    (State.RCPT, Rcpt): State.RCPT,
    (State.RCPT, Data): State.CONTENT,
    (State.CONTENT, ContentEnd): State.HELLO,

    (State.RCPT, Chunk): State.CHUNKS,
    (State.CHUNKS, Chunk): State.CHUNKS,
    (State.RCPT, LastChunk): State.HELLO,
    (State.CHUNKS, LastChunk): State.HELLO,
    (State.RCPT, Burl): State.CHUNKS,
    (State.CHUNKS, Burl): State.CHUNKS,
    (State.RCPT, LastBurl): State.HELLO,
    (State.CHUNKS, LastBurl): State.HELLO,
    (State.CHUNKS, Hello): State.HELLO,
    (State.CHUNKS, Rset): State.HELLO,

    (State.GREETED, XClient): State.GREETED,
    (State.HELLO, XClient): State.GREETED,
    (State.HELLO, Etrn): State.HELLO,  # RFC 1985 §5.3: not during a mail transaction

    (State.GREETED, Rset): State.GREETED,
    (State.HELLO, Rset): State.HELLO,
    (State.MAIL, Rset): State.HELLO,
    (State.RCPT, Rset): State.HELLO,

    (State.HELLO, Auth): State.HELLO,  # RFC 4954 §4: not during a mail transaction
    (State.AUTHENTICATING, AuthResponse): State.HELLO,
    (State.HELLO, StartTls): State.GREETED,
}

#: Where a negative reply moves on as well: the content is gone, the exchange is over.
AFTER_REFUSAL: dict[tuple[State, type], State] = {
    (State.CONTENT, ContentEnd): State.HELLO,
    (State.RCPT, Chunk): State.HELLO,  # RFC 3030 §2: a chunk that failed ends the transaction
    (State.CHUNKS, Chunk): State.HELLO,
    (State.RCPT, LastChunk): State.HELLO,
    (State.CHUNKS, LastChunk): State.HELLO,
    (State.RCPT, Burl): State.HELLO,  # RFC 4468 §3.2: so does a URL that means nothing
    (State.CHUNKS, Burl): State.HELLO,
    (State.RCPT, LastBurl): State.HELLO,
    (State.CHUNKS, LastBurl): State.HELLO,
    (State.AUTHENTICATING, AuthResponse): State.HELLO,
    (State.AUTHENTICATING, Bad): State.HELLO,  # an answer that is not base64 ends the exchange
}

#: Where a 334 leads: the exchange goes on (RFC 4954 §4).
AFTER_CHALLENGE: dict[tuple[State, type], State] = {
    (State.HELLO, Auth): State.AUTHENTICATING,
    (State.AUTHENTICATING, AuthResponse): State.AUTHENTICATING,
}

#: What stands last in a group of commands (RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4): behind it the client waits for the answer.
ENDS_GROUP = frozenset({b"EHLO", b"HELO", b"LHLO", b"DATA", b"VRFY", b"EXPN", b"NOOP", b"STARTTLS", b"AUTH", b"XCLIENT"})

ALWAYS = frozenset({Noop, Help, Vrfy, Expn, Quit, Bad})

#: What a 503 says was expected, by state; (state, command) where a better sentence is known.
EXPECTED: dict[State, str] = {
    State.GREETED: "Say EHLO first",
    State.HELLO: "MAIL has to come first",
    State.MAIL: "A transaction has begun: RCPT is expected, RSET ends it",
    State.RCPT: "A transaction has begun: RCPT or DATA is expected, RSET ends it",
    State.AUTHENTICATING: "The answer to the challenge is expected",
    State.CONTENT: "Content is expected",
    State.CHUNKS: "Content is under way: BDAT is expected, RSET ends it",
}
EXPECTED_OF: dict[tuple[State, type], str] = {
    (State.MAIL, Data): "DATA needs at least one accepted recipient",
    (State.HELLO, Data): "DATA needs a sender and at least one accepted recipient",
    (State.MAIL, Chunk): "BDAT needs at least one accepted recipient",
    (State.MAIL, LastChunk): "BDAT needs at least one accepted recipient",
    (State.HELLO, Chunk): "BDAT needs a sender and at least one accepted recipient",
    (State.HELLO, LastChunk): "BDAT needs a sender and at least one accepted recipient",
    (State.MAIL, Burl): "BURL needs at least one accepted recipient",
    (State.MAIL, LastBurl): "BURL needs at least one accepted recipient",
    (State.HELLO, Burl): "BURL needs a sender and at least one accepted recipient",
    (State.HELLO, LastBurl): "BURL needs a sender and at least one accepted recipient",
    (State.CHUNKS, Data): "The message is under way in chunks: BDAT is expected, RSET ends it",
}
