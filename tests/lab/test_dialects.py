"""Where a connection is that is spoken by hand: told from both sides' lines, by the server's own tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.lab.dialects import DIALECTS, POP3_ARROWS, Dialect, ImapTalk, PopTalk, SmtpTalk, WebTalk, imap_arrows, smtp_arrows
from twistmail.wire.imap.rows import State as ImapState
from twistmail.wire.pop3.commands import State as PopState
from twistmail.wire.smtp.states import State as SmtpState


def played(dialect: Dialect, *lines: str) -> Dialect:
    for line in lines:
        side, text = line[0], line[2:]
        (dialect.sent if side == "C" else dialect.heard)(text)
        if dialect.wants_tls:
            dialect.tls_started()
    return dialect


HELLO = ("S 220 mx.green.test", "C EHLO pc.test", "S 250-mx", "S 250 OK")
MAIL = (*HELLO, "C MAIL FROM:<a@b.test>", "S 250 OK")
RCPT = (*MAIL, "C RCPT TO:<c@green.test>", "S 250 OK")
DATA = (*RCPT, "C DATA", "S 354 go")


@pytest.mark.parametrize(
    ("lines", "state", "waiting"),
    [
        pytest.param((), "greeted", True, id="waits-for-the-greeting"),
        pytest.param(HELLO[:1], "greeted", False, id="greeted"),
        pytest.param(HELLO[:3], "greeted", True, id="an-answer-of-several-lines-is-not-over"),
        pytest.param(HELLO, "said hello", False, id="hello"),
        pytest.param((*HELLO, "C RCPT TO:<x@y>", "S 503 no"), "said hello", False, id="too-early"),
        pytest.param((*MAIL, "C RCPT TO:<x@y.test>", "S 550 no"), "has a sender", False, id="a-refused-recipient-is-none"),
        pytest.param(RCPT, "has a recipient", False, id="recipient"),
        pytest.param(DATA, "sending content", False, id="content"),
        pytest.param((*DATA, "C Subject: x", "C ", "C RSET"), "sending content", False, id="a-letter-is-no-command"),
        pytest.param((*DATA, "C hi", "C ."), "sending content", True, id="the-dot-is-answered"),
        pytest.param((*DATA, "C .", "S 250 queued"), "said hello", False, id="the-letter-is-taken"),
        pytest.param((*DATA, "C .", "S 550 no"), "said hello", False, id="the-letter-is-refused"),
        pytest.param((*RCPT, "C RSET", "S 250 OK"), "said hello", False, id="begun-again"),
        pytest.param((*RCPT, "C BDAT 2", "C ", "S 250 OK"), "has sent a chunk", False, id="a-chunk"),
        pytest.param((*HELLO, "C AUTH PLAIN", "S 334 "), "authenticating", False, id="a-challenge"),
        pytest.param((*HELLO, "C AUTH PLAIN", "S 334 ", "C AGEAYg==", "S 535 no"), "said hello", False, id="a-wrong-password"),
        pytest.param((*HELLO, "C STARTTLS", "S 220 go"), "greeted", False, id="TLS-forgets"),
        pytest.param((*HELLO, "C MAIL FROM:<a@b>", "C RCPT TO:<c@d>", "S 250 OK"), "has a sender", True, id="in-a-group"),
        pytest.param(
            (*HELLO, "C MAIL FROM:<a@b>", "C RCPT TO:<c@d>", "S 250 OK", "S 250 OK"), "has a recipient", False, id="after-a-group"
        ),
        pytest.param(("S 220 hi", "C FOO", "S 500 what", "S 250 unasked"), "greeted", False, id="answers-to-nothing-are-borne"),
    ],
)
def test_where_smtp_is(lines, state, waiting):
    dialect = played(SmtpTalk(), *lines)
    assert (dialect.state, dialect.waiting) == (state, waiting)


LOGIN = ("S +OK hello", "C USER a", "S +OK", "C PASS b", "S +OK in")


@pytest.mark.parametrize(
    ("lines", "state", "waiting"),
    [
        pytest.param((), "before login", True, id="waits-for-the-greeting"),
        pytest.param(LOGIN[:3], "before login", False, id="a-name-is-no-login"),
        pytest.param(LOGIN, "after login", False, id="logged-in"),
        pytest.param((*LOGIN[:3], "C PASS x", "S -ERR no"), "before login", False, id="a-wrong-password"),
        pytest.param((*LOGIN, "C RETR 1", "S +OK 9", "S -ERR is text here"), "after login", True, id="a-message-goes-on"),
        pytest.param((*LOGIN, "C RETR 1", "S +OK 9", "S .."), "after login", True, id="a-stuffed-dot-is-no-end"),
        pytest.param((*LOGIN, "C RETR 1", "S +OK 9", "S x", "S ."), "after login", False, id="a-message-ends"),
        pytest.param((*LOGIN, "C RETR 9", "S -ERR none"), "after login", False, id="no-such-message"),
        pytest.param((*LOGIN, "C LIST 1", "S +OK 1 9"), "after login", False, id="one-line"),
        pytest.param((*LOGIN, "C LIST", "S +OK"), "after login", True, id="a-list"),
        pytest.param(("S +OK", "C AUTH PLAIN", "S + "), "in a SASL exchange", False, id="a-challenge"),
        pytest.param(("S +OK", "C AUTH PLAIN", "S + ", "C AGEAYg==", "S +OK in"), "after login", False, id="answered"),
        pytest.param(("S +OK", "C AUTH PLAIN", "S + ", "C *", "S -ERR off"), "before login", False, id="broken-off"),
        pytest.param(("S +OK", "C STLS", "S +OK go"), "before login", False, id="TLS"),
    ],
)
def test_where_pop3_is(lines, state, waiting):
    dialect = played(PopTalk(), *lines)
    assert (dialect.state, dialect.waiting) == (state, waiting)


IN = ("S * OK hi", "C a LOGIN x y", "S a OK in")
OPEN = (*IN, "C b SELECT INBOX", "S * 1 EXISTS", "S b OK")


@pytest.mark.parametrize(
    ("lines", "state", "waiting"),
    [
        pytest.param((), "not authenticated", True, id="waits-for-the-greeting"),
        pytest.param(("S * PREAUTH hi",), "authenticated", False, id="known-already"),
        pytest.param(IN, "authenticated", False, id="logged-in"),
        pytest.param((*IN[:2], "S a NO wrong"), "not authenticated", False, id="a-wrong-password"),
        pytest.param(OPEN, "selected", False, id="open"),
        pytest.param((*IN, "C b EXAMINE INBOX", "S b OK"), "selected", False, id="open-to-look"),
        pytest.param((*OPEN, "C c SELECT none", "S c NO no"), "authenticated", False, id="one-that-is-not-there-closes-the-other"),
        pytest.param((*OPEN, "C c CLOSE", "S c OK"), "authenticated", False, id="closed"),
        pytest.param((*OPEN, "C c IDLE", "S + idling"), "selected", False, id="idle"),
        pytest.param((*OPEN, "C c IDLE", "S + idling", "S * 2 EXISTS", "C DONE", "S c OK"), "selected", False, id="idle-is-over"),
        pytest.param(
            (*OPEN, "C c FETCH 1 BODY[]", "S * 1 FETCH (BODY[] {6}", "S c OK x", "S )"), "selected", True, id="a-literal-is-no-answer"
        ),
        pytest.param(
            (*OPEN, "C c FETCH 1 BODY[]", "S * 1 FETCH (BODY[] {8}", "S c OK x", "S )", "S c OK"), "selected", False, id="behind-it"
        ),
        pytest.param((*IN, "C c APPEND INBOX {4}", "S + go", "C hi"), "authenticated", True, id="our-literal"),
        pytest.param(("S * OK", "C a STARTTLS", "S a OK go"), "not authenticated", False, id="TLS"),
        pytest.param((*OPEN, "C d UID FETCH 1 FLAGS", "S d OK"), "selected", False, id="uid"),
    ],
)
def test_where_imap_is(lines, state, waiting):
    dialect = played(ImapTalk(), *lines)
    assert (dialect.state, dialect.waiting) == (state, waiting)


def examples(dialect: Dialect) -> set[str]:
    return {word.example.split(" ")[0] for word in dialect.next()}


def test_what_may_be_said_next_is_what_the_table_of_the_server_says():
    assert {"EHLO", "QUIT"} <= examples(played(SmtpTalk(), *HELLO[:1]))
    assert "MAIL" not in examples(played(SmtpTalk(), *HELLO[:1]))
    assert "DATA" in examples(played(SmtpTalk(), *RCPT))
    assert "AUTH" not in examples(played(SmtpTalk(), *RCPT))
    assert "." in examples(played(SmtpTalk(), *DATA))
    assert "USER" in examples(played(PopTalk(), "S +OK"))
    assert "RETR" not in examples(played(PopTalk(), "S +OK"))
    assert "RETR" in examples(played(PopTalk(), *LOGIN))
    assert "USER" not in examples(played(PopTalk(), *LOGIN))
    assert "DONE" in examples(played(ImapTalk(), *OPEN, "C c IDLE", "S + idling"))
    assert any("FETCH" in word.example for word in played(ImapTalk(), *OPEN).next())
    assert not any("FETCH" in word.example for word in played(ImapTalk(), *IN).next())


def test_http_is_asked_and_answered():
    dialect = played(WebTalk(), "C GET / HTTP/1.1", "C ")
    assert dialect.waiting
    assert not played(dialect, "S HTTP/1.1 200 OK").waiting


@pytest.mark.parametrize(
    ("arrows", "states"),
    [
        pytest.param(smtp_arrows(), {state.value for state in SmtpState}, id="smtp"),
        pytest.param(POP3_ARROWS, {state.value for state in PopState}, id="pop3"),
        pytest.param(imap_arrows(), {state.value for state in ImapState}, id="imap"),
    ],
)
def test_every_state_is_reached_by_an_arrow_or_is_the_first(arrows, states):
    assert {place for pair in arrows for place in pair} == states


@given(
    st.sampled_from(sorted(DIALECTS)),
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(
                [
                    "EHLO x",
                    "MAIL FROM:<a@b>",
                    "RCPT TO:<a@b>",
                    "DATA",
                    ".",
                    "BDAT 5",
                    "250 OK",
                    "354 go",
                    "334 ",
                    "220 x",
                    "500 no",
                    "+OK",
                    "+ ",
                    "-ERR",
                    "a LOGIN b c",
                    "a OK",
                    "a NO",
                    "* OK",
                    "+ go",
                    "{5}",
                    "",
                    "STLS",
                    "STARTTLS",
                    "a STARTTLS",
                    "AUTH PLAIN",
                    "\x00",
                    "é" * 9,
                ]
            ),
        ),
        max_size=25,
    ),
)
@settings(max_examples=150)
def test_whatever_both_sides_say_is_borne(service, lines):
    dialect = DIALECTS[service]()
    for ours, line in lines:
        (dialect.sent if ours else dialect.heard)(line)
        if dialect.wants_tls:
            dialect.tls_started()
        dialect.next()
