"""The story of a message, with everything around it in memory."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface import implementer

from tests.helpers import result_of
from twistmail import mailflow
from twistmail.expansion import Expansion
from twistmail.facts import Accepted, Facts, Fated, Refused
from twistmail.interfaces import Batch, Edit, ICourier, IPolicyStage, Keep, Point, Redirect, Verdict
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Discard, ToFile, ToProgram
from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Fate, Kind, Notify, Peer, Recipient, Role, Target, Transaction, Wishes
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, Result, outcome_of
from twistmail.mail.status import NO_ROOM, Status
from twistmail.mailflow import REMEMBERED, Dispatch, Reception
from twistmail.memory.people import MemoryAliases, MemoryPeople
from twistmail.policy.pipeline import Pipeline

MESSAGE = b"From: eve@far.test\r\nSubject: Lunch?\r\nMessage-ID: <1@far.test>\r\n\r\nSoup.\r\n"
FINE = Status(250, "2.0.0", "fine")
BUSY = Status(451, "4.3.2", "busy")
GONE = Status(550, "5.1.1", "gone")


@implementer(ICourier)
class NotingCourier:
    """Notes what it is given; answers by account or address, FINE where nothing is set."""

    name = "noting"

    def __init__(self, answers: dict[str, Status] | None = None) -> None:
        self.answers = answers or {}
        self.carried: list[tuple[str, bytes]] = []

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        return (Batch("", tuple(targets)),)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Outcome, ...]:
        outcomes = []
        for target in targets:
            status = self.answers.get(target.account or str(target.address), FINE)
            if status.is_positive:
                self.carried.append((target.account or str(target.address), item.prefix + b"".join(content.chunks())))
            outcomes.append(outcome_of(target, status, local=target.kind is Kind.MAILBOX))
        return tuple(outcomes)


@implementer(IPolicyStage)
class Says:
    """A MESSAGE stage with one verdict."""

    name = "says"
    point = Point.MESSAGE

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict

    async def judge(self, transaction: Transaction) -> Any:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class Scene:
    def __init__(self, *stages: Any, boxes: dict[str, Status] | None = None, filters: dict[str, tuple[Any, ...]] | None = None) -> None:
        self.mailboxes = NotingCourier(boxes)
        self.relay = NotingCourier()
        self.queue: list[tuple[Item, bytes]] = []
        self.full = False
        self.facts = Facts()
        self.told: list[Any] = []
        self.facts.listen(self.told.append)
        self.expansion = Expansion(
            MemoryAliases({"team@here.test": ["ann", "bob", "carl@away.test"], "ann.alias@here.test": ["ann"]}),
            MemoryPeople({"ann@here.test": "x", "bob@here.test": "x"}),
            frozenset({"here.test"}),
            "here.test",
            clock=lambda: 0.0,
        )
        self.dispatch = Dispatch({Kind.MAILBOX: self.mailboxes, Kind.REMOTE: self.relay})
        self.clock = clock = Clock()
        self.reception = Reception(
            "mx.here.test", Pipeline(stages, clock), self.expansion, self.dispatch, self.submit, clock.seconds, self.facts,
            _Filters(filters) if filters else None,
        )  # fmt: skip

    async def submit(self, item: Item, content: Content) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.queue.append((item, b"".join(content.chunks())))

    def receive(
        self, *recipients: str, message: bytes = MESSAGE, sender: Address | None = parse("eve@far.test"), notify: str = ""
    ) -> Status:
        addresses = [parse(address) for address in recipients]
        asked = frozenset(map(Notify, notify.split()))
        accepted = tuple(Recipient(address, result_of(self.expansion.follow(address)), asked) for address in addresses)
        peer = Peer("conn-1", "192.0.2.7", 4711, Role.MX, "mail.far.test", True)
        return result_of(self.reception.accept(Transaction(peer, "item-1", 0.0, sender, {}, accepted, Memory(message))))

    @property
    def delivered(self) -> list[str]:
        return [account for account, _ in self.mailboxes.carried]

    def facts_of(self, kind: type) -> list[Any]:
        return [fact.what for fact in self.told if isinstance(fact.what, kind)]


class _Filters:
    def __init__(self, actions: dict[str, tuple[Any, ...]]) -> None:
        self.actions = actions

    async def sort(self, account: str, transaction: Transaction, content: Content) -> tuple[Any, ...]:
        return self.actions.get(account, (Keep(),))


def test_plain_local_mail_is_in_the_mailbox_before_the_answer_and_never_queued() -> None:
    scene = Scene()
    status = scene.receive("ann@here.test")
    assert str(status) == "250 2.0.0 Accepted as item-1"
    assert scene.delivered == ["ann@here.test"]
    assert scene.queue == []
    stored = scene.mailboxes.carried[0][1]
    assert stored.startswith(b"Received: from mail.far.test")
    assert stored.endswith(MESSAGE)


def test_what_leads_elsewhere_is_queued_with_only_the_rest_pending() -> None:
    scene = Scene()
    assert scene.receive("team@here.test").code == 250
    assert scene.delivered == ["ann@here.test", "bob@here.test"]
    (item, content) = scene.queue[0]
    assert [str(errand.target.address) for errand in item.pending] == ["carl@away.test"]
    assert content == MESSAGE
    assert scene.relay.carried == [], "relaying waits for the queue"


def test_a_success_that_is_to_be_reported_is_in_the_queue_before_the_answer() -> None:
    scene = Scene()
    assert scene.receive("ann@here.test", notify="SUCCESS").code == 250
    assert scene.delivered == ["ann@here.test"]
    ((item, _),) = scene.queue
    assert [errand.target.account for errand in item.unconfirmed] == ["ann@here.test"]


def test_where_it_cannot_be_queued_the_peer_is_told_to_come_again_and_nobody_gets_it_twice() -> None:
    scene = Scene()
    scene.full = True
    assert scene.receive("ann@here.test", notify="SUCCESS").code == 452
    scene.full = False
    assert scene.receive("ann@here.test", notify="SUCCESS").code == 250
    assert scene.delivered == ["ann@here.test"]
    assert len(scene.queue[0][0].unconfirmed) == 1


@pytest.mark.parametrize(("notify", "onward", "expanded"), [
    pytest.param("SUCCESS FAILURE", "FAILURE", True, id="success-is-told-of-the-name-only"),
    pytest.param("SUCCESS", "NEVER", True, id="nothing-else-was-wanted"),
    pytest.param("FAILURE DELAY", "FAILURE DELAY", False, id="success-was-not-wanted"),
    pytest.param("NEVER", "NEVER", False, id="never"),
    pytest.param("", "", False, id="nothing-asked"),
])  # fmt: skip
def test_a_name_of_several_is_reported_as_expanded(notify: str, onward: str, expanded: bool) -> None:
    """RFC 3461 §5.2.7.3 (c)."""
    scene = Scene()
    scene.receive("team@here.test", notify=notify)
    ((item, _),) = scene.queue
    assert {errand.notify for errand in item.errands if errand.result is not Result.EXPANDED} == {frozenset(map(Notify, onward.split()))}
    told = [(str(errand.target.address), errand.result) for errand in item.unconfirmed]
    assert told == ([("team@here.test", Result.EXPANDED)] if expanded else [])


def test_a_name_of_one_hands_all_on_that_was_asked() -> None:
    """RFC 3461 §5.2.7.2."""
    scene = Scene()
    scene.receive("ann.alias@here.test", notify="SUCCESS")
    ((item, _),) = scene.queue
    assert [(errand.result, errand.notify) for errand in item.errands] == [(Result.DELIVERED, frozenset({Notify.SUCCESS}))]


def test_a_name_of_several_none_of_whom_can_be_reached_is_refused_as_without_a_report() -> None:
    scene = Scene(boxes={"ann@here.test": BUSY})
    assert scene.receive("ann.alias@here.test", notify="SUCCESS") == BUSY
    scene.expansion.aliases.add("both@here.test", ["ann", "bob"])
    scene.mailboxes.answers["bob@here.test"] = BUSY
    assert scene.receive("both@here.test", notify="SUCCESS") == BUSY
    assert scene.queue == []


def test_a_message_that_an_operator_must_see_is_queued_whole_and_held() -> None:
    scene = Scene(Says(Verdict(None, "worm", Fate.HOLD)))
    assert scene.receive("team@here.test").code == 250
    assert scene.delivered == []
    (item, content) = scene.queue[0]
    assert item.held
    assert item.held_for.endswith("worm")
    assert len(item.pending) == 3
    assert content == MESSAGE
    assert scene.facts_of(Fated) == [Fated("HOLD", "says: worm")]
    scene.full = True
    assert scene.receive("team@here.test").code == 452


def test_a_message_that_is_thrown_away_is_answered_like_any_other() -> None:
    scene = Scene(Says(Verdict(None, "eve", Fate.DISCARD)))
    assert str(scene.receive("team@here.test")) == "250 2.0.0 Accepted as item-1"
    assert scene.delivered == []
    assert scene.queue == []
    assert scene.facts_of(Fated) == [Fated("DISCARD", "says: eve")]


def test_a_refusal_tells_its_rule() -> None:
    scene = Scene(Says(Verdict(GONE, "rule 7")))
    assert scene.receive("ann@here.test") == GONE
    assert [(refused.stage, refused.rule) for refused in scene.facts_of(Refused)] == [("says", "rule 7")]


def test_a_stage_may_accept_at_once() -> None:
    scene = Scene(Says(FINE), Says(GONE))
    assert scene.receive("ann@here.test").code == 250
    assert scene.delivered == ["ann@here.test"]


def test_two_names_of_one_mailbox_bring_one_copy() -> None:
    scene = Scene()
    scene.receive("ann@here.test", "ann.alias@here.test", "team@here.test")
    assert sorted(scene.delivered) == ["ann@here.test", "bob@here.test"]


def test_a_full_mailbox_is_said_to_the_peer_when_it_is_all_there_is() -> None:
    scene = Scene(boxes={"ann@here.test": NO_ROOM})
    assert scene.receive("ann@here.test") == NO_ROOM
    assert scene.queue == []


def test_a_full_mailbox_beside_a_good_one_waits_in_the_queue() -> None:
    scene = Scene(boxes={"ann@here.test": BUSY})
    assert scene.receive("ann@here.test", "bob@here.test").code == 250
    assert scene.delivered == ["bob@here.test"]
    assert [errand.target.account for errand in scene.queue[0][0].pending] == ["ann@here.test"]


def test_a_refusing_mailbox_beside_a_good_one_makes_the_queue_tell_the_sender() -> None:
    scene = Scene(boxes={"ann@here.test": GONE})
    assert scene.receive("ann@here.test", "bob@here.test").code == 250
    assert [errand.target.account for errand in scene.queue[0][0].unreported] == ["ann@here.test"]


def test_a_retry_after_a_half_success_does_not_deliver_twice() -> None:
    scene = Scene()
    scene.full = True
    assert scene.receive("team@here.test") == NO_ROOM
    assert scene.delivered == ["ann@here.test", "bob@here.test"]
    scene.full = False
    assert scene.receive("team@here.test").code == 250
    assert scene.delivered == ["ann@here.test", "bob@here.test"]
    assert len(scene.queue) == 1
    assert scene.receive("team@here.test", message=MESSAGE + b"Another.\r\n").code == 250
    assert len(scene.delivered) == 4, "another message is no retry"
    scene.clock.advance(REMEMBERED)
    assert scene.receive("team@here.test").code == 250
    assert len(scene.delivered) == 6, "an hour later it is a message of its own"


def test_what_was_thrown_away_or_lies_in_a_mailbox_says_nothing_of_the_rest_at_a_retry() -> None:
    """A list that leads to nothing, to somebody far away, to a mailbox and to a program of the same person."""
    scene = Scene()
    thrown = NotingCourier()
    scene.dispatch = scene.reception.dispatch = Dispatch({Kind.MAILBOX: scene.mailboxes, Kind.REMOTE: scene.relay, Kind.DISCARD: thrown})
    scene.expansion.aliases.add("mixed@here.test", [Discard(), parse("bob@away.test"), parse("ann"), ToProgram("run"), ToFile("/box")])
    scene.full = True
    assert scene.receive("mixed@here.test") == NO_ROOM
    scene.full = False
    assert scene.receive("mixed@here.test").code == 250
    ((item, _),) = scene.queue
    assert {errand.target.kind for errand in item.pending} == {Kind.REMOTE, Kind.PROGRAM, Kind.FILE}
    assert scene.delivered == ["ann@here.test"]


def test_only_what_may_be_a_retry_is_compared_with_what_was_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing reads the whole message, on the reactor's thread."""
    scene = Scene()
    scene.full = True
    scene.receive("team@here.test")
    scene.full = False
    monkeypatch.setattr(mailflow, "_digest", lambda item, content: pytest.fail("it was read"))
    assert scene.receive("team@here.test", message=MESSAGE + b"Longer.\r\n").code == 250
    scene.clock.advance(REMEMBERED)
    assert scene.receive("team@here.test").code == 250


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        pytest.param(Status(554, "5.7.1", "no"), 554, id="a-refusal"),
        pytest.param(ZeroDivisionError(), 451, id="a-bug-is-temporary"),
    ],
)
def test_a_stage_that_refuses_ends_the_story_and_is_a_fact(verdict: Any, code: int) -> None:
    scene = Scene(Says(verdict))
    assert scene.receive("ann@here.test").code == code
    assert scene.delivered == []
    assert [refused.stage for refused in scene.facts_of(Refused)] == ["says"]


def test_stages_add_fields_and_change_the_header() -> None:
    scene = Scene(Says(Edit(prepend=b"X-One: 1\r\n")), Says(Edit(prepend=b"X-Two: 2\r\n", header=b"Subject: other\r\n\r\n")))
    scene.receive("ann@here.test")
    stored = scene.mailboxes.carried[0][1]
    assert stored.endswith(b"X-Two: 2\r\nX-One: 1\r\nSubject: other\r\n\r\nSoup.\r\n")


def test_a_filter_files_redirects_and_discards() -> None:
    scene = Scene(filters={"ann@here.test": (Keep("Lists"), Redirect(parse("ann@away.test"))), "bob@here.test": ()})
    assert scene.receive("ann@here.test", "bob@here.test").code == 250
    assert scene.delivered == ["ann@here.test"]
    assert [str(errand.target.address) for errand in scene.queue[0][0].pending] == ["ann@away.test"]


def test_a_header_without_end_is_refused() -> None:
    scene = Scene()
    assert scene.receive("ann@here.test", message=b"X-Long: " + b"x" * 2_000_000).code == 552
    assert scene.receive("ann@here.test", message=b"X-Long: " + b"x\r\n " * 30_000 + b"\r\n\r\nbody").code == 552
    assert scene.delivered == []


def test_acceptance_is_a_fact_with_what_people_look_for() -> None:
    scene = Scene()
    scene.receive("ann@here.test")
    accepted = scene.facts_of(Accepted)[0]
    assert (accepted.subject.strip(), accepted.message_id.strip(), accepted.service) == ("Lunch?", "<1@far.test>", "mx")
    assert [outcome.result for outcome in scene.facts_of(Outcome)] == [Result.DELIVERED]


def test_an_attempt_tries_all_pending_targets_and_records_each_outcome() -> None:
    scene = Scene()
    scene.receive("team@here.test")
    item = scene.queue[0][0]
    recorded: list[Any] = []

    async def record(event: Any) -> Item:
        nonlocal item
        recorded.append(event)
        item = item.after(event)
        return item

    for trip in scene.dispatch.trips(item, [errand.target for errand in item.pending]):
        assert list(result_of(scene.dispatch.carry(trip, item, Memory(MESSAGE), record))) == recorded
    assert [event.result for event in recorded] == [Result.RELAYED]
    assert item.is_settled
    assert [address for address, _ in scene.relay.carried] == ["carl@away.test"]


def test_the_account_of_a_submission_is_kept() -> None:
    scene = Scene()
    peer = Peer("conn-1", "192.0.2.7", 4711, Role.SUBMISSION, "pc", True, None, Account("ann@here.test"))
    recipient = Recipient(parse("x@away.test"), result_of(scene.expansion.follow(parse("x@away.test"))))
    result_of(scene.reception.accept(Transaction(peer, "item-2", 0.0, parse("ann@here.test"), {}, (recipient,), Memory(MESSAGE))))
    assert scene.queue[0][0].account == "ann@here.test"


@pytest.mark.parametrize(("header", "asked", "optional"), [
    pytest.param(b"Subject: x\r\nTLS-Required: No\r\n", Wishes(), True, id="no"),
    pytest.param(b"tls-required:\r\n no\r\n", Wishes(), True, id="folded-and-in-small-letters"),
    pytest.param(b"TLS-Required: Yes\r\n", Wishes(), False, id="there-is-no-yes"),
    pytest.param(b"TLS-Required: No\r\nTLS-Required: No\r\n", Wishes(), False, id="it-stands-once"),
    pytest.param(b"TLS-Required: No\r\n", Wishes(require_tls=True), False, id="REQUIRETLS-comes-first"),
    pytest.param(b"Subject: TLS-Required: No\r\n", Wishes(), False, id="elsewhere"),
])
def test_a_message_may_say_that_it_shall_arrive_encrypted_or_not(header, asked, optional):
    """RFC 8689 §3, §4.1."""
    assert mailflow._wishes(asked, header) == replace(asked, tls_optional=optional)
