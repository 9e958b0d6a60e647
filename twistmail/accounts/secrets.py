"""What is kept of an account to know its owner by."""

from __future__ import annotations

from dataclasses import field

from twistmail.mail.account import Account
from twistmail.mail.evidence import ScramKeys
from twistmail.mail.values import frozen


@frozen
class AppPassword:
    """A password for one program, which its owner never types: made up by us, so long that its hash can be a quick one.

    `services` are those that it opens (empty: all); `expires` in POSIX seconds (None: never). `label` is its owner's word for it.
    """

    label: str
    secret: str = field(repr=False)
    services: frozenset[str] = frozenset()
    expires: float | None = None

    def opens(self, service: str, now: float) -> bool:
        return (not self.services or service in self.services) and (self.expires is None or now < self.expires)


@frozen
class Entry:
    """An account and what is kept of its password: `secret` (`passwords.verify`), empty where nobody can log in by it.

    `keys`: for mechanisms that send no password.
    """

    account: Account
    secret: str = field(repr=False, default="")
    keys: tuple[ScramKeys, ...] = field(repr=False, default=())
    app_passwords: tuple[AppPassword, ...] = ()
