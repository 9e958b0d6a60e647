"""Fetches the MTA-STS policy of a domain from its web server (RFC 8461 §3.3).

By HTTPS with a certificate that is in order for `mta-sts.DOMAIN`, without
following a redirection, at most 64 KiB (and as much again around it), within a minute, a few at a time. Names are looked up as
everything else in the house is: by INameLookup.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import DnsTrouble, INameLookup, NoSuchDomain
from twistmail.relay.handshake import Strict, context_of
from twistmail.relay.mtasts import BAD_CERTIFICATE, INVALID, LONGEST_POLICY, NOT_FETCHED, Unfetched

PATH = "/.well-known/mta-sts.txt"
#: Seconds for the whole of it (RFC 8461 §3.3 suggests a minute).
PATIENCE = 60.0
#: Seconds for each address of the server, and how many addresses are tried.
CONNECTING, MOST_ADDRESSES = 15.0, 4
#: Octets of one connection, with TLS and the header of the answer, which nobody else bounds; and fetches at a time.
MOST_OCTETS, AT_A_TIME = 2 * LONGEST_POLICY, 8
OK = 200


class PolicyFetcher:
    """*authorities*: a PEM file with those who may vouch for web servers; None: the system's. OSError, SSL.Error for that."""

    def __init__(self, reactor: Any, lookup: INameLookup, authorities: Path | None = None, port: int = 443) -> None:
        self._reactor = reactor
        way = _Endpoints(reactor, lookup, context_of(authorities), port)
        self._limit = tasks.Limit(AT_A_TIME)
        self._agent = Agent.usingEndpointFactory(reactor, way, HTTPConnectionPool(reactor, False))

    async def __call__(self, domain: str) -> bytes:
        """The octets of the policy of *domain* (A-labels). Raises Unfetched."""
        if not domain.isascii():
            raise Unfetched(NOT_FETCHED, f"{domain} is no name of a web server")
        async with self._limit:
            return await self._fetch(domain)

    async def _fetch(self, domain: str) -> bytes:
        url = f"https://mta-sts.{domain}{PATH}".encode("ascii")
        asking: Deferred[Any] = self._agent.request(b"GET", url, Headers({b"User-Agent": [b"twistmail"], b"Accept": [b"text/plain"]}))
        timer = self._reactor.callLater(PATIENCE, asking.cancel)
        try:
            response = await asking
            body = _Body(_objection(response))
            timer.cancel()
            timer = self._reactor.callLater(PATIENCE, body.give_up)
            response.deliverBody(body)
            return await body.done
        except _TROUBLE as error:
            raise _unfetched(error) from None
        finally:
            if timer.active():
                timer.cancel()


def _objection(response: Any) -> Unfetched | None:
    """RFC 8461 §3.3: nothing but 200 will do, and nothing but plain text."""
    if response.code != OK:
        return Unfetched(NOT_FETCHED, f"the web server answers {response.code}")
    kind = response.headers.getRawHeaders(b"content-type", [b""])[0]
    if kind.partition(b";")[0].strip().lower() != b"text/plain":
        return Unfetched(INVALID, f"it is not text/plain but {kind[:60].decode('latin-1') or 'nothing that is said'}")
    return None


class _Body(Protocol):
    """What is read of an answer: all of it, if that is not too much; nothing, where there is an *objection*."""

    transport: Any

    def __init__(self, objection: Unfetched | None) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._objection = objection
        self._octets = bytearray()

    def connectionMade(self) -> None:
        if self._objection is not None:
            self._end(self._objection)

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > LONGEST_POLICY:
            self._end(Unfetched(INVALID, f"it has more than {LONGEST_POLICY // 1024} KiB"))

    def connectionLost(self, reason: Failure | None = None) -> None:
        whole = reason is not None and reason.check(ResponseDone)
        self._end(None if whole else Unfetched(NOT_FETCHED, "it broke off"))

    def give_up(self) -> None:
        self._end(Unfetched(NOT_FETCHED, f"it took longer than {PATIENCE:g} s"))

    def _end(self, trouble: Unfetched | None) -> None:
        if self.done.called:
            return
        if trouble is None:
            self.done.callback(bytes(self._octets))
            return
        self.done.errback(trouble)
        self.transport.loseConnection()


# ----- trouble


_TROUBLE = (
    ConnectError, ConnectionClosed, CancelledError, ConnectingCancelledError, ResponseFailed, SSL.Error, DnsTrouble, NoSuchDomain,
    OSError, ValueError,
)  # fmt: skip


def _unfetched(error: Exception) -> Unfetched:
    """What has gone wrong, in words and as reports name it."""
    if isinstance(error, ResponseNeverReceived | ResponseFailed):
        reasons = [reason.value for reason in error.reasons if isinstance(reason, Failure)]
        told = [one for one in reasons if isinstance(one, SSL.Error)]
        error = next(iter((*told, *reasons)), error)
    if isinstance(error, SSL.Error):
        said = "; ".join(str(reason) for *_, reason in (error.args[0] if error.args and isinstance(error.args[0], list) else ()))
        return Unfetched(BAD_CERTIFICATE, f"the TLS of its web server: {said or 'the handshake failed'}")
    if isinstance(error, CancelledError | ConnectingCancelledError):
        return Unfetched(NOT_FETCHED, f"it took longer than {PATIENCE:g} s")
    if isinstance(error, NoSuchDomain):
        return Unfetched(NOT_FETCHED, "it has no web server mta-sts")
    return Unfetched(NOT_FETCHED, str(error).partition("\n")[0] or type(error).__name__)


# ----- the way there


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, lookup: INameLookup, context: SSL.Context, port: int) -> None:
        self._reactor, self._lookup, self._context, self._port = reactor, lookup, context, port

    def endpointForURI(self, uri: Any) -> Any:
        host = uri.host.decode("ascii")
        return wrapClientTLS(Strict(self._context, host), _Named(self._reactor, self._lookup, host, self._port))


class _Bounded(ProtocolWrapper):
    """Ends a connection of which more comes than any policy needs."""

    transport: Any
    _heard = 0

    def dataReceived(self, data: bytes) -> None:
        self._heard += len(data)
        if self._heard > MOST_OCTETS:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)


class _Bounding(WrappingFactory):
    protocol = _Bounded
    noisy = False


@implementer(IStreamClientEndpoint)
class _Named:
    """A host by its name: its addresses one after the other."""

    def __init__(self, reactor: Any, lookup: INameLookup, host: str, port: int) -> None:
        self._reactor, self._lookup, self._host, self._port = reactor, lookup, host, port

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Who cancels it ends what is under way: nobody would be there to close the connection."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        trouble: Exception = NoSuchDomain(self._host)
        for address in (await self._lookup.addresses(self._host))[:MOST_ADDRESSES]:
            endpoint: Callable[..., Any] = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                bounded = await endpoint(self._reactor, address, self._port, timeout=CONNECTING).connect(_Bounding(factory))
                return bounded.wrappedProtocol
            except ConnectError as error:
                trouble = error
        raise trouble
