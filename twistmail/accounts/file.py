"""Accounts in a text file of Dovecot's passwd-file form, re-read when it changes.

    user:{SCHEME}secret:uid:gid:full name:home:shell:extra fields

`user` is a full address, or a local part of the default domain. Of the fields
behind the password we use the full name and, of the extra fields, those in
`_settings`; the others say where Dovecot keeps the mail, or how it serves the
user, and are its business. A line that cannot be understood is told with its
number, and spoils itself alone: mail for its user waits until it is mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twistmail.accounts import passwords
from twistmail.accounts.config import FORMAT
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, account_name
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.networks import NETWORKS
from twistmail.options import SIZE
from twistmail.watched import Broken, Partly, WatchedFile

MOST_ENTRIES = 200_000
_QUOTA_RULE = re.compile(r"\*:(storage|bytes)=\+?(\d{1,18})([BKMGT]?)(?:i?B)?", re.IGNORECASE)
#: Switches that stand for themselves, and with these values.
_YES = ("", "y", "yes", "1", "true")
#: What stands in the password field of somebody who cannot log in: "", "x", "*" or "!".
_LOCKED = re.compile(r"[x*!]?|[*!].*")


class PasswdTable(FixedTable):
    """The *entries* of a file; *spoiled*: what is wrong with the lines of others, {name: text}."""

    def __init__(self, entries: Iterable[Entry], spoiled: Mapping[str, str]) -> None:
        super().__init__(entries)
        self._spoiled = dict(spoiled)

    def entry(self, name: str) -> Entry | None:
        if name in self._spoiled:
            raise Unavailable(self._spoiled[name])
        return super().entry(name)


class PasswdFile:
    """The accounts in the file at *path*. An AccountTable."""

    def __init__(self, path: Path, threads: Any, default_domain: str) -> None:
        self._file: WatchedFile[PasswdTable] = WatchedFile(path, lambda text: parse(text, default_domain), threads)

    def entry(self, name: str) -> Entry | None:
        return self._file.value.entry(name)

    def with_local(self, local: str) -> Sequence[Entry]:
        return self._file.value.with_local(local)

    def entries(self) -> Sequence[Entry]:
        return self._file.value.entries()

    async def freshen(self) -> None:
        await self._file.freshen()


def parse(text: str, default_domain: str) -> Partly[PasswdTable]:
    """What *text* says, and what is wrong with its lines. Broken where there are too many of them."""
    entries: dict[str, Entry] = {}
    spoiled: dict[str, str] = {}
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith(("#", ":")):  # as Dovecot has it
            continue
        try:
            entry = _entry(line, default_domain)
            if entry.account.name in entries:
                raise ValueError(f"{entry.account.name} stands here a second time; the first line holds")
            entries[entry.account.name] = entry
            if entry.secret:
                passwords.check(entry.secret)
        except passwords.UnknownScheme as error:  # there is such a user, who only cannot log in
            problems.append((number, str(error).partition("\n")[0]))
        except ValueError as error:
            what = str(error).partition("\n")[0]
            problems.append((number, what))
            if name := _name(line, default_domain):
                spoiled.setdefault(name, f"line {number} of the users' file: {what}")
        if len(entries) > MOST_ENTRIES:
            raise Broken([(number, f"there are more than {MOST_ENTRIES} accounts")])
    for name in entries:
        spoiled.pop(name, None)
    return Partly(PasswdTable(entries.values(), spoiled), tuple(problems))


def problems(path: Path, default_domain: str) -> tuple[tuple[int, str], ...]:
    """What is wrong with the file at *path*, for the checker: (line, text), line 0 where it cannot be read. Blocking."""
    file: WatchedFile[PasswdTable] = WatchedFile(path, lambda text: parse(text, default_domain), None)
    return file.problems()


def _name(line: str, default_domain: str) -> str:
    """Whose line that is, as far as it can be told."""
    try:
        return account_name(line.partition(":")[0], default_domain)
    except ValueError:
        return ""


def _entry(line: str, default_domain: str) -> Entry:
    """ValueError where *line* is none."""
    user, *fields = line.split(":", 7)
    if not fields:
        raise ValueError("there is no colon; write user:{SCHEME}secret")
    fields += [""] * (7 - len(fields))
    secret, full_name, extra = fields[0], fields[3], _extra_fields(fields[6])
    if "nopassword" in extra:
        raise ValueError("nopassword would let everybody in")
    account = Account(
        account_name(extra.get("user") or user, default_domain),
        full_name.partition(",")[0],
        _quota(extra),
        enabled=not any(extra.get(word, "no").lower() in _YES for word in ("nologin", "disabled")),
        login_from=NETWORKS.read(extra.get("allow_nets", "")),
        format=str(FORMAT.read(extra["format"])) if "format" in extra else "",
    )
    return Entry(account, "" if _LOCKED.fullmatch(secret) else secret)


def _extra_fields(text: str) -> dict[str, str]:
    """`nologin userdb_quota_rule=*:storage=2G`: what is said of the login and of the mail, without the prefix of the latter."""
    words = (word.removeprefix("userdb_").partition("=") for word in text.split())
    return {name: value for name, _, value in words}


def _quota(extra: Mapping[str, str]) -> int | None:
    """In octets. Dovecot counts a storage without a unit in kilobytes, and 0 is no limit. ValueError."""
    if size := extra.get("quota") or extra.get("quota_storage_size"):
        return SIZE.read(size)  # type: ignore[no-any-return]
    rule = extra.get("quota_rule")
    if not rule or not rule.startswith("*:"):
        return None  # other folders, or none
    if rule.partition("=")[0] not in ("*:storage", "*:bytes"):
        return None  # numbers of messages
    match = _QUOTA_RULE.fullmatch(rule)
    if not match:
        raise ValueError(f"{rule} is no quota; write quota_rule=*:storage=2G")
    unit = match[3] or ("K" if match[1].lower() == "storage" else "")
    return SIZE.read(match[2] + unit) if int(match[2]) else None  # type: ignore[no-any-return]
