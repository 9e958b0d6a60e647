"""Getting through to a server: which host next, from which address, with or without TLS.

`open_route` tries the hosts of a route until one lets us in. A `dial` is any
callable (address, port) -> Deferred[SmtpConnection]; `Dialer` is the one that
uses the network. Demos and tests give their own, and then nothing leaves the
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as NoAnswer
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.status import Status
from twistmail.relay.client import Lost, SmtpConnection
from twistmail.relay.exchange import Manners, Refused, Session, open_session
from twistmail.relay.proxy import Proxy
from twistmail.relay.route import Host, Route, Tls
from twistmail.relay.socks import Through
from twistmail.relay.terms import Terms
from twistmail.wire.socks import Socks

log = Logger()

#: (IP address, or path of a UNIX socket; port) -> a connection; with `source` and `proxy` of the route where it has any.
Dial = Callable[..., Deferred[SmtpConnection]]

UNREACHABLE = Status(451, "4.4.1", "No connection to the other mail server could be made")


def dial_about(dial: Dial, item: str) -> Dial:
    """*dial* on behalf of *item* (an id), where it wants to know: then it has a method `about`."""
    return getattr(dial, "about", lambda item: dial)(item)  # type: ignore[no-any-return]


class Dialer:
    """Connects over the network, within *timeout* seconds."""

    def __init__(self, reactor: Any, *, timeout: float = 30.0) -> None:
        self._reactor = reactor
        self._timeout = timeout

    def __call__(self, address: str, port: int, *, source: Sequence[str] = (), proxy: Proxy | None = None) -> Deferred[SmtpConnection]:
        """*source*: own addresses, of which the one of the right kind is used; *proxy*: by way of which (it has addresses of its own)."""
        if proxy is None:
            return self._connect(address, port, source, lambda: SmtpConnection(self._reactor))
        return tasks.shielded(self._through(proxy, address, port))

    async def _through(self, proxy: Proxy, address: str, port: int) -> SmtpConnection:
        socks = Socks(address, port, proxy.user, proxy.password)
        made = lambda: Through(socks, lambda: SmtpConnection(self._reactor), self._reactor, self._timeout)  # noqa: E731
        through: Through = await self._connect(proxy.address, proxy.port, (), made)
        return await through.opened  # type: ignore[no-any-return]

    def _connect(self, address: str, port: int, source: Sequence[str], make: Callable[[], Any]) -> Deferred[Any]:
        factory = Factory.forProtocol(make)
        factory.noisy = False
        if address.startswith("/"):
            return UNIXClientEndpoint(self._reactor, address, timeout=self._timeout).connect(factory)  # type: ignore[no-any-return]
        endpoint = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        own = next(((one, 0) for one in source if (":" in one) == (":" in address)), None)
        connecting: Deferred[Any] = endpoint(self._reactor, address, port, timeout=self._timeout, bindAddress=own).connect(factory)
        return connecting


async def open_route(route: Route, hosts: tuple[Host, ...], dial: Dial, manners: Manners) -> Session | Status:
    """A session with the first of *hosts* that lets us in and shows what it has to; where none does, what the last one said.

    That is temporary, unless a message must be encrypted (`Route.require_tls`) and every one of them has refused that.
    """
    decision = await manners.policies.decide(route, hosts)
    why: Status | None = None
    for host, terms in decision.hosts:
        try:
            return await _open_host(host, terms, route, dial, manners)
        except (Lost, Refused) as error:
            said = replace(error.status, text=f"{host.name} [{host.address}]: {error.status.text}")
        except (ConnectError, OSError) as error:
            said = replace(UNREACHABLE, text=f"{UNREACHABLE.text}: {host.name} [{host.address}]:{host.port}: {_reason(error)}")
        why = why if why is not None and why.is_temporary and said.is_permanent else said
    for host, status in decision.out:
        why = why if why is not None and (why.is_temporary or status.is_permanent) else replace(status, text=f"{host.name}: {status.text}")
    return why or UNREACHABLE


async def _open_host(host: Host, terms: Terms, route: Route, dial: Dial, manners: Manners) -> Session:
    """A session with *host*. Where TLS was opportunistic and went wrong, once more without it (RFC 7435 §3)."""
    try:
        return await _attempt(host, terms, route, dial, manners)
    except Refused as refused:
        if not refused.in_clear or route.login:
            raise
        log.info("relay: {host}: TLS failed, going on in clear", host=host.name)
    return await _attempt(host, replace(terms, want=Tls.OFF), route, dial, manners)


async def _attempt(host: Host, terms: Terms, route: Route, dial: Dial, manners: Manners) -> Session:
    connection = await dial(host.address, host.port, **_way(route))
    try:
        return await open_session(connection, host, route, manners, terms)
    except BaseException:
        connection.close()
        raise


def _way(route: Route) -> dict[str, Any]:
    """What a Dial has to know of *route*, where it is nothing usual."""
    return {key: value for key, value in (("source", route.source), ("proxy", route.proxy)) if value}


def _reason(error: BaseException) -> str:
    """What the system says, without Twisted's advice around it, and without its "user timeout", which is nobody's."""
    if isinstance(error, NoAnswer):
        return "It has not answered in time"
    return getattr(error, "strerror", None) or (error.__doc__ or "").split("\n")[0].rstrip(".") or str(error)
