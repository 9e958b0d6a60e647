"""Somebody who has a mailbox here and may log in, and where his mail lies."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any

from twistmail.mail.values import frozen


@frozen
class Account:
    """`name` is the full address in lower case (`alice@blue.test`): the login, and the key of the mail store."""

    name: str
    display_name: str = ""
    quota: int | None = None  # bytes; None is unlimited
    enabled: bool = True
    format: str = ""  # of his mailbox: "maildir", "mbox"; empty: what holds for all
    #: Messages and recipients that he may send, ((so many, within seconds), ...); empty: any number; None: what holds for all.
    rate: tuple[tuple[int, float], ...] | None = None
    recipient_rate: tuple[tuple[int, float], ...] | None = None
    addresses: tuple[str, ...] = ()  # further ones whose mail goes into the same mailbox, in lower case
    forward: tuple[str, ...] = ()  # where his mail goes on to
    keep_copy: bool = True  # ... and whether it lies here too
    login_from: tuple[Any, ...] = ()  # networks (`networks.NETWORKS`) from which he may log in; empty: any
    uid: int | None = None  # of a user of this machine, whom the files with his mail belong to
    by_app_password: bool = field(default=False, compare=False)  # how he came in, where he has just logged in

    @property
    def local(self) -> str:
        return self.name.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.name.rpartition("@")[2]


def account_directory(template: str, account: str) -> str:
    """*template* with %u, %n and %d filled in for *account* ("alice@blue.test"). ValueError where a part could climb out."""
    local, at, domain = account.rpartition("@") if "@" in account else (account, "", "")
    if not local or bool(at) != bool(domain) or any(word.startswith(".") or "/" in word or "\0" in word for word in (local, domain)):
        raise ValueError(f"{account!r} cannot name a directory")
    words = {"u": account, "n": local, "d": domain, "%": "%"}
    return re.sub(r"%([und%])", lambda match: words[match[1]], template)
