"""What is compared of messages: moments, base subjects, first addresses, threads, ids; and the preview."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import preview
from twistmail.mail.dates import sent_time
from twistmail.mail.mime import describe
from twistmail.mail.subjects import base_subject, based

NOON = 1_700_049_600.0  # Wed, 15 Nov 2023 12:00:00 UTC


def summary(header: bytes, body: bytes = b"text\r\n"):
    return describe(header + b"\r\n" + body).summary


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"Wed, 15 Nov 2023 12:00:00 +0000", NOON, id="utc"),
        pytest.param(b" 15 Nov 2023 13:30:00 +0130", NOON, id="east"),
        pytest.param(b"Wed, 15 Nov 2023 07:00:00 EST", NOON, id="named-zone"),
        pytest.param(b"Wed, 15 Nov 2023 12:00:00 Q", NOON, id="military-zone"),
        pytest.param(b"Wed, 15 Nov 2023 12:00 GMT", NOON, id="no-seconds"),
        pytest.param(b"Wed, 15 Nov 2023 12:00:00 +0000 (noon (UTC))", NOON, id="comment"),
        pytest.param(b"Wed Nov 15 12:00:00 2023", NOON, id="asctime"),
        pytest.param(b"2023-11-15 12:00:00", NOON, id="iso"),
        pytest.param(b"Wed, 15 Nov 2023", NOON - 12 * 3600, id="no-time"),
        pytest.param(b"Wed, 15 Nov 2023 25:00:00 +0000", NOON - 12 * 3600, id="no-such-time"),
        pytest.param(b"Wed, 31 Feb 2023 12:00:00 +0000", None, id="no-such-day"),
        pytest.param(b"yesterday", None, id="no-date"),
    ],
)
def test_the_moment_of_a_date(value, expected):
    assert sent_time(value) == expected


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        pytest.param("lunch", "LUNCH", id="plain"),
        pytest.param("Re: lunch", "LUNCH", id="reply"),
        pytest.param("re [2]: Fwd: RE : lunch", "LUNCH", id="many"),
        pytest.param("[list] Re: [list] lunch", "LUNCH", id="tags"),
        pytest.param("[list] [other]", "[OTHER]", id="a-tag-alone-stays"),
        pytest.param("lunch (fwd) (FWD)", "LUNCH", id="trailers"),
        pytest.param("[Fwd: Re: lunch (fwd)]", "LUNCH", id="forwarded-in-brackets"),
        pytest.param("Re:", "", id="nothing-left"),
        pytest.param("  lunch \t  at\r\n noon ", "LUNCH AT NOON", id="blanks"),
        pytest.param("reply: lunch", "REPLY: LUNCH", id="a-word-that-begins-so"),
        pytest.param("", "", id="empty"),
    ],
)
def test_the_base_subject(subject, base):
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    ("subject", "is_reply"),
    [
        pytest.param("lunch", False, id="plain"),
        pytest.param("Re: lunch", True, id="reply"),
        pytest.param("[list] fwd[1] : lunch", True, id="forward-in-a-list"),
        pytest.param("lunch (fwd)", True, id="trailer"),
        pytest.param("[fwd: lunch]", True, id="forwarded-in-brackets"),
        pytest.param("[list] lunch ", False, id="tag-and-blanks"),
        pytest.param(" reply: lunch", False, id="a-word-that-begins-so"),
    ],
)
def test_a_reply_or_forward_is_known_by_its_subject(subject, is_reply):
    assert based(subject)[1] is is_reply


@given(st.text(alphabet="[]re:fwd ()ab\t", max_size=200))
def test_a_base_subject_is_its_own_base(subject):
    once = base_subject(subject)
    assert base_subject(once) == once


@pytest.mark.parametrize("unit", ["[a]", "re [", "[fwd:", "(fwd)", "re:"])
def test_no_subject_takes_long(unit):
    start = time.process_time()
    base_subject(unit * 100_000)
    assert time.process_time() - start < 0.5


def test_fields_are_decoded_folded_and_joined():
    found = summary(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nTo: Bob <bob@blue.test>\r\nTo: CAROL@blue.test\r\nBcc: x@y.test\r\n")
    assert found.subject == " gru\u0308sse"
    assert found.to.split("\n") == [" bob <bob@blue.test>", " carol@blue.test"]
    assert (found.cc, found.bcc) == ("", " x@y.test")


@pytest.mark.parametrize(
    ("value", "local", "display"),
    [
        pytest.param(b"Ann Other <ann@away.test>, bob@b.test", "ANN", "ANN OTHER", id="named"),
        pytest.param(b"ann@away.test", "ANN", "ANN@AWAY.TEST", id="bare"),
        pytest.param(b'"Other, Ann" <ann@away.test>', "ANN", "OTHER, ANN", id="comma-in-the-name"),
        pytest.param(b"=?utf-8?q?J=C3=B6rg?= <j@away.test>", "J", "JO\u0308RG", id="encoded"),
        pytest.param(b"friends: ann@away.test, bob@b.test;", "FRIENDS", "FRIENDS", id="group"),
        pytest.param(b"undisclosed-recipients:;", "UNDISCLOSED-RECIPIENTS", "UNDISCLOSED-RECIPIENTS", id="empty-group"),
        pytest.param(b"<>", "MISSING_MAILBOX", "MISSING_MAILBOX@MISSING_DOMAIN", id="as-ENVELOPE-has-nobody"),
        pytest.param(b"", "", "", id="empty"),
    ],
)
def test_the_first_address(value, local, display):
    found = summary(b"From: " + value + b"\r\n")
    assert (found.sort_from, found.display_from) == (local, display)


def test_a_thread_is_known_by_its_first_message():
    root = summary(b"Message-ID: <1@a.test>\r\n")
    reply = summary(b"Message-ID: <2@b.test>\r\nIn-Reply-To: <1@a.test>\r\n")
    third = summary(b"Message-ID: <3@c.test>\r\nReferences: <1@a.test>\r\n\t<2@b.test>\r\nIn-Reply-To: <2@b.test>\r\n")
    other = summary(b"Message-ID: <4@d.test>\r\n")
    assert root.threadid == reply.threadid == third.threadid != other.threadid
    assert [found.threading for found in (root, reply, third)] == ["1@a.test", "2@b.test 1@a.test", "3@c.test 1@a.test 2@b.test"]
    assert summary(b"References: <1@a.test>\r\n").threading == " 1@a.test"


def test_quotes_do_not_make_another_id_of_one():
    assert summary(b'Message-ID: <"01KF"@a.test>\r\nReferences: <"0\\1"@a.test>\r\n').threading == "01KF@a.test 01@a.test"


def test_without_any_id_a_message_is_a_thread_of_its_own():
    one, two = summary(b"Subject: a\r\n"), summary(b"Subject: b\r\n")
    assert one.threadid != two.threadid
    assert one.emailid == summary(b"Subject: a\r\n").emailid != two.emailid


def test_of_many_references_the_root_and_the_latest_are_kept():
    ids = " ".join(f"<{number}@a.test>" for number in range(1000)).encode()
    kept = summary(b"References: " + ids + b"\r\n").threading.split(" ")
    assert (len(kept), kept[0], kept[1], kept[-1]) == (201, "", "0@a.test", "999@a.test")


BASE64 = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        pytest.param(b"", b"Hello,\r\n\r\n  this is   it.\r\n", "Hello, this is it.", id="plain"),
        pytest.param(b"", b"> you said\r\n> this\r\nNo.\r\n", "No.", id="quotes-are-left-out"),
        pytest.param(b"", b"> only quotes\r\n", "> only quotes", id="only-quotes"),
        pytest.param(b"", b"x" * 5000, "x" * 200, id="long"),
        pytest.param(b"", b"", "", id="empty"),
        pytest.param(HTML, b"<html><head><title>t</title></head><body><p>A &amp; B</p><p>C</p>", "A & B C", id="html"),
        pytest.param(HTML, b"<style>p {}</style ><SCRIPT>x<y</SCRIPT>seen<!-- <b>not</b> --> too", "seen too", id="hidden"),
        pytest.param(HTML, b"1 < 2 <b>bold", "1 < 2 bold", id="a-sign-is-no-tag"),
        pytest.param(HTML, b"seen<script>never closed", "seen", id="unclosed"),
        pytest.param(BASE64, b"R3LDvMOfZQ==\r\n", "Grüße", id="base64"),
        pytest.param(b"Content-Type: image/png\r\n", b"\x89PNG", "", id="no-text"),
    ],
)
def test_the_preview(header, body, expected):
    assert summary(header, body).preview == expected


@given(st.text(alphabet="<>!-/abstyle &;\n", max_size=300))
def test_no_html_breaks_the_preview(text):
    assert len(preview.of_html(text)) <= preview.LONGEST


@pytest.mark.parametrize("unit", ["<style>", "<!--", "<", "<a ", "</style", "&"])
def test_no_html_takes_long(unit):
    start = time.process_time()
    preview.of_html(unit * 100_000)
    assert time.process_time() - start < 0.5


@given(st.binary(max_size=400))
def test_no_message_breaks_a_summary(message):
    found = describe(message).summary
    assert len(found.preview) <= preview.LONGEST
    for text in found[1:]:
        str(text).encode("utf-8")
