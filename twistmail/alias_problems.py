"""What is wrong with the aliases: those that lead nowhere, in circles or outside, and those that hide somebody's mailbox.

`twistmail alias check` tells all of it; what takes mail away from a user is also told when the server starts, and when it has
read its configuration again (row R26). The rules are `expansion`'s; here it is asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from twisted.logger import Logger

from twistmail.alias_views import listed
from twistmail.aliases.items import Include
from twistmail.aliases.listed import Listed
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.alias import ToFile
from twistmail.mail.envelope import Kind
from twistmail.mail.walking import LOOP

log = Logger()

#: Aliases that are looked at before others have their turn.
PIECE = 50
#: Of a name that holds in every domain of ours: so many of them are looked at.
MOST_DOMAINS = 1000
#: Aliases that a start looks at, and lines that it tells; `alias check` looks at all.
MOST_AT_START, MOST_TOLD = 10_000, 20


#: What keeps mail from the file at a path; empty: nothing that is known.
Objection = Callable[[str], Awaitable[str]]


async def problems(expansion: Expansion, unfit: Objection | None = None) -> list[dict[str, Any]]:
    """What is wrong with the sources of aliases and with the aliases that can be listed: [{"address", "problem", "source"}].

    *unfit* looks at the files that they name; None: nobody does.
    """
    found = []
    for source in getattr(expansion.aliases, "sources", ()):
        if hasattr(source, "troubles"):
            found += [{"address": name, "problem": text, "source": origin} for name, text, origin in await source.troubles()]
    try:
        aliases = await listed(expansion.aliases)
    except Unavailable as trouble:
        return [*found, {"address": "-", "problem": f"the aliases cannot be listed: {trouble}", "source": "-"}]
    for place, alias in enumerate(aliases, 1):
        for text in await _problems_of(expansion, alias):
            found.append({"address": alias.name, "problem": text, "source": alias.origin})
        for path in await _files(expansion, alias) if unfit else ():
            if unfit and (text := await unfit(path)):
                found.append({"address": alias.name, "problem": text, "source": alias.origin})
        if not place % PIECE:
            await expansion.rest()
    async with aclosing(hidden(expansion, aliases)) as rows:
        async for alias, account in rows:
            found.append({"address": alias.name, "problem": f"hides the account {account}", "source": alias.origin})
    return sorted(found, key=lambda row: str(row["address"]))


async def _problems_of(expansion: Expansion, alias: Listed) -> list[str]:
    domain = (alias.address.domain if alias.address else "") or expansion.default_domain
    found = [await _problem(expansion, Address(target.local, target.domain or domain)) for target in alias.targets]
    if alias.address is not None and not any(found):  # there may be a way out of it
        found += await _circles(expansion, Address(alias.address.local, domain))
    return [text for text in found if text]


async def _files(expansion: Expansion, alias: Listed) -> list[str]:
    """The paths of the files into which mail for *alias* goes, also by lists that it includes."""
    if alias.address is None or not any(isinstance(item, ToFile | Include) for item in alias.items):
        return []
    try:
        step = await expansion.aliases.lookup(Address(alias.address.local, alias.address.domain or expansion.default_domain))
    except Unavailable:  # its source has told that
        return []
    if step is None or step.origin != alias.origin:
        return []
    return [goal.path for goal in step.goals if isinstance(goal, ToFile)]


async def _problem(expansion: Expansion, target: Address) -> str:
    """What is wrong with an alias that leads to *target*, or nothing."""
    if not expansion.is_local(target):
        return f"leads outside, to {target}"
    try:
        followed = await expansion.explain(target)
    except Unavailable as trouble:
        return f"{target} cannot be looked up: {trouble}"
    if followed.fault is None:
        return ""
    circle = next((f" ({move.what})" for move in followed.trail if move.status is LOOP), "")
    return f"{target}: {followed.fault.text}{circle if followed.fault is LOOP else ''}"


async def _circles(expansion: Expansion, address: Address) -> list[str]:
    """The circles that lead back to *address*, by their names."""
    trail = (await expansion.survey(address)).trail
    return [move.what for move in trail if move.status is LOOP and move.address == address]


async def hidden(expansion: Expansion, aliases: Sequence[Listed]) -> AsyncGenerator[tuple[Listed, str], None]:
    """Each of *aliases* that takes the mail of an account of the same name, and that account's name; one that leads to it does not."""
    looked_at = 0
    for alias in aliases:
        for name in _names(expansion, alias.address):
            try:
                account = await expansion.accounts.find(name)
                if account is not None and not await _reaches(expansion, name, account.name):
                    yield alias, account.name
            except Unavailable:
                pass  # `problems` tells it, and so does the log
            looked_at += 1
            if not looked_at % PIECE:
                await expansion.rest()


def _names(expansion: Expansion, address: Address | None) -> list[Address]:
    if address is None:
        return []
    if address.domain:
        return [address] if expansion.is_local(address) else []
    return [Address(address.local, domain) for domain in islice(sorted(expansion.local_domains), MOST_DOMAINS)]


async def _reaches(expansion: Expansion, name: Address, account: str) -> bool:
    """Whether mail for *name* comes to *account*, or goes where that has it sent."""
    if await expansion.aliases.lookup(name) is None:
        return True  # another line, of the domain alone, holds there
    followed = await expansion.survey(name)
    mailboxes = {target.account for target in followed.targets if target.kind is Kind.MAILBOX}
    return account in mailboxes or any(move.what.startswith("forwarded") and str(move.address) == account for move in followed.trail)


async def warn(expansion: Expansion) -> None:
    """Tell the operator of the mailboxes that get nothing because an alias has their name. For `tasks.start`."""
    try:
        aliases = (await listed(expansion.aliases))[:MOST_AT_START]
    except Unavailable:
        return  # their source has told it
    told = 0
    async with aclosing(hidden(expansion, aliases)) as rows:
        async for alias, account in rows:
            told += 1
            if told > MOST_TOLD:
                log.warn("more aliases hide accounts: twistmail alias check lists them")
                return
            log.warn("{origin}: the alias {alias} hides the account {account}, whose mailbox gets nothing",
                     origin=alias.origin, alias=alias.name, account=account)  # fmt: skip
