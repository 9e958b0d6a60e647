"""The story of a message of which an archive gets a copy."""

from __future__ import annotations

from tests.helpers import result_of
from tests.test_mailflow import MESSAGE, Scene
from twistmail.mail.address import parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Notify, Peer, Recipient, Role, Transaction
from twistmail.mail.status import OVER_QUOTA, UNAVAILABLE, Status
from twistmail.policy.copies import Copies


def copying(*always: str, boxes: dict[str, Status] | None = None) -> Scene:
    scene = Scene(boxes=boxes)
    scene.reception.copies = Copies(scene.expansion, [parse(one) for one in always])
    return scene


def test_a_copy_is_one_more_target_of_which_nobody_is_told() -> None:
    scene = copying("bob", "archive@away.test")
    assert scene.receive("ann@here.test", notify="SUCCESS FAILURE").is_positive
    assert scene.delivered == ["ann@here.test", "bob@here.test"]
    ((item, _),) = scene.queue
    assert {str(errand.target.address): errand.notify for errand in item.errands} == {
        "ann@here.test": frozenset({Notify.SUCCESS, Notify.FAILURE}),
        "bob@here.test": frozenset({Notify.NEVER}), "archive@away.test": frozenset({Notify.NEVER})}  # fmt: skip


def test_whoever_gets_the_message_gets_no_copy_beside_it() -> None:
    scene = copying("ann.alias", "bob")
    scene.receive("ann@here.test", "bob@here.test")
    assert scene.delivered == ["ann@here.test", "bob@here.test"]


def test_a_refusal_is_heard_though_there_is_a_copy_which_does_not_come_again() -> None:
    scene = copying("bob", boxes={"ann@here.test": OVER_QUOTA})
    assert scene.receive("ann@here.test") == OVER_QUOTA
    assert scene.queue == []
    assert scene.receive("ann@here.test") == OVER_QUOTA
    assert scene.delivered.count("bob@here.test") == 1


def test_a_copy_that_cannot_be_stored_now_waits_alone() -> None:
    scene = copying("bob", boxes={"bob@here.test": OVER_QUOTA})
    assert scene.receive("ann@here.test").is_positive
    ((item, _),) = scene.queue
    assert [str(errand.target.address) for errand in item.pending] == ["bob@here.test"]


def test_a_copy_that_leads_nowhere_keeps_the_message_out() -> None:
    scene = copying("nobody@here.test")
    assert scene.receive("ann@here.test") == UNAVAILABLE
    assert (scene.delivered, scene.queue) == ([], [])


def test_each_recipient_of_lmtp_is_answered_for_and_the_copy_goes_its_way() -> None:
    scene = copying("archive@away.test", boxes={"bob@here.test": OVER_QUOTA})
    recipients = tuple(Recipient(one, result_of(scene.expansion.follow(one))) for one in map(parse, ("ann@here.test", "bob@here.test")))
    peer = Peer("conn-1", "192.0.2.7", 4711, Role.LMTP, "mail.far.test", True)
    transaction = Transaction(peer, "item-1", 0.0, parse("eve@far.test"), {}, recipients, Memory(MESSAGE))
    assert [answer.code for answer in result_of(scene.reception.accept_each(transaction))] == [250, 452]
    ((item, _),) = scene.queue
    assert [str(errand.target.address) for errand in item.pending] == ["archive@away.test"]
