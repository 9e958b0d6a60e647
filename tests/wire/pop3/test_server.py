"""Lines to commands, responses to octets, and what no peer can do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, Wants
from twistmail.wire.pop3 import commands as pop
from twistmail.wire.pop3.server import LONGEST_LINE, LONGEST_SASL_LINE, SENTENCES, WITH_APOP, PopServerWire


def greeted(state: pop.State = pop.State.AUTHORIZATION) -> PopServerWire:
    wire = PopServerWire(apop=True)
    wire.send(pop.Good("hello"))
    wire.state = state
    return wire


def event(line: bytes, state: pop.State = pop.State.TRANSACTION) -> Any:
    wire = greeted(state)
    wire.receive_bytes(line + b"\r\n")
    return wire.next_event()


@pytest.mark.parametrize(("line", "command"), [
    pytest.param(b"USER ann@here.example", pop.User(b"ann@here.example"), id="user"),
    pytest.param(b"user Ann", pop.User(b"Ann"), id="keyword-in-lower-case"),
    pytest.param(b"PASS  two words ", pop.Pass(b" two words "), id="password-with-spaces"),
    pytest.param(b"AUTH", pop.Auth(""), id="auth-alone"),
    pytest.param(b"AUTH plain", pop.Auth("PLAIN"), id="auth"),
    pytest.param(b"AUTH PLAIN =", pop.Auth("PLAIN", b"="), id="auth-with-empty-response"),
    pytest.param(b"AUTH PLAIN " + b"A" * 1000, pop.Auth("PLAIN", b"A" * 1000), id="auth-with-a-long-response"),
    pytest.param(b"APOP ann b c4c9334bac560ecc979e58001b3e22fb", pop.Apop(b"ann b", b"c4c9334bac560ecc979e58001b3e22fb"), id="apop"),
    pytest.param(b"STLS", pop.Stls(), id="stls"),
    pytest.param(b"UTF8", pop.Utf8(), id="utf8"),
    pytest.param(b"LANG de", pop.Lang("de"), id="lang-before-login"),
    pytest.param(b"CAPA", pop.Capa(), id="capa"),
    pytest.param(b"QUIT ", pop.Quit(), id="space-behind-a-bare-command"),
])
def test_commands_before_login(line: bytes, command: Any) -> None:
    assert event(line, pop.State.AUTHORIZATION) == command


@pytest.mark.parametrize(("line", "command"), [
    pytest.param(b"STAT", pop.Stat(), id="stat"),
    pytest.param(b"LIST", pop.List(), id="list"),
    pytest.param(b"LIST ", pop.List(), id="list-and-a-space"),
    pytest.param(b"LIST 7", pop.List(7), id="list-one"),
    pytest.param(b"UIDL", pop.Uidl(), id="uidl"),
    pytest.param(b"uidl 007", pop.Uidl(7), id="uidl-one"),
    pytest.param(b"RETR 1", pop.Retr(1), id="retr"),
    pytest.param(b"TOP 1 0", pop.Top(1, 0), id="top"),
    pytest.param(b"DELE 12", pop.Dele(12), id="dele"),
    pytest.param(b"LANG", pop.Lang(), id="lang"),
    pytest.param(b"LANG ", pop.Lang(), id="lang-and-a-space"),
    pytest.param(b"LANG *", pop.Lang("*"), id="lang-usual"),
    pytest.param(b"lang EN-boont", pop.Lang("en-boont"), id="lang-in-any-case"),
    pytest.param(b"NOOP", pop.Noop(), id="noop"),
    pytest.param(b"RSET", pop.Rset(), id="rset"),
    pytest.param(b"CAPA", pop.Capa(), id="capa"),
    pytest.param(b"QUIT", pop.Quit(), id="quit"),
])
def test_commands_after_login(line: bytes, command: Any) -> None:
    assert event(line) == command


@pytest.mark.parametrize("line", [
    b"", b" ", b"RETR", b"RETR ", b"RETR x", b"RETR -1", b"RETR 1 2", b"RETR 1_0", b"RETR 0x1", b"RETR 12345678901", b"TOP 1", b"TOP 1 2 3",
    b"LANG de fr", b"LANG d\xc3\xa9", b"LANG " + b"a" * 9, b"LANG -", b"LANG a" + b"-b" * 8, b"LANG **",
    b"STAT 1", b"\xff\xfe", b"RETR\x001", b"RETR 1\r", b"\nRETR 1", b"RETR \xc2\xb2", b"A" * (LONGEST_LINE + 1),
])
def test_what_is_no_command_is_bad_and_nothing_worse(line: bytes) -> None:
    assert isinstance(event(line), pop.Bad)


@pytest.mark.parametrize("line", [
    b"APOP", b"APOP ann", b"APOP c4c9334bac560ecc979e58001b3e22fb", b"APOP  c4c9334bac560ecc979e58001b3e22fb",
    b"APOP ann C4C9334BAC560ECC979E58001B3E22FB", b"APOP ann c4c9334bac560ecc979e58001b3e22fb ", b"UTF8 USER", b"USER", b"PASS ", b"STLS x",
])
def test_what_is_no_command_before_login_is_bad_and_nothing_worse(line: bytes) -> None:
    assert isinstance(event(line, pop.State.AUTHORIZATION), pop.Bad)


def test_apop_is_no_command_where_it_is_switched_off() -> None:
    wire = PopServerWire()
    wire.send(pop.Good("hello"))
    wire.receive_bytes(b"APOP ann c4c9334bac560ecc979e58001b3e22fb\r\n")
    assert wire.next_event() == pop.Bad("That is no command")


def test_digests_are_not_shown() -> None:
    wire = greeted()
    wire.receive_bytes(b"APOP ann c4c9334bac560ecc979e58001b3e22fb\r\n")
    assert "c4c9" not in repr(wire.next_event())
    assert wire.said() == b"APOP (secret)"


@given(st.binary(max_size=600), st.sampled_from([pop.State.AUTHORIZATION, pop.State.TRANSACTION]))
def test_any_line_is_a_command_or_bad_with_a_known_sentence(line: bytes, state: pop.State) -> None:
    found = event(line.replace(b"\n", b""), state)
    assert not isinstance(found, pop.Bad) or found.text in SENTENCES


@pytest.mark.parametrize("keyword", WITH_APOP)
@pytest.mark.parametrize("state", [pop.State.AUTHORIZATION, pop.State.TRANSACTION])
def test_every_command_is_legal_in_its_states_only(keyword: bytes, state: pop.State) -> None:
    states, _ = WITH_APOP[keyword]
    found = event(keyword, state)
    refused = isinstance(found, pop.Bad) and found.text in ("Log in first", "You have logged in already")
    assert refused is (state not in states)


def test_no_command_is_read_before_the_last_is_answered() -> None:
    wire = greeted(pop.State.TRANSACTION)
    wire.receive_bytes(b"STAT\r\nNOOP\r\n")
    assert wire.next_event() == pop.Stat()
    assert wire.next_event() is PAUSED
    wire.send(pop.MessageBegins("x"))
    assert wire.next_event() is PAUSED
    wire.send(pop.MessageEnds())
    assert wire.next_event() == pop.Noop()


def test_nothing_is_read_before_the_greeting() -> None:
    wire = PopServerWire()
    wire.receive_bytes(b"QUIT\r\n")
    assert wire.next_event() is PAUSED


@pytest.mark.parametrize(("response", "octets"), [
    pytest.param(pop.Good("2 320"), b"+OK 2 320\r\n", id="good"),
    pytest.param(pop.Err("no"), b"-ERR no\r\n", id="err"),
    pytest.param(pop.Err("no", "IN-USE"), b"-ERR [IN-USE] no\r\n", id="err-with-code"),
    pytest.param(pop.Good("Prüfsumme"), b"+OK Pr\xc3\xbcfsumme\r\n", id="another-language-is-utf-8"),
    pytest.param(pop.Good("{} octets", (7,)), b"+OK 7 octets\r\n", id="values"),
    pytest.param(pop.Good("{}"), b"+OK {}\r\n", id="no-values"),
    pytest.param(pop.Err("wait {}", "LOGIN-DELAY", (7,)), b"-ERR [LOGIN-DELAY] wait 7\r\n", id="err-with-values"),
    pytest.param(pop.Listing("x", b"1 2\r\n"), b"+OK x\r\n1 2\r\n.\r\n", id="listing"),
    pytest.param(pop.Listing("x", b""), b"+OK x\r\n.\r\n", id="empty-listing"),
    pytest.param(pop.Message("x", b".\r\n"), b"+OK x\r\n..\r\n.\r\n", id="message-that-is-a-dot"),
    pytest.param(pop.Message("x", b"a\r\n.b"), b"+OK x\r\na\r\n..b\r\n.\r\n", id="message-without-final-line-end"),
    pytest.param(pop.Message("x", b""), b"+OK x\r\n.\r\n", id="empty-message"),
    pytest.param(pop.Farewell("bye"), b"+OK bye\r\n", id="farewell"),
    pytest.param(pop.Farewell("no", good=False, code="SYS/TEMP"), b"-ERR [SYS/TEMP] no\r\n", id="bad-farewell"),
])
def test_responses(response: Any, octets: bytes) -> None:
    wire = greeted(pop.State.TRANSACTION)
    wire.receive_bytes(b"NOOP\r\n")
    wire.next_event()
    assert wire.send(response) == octets
    assert (wire.wants is Wants.CLOSE) is isinstance(response, pop.Farewell)


@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"\r\n")), max_size=6))
def test_a_message_in_chunks_is_the_message_in_one(chunks: list[bytes]) -> None:
    wire = greeted(pop.State.TRANSACTION)
    wire.receive_bytes(b"RETR 1\r\nRETR 1\r\n")
    wire.next_event()
    whole = wire.send(pop.Message("x", b"".join(chunks)))
    wire.next_event()
    pieces = wire.send(pop.MessageBegins("x")) + b"".join(wire.send(pop.Chunk(chunk)) for chunk in chunks) + wire.send(pop.MessageEnds())
    assert pieces == whole


def test_half_a_message_is_never_ended() -> None:
    wire = greeted(pop.State.TRANSACTION)
    wire.receive_bytes(b"RETR 1\r\n")
    wire.next_event()
    wire.send(pop.MessageBegins("x"))
    wire.send(pop.Chunk(b"half"))
    assert wire.send(pop.Farewell("trouble", good=False)) == b""
    assert wire.wants is Wants.CLOSE


@pytest.mark.parametrize("response", [pop.Chunk(b"x"), pop.MessageEnds(), pop.Welcome("x"), pop.Challenge(b""), "text"])
def test_a_response_out_of_place_is_our_bug(response: Any) -> None:
    wire = greeted(pop.State.TRANSACTION)
    wire.receive_bytes(b"NOOP\r\n")
    wire.next_event()
    with pytest.raises(LocalProtocolError):
        wire.send(response)


def test_an_answer_to_nothing_is_our_bug() -> None:
    with pytest.raises(LocalProtocolError):
        greeted().send(pop.Good("again"))


def test_a_challenge_makes_the_next_line_its_answer() -> None:
    wire = greeted()
    wire.receive_bytes(b"AUTH PLAIN\r\nQUIT\r\nQUIT\r\n")
    wire.next_event()
    assert wire.send(pop.Challenge(b"")) == b"+ \r\n"
    assert wire.next_event() == pop.Response(b"QUIT")
    wire.send(pop.Err("no"))
    assert wire.next_event() == pop.Quit()


@pytest.mark.parametrize(("state", "longest"), [(pop.State.TRANSACTION, LONGEST_LINE), (pop.State.EXCHANGE, LONGEST_SASL_LINE)])
def test_a_line_without_end_is_fatal_and_takes_no_memory(state: pop.State, longest: int) -> None:
    wire = greeted(state)
    wire.receive_bytes(b"x" * (longest + 2))
    assert wire.next_event() == pop.Bad("That line is too long", fatal=True)
    assert wire.buffered == 0


def test_tls_forgets_what_was_said_in_clear() -> None:
    wire = greeted()
    wire.receive_bytes(b"STLS\r\nUSER ann\r\n")
    wire.next_event()
    wire.send(pop.GoAhead("go"))
    assert wire.wants is Wants.START_TLS
    wire.tls_started()
    assert (wire.wants, wire.buffered, wire.next_event()) == (None, 0, NEED_DATA)


@pytest.mark.parametrize(("lines", "said"), [
    pytest.param(b"USER ann\r\n", b"USER ann", id="user"),
    pytest.param(b"PASS hunter2\r\n", b"PASS (secret)", id="pass"),
    pytest.param(b"pass hunter2\r\n", b"PASS (secret)", id="pass-in-lower-case"),
    pytest.param(b"PASS hunter2" + b"x" * 600 + b"\r\n", b"PASS (secret)", id="pass-too-long"),
    pytest.param(b"AUTH PLAIN hunter2\r\n", b"AUTH (secret)", id="auth"),
    pytest.param(b"PAS hunter2\r\n", b"PAS (not understood)", id="a-misspelled-one"),
    pytest.param(b" PASS hunter2\r\n", b"(13 octets that are no command)", id="one-behind-a-blank"),
    pytest.param(b"hunter2\r\n", b"(7 octets that are no command)", id="nothing-but-a-word"),
    pytest.param(b"correcthorse battery staple\r\n", b"(27 octets that are no command)", id="long-words"),
])
def test_transcripts_have_no_secrets(lines: bytes, said: bytes) -> None:
    wire = greeted()
    wire.receive_bytes(lines)
    shown = repr(wire.next_event())
    assert wire.said() == said
    assert "hunter2" not in shown or b"AUTH" not in lines


def test_transcripts_have_no_sasl_responses() -> None:
    wire = greeted(pop.State.EXCHANGE)
    wire.receive_bytes(b"aHVudGVyMg==\r\n")
    assert "aHVud" not in repr(wire.next_event())
    assert wire.said() == b"(secret)"


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\r\n", b"RETR 1\r\n", b"AUTH PLAIN\r\n", b"USER a\r\n"]), max_size=12))
def test_nothing_that_arrives_raises_and_every_feeding_means_the_same(pieces: list[bytes]) -> None:
    def events(wire: PopServerWire, pieces: list[bytes]) -> list[Any]:
        found = []
        for piece in pieces:
            wire.receive_bytes(piece)
            while (event := wire.next_event()) is not NEED_DATA:
                found.append(event)
                wire.send(pop.Challenge(b"") if isinstance(event, pop.Auth) else pop.Err("no"))
        return found

    whole = b"".join(pieces)
    assert events(greeted(), [whole]) == events(greeted(), [whole[at : at + 1] for at in range(len(whole))])
