"""A browser for tests: octets into a site's channel, answers out, on a fake clock; no socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twistmail.web.site import Site


@dataclass(frozen=True)
class Got:
    code: int
    headers: dict[str, str]
    body: str


class Connection:
    """One connection to *site*, from *client*."""

    def __init__(self, site: Site, client: str = "127.0.0.1") -> None:
        self.transport: Any = Transport(peerAddress=IPv4Address("TCP", client, 40000))
        self.channel = site.buildProtocol(IPv4Address("TCP", client, 40000))
        if self.channel is not None:
            self.channel.makeConnection(self.transport)

    def send(self, octets: bytes) -> bytes:
        """What came back since the last time."""
        self.channel.dataReceived(octets)
        return self.heard()

    def heard(self) -> bytes:
        octets = self.transport.value()
        self.transport.clear()
        return bytes(octets)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Got:
        """Header names with _ for -. Host is there unless it is given."""
        fields = {"host": "127.0.0.1:8025"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body or method == "POST":
            fields["content-length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value), "", ""]
        return got(self.send("\r\n".join(lines).encode() + body))

    def leave(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


class Transport(StringTransport):
    """With the halves of a TCP connection."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.disconnecting = True


def got(octets: bytes) -> Got:
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
    return Got(int(first.split()[1]), headers, body.decode())
