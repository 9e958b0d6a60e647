"""Records put into a zone and taken out again by dynamic update (RFC 2136), signed by TSIG (RFC 8945). Blocking."""

from __future__ import annotations

import socket
from collections.abc import Callable

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from twistmail.tls.acme.settings import NameServer

PATIENCE = 10.0  # seconds for one answer
TTL = 60
TROUBLE = (dns.exception.DNSException, OSError, ValueError)


class Refused(ValueError):
    """The name server does not do it."""


class Updates:
    """What is changed at *server*. *pause*(seconds) waits."""

    def __init__(self, server: NameServer, pause: Callable[[float], object]) -> None:
        self._server = server
        self._pause = pause

    def wait(self) -> None:
        """Until the other name servers of the zone may have it too."""
        self._pause(self._server.wait)

    def add(self, name: str, text: str) -> None:
        """Let *name* have a TXT record *text*, beside those that it has. Refused, dns.exception.DNSException, OSError."""
        zone = self._zone(name)
        update = self._update(zone)
        update.add(_absolute(name), TTL, dns.rdatatype.TXT, f'"{text}"')
        self._send(update, name)

    def remove(self, name: str, text: str) -> None:
        """Take that record away, and no other; errors as for `add`."""
        update = self._update(self._zone(name))
        update.delete(_absolute(name), dns.rdatatype.TXT, f'"{text}"')
        self._send(update, name)

    def _update(self, zone: dns.name.Name) -> dns.update.UpdateMessage:
        server = self._server
        if not server.key:
            return dns.update.UpdateMessage(zone)
        key = dns.tsig.Key(_absolute(server.key), server.secret, server.algorithm)
        return dns.update.UpdateMessage(zone, keyring={key.name: key}, keyname=key.name, keyalgorithm=key.algorithm)

    def _zone(self, name: str) -> dns.name.Name:
        """The zone that *name* is in, by the settings or as the server says: the nearest name above that has a SOA record there."""
        if self._server.zone:
            return _absolute(self._server.zone)
        above = _absolute(name)
        while above != dns.name.root:
            answer = self._ask(dns.message.make_query(above, dns.rdatatype.SOA))
            if any(found.name == above and found.rdtype == dns.rdatatype.SOA for found in answer.answer):
                return above
            above = above.parent()
        raise Refused(f"the name server {self._server.host} has no zone that {name} is in")

    def _send(self, update: dns.update.UpdateMessage, name: str) -> None:
        code = self._ask(update).rcode()
        if code != dns.rcode.NOERROR:
            raise Refused(f"the name server {self._server.host} refuses to change {name}: {dns.rcode.to_text(code)}")

    def _ask(self, message: dns.message.Message) -> dns.message.Message:
        """By TCP: an update may be large, and nobody answers in the server's place."""
        (*_, address), *_ = socket.getaddrinfo(self._server.host, self._server.port, type=socket.SOCK_STREAM)
        return dns.query.tcp(message, str(address[0]), PATIENCE, self._server.port)


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name, dns.name.root)
