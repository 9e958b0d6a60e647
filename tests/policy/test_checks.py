"""Header and body checks (R15): what rules mean, what follows, and what a scanner from elsewhere can do at the same place."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.helpers import result_of, takes_linear_time
from tests.servers.smtp.house import SmtpHouse
from twistmail import tasks
from twistmail.interfaces import Edit, Fate, Point, Unavailable, Verdict
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.headers import split
from twistmail.mail.status import Status
from twistmail.policy import look
from twistmail.policy.checks import OPTIONS, ChecksFactory, MessageChecks
from twistmail.policy.checks_file import parse
from twistmail.watched import Broken, WatchedFiles

HEADER = b"Received: from a\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?= and\r\n money\r\nX-Secret: 1\r\nx-secret: 2\r\nTo: b\r\n\r\n"
MESSAGE = HEADER + b"Dear friend,\r\nbuy cheap pills\r\n"
WITH_PARTS = b"""\
Subject: two parts
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

aGlkZGVuIHdvcm0gaW5zaWRl
--x
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="holiday.EXE"
Content-Transfer-Encoding: base64

d29ybXdvcm13b3Jtd29ybQ==
--x--
""".replace(b"\n", b"\r\n")


def checks(folder: Path, rules: str, *, most: int | None = 65536, now: Any = lambda: 0.0) -> MessageChecks:
    (folder / "checks").write_text(rules)
    return MessageChecks(WatchedFiles(tasks.Inline()).file(folder / "checks", parse), tasks.Inline(), now, most=most, timeout=5.0)


def judged(stage: MessageChecks, message: bytes = MESSAGE) -> Any:
    header, _ = split(message)
    return result_of(stage.judge(Transaction(Peer("c", "192.0.2.7", 1), "t", 0.0, None, content=Memory(message), header=header)))


REJECTED = "550 5.7.1 The content of the message is not accepted here"


@pytest.mark.parametrize(("rule", "message", "answer"), [
    pytest.param("header Subject /money/ reject", MESSAGE, REJECTED, id="subject"),
    pytest.param("header subject: /MONEY/i reject We are poor", MESSAGE, "550 5.7.1 We are poor", id="in-any-case-with-a-text"),
    pytest.param("header Subject /^gr\u00fc\u00dfe and money$/ reject 554 No", MESSAGE, "554 5.7.1 No", id="decoded-and-unfolded"),
    pytest.param("header Subject /x/ reject\nheader X-Secret reject 451 4.7.0 later", MESSAGE, "451 4.7.0 later", id="presence-is-enough"),
    pytest.param("header * /^x-secret: 2$/i reject", MESSAGE, REJECTED, id="any-field"),
    pytest.param("header X-None /./ reject", MESSAGE, "", id="no-such-field"),
    pytest.param("header Secret /./ reject", MESSAGE, "", id="names-are-whole"),
    pytest.param("body /cheap (pills|watches)/ reject", MESSAGE, REJECTED, id="body"),
    pytest.param("body /^buy cheap pills$/ reject", MESSAGE, REJECTED, id="a-line-of-it"),
    pytest.param("body /friend.*buy/ reject", MESSAGE, "", id="lines-are-apart"),
    pytest.param("body /money/ reject", MESSAGE, "", id="the-header-is-no-body"),
    pytest.param("body /hidden worm/ reject", WITH_PARTS, REJECTED, id="a-part-is-decoded"),
    pytest.param("body /wormworm/ reject", WITH_PARTS, "", id="what-is-no-text-is-not"),
    pytest.param(r"body /filename=.*\.exe/i reject 554 5.7.1 No programs", WITH_PARTS, "554 5.7.1 No programs", id="the-name-of-a-file"),
    pytest.param("body /worm/ reject One\nheader Subject /parts/ reject Two", WITH_PARTS, "550 5.7.1 Two", id="headers-come-first"),
    pytest.param("body /pills/ reject One\nbody /friend/ reject Two", MESSAGE, "550 5.7.1 One", id="the-first-rule-not-the-first-line"),
])
def test_what_is_rejected(tmp_path: Path, rule: str, message: bytes, answer: str) -> None:
    verdict = judged(checks(tmp_path, rule), message)
    assert (str(verdict.status) if verdict else "") == answer


@pytest.mark.parametrize(("rule", "before", "after"), [
    pytest.param("header X-Secret remove", b"X-Secret: 1\r\nx-secret: 2\r\n", b"", id="remove-all"),
    pytest.param("header X-Secret /2/ remove", b"x-secret: 2\r\n", b"", id="remove-one"),
    pytest.param("header Subject /money/ replace [poor]", b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?= and\r\n money\r\n", b"Subject: [poor]\r\n",
                 id="replace"),
    pytest.param("header * /./ remove", HEADER, b"Received: from a\r\n\r\n", id="the-trace-stays"),
    pytest.param("header X-Secret remove\nheader X-Secret reject", b"X-Secret: 1\r\nx-secret: 2\r\n", b"", id="a-rule-sees-what-is-left"),
])  # fmt: skip
def test_what_is_changed(tmp_path: Path, rule: str, before: bytes, after: bytes) -> None:
    assert before in HEADER
    edit = judged(checks(tmp_path, rule))
    assert isinstance(edit, Edit)
    assert edit.header == HEADER.replace(before, after)


@pytest.mark.parametrize(("rules", "fields"), [
    pytest.param("header Subject /money/ add X-Spam-Flag: YES", b"X-Spam-Flag: YES\r\n", id="for-a-field"),
    pytest.param("header * /secret/i add X-Seen: 2", b"X-Seen: 2\r\n", id="once-for-two-fields"),
    pytest.param("body /pills/ add X-Pills: yes", b"X-Pills: yes\r\n", id="for-the-body"),
    pytest.param("body /pills/ add X-B: 1\nheader To add X-A: 1", b"X-A: 1\r\nX-B: 1\r\n", id="two"),
])
def test_what_is_added_stands_in_front(tmp_path: Path, rules: str, fields: bytes) -> None:
    assert judged(checks(tmp_path, rules)) == Edit(fields)


def test_a_message_that_is_no_header_gets_one_in_front(tmp_path: Path) -> None:
    house = SmtpHouse(stages=(checks(tmp_path, "body /./ add X-A: 1\nheader * /./ add X-B: 1"),))
    assert sent(house, b"no field here", stages=("relaying", "recipients")).startswith("250")
    assert house.contents[0].endswith(b"no field here\r\n")


def test_nothing_fits_and_nothing_is_said(tmp_path: Path) -> None:
    assert judged(checks(tmp_path, "header Subject /x/ reject\nbody /x{3}/ discard")) is None


def test_a_fate_and_a_change_go_together_and_the_graver_fate_holds(tmp_path: Path) -> None:
    rules = "header X-Secret remove\nheader Subject /money/ hold greed\nbody /pills/ discard\nbody /friend/ hold"
    edit = judged(checks(tmp_path, rules))
    assert (edit.fate, edit.rule) == (Fate.DISCARD, f"{tmp_path}/checks:3")
    assert b"ecret" not in edit.header
    held = judged(checks(tmp_path, "header Subject /money/ hold greed"))
    assert (held.fate, held.rule, held.header) == (Fate.HOLD, f"{tmp_path}/checks:1 (greed)", None)


def test_only_the_beginning_of_the_body_is_looked_at(tmp_path: Path) -> None:
    message = b"A: b\r\n\r\n" + b"x" * 78 + b"\r\n" + b"worm\r\n"
    assert judged(checks(tmp_path, "body /worm/ reject", most=80), message) is None
    assert judged(checks(tmp_path, "body /worm/ reject", most=86), message).status.code == 550
    assert judged(checks(tmp_path, "body /worm/ reject", most=None), message).status.code == 550


@pytest.mark.parametrize(("rule", "mistake"), [
    pytest.param("subject /x/ reject", "subject is nothing that can be checked; write header NAME", id="no-scope"),
    pytest.param("header /x/ reject", "header wants the name of a field", id="no-name"),
    pytest.param("header Subject /x reject", "the expression is not closed", id="no-second-slash"),
    pytest.param("header Subject /x/m reject", "m is nothing that can stand behind an expression", id="a-flag"),
    pytest.param("header Subject /(x/ reject", "a ( is not closed", id="an-expression"),
    pytest.param(r"body /(a)\1/ reject", "cannot refer back", id="a-reference-back"),
    pytest.param("header Subject /x/", "nothing is nothing that can be done; there are reject, hold", id="no-action"),
    pytest.param("header Subject /x/ bounce", "bounce is nothing that can be done", id="no-such-action"),
    pytest.param("header Subject /x/ reject 250 yes", "250 is no refusal", id="a-friendly-code"),
    pytest.param("header Subject /x/ reject 450 5.7.1 no", "5.7.1 does not go with 450; write 4.7.1", id="two-codes"),
    pytest.param("header Subject /x/ reject n\u00f6", "printable ASCII", id="no-ascii"),
    pytest.param("header Subject /x/ add X", "add wants a field; write add X-Name: value", id="no-field"),
    pytest.param("header Subject /x/ replace", "replace wants the new value", id="no-value"),
    pytest.param("header Subject /x/ discard now", "discard takes nothing behind it", id="an-argument"),
    pytest.param("body /x/ remove", "remove is for fields of the header", id="removing-a-body"),
    pytest.param("header Received remove", "received cannot be changed", id="the-trace"),
    pytest.param("body reject", "this would fit every message", id="every-body"),
    pytest.param("header * discard", "this would fit every message", id="every-header"),
    pytest.param("body /" + "x" * 4000 + "/ reject", "the line is longer than", id="a-long-line"),
])
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(rule: str, mistake: str) -> None:
    with pytest.raises(Broken) as raised:
        parse("# rules\n\n" + rule)
    ((line, text),) = raised.value.problems
    assert line == 3
    assert mistake in text


@given(st.text(st.sampled_from("header body Subject*/()ijectholdaX:-\\550.\n\t\u00e4"), max_size=120))
@settings(max_examples=200)
def test_any_text_is_rules_or_names_its_mistakes(text: str) -> None:
    problems: tuple[tuple[int, str], ...] = ()
    try:
        parse(text)
    except Broken as broken:
        problems = broken.problems
    assert all(0 < line <= text.count("\n") + 1 and told for line, told in problems)


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_any_message_can_be_looked_at(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    rules = "header * /xyz+/ remove\nheader Subject /(a|b)+$/ add X-A: b\nbody /(a+)+b/ hold"
    stage = checks(tmp_path_factory.getbasetemp(), rules)
    for message in (junk, b"Subject: " + junk, b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + junk):
        assert judged(stage, message) is None or isinstance(judged(stage, message), Edit)


def test_looking_takes_linear_time(tmp_path: Path) -> None:
    stage = checks(tmp_path, "header * /(x+)+y/ reject\nbody /(x+)+y|.*=.*=.*=z/ reject", most=None)

    def seconds(size: int) -> float:
        message = b"A: " + b"x" * size + b"\r\n\r\n" + b"x=" * size
        began = time.thread_time()
        assert judged(stage, message) is None
        return time.thread_time() - began

    assert takes_linear_time(seconds, 4000)


def test_whoever_would_take_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    ticks = iter(range(1000))
    verdict = judged(checks(tmp_path, "body /x/ reject", now=lambda: float(next(ticks))), b"A: b\r\n\r\n" + b"y\r\n" * 100)
    assert (verdict.status.code, verdict.rule) == (451, f"{tmp_path}/checks: longer than 5 s")


def test_the_fields_are_found_once_however_many_rules_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    fields = look.headers.fields
    monkeypatch.setattr(look.headers, "fields", lambda header: found.append(1) or fields(header))
    assert judged(checks(tmp_path, "\n".join(f"header X-{number} /./ reject" for number in range(1000)))) is None
    assert len(found) == 1


def test_two_messages_are_looked_at_at_a_time_and_the_others_wait(tmp_path: Path) -> None:
    waiting: list[tasks.Deferred[None]] = []

    class Threads:
        async def run(self, function: Any, *arguments: Any) -> Any:
            done: tasks.Deferred[None] = tasks.Deferred()
            waiting.append(done)
            await done
            return function(*arguments)

    (tmp_path / "checks").write_text("body /cheap/ reject")
    file = WatchedFiles(tasks.Inline()).file(tmp_path / "checks", parse)
    stage = MessageChecks(file, Threads(), lambda: 0.0, most=None, timeout=5.0)
    transaction = Transaction(Peer("c", "192.0.2.7", 1), "t", 0.0, None, content=Memory(MESSAGE), header=HEADER)
    judging = [tasks.shielded(stage.judge(transaction)) for _ in range(3)]
    assert len(waiting) == 2
    waiting[0].callback(None)
    assert len(waiting) == 3
    for done in waiting[1:]:
        done.callback(None)
    assert [one.result.status.code for one in judging] == [550] * 3


def test_without_a_file_there_is_no_stage() -> None:
    assert ChecksFactory().build(OPTIONS.defaults(), SmtpHouse().house()) == ()


# ----- in the dialogue


def sent(house: SmtpHouse, message: bytes = MESSAGE, **own: Any) -> str:
    player = house.player(house.service(**own))
    lines = message.decode().split("\r\n")
    return str(player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>", "RCPT TO:<fred@here.example>", "DATA", *lines, ".")[-1])


def test_a_changed_file_is_read_again_a_broken_one_keeps_the_old_rules_and_none_at_all_lets_nothing_pass(tmp_path: Path) -> None:
    house = SmtpHouse(stages=(checks(tmp_path, "body /pills/ reject 554 5.7.1 One"),))
    service = {"stages": ("relaying", "recipients")}
    assert sent(house, **service) == "554 5.7.1 One"
    (tmp_path / "checks").write_text("body /pills/ rejct")
    os.utime(tmp_path / "checks", (1, 1))
    assert sent(house, **service) == "554 5.7.1 One"
    (tmp_path / "checks").write_text("header X-Secret remove")
    os.utime(tmp_path / "checks", (2, 2))
    assert sent(house, **service).startswith("250")
    assert b"ecret" not in house.contents[0]
    assert sent(SmtpHouse(stages=(checks(tmp_path, "body /pills/ rejct"),)), **service).startswith("451")


def test_mail_is_held_and_the_facts_say_by_which_rule(tmp_path: Path) -> None:
    house = SmtpHouse(stages=(checks(tmp_path, "body /pills/ hold pills"),))
    assert sent(house).startswith("250")
    assert [item.held for item, _ in house.queued] == [True]
    assert house.contents == []
    (fated,) = [fact.what for fact in house.told if type(fact.what).__name__ == "Fated"]
    assert (fated.fate, fated.reason) == ("HOLD", f"checks: {tmp_path}/checks:1 (pills)")


def test_rules_hold_for_submitted_and_relayed_mail_too(tmp_path: Path) -> None:
    house = SmtpHouse(stages=(checks(tmp_path, "header X-Secret remove\nheader Subject /^worm/i reject No worms"),))
    player = house.player(house.service(Role.SUBMISSION, plaintext=True, tls="offered"))
    player.say("EHLO pc", "AUTH PLAIN AGZyZWQAc2VzYW1l")
    for subject, answer in (("Worm", "550 5.7.1 No worms"), ("hello", "250 2.0.0 Accepted as ")):
        player.say("MAIL FROM:<fred@here.example>", "RCPT TO:<x@away.example>", "DATA")
        assert player.say(f"Subject: {subject}", "X-Secret: 1", "", "text", ".")[-1].startswith(answer)
    ((_, content),) = house.queued
    assert b"X-Secret" not in content


# ----- a scanner from elsewhere, at the same point


class Scanner:
    """What a plugin for a virus scanner or a spam filter is to us. `said` is what its daemon answers; None: it is down."""

    name = "scanner"
    point = Point.MESSAGE

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.is_up = True
        self.delay = 0.0

    async def judge(self, transaction: Transaction) -> Status | Verdict | Edit | None:
        if self.delay:
            await tasks.sleep(self.clock, self.delay)
        if not self.is_up:
            raise Unavailable("the scanner does not answer")
        text = transaction.content.beginning(1_000_000) if transaction.content else b""
        if b"EICAR" in text:
            return Status(550, "5.7.1", "The message holds a virus")
        if b"HOLD-ME" in text:
            return Verdict(None, "doubtful", Fate.HOLD)
        return Edit(prepend=b"X-Spam-Flag: YES\r\n") if b"GTUBE" in text else None


@pytest.fixture
def scanned() -> tuple[SmtpHouse, Scanner]:
    house = SmtpHouse()
    scanner = Scanner(house.clock)
    house.stages = (scanner,)
    return house, scanner


@pytest.mark.parametrize(("text", "answer", "boxes", "held"), [
    pytest.param(b"EICAR", "550 5.7.1 The message holds a virus", 0, 0, id="rejected"),
    pytest.param(b"HOLD-ME", "250 2.0.0 Accepted as ", 0, 1, id="held"),
    pytest.param(b"GTUBE", "250 2.0.0 Accepted as ", 1, 0, id="tagged"),
    pytest.param(b"hello", "250 2.0.0 Accepted as ", 1, 0, id="clean"),
])
def test_what_a_scanner_says_before_the_250(scanned: Any, text: bytes, answer: str, boxes: int, held: int) -> None:
    house, _ = scanned
    assert sent(house, b"Subject: x\r\n\r\n" + text).startswith(answer)
    assert (len(house.contents), len(house.queued)) == (boxes, held)
    assert (b"X-Spam-Flag: YES\r\n" in b"".join(house.contents)) is (text == b"GTUBE")


def test_while_a_scanner_is_down_nothing_is_accepted(scanned: Any) -> None:
    house, scanner = scanned
    scanner.is_up = False
    assert sent(house).startswith("451 4.3.0")
    assert house.contents == []
    assert house.refused[-1] == ("scanner", 451)


def test_a_scanner_that_takes_too_long_is_as_one_that_is_down(scanned: Any) -> None:
    house, scanner = scanned
    scanner.delay = 31.0
    player = house.player(house.service())
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>", "RCPT TO:<fred@here.example>", "DATA")
    assert player.say("Subject: x", "", "hello", ".") == []
    house.clock.advance(30)
    assert player.heard()[-1].startswith("451 4.3.0 A check took too long")
    assert house.contents == []
