"""The access table: what sendmail's access map says about clients, senders and recipients, looked up as sendmail does. Pure.

A host is looked for by its name, then by the domains above it, then by its
address, the longest prefix first. An address is looked for whole, then as
`user@`, then by its domain and those above. At each step a rule with the tag
(Connect:, From:, To:) comes before one without, and the first that is found
decides. SKIP ends a search without an answer. Every step is one probe of a
dict, so a look-up costs the same with ten rules and with a hundred thousand.

What the file looks like is `access_file`; what follows from a rule is `access`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.networks import Network, address_of

#: The tags with which rules are looked for; each look-up falls back to rules without any.
CONNECT, FROM, TO, UNTAGGED = "connect:", "from:", "to:", ""
#: The key of the null sender.
NOBODY = "<>"


class Action(Enum):
    """What a rule says."""

    OK = "OK"  # accepted, whatever other stages would say; never relayed because of it
    RELAY = "RELAY"  # accepted, and relayed
    REFUSE = "REJECT"  # with the rule's status
    DISCARD = "DISCARD"  # answered as accepted, and thrown away
    QUARANTINE = "QUARANTINE"  # held in the queue for the postmaster
    SKIP = "SKIP"  # the search ends here, without an answer

    @property
    def accepts(self) -> bool:
        return self in (Action.OK, Action.RELAY)


@frozen
class Rule:
    """The value of one line. `status` is that of a refusal, `reason` that of a quarantine."""

    action: Action
    line: int
    status: Status | None = None
    reason: str = ""


class AccessTable:
    """All rules of a file. Filled by `access_file.parse`, then only asked."""

    def __init__(self) -> None:
        self._names: dict[str, Rule] = {}  # tag and key: domains, addresses, "user@"
        self._networks = _NetworkRules()
        self._literals = _NetworkRules()  # [127.0.0.3]: hosts without a name, and user@[127.0.0.3]
        #: Whether a rule about clients needs their names.
        self.asks_names = False
        #: Whether any rule lets clients relay, or is about recipients that are relayed for.
        self.relays_clients = False
        self.relays_recipients = False

    def __len__(self) -> int:
        return len(self._names) + len(self._networks) + len(self._literals)

    # ----- filling

    def add_name(self, tag: str, key: str, rule: Rule) -> Rule:
        """Add *rule* for a domain, `user@`, an address or NOBODY, all in lower case; the rule that stands there (an earlier one stays)."""
        if tag in (CONNECT, UNTAGGED) and "@" not in key and key != NOBODY:
            self.asks_names = True
        self._note(tag, rule)
        return self._names.setdefault(tag + key, rule)

    def add_network(self, tag: str, network: Network, rule: Rule, *, literal: bool = False) -> Rule:
        """Add *rule* for a network, or (*literal*) for hosts in it that have no name. As `add_name`."""
        if literal and tag in (CONNECT, UNTAGGED):
            self.asks_names = True
        self._note(tag, rule)
        return (self._literals if literal else self._networks).add(tag, network, rule)

    def _note(self, tag: str, rule: Rule) -> None:
        if rule.action is Action.RELAY:
            self.relays_clients |= tag in (CONNECT, UNTAGGED)
            self.relays_recipients |= tag in (TO, UNTAGGED)

    # ----- asking

    def client(self, address: str, name: str = "") -> Rule | None:
        """The rule about a client at *address* whose host name, if it has one, is *name*."""
        return self._said(self._named(name, address)) or self._said(self._networks.find(CONNECT, address))

    def relays_address(self, address: str) -> Rule | None:
        """The rule by which a client at *address* may relay, whatever it is called."""
        return _relays(self._networks.find(CONNECT, address))

    def relays_name(self, name: str, address: str) -> Rule | None:
        """The rule by which a client may relay because of its host name, or (*name* empty) because it has none and this *address*."""
        return _relays(self._named(name, address))

    def sender(self, spellings: Sequence[Address]) -> Rule | None:
        """The rule about a sender: the folded address and, behind it, the same without its +suffix. None at all: the null sender."""
        if not spellings:
            return self._probe(FROM, NOBODY)
        return self._said(self._address(FROM, spellings, user=True))

    def recipient(self, spellings: Sequence[Address], *, is_local: bool) -> Rule | None:
        """The rule about a recipient. `user@` counts in our own domains only (sendmail's class w)."""
        return self._said(self._address(TO, spellings, user=is_local))

    def _address(self, tag: str, spellings: Sequence[Address], *, user: bool) -> Rule | None:
        for address in spellings:
            if address.domain and (rule := self._probe(tag, f"{address.local}@{address.domain}")):
                return rule
        if user:
            for address in spellings:
                if rule := self._probe(tag, address.local + "@"):
                    return rule
        return self._domain(tag, spellings[0].domain)

    def _named(self, name: str, address: str) -> Rule | None:
        return self._domain(CONNECT, name) if name else self._literals.find(CONNECT, address)

    def _domain(self, tag: str, domain: str) -> Rule | None:
        if domain.startswith("["):
            return self._literals.find(tag, _inside(domain))
        for one in _upwards(domain):
            if rule := self._probe(tag, one):
                return rule
        return None

    def _probe(self, tag: str, key: str) -> Rule | None:
        return self._names.get(tag + key) or self._names.get(key)

    @staticmethod
    def _said(rule: Rule | None) -> Rule | None:
        return None if rule is None or rule.action is Action.SKIP else rule


def _relays(rule: Rule | None) -> Rule | None:
    return rule if rule is not None and rule.action is Action.RELAY else None


class _NetworkRules:
    """Rules by network. The longest prefix is probed first, the tag before none."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, int, int], Rule] = {}  # (tag, length of the prefix, prefix)
        self._lengths: dict[int, list[int]] = {4: [], 6: []}  # those that occur, longest first

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, tag: str, network: Network, rule: Rule) -> Rule:
        length = network.prefixlen
        lengths = self._lengths[network.version]
        if length not in lengths:
            lengths.append(length)
            lengths.sort(reverse=True)
        return self._rules.setdefault((tag, *_prefix(int(network.network_address), network.max_prefixlen, length)), rule)

    def find(self, tag: str, text: str) -> Rule | None:
        address = address_of(text) if self._rules else None
        if address is None:
            return None
        number = int(address)
        for length in self._lengths[address.version]:
            prefix = _prefix(number, address.max_prefixlen, length)
            if rule := self._rules.get((tag, *prefix)) or self._rules.get((UNTAGGED, *prefix)):
                return rule
        return None


def _prefix(number: int, width: int, length: int) -> tuple[int, int]:
    """What stands for a prefix of *length* bits; the *width* of the address is in it, or 10.0.0.0/8 would be a00::/8."""
    return width * 256 + length, number >> (width - length)


def _upwards(domain: str) -> Iterator[str]:
    """*domain*, then the domains above it."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _inside(literal: str) -> str:
    """The address in an address literal (RFC 5321 §4.1.3)."""
    return literal.strip("[]").removeprefix("ipv6:").removeprefix("IPv6:")
