"""Copies by rule: mail that an archive, or a colleague, gets besides those to whom it was written (Postfix's `always_bcc` and its maps).

    # who                 gets a copy
    anna@blue.example     boss@blue.example
    anna                  boss                    # anna in any domain of this house
    @shop.example         archive@blue.example, audit@elsewhere.example

A line that begins with a blank goes on with the line before. Case does not count. The recipients' rules ask for whom a message
is as its envelope says, before aliases; the first line that fits decides: the whole address, the address without its suffix,
the name alone, the domain.

Where a copy goes is followed like any address. One that leads nowhere, or cannot be looked up, lets the message wait with its
sender: an archive with holes is none. Nobody hears of a copy, not by a report either. `mailflow.Reception` puts them to the
other targets of a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.logger import Logger

from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.envelope import Target, Transaction
from twistmail.mail.values import frozen
from twistmail.options import TEXT, WORDS, Kind, Option, Section
from twistmail.watched import WatchedFile, keyed

log = Logger()

MOST_ENTRIES = 100_000
#: Addresses that one line may name.
MOST_COPIES = 100


def _read_addresses(text: str) -> tuple[Address, ...]:
    try:
        return tuple(addresses.parse(word) for word in WORDS.read(text))
    except ValueError as error:
        raise ValueError(f"{error}\nwrite addresses, divided by spaces") from None


ADDRESSES = Kind("addresses", _read_addresses, lambda found: " ".join(map(str, found)))

OPTIONS = Section(
    "copies",
    "Copies of mail for an archive or a colleague, of which nobody is told: docs/copies.md. Empty: none.",
    Option("always", ADDRESSES, "", "Who gets a copy of every message that comes in or is submitted.", example="archive@blue.example"),
    Option("of_senders", TEXT, "", "A file that says who gets copies of whose mail: anna@blue.example, anna (in any domain of this "
           "house) or @blue.example, and behind it addresses. Read again when it changes.", example="/etc/mail/copies_of_senders"),
    Option("of_recipients", TEXT, "", "The same for those to whom mail is written, as the envelope says.",
           example="/etc/mail/copies_of_recipients"),
)  # fmt: skip


@frozen
class Line:
    """One line: who gets the copies of its mail."""

    number: int
    copies: tuple[Address, ...]


#: The lines by the folded left side: no domain for a name alone, no local part for `@domain`.
Table = dict[Address, Line]


def parse(text: str) -> Table:
    """The lines of *text*. Broken where there are mistakes."""
    return keyed(
        text,
        lambda number, row: _line(number, row.partition(" #")[0].replace(",", " ").split()),
        MOST_ENTRIES,
        lambda who, earlier: f"this stands in line {earlier.number} already; put all the addresses there",
    )


def _line(number: int, words: list[str]) -> tuple[Address, Line]:
    who, *copies = words
    if not copies:
        raise ValueError(f"nobody gets the copies for {who}; write addresses behind it")
    if len(copies) > MOST_COPIES:
        raise ValueError(f"{who} has more than {MOST_COPIES} copies; name an alias")
    key = Address("", canonical_domain(who[1:])) if who.startswith("@") else addresses.parse(who).folded
    return key, Line(number, tuple(addresses.parse(word) for word in copies))


class Copies:
    """*always*: for every message. *senders*, *recipients*: the tables; None: there is none."""

    def __init__(
        self,
        expansion: Expansion,
        always: Sequence[Address] = (),
        senders: WatchedFile[Table] | None = None,
        recipients: WatchedFile[Table] | None = None,
    ) -> None:
        self._expansion = expansion
        self._always = tuple(always)
        self._senders = senders
        self._recipients = recipients

    async def targets(self, transaction: Transaction) -> tuple[Target, ...]:
        """Where copies of *transaction* go, each place once. Raises Unavailable, also where one would go nowhere."""
        wanted = dict.fromkeys((address, "[copies] always") for address in self._always)
        if self._senders is not None and transaction.sender is not None:
            wanted |= dict.fromkeys(await self._named(self._senders, transaction.sender))
        if self._recipients is not None:
            for recipient in transaction.recipients:
                wanted |= dict.fromkeys(await self._named(self._recipients, recipient.address))
        found: dict[object, Target] = {}
        for address, rule in wanted:
            for target in await self._followed(address, rule):
                found.setdefault(target.place, target)
        return tuple(found.values())

    async def _named(self, file: WatchedFile[Table], address: Address) -> tuple[tuple[Address, str], ...]:
        """(address, rule) of each copy that *file* wants of mail from or for *address*."""
        await file.freshen()
        for key in self._keys(self._expansion.complete(address.folded)):
            if (line := file.value.get(key)) is not None:
                return tuple((copy, f"{file.path}:{line.number}") for copy in line.copies)
        return ()

    def _keys(self, address: Address) -> Iterator[Address]:
        spellings = self._expansion.spellings(address)
        yield from spellings
        if self._expansion.is_local(address):
            yield from (Address(one.local) for one in spellings)
        yield Address("", address.domain)

    async def _followed(self, address: Address, rule: str) -> tuple[Target, ...]:
        followed = await self._expansion.explain(self._expansion.complete(address))
        if followed.fault is not None:
            trouble = f"{rule}: no copy can go to {address}: {followed.fault}"
            log.error("{trouble}; mail has to wait", trouble=trouble)
            raise Unavailable(trouble)
        return followed.targets
