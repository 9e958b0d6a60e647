"""Questions to the transition table itself, and to the wire that obeys it."""

from __future__ import annotations

import inspect

import pytest

from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, LocalProtocolError, Wants
from twistmail.wire.smtp import commands
from twistmail.wire.smtp.commands import Auth, AuthResponse, Bad, Data, Mail, Quit
from twistmail.wire.smtp.server import SmtpServerWire
from twistmail.wire.smtp.states import AFTER_CHALLENGE, AFTER_REFUSAL, ALWAYS, EXPECTED, TRANSITIONS, State

ASKS = {kind for _, kind in inspect.getmembers(commands, inspect.isclass) if issubclass(kind, Ask) and kind is not Ask}
OK = Status(250, "2.0.0", "ok")
NO = Status(550, "5.0.0", "no")


def test_every_state_can_be_reached() -> None:
    edges = [*TRANSITIONS.items(), *AFTER_CHALLENGE.items(), *AFTER_REFUSAL.items()]
    reached = {State.GREETED}
    for _ in State:
        reached |= {target for (source, _), target in edges if source in reached}
    assert reached == set(State)


def test_every_command_appears() -> None:
    assert {kind for _, kind in TRANSITIONS} | ALWAYS == ASKS


def test_no_command_is_both_in_the_table_and_legal_always() -> None:
    assert not {kind for _, kind in TRANSITIONS} & ALWAYS


def test_every_state_says_what_it_expects() -> None:
    assert set(EXPECTED) == set(State)


def test_a_refusal_moves_on_only_where_the_matter_is_over() -> None:
    assert {kind for _, kind in AFTER_REFUSAL} == {commands.ContentEnd, commands.Chunk, commands.LastChunk, commands.Burl,
                                                    commands.LastBurl, AuthResponse, Bad}


def greeted() -> SmtpServerWire:
    wire = SmtpServerWire()
    wire.send(Status(220, "", "hello"))
    return wire


def after(*lines: str) -> SmtpServerWire:
    """A wire on which each of *lines* was answered positively."""
    wire = greeted()
    for line in lines:
        wire.receive_bytes(line.encode() + b"\r\n")
        event = wire.next_event()
        wire.send(Status(354, "", "go") if type(event) is Data else Status(334, "", "") if type(event) is Auth else OK)
    return wire


WAYS = {
    State.GREETED: (),
    State.HELLO: ("EHLO a",),
    State.MAIL: ("EHLO a", "MAIL FROM:<>"),
    State.RCPT: ("EHLO a", "MAIL FROM:<>", "RCPT TO:<a@b>"),
}
LINES = {
    commands.Hello: "EHLO a", Mail: "MAIL FROM:<>", commands.Rcpt: "RCPT TO:<a@b>", Data: "DATA", commands.Rset: "RSET",
    commands.StartTls: "STARTTLS", Auth: "AUTH PLAIN", commands.Noop: "NOOP", commands.Vrfy: "VRFY a", commands.Expn: "EXPN a",
    commands.Help: "HELP", Quit: "QUIT",
}  # fmt: skip


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("kind", LINES)
def test_the_wire_lets_through_what_the_table_has_and_nothing_else(state: State, kind: type) -> None:
    wire = after(*WAYS[state])
    assert wire.state is state
    wire.receive_bytes(LINES[kind].encode() + b"\r\n")
    event = wire.next_event()
    if (state, kind) in TRANSITIONS or kind in ALWAYS:
        assert type(event) is kind
    else:
        assert type(event) is Bad
        assert event.status.code == 503


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("kind", LINES)
def test_a_refusal_leaves_the_state_as_it_was(state: State, kind: type) -> None:
    wire = after(*WAYS[state])
    wire.receive_bytes(LINES[kind].encode() + b"\r\n")
    wire.next_event()
    wire.send(NO)
    assert wire.state is state


def test_the_end_of_content_ends_the_transaction_whatever_is_said() -> None:
    wire = after(*WAYS[State.RCPT], "DATA")
    assert wire.state is State.CONTENT
    assert wire.in_content
    wire.receive_bytes(b".\r\n")
    assert type(wire.next_event()) is commands.ContentEnd
    wire.send(NO)
    assert wire.state is State.HELLO


def test_an_answer_that_is_not_base64_ends_the_exchange() -> None:
    wire = after("EHLO a", "AUTH LOGIN")
    assert wire.state is State.AUTHENTICATING
    wire.receive_bytes(b"%%%\r\nNOOP\r\n")
    event = wire.next_event()
    assert isinstance(event, Bad)
    assert event.status.code == 501
    wire.send(event.status)
    assert type(wire.next_event()) is commands.Noop


def test_a_command_waits_until_the_one_before_is_answered() -> None:
    wire = greeted()
    wire.receive_bytes(b"NOOP\r\nQUIT\r\n")
    assert type(wire.next_event()) is commands.Noop
    assert wire.next_event() is PAUSED
    wire.send(OK)
    assert type(wire.next_event()) is Quit
    wire.send(Status(221, "2.0.0", "bye"))
    assert wire.wants is Wants.CLOSE
    assert wire.next_event() is NEED_DATA


@pytest.mark.parametrize(("line", "status"), [
    pytest.param("DATA", OK, id="content-is-never-answered-250-before-it-came"),
    pytest.param("NOOP", Status(354, "", "go"), id="354-belongs-to-DATA"),
    pytest.param("NOOP", Status(334, "", ""), id="334-belongs-to-AUTH"),
])
def test_a_reply_that_the_command_cannot_have_is_a_bug_of_ours(line: str, status: Status) -> None:
    wire = after(*WAYS[State.RCPT])
    wire.receive_bytes(line.encode() + b"\r\n")
    wire.next_event()
    with pytest.raises(LocalProtocolError):
        wire.send(status)


def test_nothing_is_said_unasked_but_the_421() -> None:
    wire = greeted()
    with pytest.raises(LocalProtocolError):
        wire.send(OK)
    assert wire.send(Status(421, "4.4.2", "late")) == b"421 4.4.2 late\r\n"
    assert wire.wants is Wants.CLOSE


def test_tls_makes_a_new_beginning() -> None:
    wire = after("EHLO a")
    wire.receive_bytes(b"STARTTLS\r\n")
    wire.next_event()
    wire.send(Status(220, "2.0.0", "go"))
    assert wire.wants is Wants.START_TLS
    wire.receive_bytes(b"MAIL FROM:<evil@away.example>\r\n")
    assert wire.buffered
    wire.tls_started()
    assert wire.wants is None
    assert wire.state is State.GREETED
    assert wire.next_event() is NEED_DATA


@pytest.mark.parametrize(("line", "said"), [
    pytest.param("NOOP x", b"NOOP x", id="as-it-came"),
    pytest.param("AUTH PLAIN AGFubgBzZXNhbWU=", b"AUTH (secret)", id="the-initial-response-is-masked"),
    pytest.param("auth plain AGFubgBzZXNhbWU= x", b"AUTH (secret)", id="a-malformed-one-too"),
    pytest.param("AUTH\tPLAIN\tAGFubgBzZXNhbWU=", b"AUTH (secret)", id="and-one-with-tabs"),
    pytest.param("AUHT PLAIN AGFubgBzZXNhbWU=", b"AUHT (not understood)", id="a-misspelled-one"),
    pytest.param("AGFubgBzZXNhbWU=", b"(16 octets that are no command)", id="a-response-that-nobody-asked-for"),
    pytest.param("AUTH PLAIN AGFubgBzZXNhbWU=\u00e4", b"AUTH (secret)", id="and-one-that-is-not-ascii"),
    pytest.param("AUTH PLAIN AGFub\rgBzZXNhbWU=", b"AUTH (secret)", id="and-one-with-a-bare-cr"),
])
def test_transcripts_hold_no_secret(line: str, said: bytes) -> None:
    wire = after("EHLO a")
    wire.receive_bytes(line.encode() + b"\r\n")
    wire.next_event()
    assert wire.said() == said


@pytest.mark.parametrize("response", [
    pytest.param(b"c2VzYW1l", id="well-formed"), pytest.param(b"sesame!", id="not-base64"), pytest.param(b"\xffsesame", id="not-ascii"),
    pytest.param(b"sesame" * 5000, id="too-long"),
])
def test_transcripts_hold_no_answer_to_a_challenge(response: bytes) -> None:
    wire = after("EHLO a", "AUTH LOGIN")
    wire.receive_bytes(response + b"\r\n")
    wire.next_event()
    assert b"sesame" not in wire.said()
    assert b"c2Vz" not in wire.said()
