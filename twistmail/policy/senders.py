"""Who may be the envelope's sender: users only themselves, strangers only somebody whose domain exists."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.interfaces import DnsTrouble, INameLookup, IPolicyStage, IPolicyStageFactory, NoSuchDomain, Point, Verdict
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import Settings
from twistmail.policy.identities import Identities, identities
from twistmail.policy.local_users import LocalUsers, SenderWarning, local_users
from twistmail.policy.neighbours import Neighbours
from twistmail.policy.pipeline import House

NOT_YOURS = Status(550, "5.7.1", "That address is not yours to send from")
NO_SUCH_DOMAIN = Status(553, "5.1.8", "The sender's domain does not exist")
TAKES_NO_MAIL = Status(550, "5.7.27", "The sender's domain says that it takes no mail")
DNS_SILENT = Status(451, "4.4.3", "The sender's domain cannot be looked up at the moment, please try again later")

_NULL_MX = ("", ".")


@implementer(IPolicyStage)
class OwnSenders:
    """RFC 6409 §6.1. The null sender is everybody's: receipts must have it (RFC 8098 §3)."""

    name = "senders"
    point = Point.SENDER

    def __init__(self, identities: Identities, users: LocalUsers) -> None:
        self._identities = identities
        self._users = users

    async def judge(self, transaction: Transaction) -> Verdict | None:
        sender, account = transaction.sender, transaction.account
        if sender is None or account is None or self._users.trusts(transaction.peer) or self._users.lets_off(transaction.peer):
            return None
        rule = await self._identities.refusal(sender, account)
        return None if rule is None else Verdict(NOT_YOURS, rule)


@implementer(IPolicyStage)
class SenderDomains:
    """A sender whom no answer can reach is no sender. Null MX: RFC 7505 §4.2. Neighbours may have names that only they know."""

    name = "senders"
    point = Point.SENDER

    def __init__(self, lookup: INameLookup, local_domains: frozenset[str], neighbours: Neighbours) -> None:
        self._lookup = lookup
        self._local_domains = local_domains
        self._neighbours = neighbours

    async def judge(self, transaction: Transaction) -> Verdict | None:
        sender = transaction.sender
        if sender is None or not sender.domain or sender.domain.startswith("[") or sender.domain in self._local_domains:
            return None
        if self._neighbours.trusted(transaction.peer.address):
            return None
        return await self._fault(sender.domain)

    async def _fault(self, domain: str) -> Verdict | None:
        top = domain.rpartition(".")[2]
        if top.isdigit() or top == "localhost":  # an address without brackets; everybody's own machine (RFC 6761 §6.3)
            return Verdict(NO_SUCH_DOMAIN, f"{domain} is no domain of the DNS")
        try:
            exchangers = await self._lookup.mx(domain)
            if exchangers and all(host in _NULL_MX for _, host in exchangers):
                return Verdict(TAKES_NO_MAIL, f"{domain} has a null MX")
            if exchangers or await self._lookup.addresses(domain):
                return None
        except NoSuchDomain:
            return Verdict(NO_SUCH_DOMAIN, f"{domain} does not exist")
        except DnsTrouble as trouble:
            return Verdict(DNS_SILENT, str(trouble))
        return Verdict(NO_SUCH_DOMAIN, f"{domain} has no MX and no address")


@implementer(IPolicyStageFactory)
class SendersFactory:
    name = "senders"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.role is Role.SUBMISSION:
            return _of_users(house) if house.settings.own_addresses_only else ()
        if house.role is Role.MX and house.settings.reject_unknown_sender_domain and house.lookup is not None:
            return (SenderDomains(house.lookup, house.local_domains, Neighbours(house)),)
        return ()


def _of_users(house: House) -> tuple[Any, ...]:
    own, users = identities(house), local_users(house)
    stage = OwnSenders(own, users)
    return (stage, SenderWarning(house.hostname, own, users)) if users.warns else (stage,)
