"""The judge is judged first: every kind of broken promise is a complaint, and a promise that was kept is none."""

import random

import pytest

from tests.crash.ledger import Ledger, Look, Step, letter

ANN = "ann@blue.test"
CONTENT = letter("m1", 400, random.Random(1))
OTHER = letter("m2", 400, random.Random(2))
ARRIVES, GOES = Step(ANN, "m1", None, "INBOX"), Step(ANN, "m1", "INBOX")
MOVES = Step(ANN, "m1", "INBOX", "Archive")


@pytest.fixture
def ledger():
    made = Ledger()
    made.wrote(CONTENT)
    made.wrote(OTHER)
    return made


def view(inbox=(), archive=(), uidvalidity=7, uidnext=100, flags=frozenset()):
    """{UID: mark} of two folders."""
    looks = {"INBOX": dict(inbox), "Archive": dict(archive)}
    return {
        (ANN, folder): Look(uidvalidity, uidnext, {uid: (mark, flags) for uid, mark in marks.items()}) for folder, marks in looks.items()
    }


def after(ledger, *begun, done=()):
    ledger.begin(*begun)
    ledger.done(*done)
    return ledger


@pytest.mark.parametrize(
    ("begun", "done", "inbox", "archive"),
    [
        pytest.param([ARRIVES], [ARRIVES], {1: "m1"}, {}, id="what-was-promised"),
        pytest.param([ARRIVES], [], {1: "m1"}, {}, id="what-was-in-flight-and-has-arrived"),
        pytest.param([ARRIVES], [], {}, {}, id="what-was-in-flight-and-has-not"),
        pytest.param([ARRIVES, GOES], [ARRIVES], {1: "m1"}, {}, id="an-expunge-in-flight-that-was-not-done"),
        pytest.param([ARRIVES, GOES], [ARRIVES], {}, {}, id="an-expunge-in-flight-that-was-done"),
        pytest.param([ARRIVES, MOVES], [ARRIVES], {1: "m1"}, {1: "m1"}, id="a-move-in-flight-shows-it-in-both"),
        pytest.param([ARRIVES, MOVES], [ARRIVES], {}, {1: "m1"}, id="a-move-in-flight-that-was-done"),
        pytest.param([ARRIVES, MOVES], [ARRIVES, MOVES], {}, {1: "m1"}, id="a-move"),
    ],
)
def test_a_promise_that_was_kept_is_no_complaint(ledger, begun, done, inbox, archive):
    after(ledger, *begun, done=done).judge(view(inbox, archive))
    assert ledger.complaints == []


@pytest.mark.parametrize(
    ("begun", "done", "inbox", "archive", "complaint"),
    [
        pytest.param([ARRIVES], [ARRIVES], {}, {}, "lost: ann@blue.test INBOX m1: 0 of 1", id="lost"),
        pytest.param([ARRIVES], [ARRIVES], {}, {1: "m1"}, "lost: ann@blue.test INBOX m1: 0 of 1", id="in-another-folder"),
        pytest.param([ARRIVES], [ARRIVES], {1: "m1", 2: "m1"}, {}, "too many: ann@blue.test INBOX m1: 2", id="twice"),
        pytest.param([], [], {1: "m1"}, {}, "too many: ann@blue.test INBOX m1: 1", id="never-sent"),
        pytest.param([ARRIVES, GOES], [ARRIVES, GOES], {1: "m1"}, {}, "too many: ann@blue.test INBOX m1: 1", id="came-back"),
        pytest.param([ARRIVES, MOVES], [ARRIVES], {}, {}, "lost: ann@blue.test m1: 0 of 1", id="moved-to-nowhere"),
        pytest.param([ARRIVES, MOVES], [ARRIVES, MOVES], {1: "m1"}, {1: "m1"}, "too many: ann@blue.test m1: 2", id="moved-and-still-there"),
    ],
)
def test_a_broken_promise_is_a_complaint(ledger, begun, done, inbox, archive, complaint):
    after(ledger, *begun, done=done).judge(view(inbox, archive))
    assert any(said.startswith(complaint) for said in ledger.complaints), ledger.complaints


@pytest.mark.parametrize("inbox", [{}, {4: "m1"}, {4: "m2"}])
def test_what_is_promised_while_the_system_lies_may_be_there_or_not(ledger, inbox):
    ledger.begin(ARRIVES)
    with ledger.uncertain():
        pass
    ledger.done(ARRIVES)
    ledger.saw(ANN, "INBOX", 7, {4: "m1"})
    if "m2" in inbox.values():
        after(ledger, Step(ANN, "m2", None, "INBOX"), done=[Step(ANN, "m2", None, "INBOX")])
    ledger.judge(view(inbox, uidnext=max(inbox, default=3) + 1))
    assert ledger.complaints == []
    assert ledger.promises == ("m2" in inbox.values())


def test_what_is_promised_before_and_after_the_system_lies_counts(ledger):
    again = Step(ANN, "m2", None, "INBOX")
    after(ledger, ARRIVES, done=[ARRIVES])
    with ledger.uncertain():
        ledger.begin(again)
        ledger.done(again)
    after(ledger, again, done=[again])
    ledger.saw(ANN, "INBOX", 7, {1: "m1", 2: "m2", 3: "m2"})
    ledger.judge(view(uidnext=2))
    lost = {f"lost: ann@blue.test {what}: 0 of 1" for what in ("m1", "INBOX m1", "m2", "INBOX m2")}
    assert set(ledger.complaints) == lost | {"ann@blue.test INBOX: UIDNEXT is 2, UID 3 was shown"}


def test_what_was_refused_is_not_there(ledger):
    ledger.begin(ARRIVES)
    ledger.refused(ARRIVES)
    ledger.judge(view({1: "m1"}))
    assert ledger.complaints


def test_after_a_power_loss_expunged_mail_may_be_there_again_and_then_stays():
    ledger = Ledger(power_fails=True)
    ledger.wrote(CONTENT)
    after(ledger, ARRIVES, GOES, done=(ARRIVES, GOES)).judge(view({1: "m1"}))
    assert ledger.complaints == []
    ledger.judge(view())
    assert sorted(ledger.complaints) == ["lost: ann@blue.test INBOX m1: 0 of 1", "lost: ann@blue.test m1: 0 of 1"]


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        pytest.param(view({1: "m2"}), "UID 1 was m1 and is m2", id="another-message"),
        pytest.param(view({1: "m1"}, uidvalidity=8), "UIDVALIDITY was 7 and is 8", id="another-uidvalidity"),
        pytest.param(view({1: "m1"}, uidnext=1), "UIDNEXT is 1, UID 1 was shown", id="a-uid-will-come-again"),
    ],
)
def test_a_uid_that_was_shown_means_that_message_for_ever(ledger, second, complaint):
    after(ledger, ARRIVES, done=(ARRIVES,)).judge(view({1: "m1"}))
    ledger.judge(second)
    assert any(said.endswith(complaint) for said in ledger.complaints), ledger.complaints


def test_flags_that_were_promised_are_there(ledger):
    after(ledger, ARRIVES, done=(ARRIVES,))
    ledger.flagged(ANN, "INBOX", [1], frozenset({"\\Seen"}))
    ledger.flagging(ANN, "INBOX", [1], frozenset({"work"}))
    ledger.judge(view({1: "m1"}, flags=frozenset({"\\Recent", "work"})))
    ledger.judge(view({1: "m1"}, flags=frozenset({"\\Seen"})))
    assert ledger.complaints == []
    ledger.judge(view({1: "m1"}))
    assert len(ledger.complaints) == 1


@pytest.mark.parametrize(
    ("content", "complaints"),
    [
        pytest.param(b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\n" + CONTENT, 0, id="with-trace-fields"),
        pytest.param(CONTENT.replace(b"\r\n", b"\n"), 0, id="with-line-feeds"),
        pytest.param(CONTENT[:-8], 1, id="cut"),
        pytest.param(CONTENT + b"x", 1, id="with-something-behind-it"),
        pytest.param(b"Received: from x\r\n\r\n" + CONTENT, 1, id="with-a-text-above-it"),
        pytest.param(bytes(len(CONTENT)), 1, id="zeros"),
        pytest.param(b"", 1, id="empty"),
        pytest.param(letter("m3", 100, random.Random(3)), 1, id="invented"),
    ],
)
def test_a_message_is_ours_and_whole(ledger, content, complaints):
    ledger.identify(content, "here")
    assert len(ledger.complaints) == complaints
