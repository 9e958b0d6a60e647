"""A server of our own in a process of its own, spoken to in octets: in clear, over implicit TLS, and after STARTTLS."""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.abuse.costs import PATIENCE, Costs
from tests.interop.conftest import hash_of_password
from tests.interop.house import House, Person, folder, running

GUESTS = [Person(f"guest{number}") for number in range(2000)]
CONFIG = """\
[server]
hostname = mail.blue.test
data_dir = data
postmaster = guest0@blue.test
[domains]
local = blue.test
[dns]
use = none
[auth]
failures = 1000/1m
[mx]
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
max_rate_per_ip = 100000
max_connections_per_ip = 1000
max_message = 1M
soft_errors = 1000
hard_errors = 2000
[submission]
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
tls = offered
soft_errors = 1000
hard_errors = 2000
[imap]
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
tls = offered
compress = yes
[pop3]
listen = tcp:0:interface=127.0.0.1
         tls:port=0:interface=127.0.0.1
tls = offered
max_connections_per_ip = 1000
[users]
source = config
"""
WAYS = ("in-clear", "implicit-tls", "starttls")


class Peer:
    """A client that says octets, whatever they are, and hears replies."""

    def __init__(self, house: House, way: str, service: str = "mx", address: str = "127.0.0.1") -> None:
        self.way = way
        port = house.port(service, tls=way == "implicit-tls")
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        if way == "implicit-tls":
            self._encrypt()
        self.hear()
        if way == "starttls":
            self.ask(b"EHLO lab.test\r\n")
            assert self.ask(b"STARTTLS\r\n").startswith("220")
            self._encrypt()

    def _encrypt(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def say(self, *pieces: bytes) -> None:
        """Each of *pieces* is a segment (and a TLS record) of its own. What cannot be said because we were hung up on is not."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def hear(self) -> str:
        """The last line of the next reply; "" where the connection is closed."""
        while True:
            line, sign, rest = self._rest.partition(b"\r\n")
            if sign:
                self._rest = rest
                if line[3:4] != b"-":
                    return line.decode("ascii")
                continue
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                more = b""
            if not more:
                assert not self._rest, f"half a line: {self._rest!r}"
                return ""
            self._rest += more

    def ask(self, octets: bytes) -> str:
        self.say(octets)
        return self.hear()

    def everything(self) -> list[str]:
        """All replies up to the end, after QUIT."""
        self.say(b"QUIT\r\n")
        return list(iter(self.hear, ""))

    @property
    def is_closed(self) -> bool:
        return self.hear() == ""

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="session")
def server() -> Iterator[House]:
    hashed = hash_of_password()
    people = "\n".join(f"[user:{person.address}]\npassword = {hashed}" for person in GUESTS)
    with folder() as place, running(House(place, CONFIG + people + "\n")) as house:
        house.guests = itertools.islice(GUESTS, 1, None)  # type: ignore[attr-defined]
        yield house


@pytest.fixture
def house(server: House) -> Iterator[House]:
    """Whatever happens in a test, the server is there afterwards, and has met no bug."""
    server.mark()
    yield server
    peer = Peer(server, "in-clear")
    assert peer.ask(b"NOOP\r\n").startswith("250")
    peer.close()
    server.check_log()


@pytest.fixture
def guest(server: House) -> Person:
    return next(server.guests)  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def costs(house: House) -> Costs:
    return Costs(house)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def peer(house: House, way: str) -> Iterator[Peer]:
    """A connection that has said EHLO."""
    peer = Peer(house, way)
    assert peer.ask(b"EHLO lab.test\r\n").startswith("250")
    yield peer
    peer.close()
