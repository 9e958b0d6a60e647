"""What nobody means well with over POP3: each is answered, within a second of CPU and a few MiB, and harms no other session."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.abuse.costs import PATIENCE, Costs
from tests.interop.house import House, Person

LETTER = b"Subject: x\r\n\r\na few words\r\n.\r\n"


class Client:
    """Says octets and hears lines, without their ends; b"" where the connection is closed."""

    def __init__(self, house: House, way: str) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", house.port("pop3", tls=way == "implicit-tls")), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        if way == "implicit-tls":
            self._encrypt()
        assert self.line().startswith(b"+OK ")
        if way == "starttls":
            assert self.ask(b"STLS").startswith(b"+OK")
            self._encrypt()

    def _encrypt(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def say(self, octets: bytes) -> None:
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def line(self) -> bytes:
        while b"\r\n" not in self._rest:
            try:
                more = self.socket.recv(1 << 20)
            except (ConnectionResetError, ssl.SSLError):
                more = b""
            if not more:
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def ask(self, command: bytes) -> bytes:
        """The first line of the answer."""
        self.say(command + b"\r\n")
        return self.line()

    def lines(self, command: bytes) -> list[bytes]:
        """All lines of a long answer but the dot."""
        self.say(command + b"\r\n")
        return list(iter(self.line, b"."))

    def log_in(self, person: Person) -> None:
        assert self.ask(f"USER {person.address}".encode()).startswith(b"+OK")
        assert self.ask(f"PASS {person.password}".encode()).startswith(b"+OK")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def client(house: House, way: str) -> Iterator[Client]:
    made = Client(house, way)
    yield made
    made.close()


@pytest.fixture
def letters(house: House, guest: Person) -> Person:
    """Somebody with two letters."""
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for _ in range(2):
            smtp.sendmail("eve@red.test", [guest.address], LETTER)
    return guest


def case(name: str, command: bytes, *answers: bytes) -> object:
    return pytest.param(command, answers, id=name)


def plain(*words: bytes) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(b"\0".join(words))


#: Said before login; the answer begins so. b"": we are hung up on.
BEFORE_LOGIN = [
    case("line-of-600", b"USER " + b"x" * 600, b"-ERR"),
    case("line-of-20-KiB", b"USER " + b"x" * 20_000, b"-ERR", b""),
    case("line-without-end", b"x" * 1_000_000, b"-ERR", b""),
    case("nul-in-a-name", b"USER a\0b", b"-ERR"),
    case("eight-bit-name", b"USER gr\xfc\xdfe", b"+OK", b"-ERR"),
    case("carriage-return-in-a-name", b"USER a\rb", b"-ERR"),
    case("pass-without-user", b"PASS x", b"-ERR"),
    case("retr-without-login", b"RETR 1", b"-ERR Log in first"),
    case("dele-without-login", b"DELE 1", b"-ERR Log in first"),
    case("capa-with-an-argument", b"CAPA x", b"-ERR"),
    case("language-of-a-thousand-tags", b"LANG " + b"a-" * 200, b"-ERR"),
    case("language-in-eight-bits", b"LANG \xff", b"-ERR"),
    case("apop-where-there-is-none", b"APOP a c4c9334bac560ecc979e58001b3e22fb", b"-ERR That is no command"),
    case("no-such-mechanism", b"AUTH " + b"X" * 300, b"-ERR"),
    case("no-base64", b"AUTH PLAIN !!!!", b"-ERR"),
    case("base64-without-padding", b"AUTH PLAIN AGE", b"-ERR"),
    case("base64-with-more-behind-it", b"AUTH PLAIN AGEAYg== x", b"-ERR"),
    case("plain-of-one-part", plain(b"user"), b"-ERR"),
    case("plain-of-five-parts", plain(b"", b"a", b"b", b"c", b"d"), b"-ERR"),
    case("plain-of-nothing", plain(b"", b"", b""), b"-ERR"),
    case("plain-in-latin-1", plain(b"", b"gr\xfc\xdfe", b"x"), b"-ERR"),
    case("plain-with-a-long-name", plain(b"", b"a" * 5000, b"x"), b"-ERR"),
    case("sasl-of-a-megabyte", b"AUTH PLAIN " + b"QUFB" * 250_000, b"-ERR", b""),
    case("somebody-else-s-mail", plain(b"guest0@blue.test", b"nobody@blue.test", b"x"), b"-ERR"),
    case("a-request-of-smtp", b"MAIL FROM:<a@b.test>", b"-ERR That is no command"),
    case("a-request-of-http", b"GET / HTTP/1.1", b"-ERR That is no command"),
    case("nothing", b"", b"-ERR"),
    case("a-dot", b".", b"-ERR"),
]


@pytest.mark.parametrize(("command", "answers"), BEFORE_LOGIN)
def test_a_stranger_gets_little(client: Client, costs: Costs, command: bytes, answers: tuple[bytes, ...]) -> None:
    said = client.ask(command)
    assert any(said == b"" if not answer else said.startswith(answer) for answer in answers), said
    assert costs.are_bounded, costs.said


#: What is said to a challenge, and what follows.
RESPONSES = [
    case("giving-up", b"*", b"-ERR"),
    case("a-star-and-more", b"**", b"-ERR"),
    case("no-base64", b"not base64", b"-ERR"),
    case("nothing", b"", b"-ERR", b"+ "),
    case("equals", b"=", b"-ERR", b"+ "),
    case("a-command-that-is-base64", b"QUIT", b"-ERR", b"+ "),
    case("another-exchange", b"AUTH PLAIN", b"-ERR"),
    case("nul", b"\0", b"-ERR"),
    case("eight-bit", b"\xff\xfe", b"-ERR"),
    case("a-megabyte", b"QUFB" * 250_000, b"-ERR", b""),
]


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN"])
@pytest.mark.parametrize(("response", "answers"), RESPONSES)
def test_nonsense_in_an_exchange_ends_it(
    house: House, costs: Costs, mechanism: bytes, response: bytes, answers: tuple[bytes, ...]
) -> None:
    client = Client(house, "in-clear")
    assert client.ask(b"AUTH " + mechanism).startswith(b"+ ")
    said = client.ask(response)
    assert any(said == b"" if not answer else said.startswith(answer) for answer in answers), said
    if said.startswith(b"-ERR") and len(response) < 1000:
        assert client.ask(b"NOOP") == b"-ERR Log in first"
    client.close()
    assert costs.are_bounded, costs.said


def test_nobody_logs_in_twice(client: Client, letters: Person) -> None:
    client.log_in(letters)
    for command in (b"USER a", b"PASS b", b"AUTH PLAIN AGEAYg==", b"AUTH", b"UTF8", b"STLS"):
        assert client.ask(command).startswith(b"-ERR You have logged in already")
    assert client.ask(b"STAT").startswith(b"+OK 2 ")


def test_what_is_said_behind_stls_is_never_obeyed(house: House, letters: Person) -> None:
    client = Client(house, "in-clear")
    client.say(f"STLS\r\nUSER {letters.address}\r\nPASS {letters.password}\r\nDELE 1\r\nQUIT\r\n".encode())
    assert client.line() == b"+OK Begin TLS negotiation"
    assert client.line() == b""
    assert len(house.stored(letters)) == 2


NUMBERS = [
    case("zero", b"0", b"-ERR"),
    case("below-zero", b"-1", b"-ERR"),
    case("one-too-many", b"3", b"-ERR There is no such message"),
    case("a-billion", b"4294967297", b"-ERR There is no such message"),
    case("ten-digits", b"9999999999", b"-ERR There is no such message"),
    case("many-digits", b"9" * 400, b"-ERR"),
    case("a-word", b"one", b"-ERR"),
    case("hexadecimal", b"0x1", b"-ERR"),
    case("two", b"1 2 3", b"-ERR"),
    case("other-digits", "\u0661".encode(), b"-ERR"),
    case("a-range", b"1:2", b"-ERR"),
]


@pytest.mark.parametrize("keyword", [b"RETR", b"DELE", b"LIST", b"UIDL"])
@pytest.mark.parametrize(("number", "answers"), NUMBERS)
def test_no_number_leads_anywhere_else(house: House, letters: Person, keyword: bytes, number: bytes, answers: tuple[bytes, ...]) -> None:
    client = Client(house, "in-clear")
    client.log_in(letters)
    said = client.ask(keyword + b" " + number)
    assert any(said.startswith(answer) for answer in answers), said
    assert client.ask(b"STAT").startswith(b"+OK 2 ")
    client.close()


def test_ten_thousand_requests_at_once_are_answered_in_order(client: Client, letters: Person, costs: Costs) -> None:
    client.log_in(letters)
    client.say(b"NOOP\r\n" * 5000 + b"DELE 1\r\nRSET\r\n" * 2500 + b"STAT\r\n")
    assert [client.line() for _ in range(5000)] == [b"+OK Nothing done"] * 5000
    assert [client.line()[:3] for _ in range(5000)] == [b"+OK"] * 5000
    assert client.line().startswith(b"+OK 2 ")
    assert costs.are_bounded, costs.said


def test_who_never_reads_is_waited_for_and_costs_little(house: House, client: Client, letters: Person, costs: Costs) -> None:
    """A letter of 900 KB is asked for ten thousand times, and nobody reads it."""
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [letters.address], b"Subject: x\r\n\r\n" + b"x" * 76 * 12_000)
    client.log_in(letters)
    client.socket.setblocking(False)
    asked = 0
    try:
        while asked < 10_000:
            client.socket.send(b"RETR 3\r\nRETR 1\r\n" * 10)
            asked += 20
    except (BlockingIOError, ssl.SSLWantWriteError):
        pass
    assert costs.are_bounded, costs.said


def test_a_thousand_senseless_commands_are_not_listened_to(client: Client, costs: Costs) -> None:
    client.say(b"XYZZY\r\n" * 1000)
    said = list(iter(client.line, b""))
    assert 1 <= len(said) <= 20
    assert all(line.startswith(b"-ERR") for line in said)
    assert costs.are_bounded, costs.said


def test_nothing_behind_quit_is_obeyed(house: House, letters: Person) -> None:
    client = Client(house, "in-clear")
    client.log_in(letters)
    client.say(b"DELE 1\r\nRSET\r\nQUIT\r\nDELE 1\r\nQUIT\r\n")
    said = list(iter(client.line, b""))
    assert said[-1] == b"+OK Good bye, 0 deleted, 2 left"
    assert len(house.stored(letters)) == 2


def test_who_leaves_in_the_middle_of_a_letter_unlocks_his_mailbox(house: House, letters: Person) -> None:
    client = Client(house, "in-clear")
    client.log_in(letters)
    client.say(b"DELE 2\r\nRETR 1\r\n" * 50)
    client.close()
    for _ in range(50):
        again = Client(house, "in-clear")
        assert again.ask(f"USER {letters.address}".encode()).startswith(b"+OK")
        said = again.ask(f"PASS {letters.password}".encode())
        again.close()
        if said == b"+OK 2 messages":
            return
        assert said.startswith(b"-ERR [IN-USE]")
    raise AssertionError("the mailbox stays locked")
