"""A TCP transport that sends at once when nothing waits, instead of one turn of the reactor later.

Twisted's own `write` only queues: the octets leave when the reactor comes round
to the descriptor, which costs two calls of epoll_ctl and a loop per answer. A
protocol of short questions and answers spends half of its time there (measured:
half the CPU per request). What cannot be sent at once takes Twisted's own way.

Leans on names that Twisted does not promise (`_tempDataBuffer`, `tcp.Port.transport`);
pyproject.toml pins the release, and tests/servers/test_transport.py holds both ways
against each other. `listen` with `prompt=False` is Twisted's own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort, IProtocolFactory


class NoDelayServer(tcp.Server):
    """A server connection that never waits for an acknowledgement before it sends the end of an answer.

    The pump gathers what belongs together into one write, so Nagle's algorithm (RFC 896) has nothing to gather: with it
    the last segment of every long answer waited for the peer's delayed acknowledgement (measured: 40 ms each).
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.setTcpNoDelay(True)


class PromptServer(NoDelayServer):
    """A NoDelayServer whose `write` tries the socket first."""

    def write(self, data: bytes) -> None:
        if self.TLS:
            super().write(data)
            return
        if not (self._tempDataBuffer or self.dataBuffer) and self.connected and not self.disconnecting:
            try:
                sent = self.socket.send(data)
            except OSError:  # full, or gone: the reactor's way finds out which
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        FileDescriptor.write(self, data)


class PromptPort(tcp.Port):
    """A listening port whose connections are PromptServers."""

    transport = PromptServer


class NoDelayPort(tcp.Port):
    """A listening port of Twisted's own connections, like PromptServers in all but `write`."""

    transport = NoDelayServer


def listen(
    reactor: Any, port: int, factory: IProtocolFactory, interface: str, *, backlog: int = 1024, prompt: bool = True
) -> IListeningPort:
    """Listen on TCP *port* of *interface* ("" is all). Raises CannotListenError."""
    kind = PromptPort if prompt else NoDelayPort
    listening = kind(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening
