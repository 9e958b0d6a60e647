"""Which address takes the place of which as a message comes in: in the envelope and in the header, for senders and for recipients.

As Postfix's cleanup(8) does it. The table for senders (or recipients) comes first, then the one for both; each is asked again about
what it has said, until it says nothing new. A suffix that no line names goes along. Policies judge what was said by SMTP, so whose
address it is to send from is asked of the sender as he came; everything behind that (delivery, queue, reports) knows the new ones.

Asked by the expansion at its beginning (recipients), by `mailflow` before a message is taken over (sender and header), by the policy
about senders whom no answer can reach, and by whoever explains. Headers are changed in mail of users only, unless all is wanted:
a stranger's message may be signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twistmail.canonical.table import Found, Table
from twistmail.leaving.senders import Names
from twistmail.mail.address import LONGEST_LOCAL_PART, Address
from twistmail.mail.readdressed import Change, Shown, by_field, readdressed
from twistmail.mail.values import frozen
from twistmail.watched import WatchedFile

#: Where a table holds; the words are those of Postfix's canonical_classes.
ENVELOPE_SENDER, ENVELOPE_RECIPIENT = "envelope_sender", "envelope_recipient"
HEADER_SENDER, HEADER_RECIPIENT = "header_sender", "header_recipient"
CLASSES = (ENVELOPE_SENDER, ENVELOPE_RECIPIENT, HEADER_SENDER, HEADER_RECIPIENT)
#: How often a table is asked about one address. Postfix gives up there too, with what it has by then.
DEEPEST = 10
#: Headers of more octets are looked through in a thread.
_AT_ONCE = 64 * 1024


@frozen
class Map:
    """One table, and the classes that it holds for."""

    file: WatchedFile[Any]  # of a Table
    classes: frozenset[str]


@frozen
class House:
    """Whose names they are, and the domain of those without one. Pure."""

    names: Names
    default_domain: str

    def replaced(self, address: Address, tables: Sequence[tuple[str, Table]]) -> Shown:
        """What takes the place of *address* by *tables*, (name, table) each, and by which lines of them."""
        here, rules = address, list[str]()
        for path, table in tables:
            for _ in range(DEEPEST):
                whole = Address(here.local, here.domain or self.default_domain)
                if (found := table.find(whole, self._keys(whole))) is None:
                    break
                before, here = here, self._result(found, here)
                if here != before:
                    rules.append(f"{path}:{found.number}")
                if here.folded == before.folded:
                    break
        return Shown(here if rules else address, ", ".join(rules))

    def _keys(self, whole: Address) -> Iterator[tuple[Address, str]]:
        """name+suffix@domain, name@domain, then the same without the domain where it is one of ours, then @domain."""
        spellings = [(one.folded, whole.local[len(one.local) :]) for one in self.names.spellings(whole)]
        yield from spellings
        if self.names.has(whole.domain):
            yield from ((Address(one.local), suffix) for one, suffix in spellings)
        yield Address("", whole.domain), ""

    def _result(self, found: Found, address: Address) -> Address:
        becomes = found.becomes
        local = becomes.local + found.suffix if becomes.local else address.local
        if len(local.encode()) > LONGEST_LOCAL_PART:  # nobody could be written to by that
            local = becomes.local or address.local
        return Address(local, becomes.domain or self.default_domain)


class Canonical:
    """*maps*: in the order in which they are asked. *everybody*: the headers of strangers' messages are changed too."""

    def __init__(self, house: House, maps: Sequence[Map], threads: Any, *, everybody: bool = False) -> None:
        self._house = house
        self._files = tuple(dict.fromkeys(one.file for one in maps))
        self._maps = {name: tuple(one.file for one in maps if name in one.classes) for name in CLASSES}
        self._threads = threads
        self._everybody = everybody

    @property
    def any(self) -> bool:
        """Whether anything is ever changed."""
        return bool(self._files)

    def covers(self, name: str) -> bool:
        """Whether anything is ever changed in the class *name*."""
        return bool(self._maps[name])

    # ----- the envelope

    async def sender(self, sender: Address) -> Shown:
        """What the envelope's sender becomes, and by which lines. Raises Unavailable where a table was never in order."""
        return await self._in(ENVELOPE_SENDER, sender)

    async def recipient(self, recipient: Address) -> Shown:
        """What a recipient becomes, and by which lines. Raises Unavailable where a table was never in order."""
        return await self._in(ENVELOPE_RECIPIENT, recipient)

    async def _in(self, name: str, address: Address) -> Shown:
        if not self._maps[name]:
            return Shown(address)
        await self._freshen()
        return self._mapped(name, address)

    # ----- the header

    async def header(self, header: bytes, *, is_ours: bool) -> bytes:
        """*header* with its addresses changed, the same object where none is. *is_ours*: a user has sent it. Raises Unavailable."""
        if not ((is_ours or self._everybody) and (self._maps[HEADER_SENDER] or self._maps[HEADER_RECIPIENT])):
            return header
        await self._freshen()
        if len(header) <= _AT_ONCE:
            return self._readdressed(header)
        changed: bytes = await self._threads.run(self._readdressed, header)
        return changed

    def _readdressed(self, header: bytes) -> bytes:
        return readdressed(header, by_field(self._change(HEADER_SENDER), self._change(HEADER_RECIPIENT)))

    def _change(self, name: str) -> Change | None:
        if not self._maps[name]:
            return None
        known: dict[Address, Address] = {}
        return lambda address: known.get(address) or known.setdefault(address, self._mapped(name, address).address)

    # ----- the tables

    async def _freshen(self) -> None:
        for file in self._files:
            await file.freshen()

    def _mapped(self, name: str, address: Address) -> Shown:
        return self._house.replaced(address, [(str(file.path), file.value) for file in self._maps[name]])
