"""The settings of aliases, and those that stand in the configuration itself: [alias:NAME]."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from zope.interface import implementer

from twistmail.aliases import items
from twistmail.aliases.items import Item
from twistmail.aliases.listed import Listed, listed
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.owner import owner_of
from twistmail.aliases.parse import Entry, contradictions
from twistmail.aliases.permits import INCLUDED, NO, YES
from twistmail.interfaces import IAliasResolver
from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.alias import Step
from twistmail.mail.values import frozen
from twistmail.options import COUNT, SEPARATORS, SWITCH, TEXT, WORDS, Kind, Option, Section, Settings, choice

#: Sources that are files, and what is in them.
FILES = {
    "file": "aliases(5)", "virtual": "Postfix's virtual(5)", "virtusertable": "sendmail's virtusertable", "regexp": "regular expressions",
}  # fmt: skip
AUTO, BY_COMMAND = "auto", "newaliases"


def _read_sources(text: str) -> tuple[str, ...]:
    sources: tuple[str, ...] = WORDS.read(text)
    for source in sources:
        name, _, path = source.partition(":")
        if not name or (name in FILES and not path):
            raise ValueError(f"{source} is not a source of aliases\nwrite config, sqlite, or {name or 'file'}:/etc/aliases")
    return sources


def _read_targets(text: str) -> tuple[Item, ...]:
    """Items as in aliases(5). Addresses may be divided by white space too; what has any in it stands in quotes."""
    words = [word for _, word in items.split(" ".join(text.split()))]
    read = [item for word in words for item in _read_word(word)]
    if not read:
        raise ValueError("an alias must lead somewhere\nwrite addresses, divided by spaces")
    if wrong := contradictions(read):
        raise ValueError(f"an alias {wrong[0]}")
    return tuple(read)


def _read_word(word: str) -> list[Item]:
    """*word*, which stands between two commas."""
    if word[0] in '"|:' or word[-1] == ">" or word.startswith("error:"):
        return [items.read(word)]
    return [items.read(one) for one in word.split()]


def _read_owner(text: str) -> Address | None:
    return addresses.parse(text) if text else None


SOURCES = Kind("sources of aliases", _read_sources, " ".join)
TARGETS = Kind("addresses", _read_targets, lambda targets: ", ".join(map(str, targets)))
OWNER = Kind("an address", _read_owner, lambda owner: str(owner or ""))

OPTIONS = Section(
    "aliases",
    "Where aliases are, what they may lead to, and how far they are followed. The first source that knows a name answers: docs/aliases.md.",
    Option("source", SOURCES, "config sqlite",
           "Sources, in order: config ([alias:NAME] sections), sqlite (made by twistmail alias add), file:PATH (in aliases(5) syntax), "
           "virtual:PATH (Postfix's virtual(5)), virtusertable:PATH (sendmail's), regexp:PATH (Postfix's regexp_table), sql, ldap, http, "
           "or what a plugin brings: docs/accounts.md."),
    Option("database", TEXT, "aliases.db", "The file of the source sqlite, below data_dir."),
    Option("files", choice(NO, YES, INCLUDED), NO,
           "Whether aliases may lead to files (/path): no; yes; included: those in a list that an alias includes, too. What is not "
           "allowed waits, and is told in the log."),
    Option("programs", choice(NO, YES, INCLUDED), NO, "Whether aliases may lead to programs (|command): as with files."),
    Option("includes", SWITCH, "yes", "Whether aliases may lead to lists in files (:include:/path)."),
    Option("reload", choice(AUTO, BY_COMMAND), AUTO,
           "When a changed file:PATH counts: auto, with the next message; newaliases, when that has been run and has found it in order."),
    Option("subaddress", SEPARATORS, "+",
           "What divides a name from a suffix: one character or several, each of which does; empty: nothing. "
           "anna+x@ is anna@, unless anna+x@ or anna+default@ is an alias."),
    Option("to_postmaster", WORDS, "mailer-daemon root",
           "Names, in every local domain, whose mail postmaster gets where they are neither alias nor user."),
    Option("depth_limit", COUNT, "10", "How many aliases may lead to each other."),
    Option("expansion_limit", COUNT, "1000", "How many addresses one recipient may become."),
)

ALIAS = Section(
    "alias",
    "One alias of the source `config`: [alias:info@blue.example]. Without a domain it holds in every local domain.",
    Option("to", TARGETS, "postmaster",
           "The addresses that it stands for; also whatever else aliases(5) knows, where that is allowed: docs/aliases.md.",
           example="anna@blue.example bert@blue.example", required=True),
    Option("owner", OWNER, "", "Who gets the reports about mail that goes on from here: its sender, as others see it. Empty: the alias "
           "owner-NAME where there is one, else the sender of the message.", example="anna@blue.example"),
    pattern=True,
)


@frozen
class Configured:
    """One [alias:NAME] section. `origin`: where it stands."""

    entry: Entry
    owner: Address | None
    origin: str


@implementer(IAliasResolver)
class AliasTable:
    """Aliases of the configuration, looked up as they are written first, and then, in local *domains*, by those that name no domain."""

    def __init__(self, configured: Iterable[Configured], domains: Collection[str], meaning: Meaning) -> None:
        self._configured = {one.entry.address: one for one in configured}
        self._domains = domains
        self._meaning = meaning

    async def lookup(self, address: Address) -> Step | None:
        found = self._find(address)
        if found is None:
            return None
        goals = await self._meaning.goals(found.entry.items, found.origin)
        owner = found.owner or owner_of(address, lambda owner: self._find(owner) is not None)
        return Step(goals, found.origin, owner if owner is None or owner.domain else Address(owner.local, address.domain))

    async def listed(self) -> list[Listed]:
        """All, as they are written."""
        return [listed(one.entry.address, one.entry.items, one.origin, one.owner) for one in self._configured.values()]

    def _find(self, address: Address) -> Configured | None:
        found = self._configured.get(address)
        if found is None and address.domain in self._domains:
            found = self._configured.get(Address(address.local))
        return found


def alias_table(
    aliases: Mapping[str, Settings], domains: Collection[str], meaning: Meaning, origins: Mapping[str, str] | None = None
) -> AliasTable:
    """The [alias:NAME] sections: {NAME: its Settings}; *origins* tells where each stands. ValueError where a NAME is no address."""
    configured = (
        Configured(Entry(addresses.parse(name).folded, settings.to, 0), settings.owner, (origins or {}).get(name, f"[alias:{name}]"))
        for name, settings in aliases.items()
    )
    return AliasTable(configured, domains, meaning)

