"""Sockets from systemd are taken by name, by number or by where they are bound; a missing one is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.python.systemd import ListenFDs

from twistmail.endpoints import parse
from twistmail.servers.transport import PromptPort
from twistmail.systemd import Inherited, inherited, notify


class Watching:
    """As much of a reactor as a listening port needs."""

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.adopted: list[int] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        """Ports never write."""

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        self.adopted.append(family)
        return f"port {descriptor}"


@pytest.fixture
def bound() -> Iterator[list[socket.socket]]:
    """Listening sockets as systemd gives them: of loopback, of all addresses, of IPv6, of a path."""
    sockets = [socket.create_server((host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
    sockets.append(socket.create_server(("::1", 0), family=socket.AF_INET6))
    yield sockets
    for one in sockets:
        one.close()


def given(sockets: list[socket.socket], *names: str) -> Inherited:
    return Inherited(tuple(one.fileno() for one in sockets), names)


def adopted(inherited: Inherited, text: str) -> Any:
    reactor = Watching()
    port = inherited.adopt(reactor, parse(text), Factory())
    if port is not None:
        assert isinstance(port, PromptPort)
        assert reactor.readers == [port]
    return port


@pytest.mark.parametrize(("text", "number"), [
    pytest.param("systemd:domain=INET:index=1", 1, id="by-number"),
    pytest.param("systemd:domain=INET:name=imap", 0, id="by-name"),
    pytest.param("tcp:{0}:interface=127.0.0.1", 0, id="by-place"),
    pytest.param("tls:port={0}:interface=127.0.0.1", 0, id="by-place-with-tls"),
    pytest.param("tcp:{1}", 1, id="of-all-addresses"),
    pytest.param("tcp:{2}:interface=\\:\\:1", 2, id="of-ipv6"),
])
def test_a_socket_that_was_given_is_adopted(bound: list[socket.socket], text: str, number: int) -> None:
    ports = [one.getsockname()[1] for one in bound]
    port = adopted(given(bound, "imap", "smtp", "six"), text.format(*ports))
    assert port.getHost().port == ports[number]
    assert not os.get_blocking(bound[number].fileno())
    port.connectionLost(None)
    socket.create_connection(bound[number].getsockname()[:2], 5).close()  # it is systemd's, and stays open for the next reload


def test_each_of_several_is_found_and_found_again(bound: list[socket.socket]) -> None:
    sockets = inherited(ListenFDs([one.fileno() for one in bound[:2]], ["imap", "smtp"]))
    for text in ("systemd:domain=INET:name=imap", "systemd:domain=INET:name=smtp") * 2:
        adopted(sockets, text).connectionLost(None)


@pytest.mark.parametrize("text", ["tcp:{0}", "tcp:{1}:interface=127.0.0.1", "tcp:0", "tcp:{0}:interface=127.0.0.2"])
def test_other_places_are_opened_by_ourselves(bound: list[socket.socket], text: str) -> None:
    assert adopted(given(bound), text.format(*(one.getsockname()[1] for one in bound))) is None


@pytest.mark.parametrize("text", ["systemd:domain=INET:index=5", "systemd:domain=INET:name=pop3"])
def test_a_socket_that_was_not_given_is_told(bound: list[socket.socket], text: str) -> None:
    with pytest.raises(CannotListenError, match="systemd has opened 3 sockets"):
        given(bound, "imap", "smtp", "six").adopt(Watching(), parse(text), Factory())


def test_without_systemd_nothing_is_given() -> None:
    assert inherited() == Inherited()


def test_a_unix_socket_is_adopted_as_it_is(tmp_path: Path) -> None:
    reactor = Watching()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "lmtp"))
        one.listen()
        assert given([one]).adopt(reactor, parse("systemd:domain=UNIX:index=0"), Factory()) == f"port {one.fileno()}"
    assert reactor.adopted == [socket.AF_UNIX]


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_that_we_are_ready(tmp_path: Path, abstract: bool) -> None:
    path = f"@twistmail-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind("\0" + path[1:] if abstract else path)
        notify("READY=1", {"NOTIFY_SOCKET": path})
        assert hearing.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", ["", "relative", "/nobody/listens/here"])
def test_whoever_does_not_want_to_hear_is_not_told(path: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": path})
