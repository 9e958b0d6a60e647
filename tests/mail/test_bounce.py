"""R39, R40: reports as RFC 3464 and RFC 6522 want them, read back by Python's email package."""

from __future__ import annotations

import email
import email.policy
import quopri
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail import bounce
from twistmail.mail.address import Address
from twistmail.mail.bounce import Letterhead, delay_warning, double_bounce, failure_report, header_of, success_report
from twistmail.mail.envelope import Kind, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status

AT = 1_800_000_000.0
ANN, BOB = Address("ann", "here.example"), Address("bob", "far.test")
LETTER = Letterhead("mx.here.example", AT, "r1-0001", "r1-0001.12345678901234567")
HEADER = b"Received: from x\r\nSubject: hello\r\nMessage-ID: <1@here.example>\r\n\r\nsecret body\r\n"


def errand(address=BOB, original=None, status=None, host="mx.far.test [192.0.2.1]", result=Result.FAILED, kind=Kind.REMOTE, orcpt=""):
    return Errand(Target(kind, address, original or address), result,
                  status or Status(550, "5.1.1", "No such user"), host, 1, orcpt=orcpt)


ITEM = Item("i1", ANN, (errand(),), AT - 60, 100)


def parsed(report: bytes):
    """The report as Python's email package reads it, and its shape checked."""
    assert b"\n" not in report.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in report.split(b"\r\n"))
    message = email.message_from_bytes(report, policy=email.policy.default)
    assert not message.defects
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds[0] == "text/plain"
    assert kinds[1] in ("message/delivery-status", "message/global-delivery-status")
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
    assert "check the address for typing mistakes" in " ".join(text.split())


def test_it_quotes_the_header_and_not_the_body():
    third = list(parsed(failure_report(ITEM, ITEM.errands, HEADER, LETTER)).iter_parts())[2]
    assert third.get_content_type() == "text/rfc822-headers"
    assert b"Subject: hello" in third.get_payload(decode=True)
    assert b"secret" not in third.get_payload(decode=True)


def test_an_answer_to_a_report_reaches_the_postmaster_and_it_refers_to_what_it_is_about():
    """RFC 3464 §2, RFC 3834 §3.1.5."""
    letter = replace(LETTER, postmaster=Address("postmaster", "here.example"))
    message = parsed(failure_report(ITEM, ITEM.errands, HEADER, letter))
    assert message["From"].addresses[0].addr_spec == "postmaster@here.example"
    assert (message["In-Reply-To"], message["References"], message["X-Loop"]) == ("<1@here.example>", "<1@here.example>", "mx.here.example")


@pytest.mark.parametrize("identifier", [
    pytest.param(b"no brackets", id="no-brackets"), pytest.param("<jörg@x>".encode(), id="not-ASCII"), pytest.param(b"<a\0b>", id="NUL"),
    pytest.param(b"<" + b"x" * 900 + b">", id="too-long"), pytest.param(b"", id="empty"),
])
def test_what_is_no_identifier_is_not_referred_to(identifier):
    message = parsed(failure_report(ITEM, ITEM.errands, b"Message-ID: " + identifier + b"\r\n\r\n", LETTER))
    assert message["References"] is None


RECEIVED = b"Received: from peer.far.test (mail.far.test [192.0.2.7])\r\n\tby mx.here.example with ESMTP id i1;\r\n\tSun\r\n"


@pytest.mark.parametrize(("item", "client"), [
    pytest.param(replace(ITEM, prefix=RECEIVED), "dns; peer.far.test (192.0.2.7)", id="a-server"),
    pytest.param(replace(ITEM, prefix=b"Received: from [192.0.2.7] ([IPv6:2001:db8::7])\r\n\tby mx\r\n"),
                 "dns; [192.0.2.7] (IPv6:2001:db8::7)", id="one-without-a-name"),
    pytest.param(replace(ITEM, prefix=RECEIVED, account="ann@here.example"), None, id="a-user"),
    pytest.param(ITEM, None, id="nobody"),
    pytest.param(replace(ITEM, prefix=b"Received: from unknown (local)\r\n\tby mx\r\n"), None, id="a-socket"),
])
def test_who_gave_us_the_message_is_told(item, client):
    """RFC 3464 §2.2.4."""
    assert blocks(parsed(failure_report(item, ITEM.errands, HEADER, LETTER)))[0]["Received-From-MTA"] == client


def test_fields_that_must_stay_as_they_are_are_not_broken():
    envid, orcpt = "x" * 90 + " y", "rfc822;" + "l" * 200 + "@far.test"
    item = replace(ITEM, wishes=Wishes(envid=envid.replace(" ", "+20")))
    about, block = blocks(parsed(failure_report(item, [errand(orcpt=orcpt)], HEADER, LETTER)))
    assert about["Original-Envelope-Id"] == envid
    assert block["Original-Recipient"] == orcpt.replace(";", "; ")


def test_answers_of_any_length_make_a_report_of_bounded_size():
    many = [errand(Address(f"bob{number}", "far.test"), status=Status(550, "5.1.1", f"{number} " + "no " * 9999)) for number in range(1000)]
    report = failure_report(ITEM, many, HEADER, LETTER)
    assert len(report) < 1_500_000
    assert len(blocks(parsed(report))) == 1001


def test_recipients_with_the_same_answer_stand_together():
    text = next(parsed(failure_report(ITEM, [errand(), errand(Address("eve", "far.test"))], HEADER, LETTER)).iter_parts()).get_content()
    assert "<bob@far.test>\r\n<eve@far.test>\r\n" in text
    assert text.count("No such user") == 1


@pytest.mark.parametrize("report", [
    pytest.param(lambda item: failure_report(item, item.errands, HEADER, LETTER), id="failure"),
    pytest.param(lambda item: failure_report(replace(item, wishes=Wishes(ret="FULL", utf8=True)), item.errands, NAMED, LETTER), id="whole"),
    pytest.param(lambda item: double_bounce(item, item.errands, HEADER, LETTER, postmaster=ANN), id="double-bounce"),
])
def test_other_programs_understand_it(report):
    """flufl.bounce is what Mailman takes reports apart with."""
    scan_message = pytest.importorskip("flufl.bounce").scan_message
    item = replace(ITEM, errands=(errand(), errand(Address("o'hara", "far.test"))))
    assert scan_message(email.message_from_bytes(report(item))) == {b"bob@far.test", b"o'hara@far.test"}


def test_other_programs_see_that_a_warning_is_no_failure():
    detect = pytest.importorskip("flufl.bounce").all_failures
    late = [errand(result=Result.DEFERRED, status=Status(451, "4.2.0", "Later"))]
    temporary, permanent = detect(email.message_from_bytes(delay_warning(ITEM, late, HEADER, LETTER, AT + 86400)))
    assert (set(temporary), set(permanent)) == ({b"bob@far.test"}, set())
    good = [errand(result=Result.RELAYED, status=Status(250, "2.0.0", "Ok"))]
    temporary, permanent = detect(email.message_from_bytes(success_report(ITEM, good, HEADER, LETTER)))
    assert set(permanent) == set()


@pytest.mark.parametrize(("errand", "fields"), [
    pytest.param(errand(original=Address("list", "here.example")), {"Original-Recipient": None}, id="an-alias-without-ORCPT"),
    pytest.param(errand(orcpt="rfc822;bob+2Bx@far.test"), {"Original-Recipient": "rfc822; bob+x@far.test"}, id="ORCPT"),
    pytest.param(errand(orcpt="utf-8;j\\x{F6}rg@far.test"), {"Original-Recipient": "utf-8; j\\x{F6}rg@far.test"}, id="ORCPT-not-ASCII"),
    pytest.param(errand(orcpt="rfc822;a+0D+0AAction: delivered"), {"Action": "failed"}, id="an-ORCPT-with-line-ends"),
    pytest.param(errand(orcpt="utf-8;a\\x{0D}\\x{0A}Action: delivered"), {"Action": "failed"}, id="a-unitext-ORCPT-with-line-ends"),
    pytest.param(errand(orcpt="rfc822;j+C3+B6rg@x"), {"Original-Recipient": "rfc822; j+C3+B6rg@x"}, id="an-ORCPT-that-should-be-utf-8"),
    pytest.param(errand(orcpt="nonsense"), {"Original-Recipient": "nonsense; -"}, id="an-ORCPT-without-an-address"),
    pytest.param(errand(original=Address("BOB", "far.test")), {"Original-Recipient": None}, id="only-written-differently"),
    pytest.param(errand(host=""), {"Remote-MTA": None, "Diagnostic-Code": "x-twistmail; 550 5.1.1 No such user"}, id="nobody-was-asked"),
    pytest.param(errand(host="", status=Status(554, "5.7.1", "mx.far.test [192.0.2.1]: Go away")),
                 {"Remote-MTA": "dns; mx.far.test", "Diagnostic-Code": "smtp; 554 5.7.1 Go away"}, id="refused-at-the-door"),
    pytest.param(errand(host="https://hooks.far.test/mail"), {"Remote-MTA": None, "Diagnostic-Code": "x-twistmail; 550 5.1.1 No such user"},
                 id="no-mail-server"),
    pytest.param(errand(host="192.0.2.1 [192.0.2.1]"), {"Remote-MTA": "dns; [192.0.2.1]"}, id="a-server-that-is-an-address"),
    pytest.param(errand(host="2001:db8::1 [2001:db8::1]"), {"Remote-MTA": "dns; [IPv6:2001:db8::1]"}, id="one-of-IPv6"),
    pytest.param(errand(host="pipe:archive"), {"Remote-MTA": None}, id="a-program"),
    pytest.param(errand(host="[192.0.2.1] [192.0.2.1]"), {"Remote-MTA": "dns; [192.0.2.1]"}, id="a-server-without-a-name"),
    pytest.param(replace(errand(), tried=AT - 10), {"Last-Attempt-Date": "Fri, 15 Jan 2027 07:59:50 +0000"}, id="tried-lately"),
    pytest.param(errand(), {"Last-Attempt-Date": None, "Final-Log-ID": None}, id="nobody-knows-when"),
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
    message = parsed(delay_warning(ITEM, [errand(result=Result.DEFERRED)], HEADER, LETTER, AT + 86400))
    assert "You need not send it again" in next(message.iter_parts()).get_content()
    block = blocks(message)[1]
    assert block["Action"] == "delayed"
    assert email.utils.parsedate_to_datetime(block["Will-Retry-Until"]).timestamp() == AT + 86400


def test_a_double_bounce_has_the_whole_message_attached_where_it_is_short_and_plain():
    original = failure_report(ITEM, ITEM.errands, HEADER, LETTER)
    item = replace(ITEM, sender=None)
    letter = replace(LETTER, boundary="another")
    report = double_bounce(item, item.errands, original, letter, postmaster=Address("postmaster", "here.example"))
    third = list(parsed(report).iter_parts())[2]
    assert third.get_content_type() == "message/rfc822"
    assert third.get_payload()[0]["Subject"] == "Your message could not be delivered"


@pytest.mark.parametrize("original", [
    pytest.param(HEADER + "ä".encode(), id="8-bit"), pytest.param(HEADER + b"x" * 60_000, id="long"),
])
def test_a_double_bounce_has_the_header_otherwise(original):
    item = replace(ITEM, sender=None)
    third = list(parsed(double_bounce(item, item.errands, original, LETTER, postmaster=ANN)).iter_parts())[2]
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


# ----- what the sender asked for (RFC 3461)

OK = Status(250, "2.0.0", "Ok")
JOERG = Address("jörg", "far.test")


def third(report: bytes):
    return list(parsed(report).iter_parts())[2]


def quotation(report: bytes) -> bytes:
    """The octets of the third part, decoded; Python's parser takes message/... apart where it should not."""
    part = report.split(b"\r\n--" + LETTER.boundary.encode())[3].removeprefix(b"\r\n")
    head, _, body = part.partition(b"\r\n\r\n")
    return quopri.decodestring(body) if b"quoted-printable" in head else body


@pytest.mark.parametrize(("done", "subject", "said"), [
    pytest.param(errand(status=OK, result=Result.DELIVERED, kind=Kind.MAILBOX), "was delivered", "in the mailbox", id="delivered"),
    pytest.param(errand(status=OK, result=Result.RELAYED), "passed on", "next mail system", id="relayed"),
    pytest.param(errand(status=OK, result=Result.EXPANDED, kind=Kind.MAILBOX), "passed on", "several recipients", id="expanded"),
])
def test_a_success_report_says_what_has_become_of_it(done, subject, said):
    message = parsed(success_report(ITEM, [done], HEADER, LETTER))
    assert subject in message["Subject"]
    assert said in next(message.iter_parts()).get_content()
    block = blocks(message)[1]
    assert (block["Action"], block["Status"]) == (done.result.value, "2.0.0")
    assert block["Final-Log-ID"] == ("i1" if done.result is Result.DELIVERED else None)
    assert list(message.iter_parts())[2].get_content_type() == "text/rfc822-headers"


def test_one_report_tells_of_several():
    done = [errand(status=OK, result=Result.RELAYED), errand(Address("eve", "here.example"), status=OK, result=Result.DELIVERED)]
    assert [block["Action"] for block in blocks(parsed(success_report(ITEM, done, HEADER, LETTER)))[1:]] == ["relayed", "delivered"]


@pytest.mark.parametrize(("envid", "field"), [
    pytest.param("", None, id="none"),
    pytest.param("QQ314159", "QQ314159", id="plain"),
    pytest.param("a+2Bb+3Dc", "a+b=c", id="xtext"),
    pytest.param("x+0D+0AAction:+20delivered", "x Action: delivered", id="line-ends"),
    pytest.param("+C3+B6", "?", id="not-ASCII"),
])
def test_the_envelope_id_comes_back_as_it_was_meant(envid, field):
    about = blocks(parsed(failure_report(replace(ITEM, wishes=Wishes(envid=envid)), ITEM.errands, HEADER, LETTER)))[0]
    assert about["Original-Envelope-Id"] == field


EIGHT = HEADER + "Grüße\r\n".encode()
NAMED = "Subject: Grüße\r\n\r\nGrüße\r\n".encode()


@pytest.mark.parametrize(("wishes", "original", "kind"), [
    pytest.param(Wishes(), HEADER, "text/rfc822-headers", id="not-asked"),
    pytest.param(Wishes(ret="HDRS"), HEADER, "text/rfc822-headers", id="HDRS"),
    pytest.param(Wishes(ret="FULL"), HEADER, "message/rfc822", id="FULL"),
    pytest.param(Wishes(ret="FULL"), EIGHT, "message/rfc822", id="FULL-8-bit"),
    pytest.param(Wishes(ret="FULL"), HEADER + b"x\r\n" * 20_000, "text/rfc822-headers", id="FULL-and-too-long"),
    pytest.param(Wishes(ret="FULL"), HEADER + b"\0", "text/rfc822-headers", id="FULL-and-binary"),
    pytest.param(Wishes(ret="FULL"), HEADER + b"x" * 1000, "text/rfc822-headers", id="FULL-and-a-line-too-long"),
    pytest.param(Wishes(ret="FULL"), HEADER + b"a\nb", "text/rfc822-headers", id="FULL-and-a-bare-line-feed"),
    pytest.param(Wishes(ret="FULL", require_tls=True), HEADER, "text/rfc822-headers", id="what-must-be-encrypted-is-never-sent-back"),
    pytest.param(Wishes(ret="FULL", utf8=True), NAMED, "message/global", id="FULL-internationalized"),
    pytest.param(Wishes(utf8=True), NAMED, "message/global-headers", id="internationalized"),
    pytest.param(Wishes(utf8=True), HEADER, "text/rfc822-headers", id="internationalized-for-nothing"),
    pytest.param(Wishes(), NAMED, "text/rfc822-headers", id="eight-bits-that-nobody-announced"),
])
def test_what_comes_back_of_the_original(wishes, original, kind):
    report = failure_report(replace(ITEM, wishes=wishes), ITEM.errands, original, LETTER)
    assert third(report).get_content_type() == kind
    is_whole = kind in ("message/rfc822", "message/global")
    assert quotation(report) == (original if is_whole else original[: original.find(b"\r\n\r\n") + 2])
    assert (b"Content-Transfer-Encoding: 8bit" in report) == (not report.isascii())


def test_the_house_may_send_back_whole_messages_unless_the_sender_wants_headers():
    letter = replace(LETTER, returns_full=True)
    assert third(failure_report(ITEM, ITEM.errands, HEADER, letter)).get_content_type() == "message/rfc822"
    item = replace(ITEM, wishes=Wishes(ret="HDRS"))
    assert third(failure_report(item, ITEM.errands, HEADER, letter)).get_content_type() == "text/rfc822-headers"


def test_delays_and_successes_quote_the_header_only():
    item = replace(ITEM, wishes=Wishes(ret="FULL"))
    for report in (delay_warning(item, item.errands, HEADER, LETTER, AT),
                   success_report(item, [errand(result=Result.RELAYED)], HEADER, LETTER)):
        assert third(report).get_content_type() == "text/rfc822-headers"


def test_an_internationalized_message_is_told_of_in_its_own_letters():
    """RFC 6533 §4.1; without SMTPUTF8 in seven bits."""
    item = replace(ITEM, wishes=Wishes(utf8=True))
    one = errand(JOERG, orcpt="utf-8;j\\x{F6}rg@far.test")
    status = list(parsed(failure_report(item, [one], NAMED, LETTER)).iter_parts())[1]
    assert status.get_content_type() == "message/global-delivery-status"
    text = quopri.decodestring(status.as_bytes().partition(b"\n\n")[2]).decode()
    assert "Original-Recipient: utf-8; jörg@far.test" in text
    assert "Final-Recipient: utf-8; jörg@far.test" in text
    assert failure_report(item, [one], NAMED, LETTER).isascii()
