"""Somebody who has a mailbox here and may log in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is the full address in lower case (`alice@blue.test`): the login, and the key of the mail store."""

    name: str
    display_name: str = ""
    quota: int | None = None  # bytes; None is unlimited
    enabled: bool = True

    @property
    def local(self) -> str:
        return self.name.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.name.rpartition("@")[2]
