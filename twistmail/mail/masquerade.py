"""Masquerading: the machines of a house write to the world under one domain (row R55). And which domains no answer can reach. Pure."""

from __future__ import annotations

from twistmail.mail.address import Address
from twistmail.mail.values import frozen

#: Names that mean something in one house only: those set aside for that (RFC 6761 §6), and those that are in use for it.
#: `.test` and `.example` are not here: in a class, or a laboratory, they are the world.
PRIVATE = frozenset(("localhost", "localdomain", "local", "lan", "home", "corp", "intranet", "internal", "private", "invalid", "onion"))


@frozen
class Masquerade:
    """Addresses in `domains` are shown in `domain`, but for `exceptions`: local parts, or whole addresses, both folded.

    A name in `domains` that begins with a dot means everything below it.
    """

    domain: str
    domains: frozenset[str]
    exceptions: frozenset[Address] = frozenset()

    def of(self, address: Address) -> Address | None:
        """What the world sees of *address*; None where that is nothing else."""
        if address.domain == self.domain or not self.covers(address.domain):
            return None
        folded = address.folded
        if folded in self.exceptions or Address(folded.local) in self.exceptions:
            return None
        return Address(address.local, self.domain)

    def covers(self, domain: str) -> bool:
        """Whether *domain* is one of those that are shown as another."""
        if domain in self.domains:
            return True
        while domain:
            domain = domain.partition(".")[2]
            if "." + domain in self.domains:
                return True
        return False


def is_private(domain: str) -> bool:
    """Whether *domain* (A-labels, lower case) is a name that nobody outside the house can look up. Address literals are not."""
    if domain.startswith("["):
        return False
    return "." not in domain or domain.rpartition(".")[2] in PRIVATE or domain == "home.arpa" or domain.endswith(".home.arpa")
