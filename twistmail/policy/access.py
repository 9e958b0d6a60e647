"""Who is let in and who is not, by the operator's own list: a file in the syntax of sendmail's access map.

Rules about clients (Connect:) are asked at MAIL, when it is known whether
somebody has logged in, to whom they do not apply; rules about senders at MAIL
too, those about recipients at each RCPT. A refusal is graver than throwing away,
that graver than holding, and OK only means that the other stages at that point
need not be asked: whether mail is relayed is decided by `relaying` alone, which
asks the same table for RELAY, wherever the two stand in `stages`.

On submission OK and RELAY mean nothing: what users may do is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, Fate, IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import Status
from twistmail.options import TEXT, Option, Section, Settings
from twistmail.policy.access_table import AccessTable, Action, Rule
from twistmail.policy.inquiries import Inquiries
from twistmail.policy.naming import name_of
from twistmail.policy.pipeline import House
from twistmail.watched import WatchedFile

OPTIONS = Section(
    "access",
    "Clients, senders and recipients that are let in, refused, held, thrown away or relayed for.",
    Option("file", TEXT, "", "Rules in the syntax of sendmail's access map, read again when it changes; empty: none.",
           example="/etc/mail/access"),
)  # fmt: skip

TIMEOUT = 10.0  # seconds, for all questions about the name of one client
WELCOME = Status(250, "2.1.0", "Welcome by the access list")

#: Of two rules about one command, the graver one holds.
_GRAVITY = {Action.REFUSE: 3, Action.DISCARD: 2, Action.QUARANTINE: 1, Action.OK: 0, Action.RELAY: 0}
_FATES = {Action.DISCARD: Fate.DISCARD, Action.QUARANTINE: Fate.HOLD}


class Access:
    """The access file of the house. *lookup* (INameLookup) is asked only where there are rules with names of hosts.

    The name of a client is found out once a connection; `forget` it when the connection has ended.
    """

    def __init__(self, file: WatchedFile[AccessTable], lookup: Any, clock: Any) -> None:
        self._file = file
        self._lookup = lookup
        self._clock = clock
        self._names: Inquiries[str | None] = Inquiries(self._find, "the look-up of a client's name")

    async def table(self) -> AccessTable:
        """The rules as they are now. Raises Unavailable where the file was never in order."""
        await self._file.freshen()
        return self._file.value

    async def client(self, peer: Peer) -> Rule | None:
        """The rule about *peer*. While the DNS does not answer it has no name. Raises Unavailable."""
        table = await self.table()
        name = await self._name(peer) if table.asks_names else ""
        return table.client(peer.address, name or "")

    async def welcomes(self, peer: Peer) -> bool:
        """Whether *peer* has an OK or RELAY, so that nobody else need look at it. Raises Unavailable."""
        rule = await self.client(peer)
        return rule is not None and rule.action.accepts

    async def relays_client(self, peer: Peer) -> Rule | None:
        """The rule by which *peer* may relay. Raises Unavailable, and DnsTrouble where that hangs on its name."""
        table = await self.table()
        if not table.relays_clients:
            return None
        if rule := table.relays_address(peer.address):
            return rule
        if not table.asks_names:
            return None
        name = await self._name(peer)
        if name is None:
            raise DnsTrouble(f"name of {peer.address}")
        return table.relays_name(name, peer.address)

    async def relays_recipient(self, recipient: Address) -> Rule | None:
        """The rule by which mail for *recipient*, who is not ours, is taken for relaying. Raises Unavailable."""
        table = await self.table()
        rule = table.recipient((recipient.folded,), is_local=False) if table.relays_recipients else None
        return rule if rule is not None and rule.action is Action.RELAY else None

    async def _name(self, peer: Peer) -> str | None:
        """The host name of *peer*, "" where it has none, None while nobody can say."""
        return peer.name or await self._names.about(peer.connection, peer.address).result()

    async def _find(self, address: str) -> str | None:
        try:
            return await tasks.with_timeout(self._clock, TIMEOUT, name_of(Peer("", address, 0), self._lookup), "the name of a client")
        except (DnsTrouble, tasks.TimedOut):
            return None

    def forget(self, peer: Peer) -> None:
        """The connection of *peer* has ended."""
        self._names.forget(peer.connection)

    def told(self, rule: Rule) -> str:
        """Where *rule* stands, for facts and people."""
        place = f"{self._file.path}:{rule.line}"
        return f"{place} ({rule.reason})" if rule.reason else place

    def verdict(self, rules: Sequence[Rule | None], *, may_accept: bool) -> Verdict | None:
        """What the gravest of *rules* means; None where it means nothing."""
        found = [rule for rule in rules if rule is not None]
        if not found:
            return None
        rule = max(found, key=lambda one: _GRAVITY[one.action])
        if not rule.action.accepts:
            return Verdict(rule.status, self.told(rule), _FATES.get(rule.action, Fate.USUAL))
        return Verdict(WELCOME, self.told(rule)) if may_accept else None


Spellings = Callable[[Address], Sequence[Address]]


@implementer(IPolicyStage)
class AccessOfSenders:
    """Connect: and From:. *spellings* of an address: itself and without its +suffix (`expansion.Expansion.spellings`)."""

    name = "access"
    point = Point.SENDER

    def __init__(self, access: Access, spellings: Spellings, *, may_accept: bool) -> None:
        self._access = access
        self._spellings = spellings
        self._may_accept = may_accept

    async def judge(self, transaction: Transaction) -> Verdict | None:
        client = await self._access.client(transaction.peer) if transaction.account is None else None
        spellings = self._spellings(transaction.sender.folded) if transaction.sender else ()
        sender = (await self._access.table()).sender(spellings)
        return self._access.verdict((client, sender), may_accept=self._may_accept)

    def left(self, peer: Peer) -> None:
        self._access.forget(peer)


@implementer(IPolicyStage)
class AccessOfRecipients:
    """To:. A client that is welcome is spared the other stages here too."""

    name = "access"
    point = Point.RECIPIENT

    def __init__(self, access: Access, spellings: Spellings, local_domains: frozenset[str], *, may_accept: bool) -> None:
        self._access = access
        self._spellings = spellings
        self._local_domains = local_domains
        self._may_accept = may_accept

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        client = await self._access.client(transaction.peer) if self._may_accept and transaction.account is None else None
        is_local = not recipient.domain or recipient.domain in self._local_domains
        rule = (await self._access.table()).recipient(self._spellings(recipient.folded), is_local=is_local)
        welcome = client if client is not None and client.action.accepts else None
        return self._access.verdict((rule, welcome), may_accept=self._may_accept)


@implementer(IPolicyStageFactory)
class AccessFactory:
    name = "access"
    options = None  # [access] belongs to the house: `relaying` asks the same table

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        if house.access is None:
            return ()
        may_accept = house.role is not Role.SUBMISSION
        spellings = house.expansion.spellings
        return (
            AccessOfSenders(house.access, spellings, may_accept=may_accept),
            AccessOfRecipients(house.access, spellings, house.local_domains, may_accept=may_accept),
        )
