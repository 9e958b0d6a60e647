"""What users of this machine may call themselves when they send over its UNIX socket, without logging in (`sendmail -f`)."""

from __future__ import annotations

from zope.interface import implementer

from twistmail.interfaces import Edit, IPolicyStage, Point
from twistmail.mail.envelope import Peer, Transaction
from twistmail.policy.identities import Identities
from twistmail.policy.pipeline import House

#: `Peer.address` of a UNIX socket.
THIS_MACHINE = "unix"


class LocalUsers:
    """*trusted*: accounts that may write as anybody; *warns*: so may all others, but the message tells of it."""

    def __init__(self, trusted: frozenset[str] = frozenset(), *, warns: bool = False) -> None:
        self._trusted = trusted
        self.warns = warns

    def trusts(self, peer: Peer) -> bool:
        """Whether *peer* may write as anybody."""
        return peer.address == THIS_MACHINE and peer.account is not None and peer.account.name in self._trusted

    def lets_off(self, peer: Peer) -> bool:
        """Whether *peer* may write as anybody if the message says so."""
        return self.warns and peer.address == THIS_MACHINE


@implementer(IPolicyStage)
class SenderWarning:
    """Tells in the header, as sendmail does, that a user has sent as somebody else."""

    name = "senders"
    point = Point.MESSAGE

    def __init__(self, hostname: str, identities: Identities, users: LocalUsers) -> None:
        self._hostname = hostname
        self._identities = identities
        self._users = users

    async def judge(self, transaction: Transaction) -> Edit | None:
        sender, account = transaction.sender, transaction.account
        if sender is None or account is None or not self._users.lets_off(transaction.peer) or self._users.trusts(transaction.peer):
            return None
        if await self._identities.refusal(sender, account) is None:
            return None
        return Edit(prepend=f"X-Authentication-Warning: {self._hostname}: {account.local} set sender to {sender} using -f\r\n".encode())


def local_users(house: House) -> LocalUsers:
    """What the settings of *house* say."""
    own = house.settings
    trusted = frozenset(str(house.expansion.complete(name)) for name in own.trusted_users)
    return LocalUsers(trusted, warns=own.local_senders == "warn")
