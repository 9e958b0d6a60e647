"""The story of a message that ends elsewhere than in a mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from tests.helpers import result_of
from tests.test_mailflow import NotingCourier, Scene
from twistmail.delivery.discard import DiscardCourier
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Discard, Refusal, Step, ToFile
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.status import NO_ROOM, Status
from twistmail.mailflow import Dispatch

MOVED = Status(551, "5.1.6", "gone to far.test")


class Ends:
    """An alias for each kind of end."""

    async def lookup(self, address: Address) -> Step | None:
        return {
            "nobody": Step((Discard(),)), "both": Step((Discard(), parse("ann"), ToFile("/srv/box"))), "old": Step((Refusal(MOVED),)),
        }.get(address.local)  # fmt: skip


def scene() -> Scene:
    made = Scene()
    made.expansion.aliases = Ends()
    made.dispatch = made.reception.dispatch = Dispatch({
        Kind.MAILBOX: made.mailboxes, Kind.REMOTE: made.relay, Kind.DISCARD: DiscardCourier(), Kind.FILE: NotingCourier(),
    })  # fmt: skip
    return made


def targets(made: Scene, address: str) -> Sequence[Target]:
    found: Sequence[Target] = result_of(made.expansion.follow(parse(address)))
    return found


def test_what_is_thrown_away_is_settled_at_once_and_never_queued() -> None:
    made = scene()
    made.full = True
    made.reception.room_for = lambda size, *, report=False: OSError(28, "full")
    assert made.reception.no_room(None, targets(made, "nobody@here.test")) is None  # type: ignore[arg-type]
    assert made.receive("nobody@here.test").is_positive
    assert (made.delivered, made.queue) == ([], [])


def test_a_file_waits_in_the_queue_and_the_others_do_not() -> None:
    made = scene()
    assert made.receive("both@here.test").is_positive
    assert made.delivered == ["ann@here.test"]
    ((item, _),) = made.queue
    assert [(errand.target.kind, errand.target.way) for errand in item.pending] == [(Kind.FILE, "/srv/box")]


def test_a_file_needs_room_in_the_queue() -> None:
    made = scene()
    made.full = True
    assert made.receive("both@here.test").code == NO_ROOM.code


def test_a_refusal_of_an_alias_is_the_answer() -> None:
    made = scene()
    assert result_of(made.expansion.judge(parse("old@here.test"))) == MOVED
    assert targets(made, "old@here.test") == ()
