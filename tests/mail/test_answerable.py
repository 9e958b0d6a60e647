"""Who may be told about a message, by its header and by what we have put in front of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.address import Address
from twistmail.mail.answerable import forgery, is_automatic, no_answer_to
from twistmail.mail.item import Item

HOST = "mx.blue.test"
ITEM = Item("i1", Address("eve", "far.test"), (), 0.0, 10)


@pytest.mark.parametrize(
    ("header", "sender", "why"),
    [
        pytest.param(b"Subject: hello\r\n\r\n", "eve", "", id="mail-of-a-person"),
        pytest.param(b"Auto-Submitted: auto-generated\r\n\r\n", "cron", "", id="a-program-that-may-want-to-know"),
        pytest.param(b"Subject: x\r\n\r\n", "MAILER-DAEMON", "a mail system", id="a-mail-system-that-gives-a-sender"),
        pytest.param(b"X-Loop: mx.BLUE.test\r\n\r\n", "eve", "came back", id="our-own-report"),
        pytest.param(b"X-Loop: fred@blue.test\r\n\r\n", "eve", "", id="somebody-else-s-mark"),
        pytest.param(b"Content-Type: Multipart/Report; report-type=x;\r\n boundary=x\r\n\r\n", "eve", "report itself", id="a-report"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n", "eve", "", id="a-person-who-shows-a-report"),
    ],
)
def test_whom_not_to_answer(header, sender, why):
    item = replace(ITEM, sender=Address(sender, "far.test"))
    found = no_answer_to(item, header, HOST)
    assert bool(found) is bool(why)
    assert why in found
    assert no_answer_to(replace(item, account="ann@blue.test"), header, HOST) == ""
    assert no_answer_to(replace(item, sender=None, account="ann@blue.test"), header, HOST) == "it has no sender"


@pytest.mark.parametrize(
    ("results", "why"),
    [
        pytest.param("mx.blue.test; dmarc=fail header.from=far.test", "dmarc=fail", id="dmarc"),
        pytest.param("mx.blue.test; spf=fail smtp.mailfrom=far.test", "spf=fail", id="spf"),
        pytest.param("mx.blue.test; spf=softfail smtp.mailfrom=far.test", "", id="spf-only-soft"),
        pytest.param("mx.blue.test; spf=fail smtp.mailfrom=far.test;\r\n dkim=pass header.d=far.test", "", id="spf-fails-and-dkim-passes"),
        pytest.param("mx.blue.test; spf=fail x=y; dmarc=pass header.from=far.test", "", id="dmarc-passes"),
        pytest.param("MX.blue.test 1 ; (x; dmarc=pass) DMARC = FAIL (p=none) header.from=far.test", "dmarc=fail", id="comments-and-case"),
        pytest.param("mx.far.test; dmarc=fail header.from=far.test", "", id="somebody-else-says-so"),
        pytest.param("mx.blue.test; none", "", id="nothing-was-looked-at"),
        pytest.param("mx.blue.test; x-spf=fail; arc=fail; dkim=fail", "", id="other-methods"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_we_found_on_arrival_tells_a_forged_sender(results, why):
    prefix = b"Received: from x\r\nAuthentication-Results: " + results.encode() + b"\r\n"
    assert forgery(replace(ITEM, prefix=prefix), HOST) == why
    assert forgery(replace(ITEM, prefix=prefix, account="ann@blue.test"), HOST) == ""
    assert forgery(replace(ITEM, prefix=prefix, sender=None), HOST) == ""


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        pytest.param(b"Subject: x\r\n\r\n", False, id="a-person"),
        pytest.param(b"Auto-Submitted: no\r\n\r\n", False, id="says-no"),
        pytest.param(b"Auto-Submitted: No; x=y\r\n\r\n", False, id="says-no-with-more"),
        pytest.param(b"Auto-Submitted: auto-replied\r\n\r\n", True, id="an-answer"),
        pytest.param(b"Precedence: Bulk\r\n\r\n", True, id="bulk"),
        pytest.param(b"Precedence: first-class\r\n\r\n", False, id="first-class"),
        pytest.param(b"List-Id: <news.far.test>\r\n\r\n", True, id="a-list"),
    ],
)
def test_mail_for_whose_arrival_nobody_waits(header, automatic):
    assert is_automatic(header) is automatic


@given(st.binary(max_size=200))
def test_no_header_harms(octets):
    item = replace(ITEM, prefix=b"Authentication-Results: mx.blue.test;" + octets)
    assert forgery(item, HOST) in ("", "spf=fail", "dmarc=fail")
    assert no_answer_to(item, octets, HOST).isascii()
    assert is_automatic(octets) in (True, False)
