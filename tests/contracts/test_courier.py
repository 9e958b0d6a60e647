"""What every ICourier keeps to."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.plugins.webhook import Application, package
from tests.relay.peers import Net, Peer, courier_across, courier_here, finish
from twistmail import tasks
from twistmail.delivery.agents import AgentCourier, ProgramAgent, ServerAgent
from twistmail.delivery.files import OWN_FILES, FileCourier, Writers
from twistmail.delivery.programs import OWN_PROGRAMS, ProgramCourier, Runners
from twistmail.interfaces import ICourier, Unavailable
from twistmail.lists.book import Book
from twistmail.lists.courier import ListCourier, Office
from twistmail.lists.mailing_list import Lists, MailingList
from twistmail.lists.mailing_list import Tools as ListTools
from twistmail.lists.settings import LIST
from twistmail.lists.tokens import Tokens
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.memory.courier import MemoryCourier
from twistmail.memory.lookup import MemoryLookup
from twistmail.piping import Run
from twistmail.relay.carrier import Capacity
from twistmail.relay.client import Patience
from twistmail.relay.exchange import Manners
from twistmail.relay.route import parse_via
from twistmail.relay.routes import OPTIONS, ROUTE_OPTIONS, Identity, Routes
from twistmail.relay.transports import RoutedCourier
from twistmail.store.courier import MailboxCourier

BODY = Memory(b"Subject: x\r\n\r\nhello\r\n")
CLOCK = Clock()
#: What targets of a kind are called.
WAYS = {Kind.FILE: "/home/{}/box", Kind.PROGRAM: "archive {}", Kind.LIST: "{}-unsubscribe+aaaaaaaaaaaaaaaa@far.test"}


@dataclass(frozen=True)
class Case:
    """A courier, and what it says of those called yes, no and later. `no` None: it has no way to refuse for good."""

    courier: Any
    yes: Result = Result.RELAYED
    no: Result | None = Result.FAILED
    kind: Kind = Kind.REMOTE
    place: str = ""  # of mailboxes that are somebody else's

    @property
    def outcomes(self) -> dict[str, Result]:
        known = {"yes": self.yes, "no": self.no, "later": Result.DEFERRED}
        return {name: result for name, result in known.items() if result is not None}


def in_memory():
    no, later = Address("no", "far.test"), Address("later", "far.test")
    return Case(MemoryCourier({no: Status(550, "5.1.1", "No"), later: Status(450, "4.2.1", "Busy")}))


def relay(courier_of=courier_here):
    net = Net(CLOCK)
    net.peers["192.0.2.1"] = Peer({b"RCPT TO:<no@far.test>": b"550 5.1.1 No", b"RCPT TO:<later@far.test>": b"450 4.2.1 Busy"})
    routes = Routes(MemoryLookup({"far.test": {"A": ["192.0.2.1"]}}), Identity("us.example"), OPTIONS.defaults(), {}, random.Random(1))
    return Case(courier_of(routes, net, Manners("us.example", None, Patience()), Capacity(), CLOCK))


def relay_across():
    """By a process of its own."""
    return relay(courier_across)


class Boxes:
    """A store as far as couriers use it: later's mailbox is full."""

    async def deliver(self, deliveries):
        return [OSError(errno.EDQUOT, "full") if one.account.startswith("later") else None for one in deliveries]


def mailboxes():
    return Case(MailboxCourier(Boxes()), Result.DELIVERED, None, Kind.MAILBOX)


def webhook():
    application = Application({"no@far.test": 404, "later@far.test": 503})
    factory = package().WebhookFactory()
    return Case(package().Webhook(factory.options.defaults(), application, CLOCK, tasks.Inline()))


def routed():
    """As the house has them: the webhook behind the route table, beside servers."""
    lone, hook = relay().courier, webhook().courier
    shop = ROUTE_OPTIONS.defaults(via="courier:webhook")
    routes = Routes(MemoryLookup({}), Identity("us.example"), OPTIONS.defaults(), {"far.test": shop}, random.Random(1))
    return Case(RoutedCourier(routes, lone, None, {}, {"webhook": hook}.get))


class Program:
    """A program as `relay.programs` runs them: it ends as its user says."""

    async def run(self, item, target, content):
        answers = {"no": Status(550, "5.1.1", "No"), "later": Status(450, "4.2.1", "Busy")}
        return answers.get(target.address.local, Status(250, "2.0.0", "Done"))


def piped():
    lone, section = relay().courier, ROUTE_OPTIONS.defaults(via="pipe:archive")
    routes = Routes(MemoryLookup({}), Identity("us.example"), OPTIONS.defaults(), {"far.test": section}, random.Random(1))
    return Case(RoutedCourier(routes, lone, None, {"archive": Program()}), Result.DELIVERED)


class Store(Peer):
    """An LMTP server: as many answers at the end of the content as there are recipients (RFC 2033 §4.2); later's box is full."""

    def __init__(self):
        super().__init__({b"LHLO": b"250 store", b"RCPT TO:<no@far.test>": b"550 5.1.1 No"})
        self.accepted = []

    def answer_to(self, line):
        answer = super().answer_to(line)
        if line.startswith(b"MAIL"):
            self.accepted = []
        if line.startswith(b"RCPT") and answer.startswith(b"2"):
            self.accepted.append(line)
        if line == b".":
            return b"\r\n".join(b"452 4.2.2 Full" if b"<later" in one else b"250 2.0.0 Kept" for one in self.accepted)
        return answer


def stored():
    net, routed_by = Net(CLOCK), ROUTE_OPTIONS.defaults(via="lmtp:[192.0.2.1]:24")
    net.peers["192.0.2.1"] = Store()
    routes = Routes(MemoryLookup({}), Identity("us.example"), OPTIONS.defaults(), {"far.test": routed_by}, random.Random(1))
    lone = courier_here(routes, net, Manners("us.example", None, Patience()), Capacity(), CLOCK)
    return Case(RoutedCourier(routes, lone, None, {}))


class Helper:
    """Who works as others, as far as couriers use him: the user of that number decides how it ends."""

    names = frozenset({OWN_FILES, OWN_PROGRAMS, "mda"})
    ends = {1: Run(0), 2: Run(67, "no such user"), 3: Run(75, "later")}

    def do(self, wanted, message):
        assert b"".join(message).endswith(BODY.data)
        return self.ends[wanted.user]


async def uid_of(account):
    return {"no": 2, "later": 3}.get(account.partition("@")[0], 1)


def files():
    """Those of users; a helper's own words for "not now" and "not there" are both weather."""
    return Case(FileCourier((), Writers(tasks.Inline(), Helper()), uid_of, 1.0), Result.DELIVERED, None, Kind.FILE)


def programs():
    return Case(ProgramCourier({}, Runners(tasks.Inline(), Helper()), uid_of), Result.DELIVERED, Result.FAILED, Kind.PROGRAM)


def agent():
    """Everybody's mailbox is kept by a program."""
    kept = ProgramAgent("mda", Helper(), tasks.Inline(), uid_of, own=True)
    return Case(AgentCourier(MailboxCourier(Boxes()), lambda account: kept), Result.DELIVERED, Result.FAILED, Kind.MAILBOX, kept.place)


def server():
    """Everybody's mailbox is kept by another server."""
    net = Net(CLOCK)
    net.peers["192.0.2.1"] = Store()
    routes = Routes(MemoryLookup({}), Identity("us.example"), OPTIONS.defaults(), {}, random.Random(1))
    lone = courier_here(routes, net, Manners("us.example", None, Patience()), Capacity(), CLOCK)
    kept = ServerAgent("lmtp:[192.0.2.1]", partial(lone.carry_along, parse_via("lmtp:[192.0.2.1]")))
    return Case(AgentCourier(MailboxCourier(Boxes()), lambda account: kept), Result.DELIVERED, Result.FAILED, Kind.MAILBOX, kept.place)


class Away:
    """Members who are written down where nobody can read it now."""

    origin = "away"

    async def addresses(self):
        raise Unavailable("away")


def lists(tmp_path):
    """Those called no are not there, and nobody knows who is on later."""
    tools = ListTools(Book(tmp_path / "lists"), Tokens(b"secret"), tasks.Inline(), CLOCK.seconds)
    known = {name: MailingList(Address(name, "far.test"), LIST.defaults(), (), tools) for name in ("yes", "yes2", "more0", "more1")}
    known["later"] = MailingList(Address("later", "far.test"), LIST.defaults(), (Away(),), tools)
    office = Office(None, None, None, iter(()), tasks.Inline(), CLOCK, CLOCK.seconds, "us.example")
    return Case(ListCourier(Lists(known.values(), tools), office), Result.DELIVERED, Result.FAILED, Kind.LIST)


@pytest.fixture(params=[in_memory, relay, relay_across, mailboxes, webhook, routed, piped, stored, files, programs, agent, server, lists])
def case(request, tmp_path):
    return request.param(tmp_path) if request.param is lists else request.param()


def targets_of(case, *names):
    return tuple(Target(case.kind, Address(name, "far.test"), Address(name, "far.test"),
                        "" if case.kind is Kind.REMOTE else f"{name}@far.test", way=WAYS.get(case.kind, "").format(name))
                 for name in names)  # fmt: skip


def item_for(targets):
    return Item("i1", None, tuple(map(Errand, targets)), 0.0, BODY.size + 6, b"X: y\r\n")


def carry(case, *names, content=BODY):
    targets = targets_of(case, *names)
    return targets, finish(CLOCK, case.courier.carry(item_for(targets), targets, content))


def test_it_is_a_courier(case):
    verifyObject(ICourier, case.courier)
    assert case.courier.name.isidentifier()


def test_one_outcome_per_target_in_order(case):
    names = ["yes", *(name for name in case.outcomes if name != "yes"), "yes2"]
    targets, outcomes = carry(case, *names)
    assert tuple(outcome.target for outcome in outcomes) == targets
    assert [outcome.result for outcome in outcomes] == [case.outcomes.get(name, case.yes) for name in names]


def test_an_outcome_and_its_status_agree_and_can_be_shown(case):
    """What was said goes into reports and lists as it is: a code, an enhanced code of the same class, and words."""
    for outcome in carry(case, *case.outcomes)[1]:
        status = outcome.status
        assert (status.is_positive, status.is_temporary, status.is_permanent) == (
            outcome.result is case.yes, outcome.result is Result.DEFERRED, outcome.result is Result.FAILED)
        assert status.enhanced.startswith(f"{str(status.code)[0]}.")
        assert status.text
        assert "\n" not in outcome.host + status.text


def test_nothing_to_carry_is_nothing(case):
    assert tuple(carry(case)[1]) == ()


def test_it_may_carry_again_and_again(case):
    for _ in range(3):
        assert carry(case, "yes")[1][0].result is case.yes


def test_it_carries_several_at_a_time(case):
    both = [carry_later(case, "yes", f"more{number}") for number in range(2)]
    for _ in range(200):
        CLOCK.advance(0)
    for running in both:
        assert [outcome.result for outcome in running.result] == [case.yes, case.yes]


def carry_later(case, *names):
    targets = targets_of(case, *names)
    return tasks.shielded(case.courier.carry(item_for(targets), targets, BODY))


def test_every_target_is_in_one_batch_and_places_differ(case):
    """Whoever keeps the mailboxes of others is one place, however many batches he gets: pacing bounds what he takes up."""
    targets = targets_of(case, "a", "b", "c")
    batches = case.courier.batches(item_for(targets), targets)
    assert [target for batch in batches for target in batch.targets].count(targets[0]) == 1
    assert {target for batch in batches for target in batch.targets} == set(targets)
    assert len({batch.place for batch in batches}) == (1 if case.place else len(batches))


def test_only_what_is_here_is_nowhere(case):
    """`Batch.place`: lists, pacing and fairness go by it."""
    places = {batch.place for batch in case.courier.batches(item_for(()), targets_of(case, "a"))}
    is_here = case.kind in (Kind.MAILBOX, Kind.LIST) and not case.place
    assert (places == {""}) is (is_here or isinstance(case.courier, MemoryCourier))


def test_no_targets_are_no_batches_of_somebody(case):
    assert [target for batch in case.courier.batches(item_for(()), ()) for target in batch.targets] == []


@pytest.mark.parametrize("make", [relay, relay_across, webhook])  # those that read it themselves
def test_a_content_that_cannot_be_read_is_weather(make):
    """The disk that holds the message fails, not the message."""

    class Torn(Memory):
        def chunks(self):
            raise OSError(errno.EIO, "Input/output error")

        def beginning(self, limit):
            raise OSError(errno.EIO, "Input/output error")

    _, (outcome,) = carry(make(), "yes", content=Torn(BODY.data))
    assert outcome.result is Result.DEFERRED
