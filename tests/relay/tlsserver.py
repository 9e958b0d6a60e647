"""A small mail server on loopback that shows the certificates it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest_twisted
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions


class TlsServer(Factory):
    """`chain` and `key`: what it shows; no chain: it offers no encryption. `said`: the lines that it has heard; `contents`: the mail."""

    noisy = False

    def __init__(self, key: Any, *chain: Any) -> None:
        self.key, self.chain = key, chain
        self.said: list[bytes] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self.port = 0

    def buildProtocol(self, addr: Any) -> Protocol:
        self.connections += 1
        return _Conversation(self)

    def options(self) -> CertificateOptions:
        return CertificateOptions(privateKey=self.key, certificate=self.chain[0], extraCertChain=list(self.chain[1:]))


class _Conversation(Protocol):
    transport: Any

    def __init__(self, server: TlsServer) -> None:
        self.server, self.buffer, self.in_content, self.is_encrypted = server, b"", False, False

    def connectionMade(self) -> None:
        self.transport.write(b"220 mx\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            self._hear(line)

    def _hear(self, line: bytes) -> None:
        if self.in_content:
            self.in_content = line != b"."
            if self.in_content:
                self.server.contents[-1] += line + b"\r\n"
            else:
                self.transport.write(b"250 2.0.0 Ok\r\n")
            return
        self.server.said.append(line)
        self._answer(line.partition(b" ")[0])

    def _answer(self, verb: bytes) -> None:
        match verb:
            case b"EHLO":
                offered = self.server.chain and not self.is_encrypted
                self.transport.write(b"250-mx\r\n" + (b"250-STARTTLS\r\n" if offered else b"") + b"250 PIPELINING\r\n")
            case b"STARTTLS":
                self.transport.write(b"220 Go\r\n")
                self.transport.startTLS(self.server.options())
                self.is_encrypted = True
            case b"DATA":
                self.transport.write(b"354 Go\r\n")
                self.in_content = True
                self.server.contents.append(b"")
            case b"QUIT":
                self.transport.write(b"221 Bye\r\n")
                self.transport.loseConnection()
            case _:
                self.transport.write(b"250 2.0.0 Ok\r\n")


@contextmanager
def serving(reactor: Any, key: Any, *chain: Any) -> Iterator[TlsServer]:
    """One at work on a port of 127.0.0.1."""
    server = TlsServer(key, *chain)
    port = reactor.listenTCP(0, server, interface="127.0.0.1")
    server.port = port.getHost().port
    try:
        yield server
    finally:
        pytest_twisted.blockon(port.stopListening())
