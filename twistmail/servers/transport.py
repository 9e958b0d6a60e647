"""A TCP transport of ours that sends at once when nothing waits (`prompt` says why).

Leans on a name that Twisted does not promise (`tcp.Port.transport`);
pyproject.toml pins the release, and tests/servers/test_transport.py holds both ways
against each other. `listen` with `prompt=False` is Twisted's own.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from twistmail.prompt import unsent

#: Linux only; elsewhere the peer waits as ever.
QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)


class NoDelayServer(tcp.Server):
    """A server connection that waits for no acknowledgement before it sends, and lets no peer wait for one.

    The pump gathers what belongs together into one write, so Nagle's algorithm (RFC 896) has nothing to gather: with it
    the last segment of every long answer waited for the peer's delayed acknowledgement (measured: 40 ms each).
    The other way round a peer with Nagle's algorithm that says a request in two pieces (imaplib's APPEND does) keeps the
    second until we have acknowledged the first. What we answer at once carries the acknowledgement; where we cannot answer yet
    because the peer has to say more, it is acknowledged at once (measured: 250 APPENDs by imaplib: 0.3 s, not 11 s).
    """

    _said = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.setTcpNoDelay(True)

    def _dataReceived(self, data: bytes | None) -> ConnectionDone | None:
        self._said = False
        result = super()._dataReceived(data)
        if not self._said and QUICK_ACK is not None and self.connected and getattr(self.protocol, "waits_for_peer", True):
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        return result

    def write(self, data: bytes) -> None:
        self._said = True
        super().write(data)


class PromptServer(NoDelayServer):
    """A NoDelayServer whose `write` tries the socket first."""

    def write(self, data: bytes) -> None:
        if self.TLS:
            super().write(data)
            return
        self._said = True
        if rest := unsent(self, data):
            FileDescriptor.write(self, rest)


class PromptPort(tcp.Port):
    """A listening port whose connections are PromptServers."""

    transport = PromptServer  # type: ignore[assignment]


class NoDelayPort(tcp.Port):
    """A listening port of Twisted's own connections, like PromptServers in all but `write`."""

    transport = NoDelayServer  # type: ignore[assignment]


def adopt_tcp(reactor: Any, descriptor: int, family: int, factory: IProtocolFactory) -> IListeningPort:
    """Listen on a copy of the bound, non-blocking socket *descriptor* of *family*. Connections are PromptServers."""
    listening = PromptPort._fromListeningDescriptor(reactor, descriptor, family, factory)
    listening.startListening()
    return listening


def listen(
    reactor: Any, port: int, factory: IProtocolFactory, interface: str, *, backlog: int = 1024, prompt: bool = True
) -> IListeningPort:
    """Listen on TCP *port* of *interface* ("" is all). Raises CannotListenError."""
    kind = PromptPort if prompt else NoDelayPort
    listening = kind(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening
