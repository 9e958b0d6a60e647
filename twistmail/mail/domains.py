"""The domains whose mail is kept here, and whose users they have.

A domain has users of its own, or those of another: an alias domain, or a
"normal" one, as sendmail's local-host-names has them, which is another name of
the default domain. An address in such a domain that is nobody's own means the
same name in the other domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twistmail.mail.address import Address
from twistmail.mail.values import frozen

#: So many domains may lead to each other.
MOST_STEPS = 5


@frozen
class Domain:
    """One domain. `like`: whose users it has (empty: its own); `catchall`: who gets what nobody else does; `source`: where it stands."""

    name: str
    like: str = ""
    catchall: str = ""
    description: str = ""
    source: str = ""


class Domains:
    """All of them; the first is the default domain. Of several called the same the first counts."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self._by_name: dict[str, Domain] = {}
        for domain in domains:
            self._by_name.setdefault(domain.name, domain)
        if not self._by_name:
            raise ValueError("there must be a domain")
        self.default = next(iter(self._by_name))
        self.names = frozenset(self._by_name)
        self.like = {domain.name: domain.like for domain in self._by_name.values() if domain.like and domain.like != domain.name}

    def __iter__(self) -> Iterator[Domain]:
        return iter(self._by_name.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domains) and list(self._by_name.values()) == list(other._by_name.values())

    __hash__ = None  # type: ignore[assignment]

    def get(self, name: str) -> Domain | None:
        return self._by_name.get(name)

    def spellings(self, address: Address) -> tuple[Address, ...]:
        """Under which names whoever has *address* may be known, the first that is somebody counts."""
        found = [address]
        while (other := self.like.get(found[-1].domain)) and len(found) <= MOST_STEPS:
            found.append(Address(address.local, other))
        return tuple(found)
