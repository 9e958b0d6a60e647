"""What can be asked and done about aliases: verbs of the control socket, and of a command while the server is down.

Aliases of the database are made and changed here; those of files and of the
configuration are shown, and changed where they stand. `alias.rebuild` is `newaliases`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from twistmail import alias_problems, alias_views
from twistmail.aliases import compiled, items
from twistmail.aliases.book import AliasExists, Kept
from twistmail.aliases.compiled import Tally
from twistmail.aliases.database import ORIGIN, DatabaseAliases
from twistmail.aliases.parse import contradictions
from twistmail.aliases.table import BY_COMMAND
from twistmail.config.settled import Config
from twistmail.control import Refusal, Verb
from twistmail.delivering import objection_to_file
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.watched import Broken

USAGE, DATA_ERROR, NO_USER, TEMPORARY, NO_PERMISSION = 64, 65, 67, 75, 77  # sysexits
NO_DATABASE = "write sqlite into [aliases] source, or write the alias where the others stand"


class Books(Protocol):
    """What there is now."""

    @property
    def config(self) -> Config: ...

    @property
    def expansion(self) -> Expansion | None:
        """None where the configuration is too broken for it."""

    @property
    def threads(self) -> Any: ...


class AliasDesk:
    """The verbs over *books*. *further*: what a running server tells of where mail ends (`alias_views.Ends`)."""

    def __init__(self, books: Books, further: alias_views.Further | None = None) -> None:
        self._books = books
        self._further = further

    def verbs(self) -> dict[str, Verb]:
        return {
            "alias.list": self._list,
            "alias.show": self._show,
            "alias.resolve": self._resolve,
            "alias.check": self._check,
            "alias.add": self._add,
            "alias.set": self._set,
            "alias.remove": self._remove,
            "alias.import": self._import,
            "alias.rebuild": self._rebuild,
        }

    @property
    def _expansion(self) -> Expansion:
        if self._books.expansion is None:
            raise Refusal("the configuration has mistakes, so nobody knows where aliases are", 78, "twistmail config check")
        return self._books.expansion

    # ----- reading

    async def _list(self, arguments: Mapping[str, Any]) -> Any:
        try:
            found = await alias_views.listed(self._expansion.aliases)
        except Unavailable as trouble:
            raise Refusal(f"the aliases cannot be listed: {trouble}", TEMPORARY, "twistmail alias check") from None
        only = arguments.get("source")
        return [alias.as_json() for alias in found if only is None or alias.origin == only]

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        """One step of an expansion, as the server would do it."""
        address = self._address(arguments.get("name"))
        whole = address.folded if address.domain else Address(address.local.lower(), self._expansion.default_domain)
        for name in self._expansion.spellings(whole):
            try:
                step = await self._expansion.aliases.lookup(name)
            except Unavailable as trouble:
                raise Refusal(f"mail for {name} has to wait: {trouble}", TEMPORARY, "twistmail alias check") from None
            if step is not None:
                owner = {"owner": str(step.owner)} if step.owner else {}
                return {"address": str(name), "targets": list(map(str, step.goals)), "source": step.origin, **owner}
        known = [alias.name for alias in await alias_views.listed(self._expansion.aliases)]
        near = get_close_matches(str(address), known, 1, 0.6)
        raise Refusal(f"there is no alias {address}", NO_USER, f"did you mean {near[0]}?" if near else "twistmail alias list")

    async def _resolve(self, arguments: Mapping[str, Any]) -> Any:
        """Where mail for an address goes in the end."""
        address = self._address(arguments.get("address"))
        try:
            return await alias_views.tree(self._expansion, self._expansion.complete(address), self._further)
        except Unavailable as trouble:
            raise Refusal(f"mail for {address} has to wait: {trouble}", TEMPORARY, "twistmail alias check") from None

    async def _check(self, arguments: Mapping[str, Any]) -> Any:
        return await alias_problems.problems(self._expansion, self._unfit)

    async def _unfit(self, path: str) -> str:
        return await self._books.threads.run(objection_to_file, self._books.config, path)  # type: ignore[no-any-return]

    # ----- changing

    async def _add(self, arguments: Mapping[str, Any]) -> Any:
        return await self._put(self._kept(arguments), replace=False)

    async def _set(self, arguments: Mapping[str, Any]) -> Any:
        return await self._put(self._kept(arguments), replace=True)

    async def _put(self, kept: Kept, *, replace: bool) -> Any:
        source = self._database
        try:
            await source.put((kept,), replace=replace)
        except AliasExists as trouble:
            name = kept.address
            raise Refusal(str(trouble), DATA_ERROR, f"change it: twistmail alias set {name} TARGET ...") from None
        except (sqlite3.Error, OSError) as trouble:
            raise _unwritable(trouble) from None
        self._expansion.forget()
        return _row(kept) | {"hint": await self._hidden(kept.address)}

    async def _remove(self, arguments: Mapping[str, Any]) -> Any:
        source, address = self._database, self._address(arguments.get("name")).folded
        found = next((alias for alias in await source.listed() if alias.address is not None and alias.address.folded == address), None)
        if found is None:
            raise await self._elsewhere(address)
        if not arguments.get("dry_run"):
            try:
                await source.remove(address)
            except (sqlite3.Error, OSError) as trouble:
                raise _unwritable(trouble) from None
            self._expansion.forget()
        return found.as_json()

    async def _elsewhere(self, address: Address) -> Refusal:
        """Why *address* cannot be removed here."""
        known = await alias_views.listed(self._expansion.aliases)
        for alias in known:
            if alias.address is not None and alias.address.folded == address:
                return Refusal(f"{address} stands in {alias.origin}", NO_PERMISSION, f"remove it there: {alias.origin}")
        near = get_close_matches(str(address), [alias.name for alias in known if alias.origin == ORIGIN], 1, 0.6)
        return Refusal(f"there is no alias {address}", NO_USER, f"did you mean {near[0]}?" if near else "twistmail alias list")

    async def _import(self, arguments: Mapping[str, Any]) -> Any:
        """A part of a file: [{"name", "targets", "owner"}]. Which were made, and which were there already."""
        source, replace, rows = self._database, bool(arguments.get("replace")), arguments.get("aliases")
        if not isinstance(rows, list):
            raise Refusal("which aliases?", USAGE)
        wanted = [self._kept(row) for row in rows]
        there = {alias.address.folded for alias in await source.listed() if alias.address is not None}
        left = [] if replace else [kept for kept in wanted if kept.address.folded in there]
        made = [kept for kept in wanted if kept not in left]
        if not arguments.get("dry_run"):
            try:
                await source.put(made, replace=True)
            except (sqlite3.Error, OSError) as trouble:
                raise _unwritable(trouble) from None
            self._expansion.forget()
        return {"made": [_row(kept) for kept in made], "left": [str(kept.address) for kept in left]}

    @property
    def _database(self) -> DatabaseAliases:
        """The source that takes changes. Refusal where there is none."""
        for source in getattr(self._expansion.aliases, "sources", ()):
            if isinstance(source, DatabaseAliases):
                return source
        raise Refusal("no source of aliases takes new ones", NO_PERMISSION, NO_DATABASE)

    def _kept(self, arguments: Mapping[str, Any]) -> Kept:
        """The alias that *arguments* tell of. Refusal where it makes no sense, or leads to what is not allowed."""
        address = self._address(arguments.get("name"))
        if address.domain and not self._expansion.is_local(address):
            near = get_close_matches(address.domain, self._expansion.local_domains, 1, 0.6)
            step = f"did you mean {near[0]}?" if near else f"make it: twistmail domain add {address.domain}"
            raise Refusal(f"{address.domain} is no domain of ours: nobody asks for {address} here", USAGE, step)
        written = arguments.get("targets")
        if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
            raise Refusal("where does it lead?", USAGE)
        try:
            read = [items.read(text.strip()) for one in written for _, text in items.split(one)]
            owner = parse(str(arguments["owner"])) if arguments.get("owner") else None
        except ValueError as trouble:
            raise Refusal(f"{address}: {trouble}".partition("\n")[0], USAGE) from None
        for why in contradictions(read):
            raise Refusal(f"{address} {why}", USAGE)
        for item in read:
            if why := self._database.meaning.permits.refusal(item):
                raise Refusal(f"{address} {why}", NO_PERMISSION)
        return Kept(address, tuple(dict.fromkeys(read)), owner)

    async def _hidden(self, address: Address) -> str:
        """A word where another source is asked before the database, and knows that name; or where an account has it."""
        whole = address.folded if address.domain else Address(address.local.lower(), self._expansion.default_domain)
        try:
            step = await self._expansion.aliases.lookup(whole)
            account = await self._expansion.accounts.find(whole)
        except Unavailable as trouble:
            return f"mail for it has to wait: {trouble}"
        if step is not None and step.origin != ORIGIN:
            return f"{step.origin} says something else of {address}, and is asked first"
        return f"{account.name} has a mailbox, which gets nothing any more unless the alias names it" if account else ""

    def _address(self, text: Any) -> Address:
        try:
            return parse(str(text or ""))
        except ValueError as trouble:
            raise Refusal(str(trouble).partition("\n")[0], USAGE, "write NAME, or NAME@DOMAIN") from None

    # ----- newaliases

    async def _rebuild(self, arguments: Mapping[str, Any]) -> Any:
        """Look at every alias file; where [aliases] reload = newaliases those in order count from now on. One row for each."""
        expansion, config, rows = self._expansion, self._books.config, []
        by_command = config["aliases"].reload == BY_COMMAND
        for word in config["aliases"].source:
            kind, _, name = word.partition(":")
            if kind == "file":
                rows.append(await self._books.threads.run(_rebuilt, config.file(name), config.data_dir, by_command))
        expansion.forget()
        return rows


def _rebuilt(path: Path, folder: Path, by_command: bool) -> dict[str, Any]:
    """What came of one file: its tally, or "problems", [line, text] each. Blocking."""
    try:
        found: Tally = compiled.compile_(path, compiled.place_of(path, folder)) if by_command else compiled.tally(path)[0]
    except Broken as trouble:
        return {"file": str(path), "problems": [list(problem) for problem in trouble.problems], "exit": DATA_ERROR}
    except OSError as trouble:
        return {"file": str(path), "problems": [[0, trouble.strerror or str(trouble)]], "exit": 66}
    return {"file": str(path), "problems": [], "aliases": found.aliases, "longest": found.longest, "bytes": found.octets}


def _row(kept: Kept) -> dict[str, Any]:
    owner = {"owner": str(kept.owner)} if kept.owner else {}
    return {"address": str(kept.address), "targets": list(map(str, kept.items)), "source": ORIGIN, **owner}


def _unwritable(trouble: sqlite3.Error | OSError) -> Refusal:
    return Refusal(f"the database of aliases cannot be written: {trouble}", TEMPORARY)
