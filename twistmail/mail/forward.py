"""Where somebody's own mail goes on to, as a step of an expansion. Values; what people write themselves is read by `aliases.forward`."""

from __future__ import annotations

from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.alias import Final, Step


def settled(account: Account) -> Step | None:
    """What whoever keeps *account* has set for it (`forward`, `keep_copy`); None: his mail stays in his mailbox."""
    if not account.forward:
        return None
    copy = (Final(parse(account.name)),) if account.keep_copy else ()
    return Step((*copy, *map(parse, account.forward)), f"forward of {account.name}")
