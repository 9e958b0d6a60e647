"""Who may be the envelope's sender: users only themselves, and out into the world only whom an answer can reach; strangers only
somebody whose domain exists."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from twistmail.expansion import Expansion
from twistmail.interfaces import DnsTrouble, INameLookup, IPolicyStage, IPolicyStageFactory, NoSuchDomain, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Role, Transaction
from twistmail.mail.masquerade import is_private
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

#: Row R56: better said to the user than by the other side.
UNANSWERABLE = "No answer can reach {sender} from outside; your administrator can say what the world is to see ([rewrite] sender_map)"

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
class Answerable:
    """What leaves must have a sender whom an answer can reach, as the world will see him (*leaving*: `leaving.departure.Leaving`).

    Only names that nobody outside can look up are refused: what the DNS says of a domain of ours is the operator's business. A
    recipient of that kind is a neighbour.
    """

    name = "senders"
    point = Point.RECIPIENT

    def __init__(self, expansion: Expansion, leaving: Any) -> None:
        self._expansion = expansion
        self._leaving = leaving

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        sender = transaction.sender
        if sender is None or self._expansion.is_local(recipient) or is_private(recipient.domain):
            return None
        seen = (await self._leaving.shown(sender)).address
        if not is_private(seen.domain) or await self._expansion.comes_home(recipient):
            return None
        return Verdict(Status(553, "5.1.8", UNANSWERABLE.format(sender=seen)), f"{seen.domain} is no name of the DNS")


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
            own = _of_users(house) if house.settings.own_addresses_only else ()
            return (*own, Answerable(house.expansion, house.leaving)) if house.leaving is not None and house.leaving.strict else own
        if house.role is Role.MX and house.settings.reject_unknown_sender_domain and house.lookup is not None:
            return (SenderDomains(house.lookup, house.local_domains, Neighbours(house)),)
        return ()


def _of_users(house: House) -> tuple[Any, ...]:
    own, users = identities(house), local_users(house)
    stage = OwnSenders(own, users)
    return (stage, SenderWarning(house.hostname, own, users)) if users.warns else (stage,)
