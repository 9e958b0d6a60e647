"""The wire's own business: framing, literals, states, limits, damage, secrets."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.wire.imap.playing import FEEDINGS, drain, fresh, obliging, play
from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, PeerGone, Wants
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import responses as r
from twistmail.wire.imap.framing import ImapLimits
from twistmail.wire.imap.rows import State

BEFORE = State.NOT_AUTHENTICATED
feedings = pytest.mark.parametrize("cut", FEEDINGS)


def asked(wire, octets):
    """The next event of *wire* after *octets*."""
    wire.receive_bytes(octets)
    return wire.next_event()


def names(events):
    return [type(event).__name__ for event in events]


# ----- one after the other


@feedings
def test_pipelined_commands_are_answered_one_by_one(cut):
    events, said = play(fresh(), cut(b"1 NOOP\r\n2 CHECK\r\n3 SELECT {3}\r\nabc\r\n4 FETCH 1 FLAGS\r\n"))
    assert names(events) == ["Noop", "Check", "Continue", "Select", "Fetch"]
    assert said == b"1 OK Done\r\n2 OK Done\r\n+ Go ahead\r\n3 OK Done\r\n4 OK Done\r\n"


def test_the_wire_pauses_until_the_final_response():
    wire = fresh()
    assert asked(wire, b"1 NOOP\r\n2 NOOP\r\n") == c.Noop(b"1")
    assert wire.next_event() is PAUSED
    assert wire.send(r.Untagged(b"1 EXISTS")) == b"* 1 EXISTS\r\n"
    assert wire.send(r.Raw(b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n")) == b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n"
    assert wire.next_event() is PAUSED
    wire.send(r.Tagged(b"1", r.OK, "Done"))
    assert wire.next_event() == c.Noop(b"2")


def test_untagged_responses_may_be_said_unasked():
    assert fresh().send(r.Untagged(b"2 EXISTS")) == b"* 2 EXISTS\r\n"


def test_the_end_of_the_peer_comes_behind_his_last_command_and_once():
    wire = fresh()
    wire.receive_bytes(b"1 NOOP\r\n2 NO")
    wire.receive_eof()
    events = []
    drain(wire, events)
    assert names(events) == ["Noop", "PeerGone"]
    assert wire.next_event() is NEED_DATA


@pytest.mark.parametrize(
    "begun",
    [b"1 SELECT {9}\r\nabc", b"1 APPEND x {9}\r\nabc", b"1 IDLE\r\nDO", b"1 SELECT {9000+}\r\nabc"],
    ids=["literal", "message", "idle", "swallowed"],
)
def test_the_peer_may_go_in_the_middle_of_anything(begun):
    wire = fresh()
    events, _ = play(wire, [begun])
    wire.receive_eof()
    drain(wire, events)
    assert isinstance(events[-1], PeerGone)


# ----- what our own side may say


@pytest.mark.parametrize(
    ("octets", "response"),
    [
        pytest.param(b"", r.Tagged(b"1", r.OK, "x"), id="tagged-without-a-command"),
        pytest.param(b"", r.Continuation(), id="continuation-without-a-command"),
        pytest.param(b"1 NOOP\r\n", r.Tagged(b"2", r.OK, "x"), id="another-tag"),
        pytest.param(b"1 NOOP\r\n", r.Continuation(), id="continuation-to-a-noop"),
        pytest.param(b"1 IDLE\r\n", r.Challenge(), id="challenge-to-idle"),
    ],
)
def test_a_response_that_is_not_legal_is_a_bug_of_ours(octets, response):
    wire = fresh()
    asked(wire, octets)
    with pytest.raises(LocalProtocolError):
        wire.send(response)


def test_nothing_is_said_behind_the_last_word():
    wire = fresh()
    wire.send(r.Bye("Enough"))
    assert wire.wants is Wants.CLOSE
    for response in (r.Untagged(b"x"), r.Bye("again"), r.Tagged(b"1", r.OK, "x")):
        with pytest.raises(LocalProtocolError):
            wire.send(response)
    wire.receive_bytes(b"1 NOOP\r\n")
    assert wire.next_event() is NEED_DATA
    assert wire.buffered == 0


def test_logout_says_bye_and_then_its_tagged_response():
    wire = fresh()
    events, said = play(wire, [b"1 LOGOUT\r\n2 NOOP\r\n"])
    assert events == [c.Logout(b"1")]
    assert said == b"* BYE See you\r\n1 OK Done\r\n"
    assert wire.wants is Wants.CLOSE


# ----- states


def answered(wire, line, condition):
    event = asked(wire, line)
    wire.send(r.Tagged(event.tag, condition, "x"))
    return wire.state


@pytest.mark.parametrize(
    ("state", "line", "condition", "after"),
    [
        pytest.param(BEFORE, b"1 LOGIN a b\r\n", r.OK, State.AUTHENTICATED, id="login"),
        pytest.param(BEFORE, b"1 LOGIN a b\r\n", r.NO, BEFORE, id="login-refused"),
        pytest.param(BEFORE, b"1 AUTHENTICATE PLAIN =\r\n", r.OK, State.AUTHENTICATED, id="authenticate"),
        pytest.param(BEFORE, b"1 AUTHENTICATE PLAIN =\r\n", r.BAD, BEFORE, id="authenticate-refused"),
        pytest.param(State.AUTHENTICATED, b"1 SELECT x\r\n", r.OK, State.SELECTED, id="select"),
        pytest.param(State.SELECTED, b"1 SELECT x\r\n", r.NO, State.AUTHENTICATED, id="failed-select-leaves-nothing-selected"),
        pytest.param(State.SELECTED, b"1 EXAMINE x\r\n", r.OK, State.SELECTED, id="examine-another"),
        pytest.param(State.SELECTED, b"1 CLOSE\r\n", r.OK, State.AUTHENTICATED, id="close"),
        pytest.param(State.SELECTED, b"1 CLOSE\r\n", r.NO, State.SELECTED, id="close-refused"),
        pytest.param(State.SELECTED, b"1 UNSELECT\r\n", r.OK, State.AUTHENTICATED, id="unselect"),
        pytest.param(State.SELECTED, b"1 NOOP\r\n", r.OK, State.SELECTED, id="noop-changes-nothing"),
    ],
)
def test_the_state_follows_from_the_answers(state, line, condition, after):
    assert answered(fresh(state), line, condition) is after


# ----- STARTTLS


def test_starttls_forgets_what_was_said_in_clear():
    wire = fresh(BEFORE)
    play(wire, [b"1 STARTTLS\r\n"])
    assert wire.wants is Wants.START_TLS
    wire.receive_bytes(b"2 LOGIN mallory x\r\n")
    assert wire.buffered  # the pump sees it and closes
    assert wire.next_event() is NEED_DATA
    wire.tls_started()
    assert (wire.wants, wire.buffered, wire.state) == (None, 0, BEFORE)
    assert asked(wire, b"3 NOOP\r\n") == c.Noop(b"3")


def test_nothing_may_be_sent_behind_starttls():
    wire = fresh(BEFORE)
    events, said = play(wire, [b"1 STARTTLS\r\n2 LOGIN mallory x\r\n"])
    assert names(events) == ["Bad"]
    assert said.startswith(b"* BYE Nothing may follow STARTTLS")
    assert wire.wants is Wants.CLOSE


def test_a_refused_starttls_changes_nothing():
    wire = fresh(BEFORE)
    answered(wire, b"1 STARTTLS\r\n", r.BAD)
    assert wire.wants is None
    assert asked(wire, b"2 NOOP\r\n") == c.Noop(b"2")


# ----- AUTHENTICATE


def challenging(event):
    match event:
        case c.Authenticate() | c.AuthResponse(data=b""):
            yield r.Challenge(b"who?")
        case c.AuthResponse(tag, None):
            yield r.Tagged(tag, r.BAD, "Cancelled")
        case _:
            yield from obliging(event)


@feedings
def test_a_sasl_dialogue(cut):
    wire = fresh(BEFORE)
    events, said = play(wire, cut(b"1 AUTHENTICATE X\r\n\r\n" + b64encode(b"ann") + b"\r\n2 NOOP\r\n"), challenging)
    assert events == [c.Authenticate(b"1", "X", None), c.AuthResponse(b"1", b""), c.AuthResponse(b"1", b"ann"), c.Noop(b"2")]
    assert said == b"+ d2hvPw==\r\n+ d2hvPw==\r\n1 OK Done\r\n2 OK Done\r\n"
    assert wire.state is State.AUTHENTICATED


def test_a_sasl_dialogue_is_cancelled_with_a_star():
    wire = fresh(BEFORE)
    events, said = play(wire, [b"1 AUTHENTICATE X\r\n*\r\n2 NOOP\r\n"], challenging)
    assert events[1] == c.AuthResponse(b"1", None)
    assert said.endswith(b"1 BAD Cancelled\r\n2 OK Done\r\n")
    assert wire.state is BEFORE


def test_a_sasl_response_that_is_not_base64_ends_the_command():
    events, said = play(fresh(BEFORE), [b"1 AUTHENTICATE X\r\nann\r\n2 NOOP\r\n"], challenging)
    assert events[1:] == [c.Bad(b"1", "The response is not base64"), c.Noop(b"2")]
    assert said.endswith(b"1 BAD The response is not base64\r\n2 OK Done\r\n")


def test_sasl_lines_may_be_longer_than_others_before_login():
    octets = b"x" * 9000
    line = b64encode(octets)
    events, _ = play(fresh(BEFORE), [b"1 AUTHENTICATE X " + line + b"\r\n" + line + b"\r\n"], challenging)
    assert events == [c.Authenticate(b"1", "X", octets), c.AuthResponse(b"1", octets)]
    events, said = play(fresh(BEFORE), [b"1 AUTHENTICATE X\r\n" + line * 2], challenging)
    assert events[1] == c.Bad(b"1", "The response is too long", close=True)
    assert said.endswith(b"* BYE The response is too long\r\n")


# ----- literals


@feedings
def test_a_literal_that_waits_gets_leave_and_one_that_does_not_gets_none(cut):
    octets = b"1 LOGIN {3}\r\nann {6+}\r\nsecret\r\n"
    events, said = play(fresh(BEFORE), cut(octets))
    assert events == [c.Continue(b"1", 3), c.Login(b"1", "ann", "secret")]
    assert said == b"+ Go ahead\r\n1 OK Done\r\n"


def test_an_empty_literal_is_an_empty_string():
    events, _ = play(fresh(BEFORE), [b"1 LOGIN {0}\r\n {0+}\r\n\r\n"])
    assert events[-1] == c.Login(b"1", "", "")


def test_a_literal_holds_anything_but_is_not_looked_into():
    events, _ = play(fresh(), [b"1 SEARCH TEXT {12}\r\n\r\n2 LOGOUT\r\n\r\n"])
    assert events[-1].key.needle == "\r\n2 LOGOUT\r\n"


def test_the_session_may_refuse_a_literal():
    wire = fresh()
    event = asked(wire, b"1 SELECT {3}\r\n")
    assert event == c.Continue(b"1", 3)
    wire.send(r.Tagged(b"1", r.NO, "Not now"))
    assert asked(wire, b"2 NOOP\r\n") == c.Noop(b"2")


@pytest.mark.parametrize(
    ("state", "line", "text"),
    [
        pytest.param(State.SELECTED, b"1 SELECT {102401}\r\n", "102400", id="too-large"),
        pytest.param(BEFORE, b"1 LOGIN {1025}\r\n", "1024", id="too-large-before-login"),
        pytest.param(BEFORE, b"1 LOGIN {99999999999999999999}\r\n", "a user name", id="no-number-at-all"),
        pytest.param(BEFORE, b"1 SELECT {3}\r\n", "log in", id="for-a-command-that-is-too-early"),
        pytest.param(State.SELECTED, b"1 FOO {3}\r\n", "no such command", id="for-an-unknown-command"),
    ],
)
def test_a_literal_that_waits_is_refused_before_it_is_sent(state, line, text):
    events, said = play(fresh(state), [line + b"2 NOOP\r\n"])
    assert names(events) == ["Bad", "Noop"]
    assert text in events[0].text
    assert said.startswith(b"1 BAD ")


@feedings
def test_a_refused_literal_that_comes_nevertheless_is_thrown_away_with_its_command(cut):
    octets = b"1 SELECT {5000+}\r\n" + b"2 LOGOUT\r\n" * 500 + b" {4+}\r\nabcd junk\r\n3 NOOP\r\n"
    events, said = play(fresh(), cut(octets))
    assert events == [c.Bad(b"1", "A literal may have 4096 octets here"), c.Noop(b"3")]
    assert said.count(b"\r\n") == 2


def test_a_refused_command_ends_where_its_next_literal_would_have_to_wait():
    events, _ = play(fresh(), [b"1 FOO {4+}\r\nabcd {4}\r\n2 NOOP\r\n"])
    assert names(events) == ["Bad", "Noop"]


def test_what_is_too_much_to_throw_away_closes():
    wire = fresh()
    events, said = play(wire, [b"1 SELECT {999999999999+}\r\n"])
    assert events[0].close
    assert said.startswith(b"* BYE ")
    wire = fresh(BEFORE)
    play(wire, [b"1 SELECT {70000+}\r\n"])
    assert wire.wants is Wants.CLOSE


def test_a_command_has_a_thousand_literals_at_most():
    mark = b" {1+}\r\na"
    events, _ = play(fresh(), [b"1 FETCH 1 BODY[HEADER.FIELDS (a" + mark * 999 + b")]\r\n"])
    assert len(events[0].items[0].fields) == 1000
    events, _ = play(fresh(), [b"1 SEARCH" + b" FROM {1+}\r\na" * 1001 + b"\r\n2 NOOP\r\n"])
    assert [event.text for event in events[:1]] == ["A command may have 1000 literals"]
    assert events[1] == c.Noop(b"2")


def test_a_command_has_a_mebibyte_at_most():
    literal = b" FROM {100000}\r\n" + b"a" * 100_000
    events, _ = play(fresh(), [b"1 SEARCH" + literal * 10 + b"\r\n"])
    assert len(events[-1].key.keys) == 10
    events, _ = play(fresh(), [b"1 SEARCH" + literal * 10 + b" FROM {100000}\r\n2 NOOP\r\n"])
    assert [type(event) for event in events[-2:]] == [c.Bad, c.Noop]
    assert "1048576" in events[-2].text


# ----- lines


def test_a_line_before_login_has_a_kibibyte():
    events, _ = play(fresh(BEFORE), [b"1 LOGIN ann " + b"x" * 1012 + b"\r\n"])
    assert names(events) == ["Login"]
    events, _ = play(fresh(BEFORE), [b"1 LOGIN ann " + b"x" * 1013 + b"\r\n2 NOOP\r\n"])
    assert events == [c.Bad(b"1", "A line may have 1024 octets before login"), c.Noop(b"2")]


@pytest.mark.parametrize(("state", "most"), [(BEFORE, 12_288), (State.SELECTED, 65_536)])
@pytest.mark.parametrize("ended", [True, False])
def test_a_line_without_an_end_closes(state, most, ended):
    wire = fresh(state)
    events, said = play(wire, [b"1 NOOP " + b"x" * most, b"\r\n2 NOOP\r\n" if ended else b"x"])
    assert names(events) == ["Bad"]
    assert said.startswith(b"* BYE ")
    assert wire.buffered == 0


def test_an_endless_line_is_not_kept():
    wire = fresh()
    for _ in range(100):
        wire.receive_bytes(b"x" * 10_000)
        if isinstance(wire.next_event(), c.Bad):
            break
    assert wire.buffered <= 1


# ----- IDLE


@feedings
def test_idle_ends_with_done(cut):
    events, said = play(fresh(), cut(b"1 IDLE\r\ndone\r\n2 NOOP\r\n"))
    assert events == [c.Idle(b"1"), c.Done(b"1"), c.Noop(b"2")]
    assert said == b"+ Go ahead\r\n1 OK Done\r\n2 OK Done\r\n"


def test_updates_are_said_while_idling():
    wire = fresh()
    asked(wire, b"1 IDLE\r\n")
    assert wire.send(r.Continuation("idling")) == b"+ idling\r\n"
    assert wire.next_event() is NEED_DATA
    assert wire.send(r.Untagged(b"3 EXISTS")) == b"* 3 EXISTS\r\n"
    assert asked(wire, b"DONE\r\n") == c.Done(b"1")


def test_only_done_ends_idle_well():
    events, said = play(fresh(), [b"1 IDLE\r\n2 NOOP {3+}\r\nabc\r\n3 NOOP\r\n"])
    assert events == [c.Idle(b"1"), c.Bad(b"1", "IDLE is ended by DONE"), c.Noop(b"3")]
    assert said.endswith(b"1 BAD IDLE is ended by DONE\r\n3 OK Done\r\n")


def test_idle_may_be_refused():
    wire = fresh()
    answered(wire, b"1 IDLE\r\n", r.NO)
    assert asked(wire, b"2 NOOP\r\n") == c.Noop(b"2")


# ----- damage


def test_the_tenth_mistake_in_a_row_closes():
    events, said = play(fresh(), [b"x\r\n" * 12])
    assert [event.close for event in events] == [False] * 9 + [True]
    assert said.endswith(b"* BYE Too many mistakes\r\n")


def test_one_good_command_makes_up_for_the_mistakes():
    wire = fresh()
    events, _ = play(wire, [(b"x\r\n" * 9 + b"1 NOOP\r\n") * 3])
    assert len(events) == 30
    assert wire.wants is None


def test_mistakes_are_counted_across_starttls():
    wire = fresh(BEFORE, bad_commands=3)
    play(wire, [b"x\r\n" * 2])
    wire.tls_started()
    play(wire, [b"x\r\n"])
    assert wire.wants is Wants.CLOSE


def test_a_bad_of_the_session_counts_too():
    wire = fresh(bad_commands=2)
    answered(wire, b"1 FETCH 9 FLAGS\r\n", r.BAD)
    play(wire, [b"x\r\n"])
    assert wire.wants is Wants.CLOSE


# ----- transcripts


@pytest.mark.parametrize(
    ("state", "octets", "said"),
    [
        pytest.param(BEFORE, b"1 LOGIN ann secret\r\n", b"1 LOGIN ***", id="login"),
        pytest.param(BEFORE, b"1 login {3}\r\nann {6}\r\nsecret\r\n", b"1 login ***", id="login-with-literals"),
        pytest.param(BEFORE, b"1 AUTHENTICATE PLAIN c2VjcmV0\r\n", b"1 AUTHENTICATE PLAIN ***", id="authenticate"),
        pytest.param(BEFORE, b"1 AUTHENTICATE X\r\nc2VjcmV0\r\n", b"***", id="sasl-response"),
        pytest.param(BEFORE, b"1 LOGIN ann secret x\r\n", b"(no command)", id="misspelled-login"),
        pytest.param(BEFORE, b"LOGIN ann secret\r\n", b"(no command)", id="login-without-tag"),
        pytest.param(BEFORE, b"c2VjcmV0\r\n", b"(no command)", id="stray-sasl-response"),
        pytest.param(State.SELECTED, b"1 LOGIN ann secret\r\n", b"1 LOGIN ***", id="login-too-late"),
        pytest.param(State.SELECTED, b"1 SELECT {6}\r\nsecret\r\n", b"1 SELECT {6} ", id="literals-are-not-quoted"),
        pytest.param(State.SELECTED, b"1 FETCH 1 FLAGS\r\n", b"1 FETCH 1 FLAGS", id="plain"),
        pytest.param(State.SELECTED, b"1 FOO bar\r\n", b"1 FOO bar", id="mistake"),
        pytest.param(State.SELECTED, b"1 APPEND x {6}\r\nsecret\r\n", b"", id="message"),
    ],
)
def test_a_transcript_shows_no_secrets(state, octets, said):
    wire = fresh(state)
    play(wire, [octets], challenging)
    assert wire.said() == said


def test_a_long_word_that_stands_alone_is_not_repeated_to_those_who_read_transcripts():
    wire = fresh(BEFORE)
    wire.receive_bytes(b"AGFubgBzZXNhbWU\r\nA1\r\n")
    event = wire.next_event()
    assert event.tag == b"*"
    wire.send(r.refusal(event))
    assert wire.next_event().tag == b"A1"


def test_limits_are_those_of_the_specification():
    limits = ImapLimits()
    assert (limits.line_before_login, limits.line, limits.auth_line) == (1024, 65536, 12288)
    assert (limits.literal, limits.unasked_literal, limits.command, limits.literals) == (102400, 4096, 1048576, 1000)
    assert (limits.bad_commands, limits.append) == (10, 36700160)


# ----- UTF-8 (RFC 6855)


@pytest.mark.parametrize("name", ["UTF8=ACCEPT", "IMAP4REV2"])
def test_mailbox_names_are_utf8_once_that_is_enabled(name):
    def enabling(event):
        if isinstance(event, c.Enable):
            yield r.Enabled((name,))
        yield from obliging(event)

    lines = b'1 SELECT a&-b\r\n2 ENABLE X\r\n3 SELECT "a&-\xc3\xbc"\r\n4 APPEND a&- {1+}\r\nx\r\n5 UNAUTHENTICATE\r\n'
    events, said = play(fresh(), [lines], enabling)
    assert [event.mailbox for event in events if hasattr(event, "mailbox")] == ["a&b", "a&-\u00fc", "a&-"]
    assert b"* ENABLED %b\r\n2 OK" % name.replace("REV2", "rev2").encode() in said


def test_what_else_is_enabled_changes_no_names():
    def enabling(event):
        if isinstance(event, c.Enable):
            yield r.Enabled(("CONDSTORE",))
        yield from obliging(event)

    events, _ = play(fresh(), [b"1 ENABLE X\r\n2 SELECT a&-b\r\n"], enabling)
    assert events[-1].mailbox == "a&b"
