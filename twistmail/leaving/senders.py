"""Which address the world sees: the sender map first, then masquerading (rows R55, R56).

Answers are plain functions of what the map said when it was last read; `freshen`
reads it again where it has changed, and is awaited once before a message is
looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from twistmail.leaving.generic import SenderMap
from twistmail.mail.address import Address
from twistmail.mail.masquerade import Masquerade
from twistmail.mail.readdressed import Shown
from twistmail.mail.values import frozen
from twistmail.watched import WatchedFile

#: Where a name alone is meant, and what is shown where masquerade_domains says nothing.
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "localdomain"})


@frozen
class Names:
    """The domains of this house (`local`), the names of this machine (`machine`), and what divides names from suffixes."""

    local: frozenset[str]
    machine: frozenset[str]
    spellings: Callable[[Address], tuple[Address, ...]]

    def has(self, domain: str) -> bool:
        return domain in self.local or domain in self.machine


def machine_names(hostname: str) -> frozenset[str]:
    """What this machine is called: its name, that without its domain, and what every machine calls itself."""
    return LOOPBACK_NAMES | {hostname, hostname.partition(".")[0]}


class Senders:
    """*listed*: the sender map; *masquerade*: None where there is none; *envelope* and *header*: whether it holds there.

    *reverse*: the map is read backwards too.
    """

    def __init__(
        self,
        names: Names,
        listed: WatchedFile[SenderMap] | None,
        masquerade: Masquerade | None,
        *,
        envelope: bool = True,
        header: bool = True,
        reverse: bool = True,
    ) -> None:
        self.names = names
        self._listed = listed
        self._masquerade = masquerade
        self._envelope = envelope
        self._header = header
        self._reverse = reverse

    @property
    def any(self) -> bool:
        """Whether anything is ever changed."""
        return self._listed is not None or self._masquerade is not None

    async def freshen(self) -> None:
        """Read the map where it is another. Raises Unavailable where it was never in order."""
        if self._listed is not None:
            await self._listed.freshen()

    def in_envelope(self, sender: Address) -> Shown:
        """The envelope's sender."""
        return self._mapped(sender) or self._masqueraded(sender, wanted=self._envelope)

    def in_header(self, author: Address) -> Shown:
        """An address in From, Sender, Reply-To and their like."""
        return self._mapped(author) or self._masqueraded(author, wanted=self._header)

    def as_reader(self, reader: Address) -> Shown:
        """An address in To and Cc: masquerading does not touch it."""
        return self._mapped(reader) or Shown(reader)

    def is_ours(self, address: Address) -> bool:
        """Whether *address* is one of this house, whatever the world sees of it."""
        if self.names.has(address.domain) or (self._masquerade is not None and self._masquerade.covers(address.domain)):
            return True
        return self._mapped(address) is not None

    def behind(self, shown: Address) -> Address | None:
        """Whose address *shown* is by the sender map: somebody of this house, by his name or in one of its domains; else None."""
        if self._listed is None or not self._reverse or (line := self._listed.value.by_shown.get(shown.folded)) is None:
            return None
        who = line.who
        return who if not who.domain or who.domain in self.names.local else None

    def _mapped(self, address: Address) -> Shown | None:
        if self._listed is None:
            return None
        spellings = tuple(self.names.spellings(address.folded))
        line = self._listed.value.line_for(spellings, is_ours=self.names.has(address.domain))
        if line is None:
            return None
        return Shown(Address(line.shown.local or address.local, line.shown.domain), f"{self._listed.path}:{line.number}")

    def _masqueraded(self, address: Address, *, wanted: bool) -> Shown:
        masked = self._masquerade.of(address) if self._masquerade is not None and wanted else None
        return Shown(address) if masked is None else Shown(masked, "[rewrite] masquerade_as")
