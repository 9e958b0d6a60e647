"""R39, R40: reports as RFC 3464 and RFC 6522 want them, read back by Python's email package."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail import bounce
from twistmail.mail.address import Address
from twistmail.mail.bounce import Letterhead, delay_warning, double_bounce, failure_report, header_of
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status

AT = 1_800_000_000.0
ANN, BOB = Address("ann", "here.example"), Address("bob", "far.test")
LETTER = Letterhead("mx.here.example", AT, "r1-0001", "r1-0001.12345678901234567")
HEADER = b"Received: from x\r\nSubject: hello\r\nMessage-ID: <1@here.example>\r\n\r\nsecret body\r\n"


def errand(address=BOB, original=None, status=None, host="mx.far.test [192.0.2.1]"):
    return Errand(Target(Kind.REMOTE, address, original or address), Result.FAILED,
                  status or Status(550, "5.1.1", "No such user"), host, 1)


ITEM = Item("i1", ANN, (errand(),), AT - 60, 100)


def parsed(report: bytes):
    """The report as Python's email package reads it, and its shape checked."""
    assert b"\n" not in report.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in report.split(b"\r\n"))
    message = email.message_from_bytes(report, policy=email.policy.default)
    assert not message.defects
    assert [part.get_content_type() for part in message.iter_parts()][:2] == ["text/plain", "message/delivery-status"]
    assert len(list(message.iter_parts())) == 3
    return message


def blocks(message):
    return list(message.iter_parts())[1].get_payload()


def test_a_failure_report_is_a_multipart_report_for_the_sender():
    message = parsed(failure_report(ITEM, ITEM.errands, HEADER, LETTER))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["To"] == "ann@here.example"
    assert message["From"].addresses[0].addr_spec == "MAILER-DAEMON@mx.here.example"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<r1-0001@mx.here.example>"
    assert message["Date"].datetime.timestamp() == AT


def test_its_fields_for_programs():
    about, bob = blocks(parsed(failure_report(ITEM, ITEM.errands, HEADER, LETTER)))
    assert about["Reporting-MTA"] == "dns; mx.here.example"
    assert email.utils.parsedate_to_datetime(about["Arrival-Date"]).timestamp() == AT - 60
    assert dict(bob.items()) == {
        "Final-Recipient": "rfc822; bob@far.test", "Action": "failed", "Status": "5.1.1", "Remote-MTA": "dns; mx.far.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user"}


def test_its_words_for_people_name_recipient_reason_and_what_to_do():
    text = next(parsed(failure_report(ITEM, ITEM.errands, HEADER, LETTER)).iter_parts()).get_content()
    assert "<bob@far.test>" in text
    assert "mx.far.test [192.0.2.1] answered: 550 5.1.1 No such user" in text
    assert "check the address for typing mistakes" in text


def test_it_quotes_the_header_and_not_the_body():
    third = list(parsed(failure_report(ITEM, ITEM.errands, HEADER, LETTER)).iter_parts())[2]
    assert third.get_content_type() == "text/rfc822-headers"
    assert b"Subject: hello" in third.get_payload(decode=True)
    assert b"secret" not in third.get_payload(decode=True)


@pytest.mark.parametrize(("errand", "fields"), [
    pytest.param(errand(original=Address("list", "here.example")), {"Original-Recipient": "rfc822; list@here.example"}, id="an-alias"),
    pytest.param(errand(original=Address("BOB", "far.test")), {"Original-Recipient": None}, id="only-written-differently"),
    pytest.param(errand(host=""), {"Remote-MTA": None, "Diagnostic-Code": "x-twistmail; 550 5.1.1 No such user"}, id="nobody-was-asked"),
    pytest.param(errand(status=Status(550, "", "No")), {"Status": "5.0.0"}, id="no-enhanced-code"),
    pytest.param(errand(status=Status(451, "4.4.1", "Down")), {"Status": "4.4.1", "Action": "failed"}, id="given-up"),
    pytest.param(errand(Address("jörg", "far.test")), {"Final-Recipient": "utf-8; j\\x{F6}rg@far.test"}, id="an-address-that-is-not-ASCII"),
    pytest.param(errand(Address("a\r\nAction: delivered", "x")), {"Action": "failed"}, id="an-address-with-line-ends"),
    pytest.param(errand(status=Status(550, "5.0.0", "a\nAction: delivered")), {"Action": "failed"}, id="a-reply-of-lines"),
])
def test_what_is_told_of_a_recipient(errand, fields):
    block = blocks(parsed(failure_report(ITEM, [errand], HEADER, LETTER)))[1]
    assert {name: block[name] for name in fields} == fields


def test_every_failed_recipient_has_a_block_and_nobody_else():
    item = replace(ITEM, errands=(errand(), errand(Address("eve", "far.test"))))
    found = blocks(parsed(failure_report(item, item.errands[:1], HEADER, LETTER)))
    assert [block["Final-Recipient"] for block in found[1:]] == ["rfc822; bob@far.test"]


def test_a_warning_says_that_nothing_need_be_done():
    message = parsed(delay_warning(ITEM, ITEM.errands, HEADER, LETTER, AT + 86400))
    assert "You need not send it again" in next(message.iter_parts()).get_content()
    block = blocks(message)[1]
    assert block["Action"] == "delayed"
    assert email.utils.parsedate_to_datetime(block["Will-Retry-Until"]).timestamp() == AT + 86400


def test_a_double_bounce_has_the_whole_message_attached_where_it_is_short_and_plain():
    original = failure_report(ITEM, ITEM.errands, HEADER, LETTER)
    item = replace(ITEM, sender=None)
    letter = replace(LETTER, boundary="another")
    third = list(parsed(double_bounce(item, item.errands, original, letter, Address("postmaster", "here.example"))).iter_parts())[2]
    assert third.get_content_type() == "message/rfc822"
    assert third.get_payload()[0]["Subject"] == "Your message could not be delivered"


@pytest.mark.parametrize("original", [
    pytest.param(HEADER + "ä".encode(), id="8-bit"), pytest.param(HEADER + b"x" * 60_000, id="long"),
])
def test_a_double_bounce_has_the_header_otherwise(original):
    item = replace(ITEM, sender=None)
    third = list(parsed(double_bounce(item, item.errands, original, LETTER, ANN)).iter_parts())[2]
    assert third.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("header", [
    pytest.param("Subject: Grüße\r\n\r\n".encode(), id="UTF-8"),
    pytest.param(b"Subject: \xff\xfe\x00\r\n\r\n", id="no-charset-at-all"),
    pytest.param(b"Subject: " + b"x" * 5000 + b"\r\n\r\n", id="a-line-too-long"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"no header at all", id="no-line-end"),
])
def test_an_original_of_any_kind_is_quoted_exactly_in_seven_bits(header):
    report = failure_report(ITEM, ITEM.errands, header, LETTER)
    assert report.isascii()
    quoted = list(parsed(report).iter_parts())[2].get_payload(decode=True)
    assert quoted.rstrip(b"\r\n") == header.rstrip(b"\r\n")


@given(st.binary(max_size=300), st.text(max_size=100), st.text(max_size=60), st.text(min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_nothing_that_others_say_breaks_a_report(header, text, host, local):
    header = header.replace(b"\r", b"").replace(b"\n", b"\r\n")
    local, text, host = (value.encode("utf-8", "replace").decode() for value in (local, text, host))
    errands = [errand(Address(local, "far.test"), status=Status(550, "5.1.1", text), host=host), errand()]
    found = blocks(parsed(failure_report(ITEM, errands, header, LETTER)))
    assert len(found) == 3
    assert found[2]["Final-Recipient"] == "rfc822; bob@far.test"


def test_a_long_header_is_cut_at_a_line_end():
    header = b"".join(b"X-Field: %d\r\n" % number for number in range(10_000)) + b"\r\nbody"
    cut = header_of(header)
    assert bounce.LONGEST_QUOTE - 40 < len(cut) <= bounce.LONGEST_QUOTE
    assert cut.endswith(b"\r\n")
    assert header_of(b"x" * 60_000) == b"x" * bounce.LONGEST_QUOTE
    assert header_of(HEADER).endswith(b"<1@here.example>\r\n")
