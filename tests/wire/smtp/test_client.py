from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, LocalProtocolError, PeerGone, Wants
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Chunk, Command, ContentEnd, Garbled, Octets, Reply, SmtpClient, status_of


def events(wire: SmtpClient) -> list:
    found = []
    while (event := wire.next_event()) is not NEED_DATA:
        found.append(event)
        if isinstance(event, PeerGone):
            break
    return found


def heard(data: bytes) -> list:
    """The events of *data*, the same however it is cut."""
    whole = SmtpClient()
    whole.receive_bytes(data)
    at_once = events(whole)
    single, one_by_one = SmtpClient(), []
    for position in range(len(data)):
        single.receive_bytes(data[position : position + 1])
        one_by_one += events(single)
    assert [type(event) for event in one_by_one] == [type(event) for event in at_once]
    assert [event for event in one_by_one if isinstance(event, Reply)] == [event for event in at_once if isinstance(event, Reply)]
    return at_once


@pytest.mark.parametrize(("data", "expected"), [
    pytest.param(b"250 Ok\r\n", [Reply(250, (b"Ok",))], id="one-line"),
    pytest.param(b"250\r\n", [Reply(250, (b"",))], id="no-text"),
    pytest.param(b"250 \r\n", [Reply(250, (b"",))], id="empty-text"),
    pytest.param(b"250-a\r\n250-b\r\n250 c\r\n", [Reply(250, (b"a", b"b", b"c"))], id="three-lines"),
    pytest.param(b"250-a\r\n250\r\n", [Reply(250, (b"a", b""))], id="last-line-without-text"),
    pytest.param(b"220 a\r\n250 b\r\n", [Reply(220, (b"a",)), Reply(250, (b"b",))], id="two-replies"),
    pytest.param(b"250 not yet", [], id="unfinished"),
    pytest.param(b"250-not yet\r\n", [], id="unfinished-lines"),
    pytest.param(b"250-a\r\n251 b\r\n", [Garbled(b"251 b")], id="two-codes"),
    pytest.param(b"hello\r\n", [Garbled(b"hello")], id="no-code"),
    pytest.param(b"650 x\r\n", [Garbled(b"650 x")], id="no-such-class"),
    pytest.param(b"250_x\r\n", [Garbled(b"250_x")], id="no-separator"),
    pytest.param(b"\r\n", [Garbled(b"")], id="an-empty-line"),
    pytest.param(b"\xb2\xb5\xb0 x\r\n", [Garbled(b"\xb2\xb5\xb0 x")], id="digits-of-another-kind"),
    pytest.param(b"250-a\n250 b\n", [Reply(250, (b"a", b"b"))], id="bare-line-feeds"),
    pytest.param(b"250 \xc3\xa4\x00\r\n", [Reply(250, (b"\xc3\xa4\x00",))], id="any-octets-as-text"),
])
def test_replies(data, expected):
    assert heard(data) == expected


@pytest.mark.parametrize("data", [
    pytest.param(b"2" * 100_000, id="an-endless-line"), pytest.param(b"250-x\r\n" * 1000, id="endless-lines"),
    pytest.param(b"250 " + b"x" * 3000 + b"\r\n", id="a-long-line"),
])
def test_what_never_ends_is_cut_off(data):
    found = heard(data)
    assert isinstance(found[0], Garbled)


def test_after_garbage_nothing_counts():
    wire = SmtpClient()
    wire.receive_bytes(b"junk\r\n250 Ok\r\n")
    assert events(wire) == [Garbled(b"junk")]
    assert wire.wants is Wants.CLOSE
    wire.receive_bytes(b"250 Ok\r\n")
    assert events(wire) == []
    assert wire.buffered == 0


def test_the_end_comes_last():
    wire = SmtpClient()
    wire.receive_bytes(b"250 a\r\n25")
    wire.receive_eof()
    assert [type(event) for event in events(wire)] == [Reply, PeerGone]


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_octets_make_it_raise(data):
    heard(data.replace(b"~", b"250 "))


@pytest.mark.parametrize(("reply", "status"), [
    pytest.param(Reply(250, (b"2.1.0 Ok",)), Status(250, "2.1.0", "Ok"), id="enhanced"),
    pytest.param(Reply(550, (b"5.1.1 No", b"5.1.1 such user")), Status(550, "5.1.1", "No\nsuch user"), id="on-every-line"),
    pytest.param(Reply(550, (b"No such user",)), Status(550, "5.0.0", "No such user"), id="none"),
    pytest.param(Reply(450, (b"5.1.1 No",)), Status(450, "4.0.0", "5.1.1 No"), id="of-the-wrong-class"),
    pytest.param(Reply(550, (b"5.1.1",)), Status(550, "5.1.1", ""), id="nothing-else"),
    pytest.param(Reply(550, (b"5.1.1000 x",)), Status(550, "5.0.0", "5.1.1000 x"), id="too-many-digits"),
    pytest.param(Reply(550, (b"5.1.10 x\x1b[2J\xff",)), Status(550, "5.1.10", "x?[2J�"), id="controls-are-masked"),
])
def test_a_reply_is_a_status(reply, status):
    assert status_of(reply) == status


@pytest.mark.parametrize(("command", "line"), [
    (say.ehlo("us.example"), b"EHLO us.example"),
    (say.helo("us.example"), b"HELO us.example"),
    (say.mail(None), b"MAIL FROM:<>"),
    (say.mail(Address("a b", "x"), ("SIZE=1", "SMTPUTF8")), b'MAIL FROM:<"a b"@x> SIZE=1 SMTPUTF8'),
    (say.rcpt(Address("jörg", "x")), "RCPT TO:<jörg@x>".encode()),
    (say.auth("PLAIN", b"\0u\0p"), b"AUTH PLAIN AHUAcA=="),
    (say.auth("LOGIN"), b"AUTH LOGIN"),
    (say.auth_response(b"secret"), b"c2VjcmV0"),
])
def test_commands(command, line):
    assert SmtpClient().send(command) == line + b"\r\n"


@pytest.mark.parametrize("command", [say.auth("PLAIN", b"\0u\0p"), say.auth_response(b"secret")])
def test_transcripts_hold_no_secrets(command):
    wire = SmtpClient()
    sent = wire.send(command)
    assert sent.split()[-1] not in wire.said()


@pytest.mark.parametrize("command", [
    Command(b"RSET\r\nDATA"), Command(b"RSET\n"), Command(b"a\0"), say.rcpt(Address("a\r\nDATA", "x")), "RSET",
])
def test_a_command_is_one_line(command):
    with pytest.raises(LocalProtocolError):
        SmtpClient().send(command)


def test_content_is_stuffed_over_chunk_borders_and_ended_once():
    wire = SmtpClient()
    said = b"".join(map(wire.send, (Chunk(b".a\r"), Chunk(b"\n.b"), ContentEnd())))
    assert said == b"..a\r\n..b\r\n.\r\n"
    assert not wire.in_content
    assert wire.send(say.QUIT) == b"QUIT\r\n"


def test_a_counted_content_is_sent_as_it_is_and_answered_when_all_of_it_has_gone():
    wire = SmtpClient()
    wire.owed = 0
    assert b"".join(map(wire.send, (say.bdat(5), Octets(b".\r"), Octets(b"")))) == b"BDAT 5 LAST\r\n.\r"
    assert (wire.in_content, wire.owed) == (True, 0)
    for wrong in (say.RSET, Octets(b"four")):
        with pytest.raises(LocalProtocolError):
            wire.send(wrong)
    assert wire.send(Octets(b"\n.x")) == b"\n.x"
    assert (wire.in_content, wire.owed) == (False, 1)
    assert wire.send(say.bdat(0)) == b"BDAT 0 LAST\r\n"
    assert (wire.in_content, wire.owed) == (False, 2)


@pytest.mark.parametrize(("data", "expected"), [
    pytest.param(b"250 2.0.0 Tak", [Reply(250, (b"2.0.0 Tak",))], id="in-the-text"),
    pytest.param(b"250-a\r\n250-b", [Reply(250, (b"a", b"b"))], id="before-the-last-line"),
    pytest.param(b"250-a\r\n25", [Reply(250, (b"a",))], id="in-the-second-code"),
    pytest.param(b"250-a\r\n550 b", [Reply(250, (b"a",))], id="another-code"),
    pytest.param(b"250", [], id="the-code-might-go-on"),
    pytest.param(b"25", [], id="in-the-code"),
    pytest.param(b"Hello", [], id="no-reply"),
])
def test_a_reply_that_is_cut_off_counts_once_its_code_is_known(data, expected):
    wire = SmtpClient()
    wire.receive_bytes(data)
    assert events(wire) == []
    wire.receive_eof()
    assert events(wire)[:-1] == expected


def test_replies_are_owed_for_what_was_said():
    wire = SmtpClient()
    wire.receive_bytes(b"220 hello\r\n")
    events(wire)
    for command in (say.mail(None), say.DATA, Chunk(b"x"), ContentEnd(replies=3)):
        wire.send(command)
    assert wire.owed == 5
    wire.receive_bytes(b"250 Ok\r\n" * 6)
    events(wire)
    assert wire.owed == -1


def test_no_command_comes_into_a_content():
    wire = SmtpClient()
    wire.send(Chunk(b"a"))
    with pytest.raises(LocalProtocolError):
        wire.send(say.RSET)


def test_what_was_said_in_clear_is_forgotten_with_tls():
    wire = SmtpClient()
    wire.receive_bytes(b"220-a\r\n220 b")
    events(wire)
    wire.tls_started()
    wire.receive_bytes(b"250 Ok\r\n")
    assert events(wire) == [Reply(250, (b"Ok",))]
