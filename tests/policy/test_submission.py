"""What becomes of the header of users' mail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of, takes_linear_time
from tests.servers.smtp.house import SmtpHouse
from twistmail.interfaces import Edit, Verdict
from twistmail.mail import headers
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.policy.authors import newest_resent
from twistmail.policy.qualifying import MOST_NAMES
from twistmail.policy.submission import SubmissionFactory

FRED = Account("fred@here.example")
DONE = b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <item-1@mx.here.example>\r\n"
WHOLE = b"Date: x\r\nMessage-ID: <1@pc>\r\n"
MINE = WHOLE + b"From: fred@here.example\r\n"


def fixed(header: bytes, from_check: str = "add_sender", complete: bool = True, sender: str | None = "fred@here.example") -> Any:
    house = SmtpHouse().house(Role.SUBMISSION, from_check=from_check, add_missing_headers=complete)
    (stage,) = SubmissionFactory().build(None, house)
    peer = Peer("c1", "192.0.2.7", 4711, Role.SUBMISSION, account=FRED)
    return result_of(stage.judge(Transaction(peer, "item-1", 0.0, parse(sender) if sender else None, header=header)))


def refusal(verdict: Any) -> tuple[int, str, str]:
    """Code, enhanced code and rule."""
    assert isinstance(verdict, Verdict)
    assert verdict.status is not None
    return verdict.status.code, verdict.status.enhanced, verdict.rule


# ----- what is missing


@pytest.mark.parametrize(("header", "result"), [
    pytest.param(b"From: fred@here.example\r\n\r\n", b"From: fred@here.example\r\n" + DONE + b"\r\n", id="date-and-id"),
    pytest.param(b"\r\n", DONE + b"From: fred@here.example\r\n\r\n", id="everything"),
    pytest.param(b"just text\r\n", DONE + b"From: fred@here.example\r\n\r\njust text\r\n", id="a-body-without-a-header"),
    pytest.param(b"text\r\nFrom: ann\r\n",
                 DONE + b"From: fred@here.example\r\n\r\ntext\r\nFrom: ann\r\n", id="text-that-looks-like-a-field"),
    pytest.param(WHOLE + b"From: freddy@here.example\r\nBcc: x@y,\r\n z@y\r\nTo: a@b\r\n\r\n",
                 WHOLE + b"From: freddy@here.example\r\nTo: a@b\r\n\r\n", id="bcc-goes"),
    pytest.param(b"Resent-From: fred@here.example\r\nResent-BCC: x@y\r\n" + WHOLE + b"From: a@b\r\nBCC: z\r\n\r\n",
                 b"Resent-From: fred@here.example\r\n" + WHOLE + b"From: a@b\r\n\r\n", id="resent-bcc-goes"),
])  # fmt: skip
def test_headers_are_completed(header: bytes, result: bytes) -> None:
    assert fixed(header) == Edit(header=result)


def test_a_whole_header_is_left_alone() -> None:
    assert fixed(WHOLE + b"From: \"Fred\" <Fred@HERE.example>\r\n\r\n") is None


def test_a_receipt_without_a_sender_is_from_its_user() -> None:
    assert b"\r\nFrom: fred@here.example\r\n" in fixed(WHOLE + b"Subject: read\r\n\r\n", sender=None).header


def test_nothing_is_done_where_nothing_is_wanted() -> None:
    assert fixed(b"From: ann\r\nBcc: x@y\r\n\r\n", from_check="off", complete=False) is None


# ----- who wrote it


@pytest.mark.parametrize(("wrote", "says"), [
    pytest.param(b"From: Ann <ann@here.example>\r\n", b"From: Ann <ann@here.example>\r\nSender: fred@here.example\r\n", id="somebody-else"),
    pytest.param(b"From: Ann <ann@here.example>\r\nSender: ann@here.example\r\nX: y\r\n",
                 b"From: Ann <ann@here.example>\r\nSender: fred@here.example\r\nX: y\r\n", id="a-false-sender-is-replaced-where-it-stands"),
    pytest.param(b"From: ann@here.example\r\nSender:\r\n Freddy <freddy@here.example>\r\n", None, id="a-true-sender-stays-as-it-is"),
    pytest.param(b"From: ann@here.example\r\nSender: a@b\r\nX: y\r\nSender: fred@here.example\r\n",
                 b"From: ann@here.example\r\nSender: fred@here.example\r\nX: y\r\n", id="two-senders-become-one"),
    pytest.param(b"Sender: ann@here.example\r\nFrom: fred@here.example\r\n", b"From: fred@here.example\r\n",
                 id="a-false-sender-of-a-true-author"),
    pytest.param(b"From: fred@here.example, ann@here.example\r\n",
                 b"From: fred@here.example, ann@here.example\r\nSender: fred@here.example\r\n", id="two-authors"),
    pytest.param(b"From: fred@here.example, freddy@here.example\r\n",
                 b"From: fred@here.example, freddy@here.example\r\nSender: fred@here.example\r\n", id="two-of-his-own"),
    pytest.param(b"From: Us: fred@here.example, x@away.example;\r\n",
                 b"From: Us: fred@here.example, x@away.example;\r\nSender: fred@here.example\r\n", id="a-group-with-a-stranger"),
    pytest.param(b"From: Us: fred@here.example;\r\n", None, id="a-group-of-himself"),
    pytest.param(b"From: Us:;\r\n", b"From: Us:;\r\nSender: fred@here.example\r\n", id="an-empty-group"),
    pytest.param(b"From: nobody at all\r\n", b"From: nobody at all\r\nSender: fred@here.example\r\n", id="no-address"),
    pytest.param(b"From: \xff@\xfe\r\n", b"From: \xff@\xfe\r\nSender: fred@here.example\r\n", id="what-is-no-text"),
    pytest.param("From: J\u00f6rg <fred@here.example>\r\n".encode(), None, id="a-name-in-utf-8"),
    pytest.param(b"From: fred\r\n", b"From: fred@here.example\r\n", id="himself-without-a-domain"),
])  # fmt: skip
def test_the_user_is_named_beside_a_foreign_author(wrote: bytes, says: bytes | None) -> None:
    assert fixed(WHOLE + wrote + b"\r\n") == (None if says is None else Edit(header=WHOLE + says + b"\r\n"))


@pytest.mark.parametrize(("resent", "says"), [
    pytest.param(b"Resent-From: fred@here.example\r\n", None, id="his-own"),
    pytest.param(b"Resent-From: ann@here.example\r\nResent-To: x@y\r\n",
                 b"Resent-From: ann@here.example\r\nResent-Sender: fred@here.example\r\nResent-To: x@y\r\n", id="another's"),
    pytest.param(b"Resent-Sender: x@y\r\nResent-From: ann@here.example\r\n",
                 b"Resent-Sender: fred@here.example\r\nResent-From: ann@here.example\r\n", id="a-false-sender"),
    pytest.param(b"Resent-From: fred@here.example\r\nResent-Date: x\r\nReceived: y\r\nResent-From: ann@here.example\r\n", None,
                 id="only-the-newest-block-counts"),
    pytest.param(b"Resent-From: fred@here.example\r\nResent-From: ann@here.example\r\n", None, id="blocks-that-touch"),
])  # fmt: skip
def test_of_a_message_that_is_sent_on_the_one_who_does_counts(resent: bytes, says: bytes | None) -> None:
    first = WHOLE + b"From: first@away.example\r\n\r\n"
    assert fixed(resent + first) == (None if says is None else Edit(header=says + first))


@pytest.mark.parametrize(("wrote", "rule"), [
    pytest.param(b"From: ann@here.example\r\n", "from_check, ann@here.example", id="a-colleague"),
    pytest.param(b"From: fred@here.example, boss@away.example\r\n", "from_check, boss@away.example", id="one-of-two"),
    pytest.param(b"From: fred@here.example\r\nSender: ann@here.example\r\n", "from_check, ann@here.example", id="a-false-sender"),
    pytest.param(b"From: nobody at all\r\n", "from_check, nobody", id="no-address"),
    pytest.param(b"From: <fred@here.example> <boss@away.example>\r\n", "from_check, an address behind another", id="behind-the-true-one"),
    pytest.param(b"Resent-From: ann@here.example\r\nFrom: fred@here.example\r\n", "from_check, ann@here.example", id="resent"),
    pytest.param(b"From: " + b", ".join([b"fred@here.example"] * 21) + b"\r\n", "from_check, fred@here.example", id="too-many-authors"),
])  # fmt: skip
def test_a_forged_author_can_be_refused(wrote: bytes, rule: str) -> None:
    assert refusal(fixed(WHOLE + wrote + b"\r\n", from_check="reject")) == (550, "5.7.1", rule)


def test_two_From_fields_are_refused() -> None:
    assert refusal(fixed(b"From: fred@here.example\r\nFrom: ann@here.example\r\n\r\n", from_check="off"))[:2] == (550, "5.6.0")


# ----- names without a domain


@pytest.mark.parametrize(("wrote", "says"), [
    pytest.param(b"To: ann\r\n", b"To: ann@here.example\r\n", id="an-account"),
    pytest.param(b"Cc:\tteam,\r\n\tx@y\r\n", b"Cc:\tteam@here.example,\r\n\tx@y\r\n", id="an-alias-in-a-folded-field"),
    pytest.param(b"REPLY-TO : Fred <Fred>\r\n", b"REPLY-TO : Fred <Fred@here.example>\r\n", id="odd-spelling"),
    pytest.param(b"Resent-To: postmaster\r\n", b"Resent-To: postmaster@here.example\r\n", id="postmaster"),
    pytest.param(b"Subject: bob\r\nX-To: bob\r\n", None, id="other-fields"),
])  # fmt: skip
def test_names_of_ours_get_a_domain(wrote: bytes, says: bytes | None) -> None:
    assert fixed(MINE + wrote + b"\r\n") == (None if says is None else Edit(header=MINE + says + b"\r\n"))


@pytest.mark.parametrize("wrote", [
    b"To: bob\r\n", b"From: bob\r\n", b"To: ann\r\nCc: x@y, Bob <bob>\r\n", b"To: \xff\r\n", b"Sender: bob\r\n",
])  # fmt: skip
def test_names_that_nobody_has_are_refused(wrote: bytes) -> None:
    verdict = fixed(WHOLE + wrote + b"\r\n")
    assert refusal(verdict) == (554, "5.6.0", "unqualified address")
    assert ("bob" in verdict.status.text) == (b"bob" in wrote)


def test_a_crowd_of_names_is_not_looked_up() -> None:
    names = b", ".join(b"a%d" % number for number in range(MOST_NAMES + 1))
    assert refusal(fixed(MINE + b"To: " + names + b"\r\n\r\n"))[0] == 554


LINE = st.sampled_from([b"From: ann", b"From: fred@here.example", b"Sender: x@y", b"To: Bob <ann>, \"", b" folded", b"\tx", b"no field",
                        b": x", b"Resent-From: ann@here.example", b"Resent-Bcc: z", b"Bcc:", b"Date: x", b"Received: y", b"Cc: G: ann;",
                        b"X-\xff: \xfe", b"Subject: \xc3\xa9", b"Message-ID: <a@b>"])  # fmt: skip


@given(st.lists(LINE, max_size=12), st.sampled_from(["add_sender", "reject", "off"]), st.booleans())
def test_any_header_is_judged_and_what_is_not_ours_to_change_stays(lines: list[bytes], from_check: str, complete: bool) -> None:
    header = b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    verdict = fixed(header, from_check, complete)
    if not isinstance(verdict, Edit):
        assert verdict is None or verdict.status.code in (550, 554)
        return
    assert verdict.header is not None
    touched = {b"from", b"sender", b"to", b"cc", b"bcc", b"resent-bcc", b"resent-from", b"resent-sender", b"date", b"message-id"}
    if lines and b":" in lines[0][1:] and not lines[0].startswith(b" "):
        assert headers.select(verdict.header, touched, exclude=True) == headers.select(header, touched, exclude=True)
    else:
        assert verdict.header.endswith(header) or not lines
    assert verdict.header == b"\r\n" or verdict.header.endswith(b"\r\n\r\n")


@given(st.binary(max_size=200), st.sampled_from(["add_sender", "reject"]))
def test_random_octets_never_raise(octets: bytes, from_check: str) -> None:
    fixed(octets.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n\r\n", from_check)


def test_a_block_of_very_many_resent_fields_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        header = b"".join(b"Resent-%d: x\r\n" % number for number in range(count))
        began = time.thread_time()
        assert len(newest_resent(header)) == count
        return time.thread_time() - began

    assert takes_linear_time(seconds, 250)
