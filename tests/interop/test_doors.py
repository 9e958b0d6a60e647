"""How connections come in: from proxies, through sockets of this machine, and when there is no room."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl

import pytest

from tests.interop.house import House, Person, eventually, folder, give_away, run, running

ALICE = Person("alice")
#: As haproxy 2.6 sends it (send-proxy-v2): TCP over IPv4 from 203.0.113.9:40000 to 127.0.0.1:25.
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x9c\x40\x00\x19"
V1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 40000 25\r\n"

SOCKETS = """\
[server]
hostname = mail.blue.test
data_dir = data
postmaster = alice@blue.test
[domains]
local = blue.test
[dns]
use = none
[mx]
listen = unix:run/mx
[submission]
listen = unix:run/submission
tls = off
[lmtp]
listen = unix:run/lmtp
[imap]
listen = unix:run/imap
tls = off
[pop3]
listen = unix:run/pop3
tls = off
"""


class Caller:
    """A client that has nothing but a socket."""

    def __init__(self, connection):
        self.connection = connection
        self.connection.settimeout(10)
        self.heard = b""

    def say(self, octets):
        self.connection.sendall(octets)

    def hear(self, until=b"\r\n"):
        """What is said up to *until*, which ends a line or is one."""
        while until not in self.heard:
            octets = self.connection.recv(65536)
            assert octets, f"closed after {self.heard!r}"
            self.heard += octets
        end = self.heard.index(until) + len(until)
        said, self.heard = self.heard[:end], self.heard[end:]
        return said

    def rest(self):
        """All that is still said, to the end of the connection."""
        said = self.heard
        with contextlib.suppress(ConnectionResetError):
            while octets := self.connection.recv(65536):
                said += octets
        return said


@contextlib.contextmanager
def calling(port, first=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(first)
        yield Caller(connection)


@pytest.fixture(scope="module")
def behind():
    """A server whose every service stands behind a proxy on loopback."""
    trusting = "proxy_from = 127.0.0.0/8\n"
    with folder() as place:
        house = House(place, more_mx=trusting, more=trusting)
        text = house.config.read_text()
        for section in ("[submission]", "[imap]"):
            text = text.replace(section, f"{section}\n{trusting}")
        house.write(text)
        house.add(ALICE)
        with running(house):
            yield house


@pytest.mark.parametrize("header", [pytest.param(V1, id="v1"), pytest.param(V2, id="v2")])
def test_mail_through_a_proxy_comes_from_the_client(behind, header):
    before = len(behind.stored(ALICE))
    with calling(behind.port("mx"), header) as caller:
        assert caller.hear().startswith(b"220 ")
        for command in (b"HELO client.test\r\n", b"MAIL FROM:<x@away.test>\r\n", b"RCPT TO:<alice@blue.test>\r\n", b"DATA\r\n"):
            caller.say(command)
            assert caller.hear()[:1] in b"23"
        caller.say(b"Subject: hello\r\n\r\nbody\r\n.\r\n")
        assert caller.hear().startswith(b"250 ")
        caller.say(b"QUIT\r\n")
        caller.rest()
    message = eventually(lambda: behind.stored(ALICE)[before:], "the message is there")[0]
    received = message[: message.index(b"Subject:")]
    assert b"[203.0.113.9]" in received
    assert b"127.0.0.1" not in received


@pytest.mark.parametrize(
    ("service", "greeting"),
    [
        pytest.param("mx", b"220 ", id="mx"),
        pytest.param("submission", b"220 ", id="submission"),
        pytest.param("imap", b"* OK ", id="imap"),
        pytest.param("pop3", b"+OK ", id="pop3"),
    ],
)
def test_every_service_greets_after_the_header_and_not_before(behind, service, greeting):
    with calling(behind.port(service)) as caller:
        caller.connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            caller.hear()
        caller.connection.settimeout(10)
        caller.say(V2[:7])
        caller.say(V2[7:])
        assert caller.hear().startswith(greeting)


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
def test_the_header_comes_before_tls(behind, service):
    context = ssl.create_default_context(cafile=str(behind.authority))
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", behind.port(service, tls=True)), timeout=10) as connection:
        connection.sendall(V2)
        with context.wrap_socket(connection) as secure:
            assert Caller(secure).hear()


def test_a_client_that_says_no_header_is_told_nothing(behind):
    with calling(behind.port("mx"), b"EHLO spam.test\r\n") as caller:
        assert caller.rest() == b""
    eventually(lambda: "does not say for whom it speaks" in behind.log, "the log tells of it")


@pytest.fixture(scope="module")
def sockets():
    """A server that has no port at all."""
    with folder() as place:
        house = House(place, SOCKETS)
        (house.data / "run").mkdir(mode=0o755)
        give_away(house.data / "run")
        house.add(ALICE)
        with running(house):
            yield house


@pytest.mark.parametrize(
    ("service", "greeting", "goodbye"),
    [
        pytest.param("mx", b"220 ", b"QUIT", id="mx"),
        pytest.param("submission", b"220 ", b"QUIT", id="submission"),
        pytest.param("lmtp", b"220 ", b"QUIT", id="lmtp"),
        pytest.param("imap", b"* OK ", b"a LOGOUT", id="imap"),
        pytest.param("pop3", b"+OK ", b"QUIT", id="pop3"),
    ],
)
def test_every_service_may_listen_on_a_socket_of_this_machine(sockets, service, greeting, goodbye):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(sockets.data / "run" / service))
        caller = Caller(connection)
        assert caller.hear().startswith(greeting)
        caller.say(goodbye + b"\r\n")
        assert caller.rest()


def test_who_finds_no_place_is_told_so_and_the_log_hears_of_it_once():
    with folder() as place:
        house = House(place, more_mx="max_connections = 2\n", more="max_connections = 1\n")
        text = house.config.read_text()
        house.write(text.replace("[imap]", "[imap]\nmax_connections = 1\n"))
        with running(house), contextlib.ExitStack() as stack:
            for service, most in (("mx", 2), ("imap", 1), ("pop3", 1)):
                for _ in range(most):
                    stack.enter_context(calling(house.port(service))).hear()
            for _ in range(20):
                with calling(house.port("mx")) as caller:
                    assert caller.rest().startswith(b"421 4.3.2 ")
            with calling(house.port("imap")) as caller:
                assert caller.rest().startswith(b"* BYE [UNAVAILABLE] ")
            with calling(house.port("pop3")) as caller:
                assert caller.rest().startswith(b"-ERR [SYS/TEMP] ")
            with calling(house.port("imap", tls=True)) as caller:
                assert caller.rest() == b""
            assert house.log.count("mx: 2 connections, no more are taken") == 1


# ----- peers that cannot wait


@pytest.fixture(scope="module")
def strict():
    """A server of five places in [mx], that takes a moment before it greets."""
    with folder() as place:
        house = House(place, more_mx="max_connections = 5\ngreeting_delay = 300ms\n")
        house.add(ALICE)
        with running(house):
            yield house


def test_who_talks_while_the_greeting_is_delayed_gets_none(strict):
    with calling(strict.port("mx"), b"EHLO spam.test\r\n") as hasty, calling(strict.port("mx")) as patient:
        assert hasty.rest().startswith(b"554 5.5.1 ")
        assert patient.hear().startswith(b"220 ")


def test_who_has_talked_before_we_had_a_look_gets_none():
    """Without any delay: the octets wait in the kernel when the connection is taken."""
    with folder() as place:
        house = House(place)
        with running(house):
            assert house.process is not None
            house.process.send_signal(signal.SIGSTOP)
            try:
                with calling(house.port("mx"), b"EHLO spam.test\r\n") as caller:
                    house.process.send_signal(signal.SIGCONT)
                    assert caller.rest().startswith(b"554 5.5.1 ")
            finally:
                house.process.send_signal(signal.SIGCONT)
            with calling(house.port("mx")) as caller:
                assert caller.hear().startswith(b"220 ")


def test_a_whole_dialogue_in_one_piece_is_no_dialogue(strict):
    with calling(strict.port("mx")) as caller:
        caller.hear()
        caller.say(b"EHLO spam.test\r\nMAIL FROM:<x@spam.test>\r\nRCPT TO:<alice@blue.test>\r\nDATA\r\nspam\r\n.\r\nQUIT\r\n")
        assert caller.rest().startswith(b"503 5.5.0 ")
    assert strict.stored(ALICE) == []


def test_under_stress_the_log_says_so_once_and_says_when_it_is_over(strict):
    strict.mark()
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(calling(strict.port("mx"))).hear()
    eventually(lambda: "the usual time again" in strict.news, "the stress is over")
    assert strict.news.count("strangers get less time") == 1
    with calling(strict.port("mx")) as caller:
        assert caller.hear().startswith(b"220 ")


@pytest.mark.client("swaks")
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(["--pipeline"], id="in-groups"),
        pytest.param(["--pipeline", "-tls"], id="in-groups-after-starttls"),
        pytest.param(["--protocol", "SMTP"], id="after-HELO"),
    ],
)
def test_a_client_that_waits_where_it_has_to_is_served(strict, how):
    before = len(strict.stored(ALICE))
    server = ("--server", f"127.0.0.1:{strict.port('mx')}", "--from", "x@away.test", "--to", ALICE.address)
    run("swaks", *server, *how)
    eventually(lambda: len(strict.stored(ALICE)) == before + 1, "the message is there")
