"""Accounts, passwords and aliases in memory: for tests, demonstrations and authors of plugins."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from zope.interface import implementer

from twistmail.interfaces import IAccounts, IAliasResolver, IAuthenticator, IForwards, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Goal, Step
from twistmail.mail.evidence import Clear, Evidence, ScramKeys
from twistmail.mail.forward import settled


@implementer(IAccounts, IAuthenticator)
class MemoryPeople:
    """Accounts with passwords in clear: {"ann@here.example": "secret"}. `available` False makes every question fail."""

    def __init__(self, passwords: Mapping[str, str] | None = None, default_domain: str = "") -> None:
        self.accounts: dict[str, Account] = {}
        self.available = True
        self._passwords: dict[str, str] = {}
        self._default_domain = default_domain
        for name, password in (passwords or {}).items():
            self.add(Account(name), password)

    def add(self, account: Account, password: str) -> None:
        """Put *account* in, or in the place of the one of that name."""
        self.accounts[account.name] = account
        self._passwords[account.name] = password

    async def find(self, address: Address) -> Account | None:
        self._must_be_available()
        return self.accounts.get(str(address))

    async def list(self) -> tuple[Account, ...]:
        self._must_be_available()
        return tuple(self.accounts[name] for name in sorted(self.accounts))

    async def authenticate(self, login: str, password: str, service: str = "") -> Account | None:
        self._must_be_available()
        account = self.accounts.get(self._name(login))
        expected = self._passwords.get(account.name, "") if account else ""
        right = hmac.compare_digest(expected.encode(), password.encode())
        return account if account and right and account.enabled else None

    async def evidence(self, login: str, kind: str, service: str = "") -> Evidence | None:
        self._must_be_available()
        account = self.accounts.get(self._name(login))
        if account is not None and account.enabled:
            return Clear(self._passwords[account.name])
        return ScramKeys(kind, login.encode() or b"-", 4096, b"", b"") if kind != "PLAIN" else None

    async def provable(self, kind: str) -> bool:
        return True

    async def whose(self, login: str) -> Account | None:
        self._must_be_available()
        return self.accounts.get(self._name(login))

    def _name(self, login: str) -> str:
        try:
            address = parse(login).folded
        except ValueError:
            return ""
        return str(address if address.domain else Address(address.local, self._default_domain))

    def _must_be_available(self) -> None:
        if not self.available:
            raise Unavailable("the accounts are away")


@implementer(IAliasResolver)
class MemoryAliases:
    """Aliases as {"info@here.example": ["ann", "bob@away.example"]}, or with goals. `available` False makes every question fail."""

    def __init__(self, targets: Mapping[str, Iterable[str | Goal]] | None = None) -> None:
        self.available = True
        self._targets: dict[Address, tuple[Goal, ...]] = {}
        for address, written in (targets or {}).items():
            self.add(address, written)

    def add(self, address: str, targets: Iterable[str | Goal]) -> None:
        """From now on *address* stands for *targets*."""
        self._targets[parse(address).folded] = tuple(parse(target) if isinstance(target, str) else target for target in targets)

    async def lookup(self, address: Address) -> Step | None:
        if not self.available:
            raise Unavailable("the aliases are away")
        targets = self._targets.get(address)
        return Step(targets) if targets else None


@implementer(IForwards)
class MemoryForwards:
    """Forwards as {("ann@here.example", extension): goals}; for others, what is set for the account. `available` False: none can be had."""

    def __init__(self, goals: Mapping[tuple[str, str], Iterable[Goal]] | None = None) -> None:
        self.available = True
        self.goals = {key: tuple(some) for key, some in (goals or {}).items()}

    async def lookup(self, account: Account, extension: str) -> Step | None:
        if not self.available:
            raise Unavailable("the forwards are away")
        for key in ((account.name, extension), (account.name, "")):
            if key in self.goals:
                return Step(self.goals[key], f"forward of {account.name}") if self.goals[key] else None
        return settled(account)
