"""Aliases in memory: the table that every source of ours ends in, and those of the configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from zope.interface import implementer

from twistmail.aliases.parse import Entry
from twistmail.interfaces import IAliasResolver, Unavailable
from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.alias import Step
from twistmail.options import COUNT, TEXT, WORDS, Kind, Option, Section, Settings


def _read_sources(text: str) -> tuple[str, ...]:
    sources: tuple[str, ...] = WORDS.read(text)
    for source in sources:
        name, _, path = source.partition(":")
        if not name or (name == "file" and not path):
            raise ValueError(f"{source} is not a source of aliases\nwrite config, or file:/etc/aliases")
    return sources


def _read_targets(text: str) -> tuple[Address, ...]:
    targets = tuple(addresses.parse(word) for word in WORDS.read(text))
    if not targets:
        raise ValueError("an alias must lead somewhere\nwrite addresses, divided by spaces")
    return targets


SOURCES = Kind("sources of aliases", _read_sources, " ".join)
TARGETS = Kind("addresses", _read_targets, lambda targets: " ".join(map(str, targets)))

OPTIONS = Section(
    "aliases",
    "Where aliases are, and how far they are followed. The first source that knows a name answers.",
    Option("source", SOURCES, "config",
           "Sources, in order: config ([alias:NAME] sections), file:PATH (in aliases(5) syntax), sql, ldap, http, "
           "or what a plugin brings: docs/accounts.md."),
    Option("subaddress", TEXT, "+", "What divides a name from a suffix: one character or several, each of which does; empty: nothing. "
           "anna+x@ is anna@, unless anna+x@ or anna+default@ is an alias."),
    Option("to_postmaster", WORDS, "mailer-daemon root",
           "Names, in every local domain, whose mail postmaster gets where they are neither alias nor user."),
    Option("depth_limit", COUNT, "10", "How many aliases may lead to each other."),
    Option("expansion_limit", COUNT, "1000", "How many addresses one recipient may become."),
)

ALIAS = Section(
    "alias",
    "One alias of the source `config`: [alias:info@blue.example]. Without a domain it holds in every local domain.",
    Option("to", TARGETS, "postmaster", "The addresses that it stands for.", example="anna@blue.example bert@blue.example", required=True),
    pattern=True,
)


@implementer(IAliasResolver)
class AliasTable:
    """Entries, looked up as they are written first, and then, in local *domains*, by those that name no domain.

    *name* says where they are written.
    """

    def __init__(self, entries: Iterable[Entry], domains: Collection[str], name: str = "") -> None:
        self._entries = {entry.address: entry for entry in entries}
        self._domains = domains
        self._name = name

    async def lookup(self, address: Address) -> Step | None:
        entry = self.find(address)
        if entry is None:
            return None
        if entry.refused:
            raise Unavailable(entry.refused)
        return Step(entry.targets, f"{self._name}:{entry.line}" if entry.line else self._name)

    def find(self, address: Address) -> Entry | None:
        """The entry that holds for *address* (folded)."""
        entry = self._entries.get(address)
        if entry is None and address.domain in self._domains:
            entry = self._entries.get(Address(address.local))
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All, as they were written."""
        return tuple(self._entries.values())


def alias_table(aliases: Mapping[str, Settings], domains: Collection[str]) -> AliasTable:
    """The [alias:NAME] sections: {NAME: its Settings}. ValueError where a NAME is no address."""
    return AliasTable((Entry(addresses.parse(name).folded, settings.to, 0) for name, settings in aliases.items()), domains)
