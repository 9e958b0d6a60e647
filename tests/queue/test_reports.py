"""R40 and what goes with it: who is told, who is not, and what becomes of what nobody can be told of; on a fake clock."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from tests.helpers import result_of
from tests.queue.test_runner import ANN, BOB, EVE, LATER, NEVER, POSTMASTER, World, make_item
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Notify
from twistmail.mail.outcome import Frozen, Reported, SenderWarned
from twistmail.mail.schedule import DAY, HOUR, MINUTE
from twistmail.memory.courier import TAKEN
from twistmail.queue.reports import OPTIONS

GONE = Address("nobody", "gone.test")
FORGED = b"Authentication-Results: mx.here.example; dmarc=fail header.from=far.test\r\n"


def world(answers, **settings):
    made = World(answers)
    reports = made.runner.rules.reports
    reports._house = replace(reports._house, settings=OPTIONS.defaults(**settings), author=POSTMASTER)
    return made


def submit(world, item, body=b"Subject: hello\r\n\r\nhow are you\r\n"):
    result_of(world.runner.submit(replace(item, size=len(body)), Memory(body)))
    return world


def reported(world, identifier="i1"):
    return [what for what in world.events(identifier) if isinstance(what, Reported | Frozen)]


# ----- what nobody can be told of (R40)


def test_a_double_bounce_goes_to_the_postmaster_where_nothing_else_is_said():
    told = submit(world({BOB: NEVER}), make_item(sender=None))
    ((to, message),) = told.mailboxes
    assert (to, message["Subject"]) == (str(POSTMASTER), "Double bounce: a delivery report could not be delivered")
    assert told.queue.items() == ()


def test_a_double_bounce_may_be_thrown_away_and_the_journal_tells():
    told = submit(world({BOB: NEVER}, double_bounce="discard"), make_item(sender=None))
    assert (told.mailboxes, told.queue.items()) == ([], ())
    assert reported(told) == [Reported("", (BOB,), why="it has no sender")]


def test_a_double_bounce_may_wait_for_an_operator_who_has_it_tried_again():
    told = submit(world({BOB: [NEVER, NEVER, TAKEN]}, double_bounce="freeze"), make_item(sender=None))
    (item,) = told.queue.items()
    assert item.held
    assert item.held_for == "it can be neither delivered nor returned: it has no sender"
    told.advance(10 * DAY, step=HOUR)
    assert len(told.attempts) == 1  # it waits for as long as it has to
    result_of(told.runner.release("i1"))
    (item,) = told.queue.items()
    assert item.held  # refused once more
    result_of(told.runner.release("i1"))
    assert (len(told.attempts), told.queue.items(), told.mailboxes) == (3, (), [])


def test_a_frozen_message_is_frozen_after_a_restart_and_can_be_deleted():
    first = submit(world({BOB: NEVER}, double_bounce="freeze"), make_item(sender=None))
    again = World({BOB: NEVER}, queue=first.queue, clock=first.clock)
    again.advance(HOUR)
    assert again.attempts == []
    result_of(again.runner.delete("i1"))
    assert again.queue.items() == ()


def test_only_what_has_failed_is_frozen():
    told = submit(world({BOB: NEVER}, double_bounce="freeze"), make_item(BOB, EVE, sender=None))
    (item,) = told.queue.items()
    assert [errand.target.address for errand in item.pending] == [BOB]


def test_a_report_that_cannot_be_delivered_is_treated_as_the_house_says():
    told = submit(world({BOB: NEVER, ANN: NEVER}, double_bounce="freeze"), make_item())
    (report,) = told.queue.items()
    assert (report.id, report.sender, report.held) == ("r1", None, True)


# ----- who must not be told


@pytest.mark.parametrize(
    ("sender", "body"),
    [
        pytest.param(Address("MAILER-DAEMON", "far.test"), b"Subject: x\r\n\r\n", id="a-mail-system-that-gives-a-sender"),
        pytest.param(EVE, b"Content-Type: multipart/report; boundary=x\r\n\r\n", id="a-report-that-has-a-sender"),
        pytest.param(EVE, b"X-Loop: mx.here.example\r\n\r\n", id="our-own-report-brought-back"),
    ],
)
def test_a_bounce_is_never_bounced_whoever_it_says_has_sent_it(sender, body):
    told = submit(world({BOB: NEVER}), make_item(sender=sender), body)
    ((to, message),) = told.mailboxes
    assert to == str(POSTMASTER)
    assert message["Subject"].startswith("Double bounce")


def test_two_systems_that_answer_each_other_s_reports_end_after_one_round():
    """The other side returns our report with a sender of its own."""
    told = submit(world({BOB: NEVER}), make_item(sender=EVE))
    (report,) = [content for _, to, content in told.couriers[Kind.REMOTE].carried if to[0].address == EVE]
    again = submit(world({BOB: NEVER}), make_item(sender=EVE), report)
    assert [to for to, _ in again.mailboxes] == [str(POSTMASTER)]


@pytest.mark.parametrize(
    ("account", "to_forged", "is_told"),
    [
        pytest.param("", False, False, id="a-stranger"),
        pytest.param("", True, True, id="a-stranger-where-the-house-wants-it"),
        pytest.param("eve@far.test", False, True, id="somebody-who-has-logged-in"),
    ],
)
def test_a_forged_sender_hears_nothing_of_mail_that_is_not_his(account, to_forged, is_told):
    item = replace(make_item(sender=EVE), prefix=FORGED, account=account)
    told = submit(world({BOB: NEVER}, to_forged=to_forged), item)
    assert reported(told) == [Reported("r1" if is_told else "", (BOB,), why="" if is_told else "its sender is forged (dmarc=fail)")]
    assert (told.mailboxes, told.queue.items()) == ([], ())


def test_a_forged_sender_hears_neither_of_delays_nor_of_successes():
    item = replace(make_item(BOB, EVE, sender=ANN), prefix=FORGED)
    item = replace(item, errands=tuple(replace(e, notify=frozenset(Notify) - {Notify.NEVER}) for e in item.errands))
    told = submit(world({BOB: LATER}), item)
    told.advance(6 * DAY, step=HOUR)
    assert told.mailboxes == []
    assert len([what for what in told.events("i1") if isinstance(what, SenderWarned)]) == 1  # once, whatever comes of it


# ----- how often a stranger is told


def test_nobody_can_fill_a_third_one_s_mailbox_by_our_reports():
    told = world({BOB: NEVER}, limit=((3, HOUR),))
    for number in range(10):
        submit(told, make_item(identifier=f"i{number}", sender=ANN))
    assert len(told.mailboxes) == 3
    assert reported(told, "i9") == [Reported("", (BOB,), why="its sender got so many reports already")]
    submit(told, make_item(identifier="other", sender=Address("zoe", "here.example")))
    assert len(told.mailboxes) == 4
    told.advance(HOUR + 2 * MINUTE)
    submit(told, make_item(identifier="later", sender=Address("ANN", "here.example")))
    assert len(told.mailboxes) == 5
    assert told.queue.items() == ()


@pytest.mark.parametrize(
    ("account", "limit"),
    [
        pytest.param("ann@here.example", ((3, HOUR),), id="who-has-logged-in-hears-of-everything"),
        pytest.param("", None, id="unlimited"),
    ],
)
def test_there_is_no_limit_for(account, limit):
    told = world({BOB: NEVER}, limit=limit)
    for number in range(10):
        submit(told, replace(make_item(identifier=f"i{number}", sender=ANN), account=account))
    assert len(told.mailboxes) == 10


def test_the_postmaster_is_not_flooded_either():
    told = world({BOB: NEVER}, limit=((3, HOUR),))
    for number in range(10):
        submit(told, make_item(identifier=f"i{number}", sender=None))
    assert [to for to, _ in told.mailboxes] == [str(POSTMASTER)] * 3
    assert told.queue.items() == ()


# ----- delays


@pytest.mark.parametrize(
    ("header", "notify", "warnings"),
    [
        pytest.param(b"Subject: x\r\n", (), 1, id="a-person"),
        pytest.param(b"Auto-Submitted: auto-generated\r\n", (), 0, id="a-program"),
        pytest.param(b"Precedence: bulk\r\n", (), 0, id="a-newsletter"),
        pytest.param(b"Precedence: bulk\r\n", (Notify.DELAY, Notify.FAILURE), 1, id="a-newsletter-whose-sender-asks-for-it"),
        pytest.param(b"Subject: x\r\n", (Notify.NEVER,), 0, id="who-wants-to-hear-nothing"),
    ],
)
def test_who_hears_that_his_message_is_late(header, notify, warnings):
    item = make_item()
    item = replace(item, errands=tuple(replace(errand, notify=frozenset(notify)) for errand in item.errands))
    told = submit(world({BOB: LATER}), item, header + b"\r\nhello\r\n")
    told.advance(5 * HOUR)
    assert len(told.mailboxes) == warnings


# ----- how they read


def test_a_report_tells_when_it_was_tried_last_and_how_often():
    told = submit(world({BOB: LATER}), make_item())
    told.advance(6 * DAY, step=MINUTE)
    warning, failure = (email.message_from_bytes(message.as_bytes(), policy=email.policy.default) for _, message in told.mailboxes)
    for report in (warning, failure):
        block = list(report.iter_parts())[1].get_payload()[1]
        tried = email.utils.parsedate_to_datetime(block["Last-Attempt-Date"]).timestamp()
        assert any(abs(tried - 1_800_000_000 - at) < 1 for at in told.attempts)
    assert tried - 1_800_000_000 == pytest.approx(told.attempts[-1], abs=1)
    text = " ".join(next(iter(failure.iter_parts())).get_content().split())
    assert f"We have tried {len(told.attempts)} times in 5 days." in text


def test_the_house_says_whom_to_ask():
    told = submit(world({BOB: NEVER}, contact="Call the help desk, extension 12."), make_item())
    ((_, message),) = told.mailboxes
    assert message["From"] == '"Mail Delivery System" <postmaster@here.example>'
    assert "Questions? Call the help desk, extension 12. Please name the identifier i1." in message.get_payload(0).get_payload()
