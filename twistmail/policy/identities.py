"""Which addresses a user may write as: his own, aliases that lead to him, his roles', and what the sender map gives him.

Asked about the envelope by `senders` and about the header by `submission`.
"""

from __future__ import annotations

from twistmail.expansion import Expansion
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.circles import NO_CIRCLES, Circles
from twistmail.policy.pipeline import House
from twistmail.policy.sender_map import Line, SenderMap
from twistmail.policy.sender_map import parse as parse_map
from twistmail.watched import WatchedFile

#: The rule where no line of the sender map says anything.
OWN_ADDRESSES = "own_addresses_only"


async def belongs_to(address: Address, account: Account, expansion: Expansion) -> bool:
    """Whether *address* is one of the account's own or leads to its mailbox. Raises Unavailable."""
    if str(address.folded) in (account.name, *account.addresses):
        return True
    return any(target.account == account.name for target in await expansion.follow(address))


class Identities:
    """The rules above. *listed*: the sender map; None where there is none. *circles*: whoever sends for a role may write as it."""

    def __init__(self, expansion: Expansion, listed: WatchedFile[SenderMap] | None = None, circles: Circles = NO_CIRCLES) -> None:
        self._expansion = expansion
        self._listed = listed
        self._circles = circles

    async def roles(self, address: Address, account: Account) -> tuple[str, ...]:
        """The accounts of the roles to which *address* leads, and for which *account* may send. Raises Unavailable."""
        if not self._circles.roles:
            return ()
        targets = await self._expansion.follow(address)
        return tuple(target.account for target in targets if self._circles.sends_for(account.name, target.account))

    async def refusal(self, address: Address, account: Account) -> str | None:
        """None where *account* may write as *address*; else the rule that does not let him. Raises Unavailable."""
        if await belongs_to(address, account, self._expansion) or await self.roles(address, account):
            return None
        if self._listed is None:
            return OWN_ADDRESSES
        line = await self._line(self._listed, address)
        if line is None:
            return OWN_ADDRESSES
        if line.everybody:
            return None
        for owner in line.owners:
            if await belongs_to(self._expansion.complete(owner), account, self._expansion):
                return None
        return f"{self._listed.path}:{line.number}"

    async def _line(self, listed: WatchedFile[SenderMap], address: Address) -> Line | None:
        """What the map says of *address*, without its +suffix, or of everybody in its domain."""
        await listed.freshen()
        lines = listed.value
        for one in self._expansion.spellings(self._expansion.complete(address.folded)):
            if line := lines.get(f"{one.local}@{one.domain}"):
                return line
        return lines.get(f"@{address.domain}")


def identities(house: House) -> Identities:
    """Those of *house*, by its settings."""
    name = house.settings.sender_map
    return Identities(house.expansion, house.watched.file(house.path(name), parse_map) if name else None, house.circles)
