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


class PromptServer(tcp.Server):
    """A server connection whose `write` tries the socket first."""

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


def listen(
    reactor: Any, port: int, factory: IProtocolFactory, interface: str, *, backlog: int = 1024, prompt: bool = True
) -> IListeningPort:
    """Listen on TCP *port* of *interface* ("" is all). Raises CannotListenError."""
    if not prompt:
        return reactor.listenTCP(port, factory, backlog, interface)  # type: ignore[no-any-return]
    listening = PromptPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening
