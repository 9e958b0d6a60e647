"""Where messages of the inbox page and the JSON API are posted: with the sender's own office, as his mail program would.

Somebody of an office logs in at its submission port over TLS; a stranger goes to
the MX of whom he writes to. Each is a real connection over loopback, with the
dialogue that all see. The client is the relay's own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from twistmail import tasks
from twistmail.lab.drafts import Draft, Mistake, address_of, written
from twistmail.lab.offices import Office
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.client import Lost, Patience
from twistmail.relay.connect import Dialer, open_route
from twistmail.relay.exchange import Manners, leave
from twistmail.relay.handshake import TlsClients
from twistmail.relay.route import Host, Login, Route, Tls
from twistmail.relay.transaction import deliver

HERE = "127.0.0.1"
#: Characters and octets of a draft that are written as a message at once: 3 ms at most. What has more (up to 1 s) goes to a thread.
WRITTEN_AT_ONCE = 8192
#: Seconds: somebody is looking at the page meanwhile.
PATIENCE = Patience(greeting=10, hello=10, tls=10, login=10, mail=10, recipient=10, data=10, block=10, end=20, quit=2, whole=60)
_ACCEPTED = re.compile(r"Accepted as ([0-9a-z]{6}-[0-9a-z]{4})")


@frozen
class Posted:
    """What has come of a message. `ids`: what the offices that took it call it; `refused`: who was not accepted, and the answer."""

    message_id: str
    ids: tuple[str, ...]
    refused: tuple[tuple[Address, Status], ...]


class Postbox:
    """*offices*: those of the town; *port*(office's name, word of USUAL_PORTS); *password*(account); *now*: the lesson's POSIX seconds;
    *threads*: for letters that take long to write.

    *authority*: a PEM file with who vouches for the offices; None: whom the system trusts.
    """

    def __init__(
        self, reactor: Any, offices: Callable[[], Sequence[Office]], port: Callable[[str, str], int], password: Callable[[str], str],
        now: Callable[[], float], threads: Any, authority: Path | None = None,
    ) -> None:  # fmt: skip
        self._offices = offices
        self._port = port
        self._password = password
        self._now = now
        self._threads = threads
        self._authority = authority
        self._dial = Dialer(reactor, timeout=10.0)
        self._tls: TlsClients | None = None

    async def post(self, draft: Draft, account: str = "", source: str = HERE) -> Posted:
        """Send *draft*, logged in as *account*; empty: as a stranger, whatever From says. Mistake where it cannot be sent at all.

        *source*: the address of loopback from which to connect.
        """
        recipients = draft.recipients
        message_id = f"{secrets.token_hex(8)}@{address_of(draft.sender).domain}"
        message = await self._written(draft, message_id)
        if account:
            office = self._office_of(account.partition("@")[2])
            outcomes = await self._submit(office, account, recipients, message, source)
        else:
            outcomes = await self._carry(address_of(draft.sender), recipients, message)
        accepted = (_ACCEPTED.search(outcome.status.text) for outcome in outcomes if outcome.status.is_positive)
        refused = tuple((outcome.target.address, outcome.status) for outcome in outcomes if not outcome.status.is_positive)
        return Posted(message_id, tuple(dict.fromkeys(match[1] for match in accepted if match)), refused)

    async def _written(self, draft: Draft, message_id: str) -> bytes:
        if draft.size <= WRITTEN_AT_ONCE:
            return written(draft, message_id, self._now())
        return await self._threads.run(written, draft, message_id, self._now())  # type: ignore[no-any-return]

    def _office_of(self, domain: str) -> Office:
        office = next((one for one in self._offices() if one.domain == domain), None)
        if office is None:
            known = ", ".join(one.domain for one in self._offices())
            raise Mistake(f"No office has the domain {domain!r}. Somebody who works nowhere here can only write to: {known}.")
        return office

    async def _submit(
        self, office: Office, account: str, recipients: Sequence[Address], message: bytes, source: str
    ) -> Sequence[Outcome]:
        login = Login(account, self._password(account))
        port = self._port(office.name, "submission")
        route = Route(HERE, use_mx=False, port=port, tls=Tls.REQUIRED, login=login, source=(source,))
        sender = address_of_account(account)
        return await self._talk(route, office, sender, recipients, message)

    async def _carry(self, sender: Address, recipients: Sequence[Address], message: bytes) -> Sequence[Outcome]:
        """To the MX of everybody's office."""
        offices = {address: self._office_of(address.domain) for address in recipients}
        outcomes: list[Outcome] = []
        for office, group in groupby(sorted(recipients, key=lambda one: offices[one].number), key=offices.__getitem__):
            route = Route(HERE, use_mx=False, port=self._port(office.name, "mx"), tls=Tls.OFF)
            outcomes += await self._talk(route, office, sender, list(group), message)
        return outcomes

    async def _talk(
        self, route: Route, office: Office, sender: Address, recipients: Sequence[Address], message: bytes
    ) -> Sequence[Outcome]:
        targets = tuple(Target(Kind.REMOTE, address, address) for address in recipients)
        now = self._now()
        item = Item(f"webmail-{secrets.token_hex(4)}", sender, tuple(map(Errand, targets)), now, len(message), body="8BITMIME")
        self._tls = self._tls or TlsClients(self._authority)
        manners = Manners("webmail.test", self._tls, PATIENCE)
        session = await open_route(route, (Host(office.host, HERE, route.port),), self._dial, manners)
        if isinstance(session, Status):
            raise Mistake(f"The office {office.name} does not take it now: {session}")
        try:
            return await deliver(session, item, targets, Memory(message), tasks.Inline())
        except Lost as lost:
            raise Mistake(f"The office {office.name} does not take it now: {lost.status}") from None
        finally:
            await leave(session)


def address_of_account(account: str) -> Address:
    local, _, domain = account.partition("@")
    return Address(local, domain)
