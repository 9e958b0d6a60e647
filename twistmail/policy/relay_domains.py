"""Domains that we are a backup for (R52): their mail is taken while their own server is away, and brought there when it is back.

Whom they have can be said in a file, one address a line, or `@domain` for
everybody there; without it everything is taken, and what their server refuses
later has to be reported to a sender who may be forged. Where the mail goes is
`relay.routes`, which never takes a server that is not nearer than we are.
"""

from __future__ import annotations

from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.status import Status
from twistmail.options import WORDS, Kind
from twistmail.watched import Broken, WatchedFile

MOST_RECIPIENTS = 1_000_000
MOST_MISTAKES = 20
UNKNOWN = Status(550, "5.1.1", "There is no mailbox of that name where this mail would go")


def _read(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys("." * word.startswith(".") + canonical_domain(word.removeprefix(".")) for word in WORDS.read(text)))


DOMAINS = Kind("domains", _read, " ".join)


class RelayDomains:
    """*domains*: "friend.example" that very one, ".friend.example" all below it. *listed*: who is there; None: anybody."""

    def __init__(self, domains: tuple[str, ...], listed: WatchedFile[frozenset[str]] | None = None) -> None:
        self._domains = frozenset(domains)
        self._listed = listed

    async def has(self, recipient: Address) -> str:
        """The rule by which *recipient* is in one of the domains, or ""."""
        domain, prefix = recipient.domain, ""
        while domain and prefix + domain not in self._domains:
            domain, prefix = domain.partition(".")[2], "."
        return f"relay_domains {prefix}{domain}" if domain else ""

    async def objection(self, recipient: Address) -> Status | None:
        """None, or that there is nobody of that name. Raises Unavailable where the file was never in order."""
        if self._listed is None:
            return None
        await self._listed.freshen()
        folded = recipient.folded
        known = self._listed.value
        return None if f"{folded.local}@{folded.domain}" in known or f"@{folded.domain}" in known else UNKNOWN


def parse(text: str) -> frozenset[str]:
    """The addresses, and `@domain`s, of a text with one a line and # comments. Broken, with lines, where there are mistakes."""
    found: set[str] = set()
    mistakes: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        word = line.strip(" \t\r")
        if not word or word.startswith("#"):
            continue
        try:
            found.add(_entry(word))
        except ValueError as mistake:
            mistakes.append((number, str(mistake)))
        if len(found) > MOST_RECIPIENTS:
            mistakes.append((number, f"there are more than {MOST_RECIPIENTS} recipients"))
        if len(mistakes) >= MOST_MISTAKES or len(found) > MOST_RECIPIENTS:
            break
    if mistakes:
        raise Broken(mistakes)
    return frozenset(found)


def _entry(word: str) -> str:
    if word.startswith("@"):
        return "@" + canonical_domain(word[1:])
    address = addresses.parse(word).folded
    if not address.domain:
        raise ValueError(f"{word} has no domain; write {word}@friend.example")
    return f"{address.local}@{address.domain}"
