"""Lists in the DNS: whom somebody has a bad word for is refused, with that word (RFC 5782); whom somebody trusts is not asked about.

The questions are put as soon as they can be: about the address when the peer
connects, about its name at HELO, about the sender's domain at MAIL. The answers
are awaited at RCPT, where postmaster is still to be reached. `policy.dnslists`
knows how to ask one list, and whether it can be believed.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.options import DURATION, Option, Reload, Settings
from twistmail.policy.dnslists import ADDRESSES, DOMAINS, LISTS, DnsList, Listing, lists, reversed_name
from twistmail.policy.inquiries import Inquiries
from twistmail.policy.neighbours import Neighbours, is_postmaster
from twistmail.policy.own_listing import OwnListing
from twistmail.policy.pipeline import House

#: Seconds. A stage that takes 30 is too slow for the pipeline, and the reason of a listing comes on top.
LONGEST_TIMEOUT = 20.0

#: In [mx].
OPTIONS = (
    Option("dnsbl", LISTS, "", "Lists in the DNS of addresses from which no mail is taken; zen.example=127.0.0.2-11: only these answers "
           "count.", Reload.NEW, example="zen.example=127.0.0.2-11 bl.example"),
    Option("dnswl", LISTS, "", "Lists in the DNS of addresses for which no other list counts.", Reload.NEW,
           example="list.example=127.0.*.1-3"),
    Option("rhsbl", LISTS, "", "Lists in the DNS of domains; nobody who calls himself so, and no sender from there, is heard.", Reload.NEW,
           example="dbl.example=127.0.1.2-99"),
    Option("dns_list_timeout", DURATION, "5s", "How long a list may take to answer; after that it is not heard. At most 20s.", Reload.NEW),
)  # fmt: skip


@frozen
class Lists:
    """The lists of a service, by what is looked up in them."""

    allowing: tuple[DnsList, ...]
    blocking: tuple[DnsList, ...]
    domains: tuple[DnsList, ...]

    async def about_address(self, address: str) -> tuple[Listing | None, Listing | None]:
        """What speaks for *address*, and what against it: the first list each that has it. All are asked at once."""
        entry = reversed_name(address)
        found = await tasks.gather(*(one.find(entry) for one in (*self.allowing, *self.blocking)))
        return _first(found[: len(self.allowing)]), _first(found[len(self.allowing) :])

    async def about_domain(self, domain: str) -> Listing | None:
        """The first list that has *domain*."""
        return _first(await tasks.gather(*(one.find(domain) for one in self.domains)))


def _first(found: list[Listing | None]) -> Listing | None:
    return next((listing for listing in found if listing), None)


class Blocklists:
    """What the stages at the four points have in common: the inquiries of all connections."""

    def __init__(self, lists: Lists, neighbours: Neighbours, local_domains: frozenset[str], own: OwnListing) -> None:
        self._lists = lists
        self._own = own
        self._neighbours = neighbours
        self._local_domains = local_domains
        self._addresses = Inquiries(lists.about_address, "the lists' answers about an address")
        self._names = Inquiries(lists.about_domain, "the lists' answers about a name")
        self._senders = Inquiries(lists.about_domain, "the lists' answers about a sender")

    def ask_address(self, peer: Peer) -> None:
        """Begin to ask about the address of *peer*, and once a day about our own."""
        self._own.look()
        if not self._neighbours.unlisted(peer.address) and (self._lists.allowing or self._lists.blocking):
            self._addresses.about(peer.connection, peer.address)

    def ask_name(self, peer: Peer) -> None:
        """Begin to ask about what *peer* calls itself."""
        if (name := self._domain(peer.hello)) and not self._neighbours.unlisted(peer.address):
            self._names.about(peer.connection, name)

    def ask_sender(self, transaction: Transaction) -> None:
        """Begin to ask about the domain of the sender."""
        if (domain := self._sender_domain(transaction)) and not self._neighbours.unlisted(transaction.peer.address):
            self._senders.about(transaction.peer.connection, domain)

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        """The verdict at RCPT, when all answers have come or have taken too long."""
        peer = transaction.peer
        if self._neighbours.unlisted(peer.address) or is_postmaster(recipient, self._local_domains):
            return None
        if self._lists.allowing or self._lists.blocking:
            allowed, blocked = await self._addresses.about(peer.connection, peer.address).result() or (None, None)
            if allowed:
                return None
            if blocked:
                return _refusal(peer.address, blocked)
        return await self._judge_domains(transaction)

    def begin(self) -> None:
        """At start: test the lists, and look for ourselves. Nobody waits for it."""
        for one in (*self._lists.allowing, *self._lists.blocking, *self._lists.domains):
            one.begin_test()
        self._own.look()

    def forget(self, peer: Peer) -> None:
        for inquiries in (self._addresses, self._names, self._senders):
            inquiries.forget(peer.connection)

    async def _judge_domains(self, transaction: Transaction) -> Verdict | None:
        peer = transaction.peer
        for inquiries, domain in ((self._names, self._domain(peer.hello)), (self._senders, self._sender_domain(transaction))):
            if domain and (blocked := await inquiries.about(peer.connection, domain).result()):
                return _refusal(domain, blocked)
        return None

    def _sender_domain(self, transaction: Transaction) -> str:
        return self._domain(transaction.sender.domain) if transaction.sender else ""

    def _domain(self, text: str) -> str:
        """*text* as a domain that a list could have; "" for names of ours, names without a dot, and addresses."""
        if not self._lists.domains:
            return ""
        try:
            domain = canonical_domain(text)
        except ValueError:
            return ""
        top = domain.rpartition(".")[2]
        return "" if top == domain or top.isdigit() or domain.startswith("[") or domain in self._local_domains else domain


def _refusal(what: str, listing: Listing) -> Verdict:
    reason = f": {listing.reason}" if listing.reason else ""
    return Verdict(Status(550, "5.7.1", f"{what} is listed by {listing.zone}{reason}"), listing.rule)


@implementer(IPolicyStage)
class AtConnect:
    name = "blocklists"
    point = Point.CONNECT

    def __init__(self, blocklists: Blocklists) -> None:
        self._blocklists = blocklists

    async def judge(self, peer: Peer) -> None:
        self._blocklists.ask_address(peer)

    def left(self, peer: Peer) -> None:
        """The connection is gone (called by the pipeline)."""
        self._blocklists.forget(peer)


@implementer(IPolicyStage)
class AtHello:
    name = "blocklists"
    point = Point.HELLO

    def __init__(self, blocklists: Blocklists) -> None:
        self._blocklists = blocklists

    async def judge(self, peer: Peer) -> None:
        self._blocklists.ask_name(peer)


@implementer(IPolicyStage)
class AtSender:
    name = "blocklists"
    point = Point.SENDER

    def __init__(self, blocklists: Blocklists) -> None:
        self._blocklists = blocklists

    async def judge(self, transaction: Transaction) -> None:
        self._blocklists.ask_sender(transaction)


@implementer(IPolicyStage)
class AtRecipient:
    name = "blocklists"
    point = Point.RECIPIENT

    def __init__(self, blocklists: Blocklists) -> None:
        self.judge = blocklists.judge


@implementer(IPolicyStageFactory)
class BlocklistsFactory:
    name = "blocklists"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        own = house.settings
        if house.role is not Role.MX or house.lookup is None or not (own.dnsbl or own.rhsbl):
            return ()
        allowing, blocking, domains = (
            lists(names, touchstones, house.lookup, house.clock, timeout=min(own.dns_list_timeout, LONGEST_TIMEOUT))
            for names, touchstones in ((own.dnswl, ADDRESSES), (own.dnsbl, ADDRESSES), (own.rhsbl, DOMAINS))
        )
        own_listing = OwnListing(blocking, house.own_addresses, house.clock)
        common = Blocklists(Lists(allowing, blocking, domains), Neighbours(house), house.local_domains, own_listing)
        house.clock.callLater(0, common.begin)
        stages = (AtConnect(common), AtRecipient(common))
        return (*stages, AtHello(common), AtSender(common)) if domains else stages
