"""A message comes back as it went in: over POP3, over IMAP and from the file (trace fields in front, LF on disk)."""

import imaplib
import poplib
import smtplib
import socket

import pytest

MEGABYTE = 1024 * 1024
HEADER = b"From: eve@red.test\r\nSubject: bytes\r\n\r\n"

MESSAGES = [
    pytest.param(HEADER + b"plain\r\n", id="plain"),
    pytest.param(HEADER, id="empty-body"),
    pytest.param(b"Subject: only a header\r\n", id="no-empty-line"),
    pytest.param(HEADER + b".\r\n..\r\n...\r\n.a\r\n", id="leading-dots"),
    pytest.param(HEADER + b"\r\n\r\n\r\n", id="empty-lines"),
    pytest.param(HEADER + bytes(range(128, 256)) * 20 + b"\r\n", id="eight-bit"),
    pytest.param(HEADER + "Grüße, привет, 你好\r\n".encode(), id="utf-8"),
    pytest.param(HEADER + b"x" * 990 + b"\r\n" + b"y" * 997 + b"\r\n", id="longest-lines-of-the-standard"),
    pytest.param(HEADER + b"z" * 300_000 + b"\r\nend\r\n", id="a-very-long-line"),
    pytest.param(HEADER + b"tab\there \x07 bell \x1b escape \x7f\r\n", id="control-characters"),
    pytest.param(HEADER + b"From the start\r\n>From within\r\n", id="from-lines"),
    pytest.param(b"Subject: folded\r\n\tby a tab\r\n  and blanks  \r\nX-Empty:\r\n\r\ntext\r\n", id="folded-header"),
    pytest.param(HEADER + (b"0123456789abcdef" * 4 + b"\r\n") * (20 * MEGABYTE // 66), id="twenty-megabytes"),
]


def put_in(house, person, message):
    """Give *message*, which ends with CRLF, to our MX service, byte for byte."""
    with socket.create_connection(("127.0.0.1", house.port("mx")), timeout=30) as peer:
        answers = peer.makefile("rb")

        def said(code, line):
            peer.sendall(line)
            while (answer := answers.readline())[3:4] == b"-":
                pass
            assert answer.startswith(code), answer

        said(b"220", b"")
        said(b"250", b"EHLO lab.test\r\n")
        said(b"250", b"MAIL FROM:<eve@red.test> BODY=8BITMIME\r\n")
        said(b"250", f"RCPT TO:<{person.address}>\r\n".encode())
        said(b"354", b"DATA\r\n")
        said(b"250", b"\r\n".join(b"." + line if line[:1] == b"." else line for line in message.split(b"\r\n")) + b".\r\n")


def over_imap(house, person):
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login(person.address, person.password)
        imap.select("INBOX", readonly=True)
        answer = imap.fetch("1", "(RFC822.SIZE BODY.PEEK[])")[1]
        assert b"RFC822.SIZE %d " % len(answer[0][1]) in answer[0][0]
        return answer[0][1]


def over_pop3(house, person):
    """By hand: poplib refuses long lines and forgets line ends."""
    with socket.create_connection(("127.0.0.1", house.port("pop3")), timeout=30) as peer:
        answers = peer.makefile("rb")
        answers.readline()
        for line in (f"USER {person.address}", f"PASS {person.password}", "RETR 1"):
            peer.sendall(f"{line}\r\n".encode())
            assert answers.readline().startswith(b"+OK")
        lines = []
        while (line := answers.readline()) != b".\r\n":
            lines.append(line[1:] if line[:1] == b"." else line)
        peer.sendall(b"QUIT\r\n")
        answers.readline()
        return b"".join(lines)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_comes_back_as_it_was(house, guest, message):
    put_in(house, guest, message)
    fetched = over_imap(house, guest)
    (stored,) = house.stored(guest)
    assert fetched == over_pop3(house, guest)
    assert fetched == stored.replace(b"\n", b"\r\n")
    trace, own = fetched[: -len(message)], fetched[-len(message) :]
    assert own == message
    assert trace.startswith(b"Return-Path: <eve@red.test>\r\n")
    assert {line.partition(b":")[0] for line in trace.split(b"\r\n") if line[:1] not in b" \t"} == {
        b"Return-Path",
        b"Delivered-To",
        b"Received",
    }


def test_a_nul_is_kept_and_shown_in_imap_as_what_a_literal_may_hold(house, guest):
    put_in(house, guest, HEADER + b"a\0b\r\n")
    assert over_pop3(house, guest).endswith(b"a\0b\r\n")
    assert over_imap(house, guest).endswith(b"a\x80b\r\n")  # as long as it was; RFC 3501 §9 has no CHAR8 %x00


def test_a_message_without_final_line_end_gets_one(house, guest):
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login(guest.address, guest.password)
        imap.append("INBOX", None, None, HEADER + b"no end")
    assert over_imap(house, guest) in (HEADER + b"no end", HEADER + b"no end\r\n")
    assert over_pop3(house, guest) == HEADER + b"no end\r\n"


@pytest.mark.parametrize("message", [MESSAGES[0], MESSAGES[3], MESSAGES[5]])
def test_what_imap_appends_comes_back_with_nothing_added(house, guest, message):
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login(guest.address, guest.password)
        imap.append("INBOX", r"(\Seen)", '"01-Jan-2024 12:00:00 +0100"', message)
    assert over_imap(house, guest) == over_pop3(house, guest) == message


def test_what_python_sends_python_reads(house, guest, other):
    with smtplib.SMTP("127.0.0.1", house.port("submission")) as smtp:
        smtp.login(guest.address, guest.password)
        smtp.sendmail(guest.address, [other.address], f"From: {guest.address}\nSubject: x\n\n.dot\n..dots\nlast")
    pop3 = poplib.POP3("127.0.0.1", house.port("pop3"))
    pop3.user(other.address)
    pop3.pass_(other.password)
    assert pop3.retr(1)[1][-3:] == [b".dot", b"..dots", b"last"]
    pop3.quit()
