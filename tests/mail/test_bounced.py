"""Reports of other servers, read: whether mail came back for good."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.bounced import CameBack, read

DAEMON = b"From: MAILER-DAEMON@far.test (Mail Delivery System)\r\nSubject: failure notice\r\n\r\n"
REPORT = b"From: postmaster@far.test\r\nContent-Type: multipart/report; boundary=x\r\n\r\n"


def dsn(*fields: bytes, kind: bytes = b"message/delivery-status", behind: bytes = b"") -> bytes:
    first = b"--x\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\n--x\r\nContent-Type: " + kind
    return first + b"\r\n\r\nReporting-MTA: dns; far.test\r\n\r\n" + b"\r\n".join(fields) + b"\r\n\r\n--x\r\n" + behind


@pytest.mark.parametrize(("header", "body", "found"), [
    pytest.param(REPORT, dsn(b"Action: failed", b"Status: 5.1.1", b"Diagnostic-Code: smtp; 550 5.1.1 No one"),
                 CameBack("5.1.1", "550 5.1.1 No one"), id="failed"),
    pytest.param(REPORT, dsn(b"ACTION:failed", b"status:4.4.7"), CameBack("4.4.7"), id="given-up-after-days"),
    pytest.param(REPORT, dsn(b"Action: failed", kind=b"message/global-delivery-status"), CameBack(), id="internationalized"),
    pytest.param(REPORT, dsn(b"Action: delayed", b"Status: 4.4.1"), None, id="late"),
    pytest.param(REPORT, dsn(b"Action: relayed", b"Status: 2.0.0"), None, id="good-news"),
    pytest.param(REPORT, dsn(b"Action: delayed", b"", b"Action: failed", b"Status: 5.0.0"), CameBack("5.0.0"), id="one-of-two"),
    pytest.param(REPORT, dsn(b"Action: delayed", behind=b"Action: failed\r\n"), None, id="what-the-original-says-does-not-count"),
    pytest.param(REPORT, dsn(b"Action: failed", b"Diagnostic-Code: smtp; a\x00b\x1b[1m"), CameBack("", "a b [1m"), id="controls"),
    pytest.param(DAEMON, b"Hi. This is the qmail-send program.\r\n", CameBack(), id="qmail"),
    pytest.param(DAEMON, b"<h@far.test>:\n192.5.1.1 said:\n550 (#5.1.1) No such user.\n", CameBack("5.1.1"), id="qmail-has-a-code"),
    pytest.param(DAEMON, b"5.1.2.3 and 15.1.1 and 5.1 and v5.1.1.\n", CameBack("5.1.1"), id="numbers-that-are-no-codes"),
    pytest.param(b"From: x@far.test\r\nX-Failed-Recipients: y\r\n\r\n", b"", CameBack(), id="exim-under-another-name"),
    pytest.param(b"From: Mail Delivery System <m@far.test>\r\nX-Failed-Recipients: y\r\nAuto-Submitted: auto-replied\r\n\r\n", b"",
                 CameBack(), id="exim"),
    pytest.param(b"From: mailer-daemon@far.test\r\nSubject: Warning: message delayed 4 hours\r\n\r\n", b"", None, id="exim-is-late"),
    pytest.param(b"From: harry@far.test\r\nAuto-Submitted: auto-replied\r\n\r\n", b"I am away\r\n", None, id="vacation"),
    pytest.param(b"From: harry@far.test\r\n\r\n", b"I am away\r\n", None, id="vacation-of-an-old-program"),
    pytest.param(b"\r\n", b"", None, id="nothing"),
])  # fmt: skip
def test_what_a_report_says(header: bytes, body: bytes, found: CameBack | None) -> None:
    assert read(header, body) == found


@pytest.mark.parametrize(("status", "expected"), [
    pytest.param("5.1.1", True, id="nobody-there"),
    pytest.param("5.2.1", True, id="closed"),
    pytest.param("4.2.2", True, id="full-for-days"),
    pytest.param("5.4.4", True, id="no-way"),
    pytest.param("4.4.7", True, id="not-reached-for-days"),
    pytest.param("5.1.8", False, id="the-sender-s-domain"),
    pytest.param("5.2.3", False, id="too-long-for-him"),
    pytest.param("5.3.4", False, id="too-large"),
    pytest.param("5.5.4", False, id="a-parameter"),
    pytest.param("5.6.7", False, id="no-utf-8-there"),
    pytest.param("5.7.1", False, id="spam"),
    pytest.param("5.7.30", False, id="no-tls-there"),
    pytest.param("5.0.0", False, id="nobody-knows"),
    pytest.param("5.10.1", False, id="a-row-that-is-none"),
    pytest.param("", False, id="nothing-said"),
])  # fmt: skip
def test_what_says_that_an_address_takes_no_mail(status: str, expected: bool) -> None:
    assert CameBack(status).is_about_address is expected


def test_it_is_told_in_one_line() -> None:
    assert (str(CameBack("5.1.1", "No one")), str(CameBack())) == ("5.1.1 No one", "the report says no reason")


@given(st.binary(max_size=300), st.binary(max_size=600))
def test_whatever_comes_it_is_read(header: bytes, body: bytes) -> None:
    found = read(header, body)
    assert found is None or "\n" not in str(found)


def test_hostile_reports_cost_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        bodies = [b"content-type: \t" * size, b"5.5.5" * size, dsn(*[b"Action: " + b" " * 50] * size), b"Content-Type:" + b" " * 20 * size]
        began = time.process_time()
        for body in bodies:
            read(REPORT, body)
            read(DAEMON, body)
        return time.process_time() - began

    assert takes_linear_time(seconds, 2000)
