"""sendmail -bs: what goes on between a program and the server, and what we say ourselves where there is none."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.sendmail_smtp import PIECE, Alone, _read, speak
from twistmail.mail.dropped import Dropped, read, written


def said_to(octets: bytes) -> int:
    """A descriptor from which *octets* come."""
    source, sink = os.pipe()
    threading.Thread(target=lambda: (os.write(sink, octets) if octets else None, os.close(sink)), daemon=True).start()
    return source


def talk(octets: bytes, leave=None) -> tuple[list[str], list[Dropped]]:
    """What we say to *octets*, and what is left then."""
    left: list[Dropped] = []
    source, (heard, sink) = said_to(octets), os.pipe()
    try:
        Alone(leave or left.append).talk(source, sink)
    finally:
        os.close(sink)
        os.close(source)
    with open(heard, "rb") as file:
        return file.read().decode().split("\r\n")[:-1], left


MESSAGE = b"EHLO me\r\nMAIL FROM:<daemon>\r\nRCPT TO:<ann@blue.test>\r\nDATA\r\nSubject: x\r\n\r\n..hello\r\n.\r\n"


def test_a_message_is_left_as_it_was_said():
    answers, left = talk(MESSAGE + b"QUIT\r\n")
    assert [answer[:3] for answer in answers] == ["220", *["250"] * 6, "250", "250", "354", "250", "221"]
    assert left == [Dropped("daemon", ("ann@blue.test",), b"Subject: x\r\n\r\n.hello\r\n")]


@pytest.mark.parametrize("wished", ["MAIL FROM:<>", "mail from:<> RET=HDRS ENVID=x"])
def test_nobody_may_be_the_sender(wished):
    (left,) = talk(MESSAGE.replace(b"MAIL FROM:<daemon>", wished.encode()))[1]
    assert (left.sender, left.ret) == ("", "HDRS" if "RET" in wished else "")


def test_what_is_asked_for_recipients_goes_with_each():
    more = b"RCPT TO:<bob> NOTIFY=NEVER\r\nRCPT TO:<eve>\r\nDATA\r\n"
    left = talk(MESSAGE.replace(b"DATA\r\n", more))[1]
    assert [(one.recipients, one.notify) for one in left] == [(("ann@blue.test", "eve"), ""), (("bob",), "NEVER")]


@pytest.mark.parametrize(("octets", "answer"), [
    pytest.param(b"MAIL FROM:<a>\r\n", "503", id="before-hello"),
    pytest.param(b"EHLO me\r\nDATA\r\n", "503", id="data-of-nobody"),
    pytest.param(b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<\"a<b\"@x.test>\r\n", "553", id="an-address-that-no-file-can-have"),
    pytest.param(b"EHLO me\r\nMAIL FROM:<a b>\r\n", "501", id="no-address"),
    pytest.param(b"EHLO me\r\nSTARTTLS\r\n", "50", id="no-tls"),
    pytest.param(b"EHLO me\r\nAUTH PLAIN AAAA\r\n", "50", id="no-login"),
    pytest.param(b"EHLO me\r\nVRFY ann\r\n", "252", id="nobody-knows-who-is-there"),
    pytest.param(b"EHLO me\r\n" + b"x" * 3000 + b"\r\n", "500", id="a-long-line"),
    pytest.param(b"EHLO me\r\n\0\xff\r\n", "500", id="no-text"),
    pytest.param(b"HELO me\r\nHELP\r\n", "502", id="no-help"),
])  # fmt: skip
def test_what_cannot_be_is_refused(octets, answer):
    answers, left = talk(octets)
    assert answers[-1].startswith(answer)
    assert left == []


def test_what_cannot_be_kept_is_not_taken_over():
    def full(message):
        raise Failure("no room", Exit.TEMPFAIL)

    answers, left = talk(MESSAGE, full)
    assert (answers[-1], left) == ("451 4.3.0 no room", [])


def test_half_a_message_is_none():
    assert talk(MESSAGE[:-5])[1] == []


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=80))
def test_any_octets_have_answers(octets):
    answers, _ = talk(b"EHLO me\n" + octets)
    assert answers[0].startswith("220")


@given(st.lists(st.sampled_from([b"MAIL FROM:<a>", b"RCPT TO:<b@c.test>", b"DATA", b"x", b".", b"RSET", b"EHLO me"]), max_size=9))
@settings(max_examples=60, deadline=None)
def test_what_is_left_can_be_read(lines):
    for one in talk(b"".join(line + b"\n" for line in [b"EHLO me", *lines]))[1]:
        assert read(written(one)) == one


# ----- line ends


@pytest.mark.parametrize(("octets", "seen"), [
    pytest.param(b"a\nb\r\nc\n\n", b"a\r\nb\r\nc\r\n\r\n", id="people-mean-crlf"),
    pytest.param(b"a\r\nb\nc\r\n", b"a\r\nb\nc\r\n", id="who-knows-smtp-is-not-corrected"),
    pytest.param(b"", b"", id="nothing"),
    pytest.param(b"abc", b"abc", id="no-line"),
])  # fmt: skip
def test_line_ends(octets, seen):
    assert b"".join(_read(said_to(octets))) == seen


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40), st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_line_ends_do_not_depend_on_the_pieces(octets, sizes):
    """os.read gives what is there: two letters, or all of it."""
    octets = b"EHLO\n" + octets.replace(b"\r", b"")
    source, sink = os.pipe()
    found = b""
    reader = _read(source)
    at = 0
    for size in sizes * len(octets):
        if at >= len(octets):
            break
        os.write(sink, octets[at : at + size])
        at += size
        found += next(reader)
    os.close(sink)
    found += b"".join(reader)
    os.close(source)
    assert found == octets.replace(b"\n", b"\r\n")


# ----- with a server


def test_with_a_server_all_goes_through_to_its_end(tmp_path):
    """More than any buffer holds, in both directions."""
    place, heard = tmp_path / "submit.sock", []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(place))
    listening.listen()
    much = b"x" * (20 * PIECE)

    def serve():
        connection, _ = listening.accept()
        with connection:
            while octets := connection.recv(PIECE):
                heard.append(octets)
            connection.sendall(much)

    serving = threading.Thread(target=serve)
    serving.start()
    (tmp_path / "in").write_bytes(b"EHLO me\n" + much)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        assert speak(place, lambda message: None, source.fileno(), sink.fileno()) == Exit.OK
    serving.join(10)
    listening.close()
    assert b"".join(heard) == b"EHLO me\r\n" + much
    assert (tmp_path / "out").read_bytes() == much
