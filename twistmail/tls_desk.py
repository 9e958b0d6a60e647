"""What the operator can ask about encryption on the way out: verbs of the control socket (`control`), beside those of `operator`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from twistmail.control import Refusal, Verb
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.status import Status
from twistmail.relay import tlsviews

USAGE, TEMPORARY = 64, 75  # sysexits
DAY = 86400.0
MOST_DAYS = 400


class TlsDesk:
    """The verbs over *service* (`service.MailService`), as it is at that moment."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def verbs(self) -> dict[str, Verb]:
        return {"tls.list": self._list, "tls.show": self._show, "tls.forget": self._forget, "tls.results": self._results}

    @property
    def _memory(self) -> Any:
        return self._service.foundation.tls_memory

    async def _read(self, work: Any, *arguments: Any) -> Any:
        """What *work*, a reader of the book, finds, in a thread, after everything new was written."""
        threads = self._service.foundation.threads
        await self._memory.write(threads, self._service.config["relay"].tls_results_keep)
        try:
            return await threads.run(work, *arguments)
        except (sqlite3.Error, OSError) as trouble:
            raise Refusal(f"{self._memory.book.path}: {trouble}", TEMPORARY) from None

    async def _list(self, arguments: Mapping[str, Any]) -> Any:
        domain = _domain(arguments)
        book, now = self._memory.book, self._service.foundation.ground.epoch()

        def look() -> Any:
            policies = [kept for kept in book.policies() if domain in ("", kept.domain)]
            return tlsviews.listed(book.seen(domain), policies, book.results("", domain), now)

        return await self._read(look)

    async def _results(self, arguments: Mapping[str, Any]) -> Any:
        days = arguments.get("days", 1)
        if not isinstance(days, int) or not 0 <= days <= MOST_DAYS:
            raise Refusal("days is no number of days", USAGE)
        first_day = time.strftime("%Y-%m-%d", time.gmtime(self._service.foundation.ground.epoch() - days * DAY))
        found = await self._read(self._memory.book.results, first_day, _domain(arguments))
        return tlsviews.reported(found) if arguments.get("report") is True else tlsviews.told(found)

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        """What the servers of a domain would have to show now. Nobody is connected to, and nothing is counted."""
        domain = _domain(arguments)
        if not domain:
            raise Refusal("which domain?", USAGE)
        parts = self._service.parts
        address = Address("postmaster", domain)
        target = Target(Kind.REMOTE, address, address)
        route = parts.relay.routes.of(target, Item("-", None, (Errand(target),), 0.0, 0))
        known = await self._list(arguments)
        answer: dict[str, Any] = {"domain": domain, "route": str(route), "known": known[0] if known else None, "servers": [], "why": ""}
        if not route.transport.has_servers:
            return answer | {"why": f"its mail goes to no other server: twistmail route {address}"}
        hosts = await parts.relay.routes.hosts(route)
        if isinstance(hosts, Status):
            return answer | {"why": str(hosts)}
        decision = await parts.tls_policies.look(route, hosts)
        return answer | {"servers": tlsviews.decided(decision), "why": decision.why}

    async def _forget(self, arguments: Mapping[str, Any]) -> Any:
        domains = arguments.get("domains")
        if not isinstance(domains, list) or not domains or not all(isinstance(one, str) for one in domains):
            raise Refusal("which domains?", USAGE)
        try:
            count = await self._memory.forget(tuple(map(_spelled, domains)), self._service.foundation.threads)
        except (sqlite3.Error, OSError) as trouble:
            raise Refusal(f"{self._memory.book.path}: {trouble}", TEMPORARY) from None
        return {"count": count}


def _domain(arguments: Mapping[str, Any]) -> str:
    """The domain that is asked about; empty: all."""
    text = arguments.get("domain") or ""
    return _spelled(str(text)) if text else ""


def _spelled(text: str) -> str:
    """A domain as we keep it; a server that the operator wrote down, such as [relay.example]:587, as it is."""
    try:
        return text.lower() if text.startswith("[") else canonical_domain(text)
    except ValueError as mistake:
        raise Refusal(str(mistake).partition("\n")[0], USAGE) from None
