"""Which MTA-STS policy holds for a domain now (RFC 8461 §3.3, §5, §10.2): kept, or fetched because its record has changed.

A record that is gone, a DNS that is silent and a web server that does not answer
change nothing as long as a policy is kept: else whoever sits in between could
switch it off. Kept policies are fetched again once a day, by `refresh`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twistmail.interfaces import DnsTrouble, INameLookup
from twistmail.mail.values import frozen
from twistmail.relay.mtasts import INVALID, StsPolicy, Unfetched, identifier, parse
from twistmail.relay.tlsbook import KeptPolicy
from twistmail.relay.tlsmemory import TlsMemory

log = Logger()

#: Seconds: a policy is fetched anew after so long; not again so soon after a failure (RFC 8461 §3.3); one that nobody needs runs out.
FRESH, AFTER_FAILURE, UNUSED = 86400.0, 300.0, 30 * 86400.0
#: Domains whose failure is remembered.
MOST_FAILURES = 10_000

#: The octets of the policy of a domain. Raises Unfetched.
Fetch = Callable[[str], Awaitable[bytes]]


@frozen
class Found:
    """The policy that holds, if any. `trouble`: why there is no newer one, where one was looked for; `kind`: as in RFC 8460 §4.3.3."""

    policy: StsPolicy | None
    trouble: str = ""
    kind: str = ""


class StsPolicies:
    """Over *memory*. *epoch*() gives POSIX seconds."""

    def __init__(self, lookup: INameLookup, fetch: Fetch, memory: TlsMemory, epoch: Callable[[], float]) -> None:
        self._lookup, self._fetch, self._memory, self._epoch = lookup, fetch, memory, epoch
        self._failures: dict[str, tuple[float, Unfetched]] = {}
        self._fetching: dict[str, list[Deferred[None]]] = {}

    async def of(self, domain: str) -> Found:
        """What holds for *domain* (A-labels, lower case)."""
        kept = self._memory.policy(domain)
        try:
            record = identifier(await self._lookup.txt(f"_mta-sts.{domain}"))
        except DnsTrouble as silence:
            return Found(kept.policy if kept else None, str(silence))
        if record is None or (kept is not None and kept.id == record):
            return Found(kept.policy if kept else None)
        trouble = await self._renew(domain, record)
        kept = self._memory.policy(domain)
        return Found(kept.policy if kept else None, str(trouble or ""), trouble.kind if trouble else "")

    async def refresh(self) -> int:
        """Fetch again what was fetched long ago and is still in use; how many policies came anew. One after the other."""
        now = self._epoch()
        old = [kept for kept in self._memory.policies() if now - kept.fetched > FRESH and now - kept.used < UNUSED]
        count = 0
        for kept in old:
            try:
                record = identifier(await self._lookup.txt(f"_mta-sts.{kept.domain}"))
            except DnsTrouble:
                continue
            count += await self._renew(kept.domain, record or kept.id) is None
        return count

    async def _renew(self, domain: str, record: str) -> Unfetched | None:
        """Fetch the policy of *domain* and keep it; what stood in the way. Those who ask meanwhile share what comes."""
        failed = self._failures.get(domain)
        if failed is not None and self._epoch() - failed[0] < AFTER_FAILURE:
            return failed[1]
        if domain in self._fetching:
            done: Deferred[None] = Deferred()
            self._fetching[domain].append(done)
            await done
        else:
            await self._fetch_once(domain, record)
        failed = self._failures.get(domain)
        return failed[1] if failed else None

    async def _fetch_once(self, domain: str, record: str) -> None:
        sharers = self._fetching[domain] = []
        try:
            self._adopt(domain, record, await self._parsed(domain))
            self._failures.pop(domain, None)
        except Unfetched as trouble:
            log.warn("MTA-STS: the policy of {domain} cannot be had: {trouble}", domain=domain, trouble=str(trouble))
            if len(self._failures) >= MOST_FAILURES:
                del self._failures[next(iter(self._failures))]
            self._failures[domain] = self._epoch(), trouble
        finally:
            del self._fetching[domain]
            for sharer in sharers:
                sharer.callback(None)

    async def _parsed(self, domain: str) -> StsPolicy:
        octets = await self._fetch(domain)
        try:
            return parse(octets)
        except ValueError as mistake:
            raise Unfetched(INVALID, str(mistake)) from None

    def _adopt(self, domain: str, record: str, policy: StsPolicy) -> None:
        now = self._epoch()
        self._memory.keep(KeptPolicy(domain, record, policy, now, now))
        log.info("MTA-STS: {domain} says: {mode}", domain=domain, mode=policy.mode)


