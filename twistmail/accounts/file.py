"""Accounts in a text file of Dovecot's passwd-file form, re-read when it changes.

    user:{SCHEME}secret:uid:gid:full name:home:shell:extra fields

`user` is a full address, or a local part of the default domain. Of the fields
behind the password we use the full name and, of the extra fields, `quota=2G`,
`userdb_quota_rule=*:storage=2G`, `nologin` and `format=mbox`; the others belong
to Dovecot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twistmail.accounts import passwords
from twistmail.accounts.config import FORMAT
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, account_name
from twistmail.mail.account import Account
from twistmail.options import SIZE
from twistmail.watched import Broken, WatchedFile

MOST_ENTRIES = 200_000
_QUOTA = re.compile(r"(?:quota=|userdb_quota_rule=\*:(?:storage|bytes)=)(\S{1,20})")
_NOLOGIN = re.compile(r"nologin(?:=(?:y|yes|1))?")
#: What stands in the password field of somebody who cannot log in: "", "x", "*" or "!".
_LOCKED = re.compile(r"[x*!]?|[*!].*")


class PasswdFile:
    """The accounts in the file at *path*. An AccountTable."""

    def __init__(self, path: Path, threads: Any, default_domain: str) -> None:
        self._file = WatchedFile(path, lambda text: FixedTable(parse(text, default_domain)), threads)

    def entry(self, name: str) -> Entry | None:
        return self._file.value.entry(name)

    def with_local(self, local: str) -> Sequence[Entry]:
        return self._file.value.with_local(local)

    def entries(self) -> Sequence[Entry]:
        return self._file.value.entries()

    async def freshen(self) -> None:
        await self._file.freshen()


def parse(text: str, default_domain: str) -> list[Entry]:
    """The entries that *text* holds, in order. Broken, with all mistakes, where a line cannot be understood."""
    entries: dict[str, Entry] = {}
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            entry = _entry(line, default_domain)
        except ValueError as error:
            problems.append((number, str(error).partition("\n")[0]))
            continue
        if entry.account.name in entries:
            problems.append((number, f"{entry.account.name} stands here a second time"))
        entries[entry.account.name] = entry
        if len(entries) > MOST_ENTRIES:
            problems.append((number, f"there are more than {MOST_ENTRIES} accounts"))
            break
    if problems:
        raise Broken(problems)
    return list(entries.values())


def _entry(line: str, default_domain: str) -> Entry:
    """ValueError where *line* is none."""
    user, *fields = line.split(":", 7)
    if not fields:
        raise ValueError("there is no colon; write user:{SCHEME}secret")
    fields += [""] * (7 - len(fields))
    secret, full_name, extra = fields[0], fields[3], fields[6].split()
    quotas = [match[1] for word in extra if (match := _QUOTA.fullmatch(word))]
    account = Account(account_name(user, default_domain), full_name.partition(",")[0], SIZE.read(quotas[0]) if quotas else None,
                      enabled=not any(_NOLOGIN.fullmatch(word) for word in extra), format=_format(extra))
    return Entry(account, "" if _LOCKED.fullmatch(secret) else passwords.check(secret))


def _format(extra: Sequence[str]) -> str:
    """The format that one of the *extra* fields tells; empty without. ValueError where it tells another."""
    told = [word.removeprefix("format=") for word in extra if word.startswith("format=")]
    return str(FORMAT.read(told[0])) if told else ""
