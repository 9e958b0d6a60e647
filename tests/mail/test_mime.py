"""Descriptions, parts, sections and texts of messages: the RFC's example, odd mails, and bombs.

The expectations were held against Dovecot 2.3 where it is not said otherwise.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail import mime
from twistmail.mail.parts import MOST_DEPTH, MOST_PARTS, scan

LEAF = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit"'


def crlf(text: str | bytes) -> bytes:
    return (text.encode() if isinstance(text, str) else text).replace(b"\n", b"\r\n")


def structure(message: str | bytes) -> bytes:
    return mime.describe(crlf(message)).bodystructure


@pytest.mark.parametrize(("header", "envelope"), [
    pytest.param(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\nSubject: IMAP4rev1 WG mtg summary and minutes\n"
        "From: Terry Gray <gray@cac.washington.edu>\n"
        "To: imap@cac.washington.edu\ncc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
        "Message-Id: <B27397-0100000@cac.washington.edu>\n",
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")',
        id="rfc3501-section-8"),
    pytest.param("", b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", id="nothing"),
    pytest.param('Subject: a "b" \\c\n', b'(NIL "a \\"b\\" \\\\c" NIL NIL NIL NIL NIL NIL NIL NIL)', id="quoting"),
    pytest.param("Subject:\n", b'(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)', id="empty-is-not-nil"),
    pytest.param(b"Subject: gr\xfcn\n", b"(NIL {4}\r\ngr\xfcn NIL NIL NIL NIL NIL NIL NIL NIL)", id="eight-bit-as-literal"),
    pytest.param(b"Subject: a\0b\n", b"(NIL {3}\r\na\x80b NIL NIL NIL NIL NIL NIL NIL NIL)", id="nul-cannot-be-said"),
    pytest.param(b"Subject: a\rb\n", b'(NIL "a b" NIL NIL NIL NIL NIL NIL NIL NIL)', id="bare-cr-as-a-blank"),
    pytest.param("Subject: one\n  two\n", b'(NIL "one  two" NIL NIL NIL NIL NIL NIL NIL NIL)', id="folding"),
    pytest.param("Subject: a\nSubject: b\n", b'(NIL "b" NIL NIL NIL NIL NIL NIL NIL NIL)', id="the-last-counts"),
    pytest.param("From: a@b\nSender: c@d\nReply-To: \n",
                 b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)', id="empty-reply-to-is-from"),
    pytest.param("To: a@b\nTo: c@d\n", b'(NIL NIL NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)', id="two-to-fields"),
    pytest.param("To: g: a@b;\n", b'(NIL NIL NIL NIL NIL ((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL NIL)',
                 id="group"),
    pytest.param("To: fred\n", b'(NIL NIL NIL NIL NIL ((NIL NIL "fred" "MISSING_DOMAIN")) NIL NIL NIL NIL)', id="no-domain"),
    pytest.param("To: Fred Foo\n", b'(NIL NIL NIL NIL NIL (("Fred Foo" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")) NIL NIL NIL NIL)',
                 id="only-a-name"),
])  # fmt: skip
def test_envelope(header: str | bytes, envelope: bytes) -> None:
    assert mime.describe(crlf(header) + b"\r\n").envelope == envelope


@pytest.mark.parametrize(("message", "expected"), [
    pytest.param("\nhi\nyou\n", b"(%b 9 2 NIL NIL NIL NIL)" % LEAF, id="plain"),
    pytest.param("", b"(%b 0 0 NIL NIL NIL NIL)" % LEAF, id="nothing"),
    pytest.param("Subject: no empty line", b"(%b 0 0 NIL NIL NIL NIL)" % LEAF, id="no-body"),
    pytest.param("Content-Type: TEXT/Plain; Charset=UTF-8; format=\"flowed\"\n\nx",
                 b'("TEXT" "Plain" ("Charset" "UTF-8" "format" "flowed") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)', id="spelling-is-kept"),
    pytest.param("Content-Type: text/html; x=y\n\n", b'("text" "html" ("x" "y" "charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)',
                 id="text-without-charset"),
    pytest.param("Content-Type: image/png; name=\"a\\\"b\"; name=c\n\n",
                 b'("image" "png" ("name" "a\\"b" "name" "c") NIL NIL "7bit" 0 NIL NIL NIL NIL)', id="parameters"),
    pytest.param("Content-Type: (c) image/png (d); (e) a=(f) b (g)\n\n", b'("image" "png" ("a" "b") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
                 id="comments"),
    pytest.param("Content-Type: a/b; n*0=x; n*1=y\n\n", b'("a" "b" ("n" "xy") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
                 id="rfc2231-continuation"),
    pytest.param("Content-Type: a/b; n*0=x; n*2=z\n\n", b'("a" "b" ("n*0" "x" "n*2" "z") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
                 id="rfc2231-a-piece-is-missing"),
    pytest.param("Content-Type: a/b; n*1=x; n*2=z\n\n", b'("a" "b" ("n*1" "x" "n*2" "z") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
                 id="rfc2231-the-first-piece-is-missing"),
    pytest.param("Content-Type: a/b; n*0=x; n*0=y; n*1=z\n\n",
                 b'("a" "b" ("n*0" "x" "n*0" "y" "n*1" "z") NIL NIL "7bit" 0 NIL NIL NIL NIL)', id="rfc2231-a-piece-twice"),
    pytest.param("Content-Type: a/b; n*1=\"b c\"; n*0*=utf-8''a%20\n\n",
                 b'("a" "b" ("n*" "utf-8\'\'a%20b%20c") NIL NIL "7bit" 0 NIL NIL NIL NIL)', id="rfc2231-charset"),
    pytest.param("Content-Type: nonsense\n\nx", b"(%b 1 0 NIL NIL NIL NIL)" % LEAF, id="unreadable-type-is-text"),
    pytest.param("Content-Type: a/b; x; =; y=z;;;\n\n", b'("a" "b" ("y" "z") NIL NIL "7bit" 0 NIL NIL NIL NIL)', id="broken-parameters"),
    pytest.param("Content-Disposition: attachment; filename=\"a b.txt\"\nContent-Language: en, de\nContent-Location: http://x/\n"
                 "Content-MD5: abc==\nContent-Description: some\n thing\nContent-ID: <x@y>\nContent-Transfer-Encoding: Base64 (x)\n\n",
                 b'("text" "plain" ("charset" "us-ascii") "<x@y>" "some thing" "Base64" 0 0 "abc==" '
                 b'("attachment" ("filename" "a b.txt")) ("en" "de") "http://x/")', id="all-extension-data"),
    pytest.param("Content-Type: multipart/mixed\n\nx", b'((%b 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)' % LEAF,
                 id="multipart-without-boundary"),
    pytest.param("Content-Type: multipart/mixed; boundary=b\n\nno delimiter\n",
                 b'((%b 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)' % LEAF, id="multipart-without-parts"),
    pytest.param("Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\nx\n\n--b \t\n\ny",
                 b'((%b 3 1 NIL NIL NIL NIL)(%b 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)' % (LEAF, LEAF),
                 id="not-closed"),
    pytest.param("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n--b\n\nx\n--b--\nepilogue\n--b\n\nno part\n",
                 b'(("a" "b" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL)(%b 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)' % LEAF,
                 id="delimiter-in-a-header-and-epilogue"),
    pytest.param("Content-Type: multipart/mixed; boundary=foo\n\n--foo\nContent-Type: multipart/alternative; boundary=foo2\n\n"
                 "--foo2\n\nx\n--foo2\n\nz\n--foo\n\ny\n--foo--\n",
                 b'(((%b 1 0 NIL NIL NIL NIL)(%b 1 0 NIL NIL NIL NIL) "alternative" ("boundary" "foo2") NIL NIL NIL)'
                 b'(%b 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "foo") NIL NIL NIL)' % (LEAF, LEAF, LEAF), id="inner-one-is-not-closed"),
    pytest.param("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nbody\nmore\n--b--\n",
                 b'(("message" "rfc822" NIL NIL NIL "7bit" 24 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) (%b 10 1 NIL NIL NIL NIL) '
                 b'3 NIL NIL NIL NIL) '
                 b'"digest" ("boundary" "b") NIL NIL NIL)' % LEAF, id="digest"),
    pytest.param("Content-Type: message/rfc822\n\nSubject: x\n\nhi\n",
                 b'("message" "rfc822" NIL NIL NIL "7bit" 18 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) '
                 b'(%b 4 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)'
                 % LEAF, id="a-message-as-message"),
])  # fmt: skip
def test_bodystructure(message: str, expected: bytes) -> None:
    assert structure(message) == expected


def test_body_is_bodystructure_without_extension_data() -> None:
    described = mime.describe(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: inline\n\nx\n--b--\n"))
    assert described.body == b'((%b 1 0) "mixed")' % LEAF


LETTER = crlf(
    "Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/x-one\n\none\n--b\n"
    "Content-Type: message/rfc822\n\nSubject: inner\nTo: x@y\nContent-Type: multipart/alternative; boundary=c\n\n"
    "--c\n\nplain\n--c\nContent-Type: text/html\n\n<p>\n--c--\n--b\nContent-Type: message/rfc822\n\nSubject: simple\n\nhello\n--b--\n"
)


@pytest.mark.parametrize(("numbers", "text", "octets"), [
    pytest.param((), "", LETTER, id="all"),
    pytest.param((), "HEADER", LETTER[: LETTER.index(b"preamble")], id="header"),
    pytest.param((), "TEXT", LETTER[LETTER.index(b"preamble") :], id="text"),
    pytest.param((1,), "", b"one", id="1"),
    pytest.param((1,), "MIME", b"Content-Type: text/x-one\r\n\r\n", id="1.MIME"),
    pytest.param((1,), "HEADER", None, id="1.HEADER-is-no-message"),
    pytest.param((1,), "TEXT", None, id="1.TEXT-is-no-message"),
    pytest.param((1, 1), "", None, id="1.1-of-a-leaf"),
    pytest.param((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n", id="2.MIME"),
    pytest.param((2,), "HEADER", b"Subject: inner\r\nTo: x@y\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n", id="2.HEADER"),
    pytest.param((2,), "TEXT", b"--c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>\r\n--c--", id="2.TEXT"),
    pytest.param((2, 1), "", b"plain", id="2.1"),
    pytest.param((2, 2), "", b"<p>", id="2.2"),
    pytest.param((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n", id="2.2.MIME"),
    pytest.param((2, 3), "", None, id="2.3-is-missing"),
    pytest.param((3, 1), "", b"hello", id="3.1-is-the-body-of-the-message-inside"),
    pytest.param((3,), "", b"Subject: simple\r\n\r\nhello", id="3"),
    pytest.param((4,), "", None, id="4-is-missing"),
])  # fmt: skip
def test_sections(numbers: tuple[int, ...], text: str, octets: bytes | None) -> None:
    assert mime.section(LETTER, numbers, text) == octets


def test_sections_of_chosen_fields() -> None:
    assert mime.section(LETTER, (2,), "HEADER.FIELDS", (b"SUBJECT",)) == b"Subject: inner\r\n\r\n"
    assert mime.section(LETTER, (), "HEADER.FIELDS.NOT", (b"content-type",)) == b"Subject: outer\r\n\r\n"


def test_a_message_without_parts_has_part_one() -> None:
    message = b"Subject: x\r\n\r\nbody"
    assert mime.section(message, (1,)) == b"body"
    assert mime.section(message, (2,)) is None
    assert mime.section(message, (1, 1)) is None


def test_texts_are_decoded() -> None:
    message = crlf(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=iso-8859-1\n"
        b"Content-Transfer-Encoding: quoted-printable\n\n"
        b"gr=FCn\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\nw7w=\n--b\n"
        b"Content-Type: image/png\n\nsecret\n--b\n"
        b"Content-Type: message/rfc822\n\nSubject: =?utf-8?q?=C3=B6?=\n\ninner\n--b--\n"
    )
    assert [text.strip() for text in mime.text_of(message)] == ["gr\u00fcn", "\u00fc", "\u00f6", "inner"]


# ----- bombs


def nested(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(levels))


BOMBS = {
    "nested": lambda size: nested(size // 55),
    "nested-messages": lambda size: b"Content-Type: message/rfc822\r\n\r\n" * (size // 32),
    "many-parts": lambda size: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * (size // 7),
    "parts-without-an-empty-line": lambda size: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nx\r\n" * (size // 8),
    "near-delimiters": lambda size: nested(90) + b"--b\r\n" * (size // 5),
    "deep-and-long": lambda size: nested(99) + b"Content-Type: message/rfc822\r\n\r\n\r\n" + b"ab\r\n" * (size // 4),
    "many-parameters": lambda size: b"Content-Type: a/b" + b"; x*0=y" * (size // 7) + b"\r\n\r\n",
    "broken-parameters": lambda size: b"Content-Type: a/b" + b";x" * (size // 2) + b"\r\n\r\n",
    "open-quotes": lambda size: b'Content-Type: a/b; x="' + b"\\" * size + b"\r\n\r\n",
    "blanks": lambda size: b"Content-Type: a/b" + b" " * size + b"\r\nContent-Disposition:" + b" " * size + b"x\r\n\r\n",
    "comments": lambda size: b"Content-Type: " + b"(" * size + b"\r\n\r\n",
    "continuations": lambda size: b"Content-Type: a/b" + b"".join(b"; x*%d*=%%41" % number for number in range(size // 10)) + b"\r\n\r\n",
    "nested-global-messages": lambda size: b"Content-Type: message/global\r\n\r\n" * (size // 32),
    "encoded-words": lambda size: b"Subject: " + b"=?utf-8?b?" * (size // 10) + b"\r\nFrom: " + b"=?a?q?b?= " * (size // 10) + b"\r\n\r\n",
    "groups": lambda size: b"To: " + b"a:b;" * (size // 8) + b"a:" * (size // 4) + b"\r\n\r\n",
    "angles": lambda size: b"To: " + b"<" * (size // 2) + b"@a:" * (size // 6) + b"\r\n\r\n",
    "signs-and-dots": lambda size: b"To: " + b"a@b." * (size // 4) + b"\r\nCc: " + b". " * (size // 2) + b"\r\n\r\n",
    "fields-twice": lambda size: b"Subject: a\r\nDate: b\r\n" * (size // 21) + b"\r\n",
    "fields": lambda size: b"To: a\r\n" * (size // 7),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_linear_time(name: str) -> None:
    def seconds(size: int) -> float:
        message = BOMBS[name](size)
        began = time.thread_time()
        mime.describe(message)
        list(mime.text_of(message))
        return time.thread_time() - began

    assert takes_linear_time(seconds, 20_000)


def test_depth_and_number_of_parts_are_limited() -> None:
    deep = scan(nested(1000)).walk()
    assert max(part.depth for part in deep) == MOST_DEPTH
    many = scan(BOMBS["many-parts"](700_000)).walk()
    assert len(many) == MOST_PARTS


PIECES = [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"Content-Type: multipart/digest; boundary=bb",
          b"--b", b"--bb", b"--b--", b"--bb--", b"\r\n", b"\r\n", b"\r\n", b"text", b"Subject: x", b"\n", b"\0", b"\xff", b"-"]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
@example([PIECES[2], b"\r\n\r\n--bbSubject: x\r\n\r\n\r\n--bb"])
def test_parts_lie_within_each_other_whatever_comes(pieces: list[bytes]) -> None:
    message = b"".join(pieces)
    described = mime.describe(message)
    assert message.startswith(described.header)
    for part in scan(message).walk():
        assert 0 <= part.start <= part.body <= part.end <= len(message)
        for before, child in zip([None, *part.children], part.children, strict=False):
            assert child.start >= (part.body if before is None else before.end)
            assert child.end <= part.end
    for text in mime.text_of(message):
        assert isinstance(text, str)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_what_is_described_never_breaks_the_wire(octets: bytes) -> None:
    message = b"Subject: " + octets + b"\r\nTo: " + octets + b"\r\nContent-Type: a/b; x=\"" + octets + b"\r\n\r\n" + octets
    described = mime.describe(message)
    for rendered in (described.envelope, described.body, described.bodystructure):
        assert b"\0" not in rendered
        assert _balanced(rendered)


def _balanced(rendered: bytes) -> bool:
    """One parenthesised list of strings, literals, NIL and numbers, to the last octet."""
    depth = at = 0
    while at < len(rendered):
        octet = rendered[at : at + 1]
        if octet == b'"':
            at += 1
            while rendered[at : at + 1] != b'"':
                assert rendered[at] not in b"\r\n"
                assert rendered[at] < 128
                at += 2 if rendered[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            end = rendered.index(b"}\r\n", at)
            at = end + 2 + int(rendered[at + 1 : end])
        else:
            assert octet in b"( )NIL0123456789"
            depth += {b"(": 1, b")": -1}.get(octet, 0)
        at += 1
    return depth == 0
