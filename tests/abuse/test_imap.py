"""What nobody means well with over IMAP: each is answered, within a second of CPU and a few MiB, and harms no other session.

spec: lines, literals, depths, keys and ranges are limited; names are checked; what is in messages is looked at in linear time.
"""

from __future__ import annotations

import itertools
import re
import socket
import ssl
import zlib
from collections.abc import Iterator

import pytest

from tests.abuse.costs import PATIENCE, Costs
from tests.interop.house import House, Person

LETTER = b"Subject: x\r\n\r\na few words\r\n"


class Client:
    """Says octets and hears lines. Lines are bytes without their ends; b"" where the connection is closed."""

    def __init__(self, house: House, way: str) -> None:
        self.house = house
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", house.port("imap", tls=way == "implicit-tls")), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._tags = itertools.count()
        if way == "implicit-tls":
            self._encrypt()
        assert self.line().startswith(b"* OK ")
        if way == "starttls":
            assert self.ask(b"STARTTLS").startswith(b"OK")
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
        """A response with its literals."""
        line = self._up_to(b"\r\n")
        while literal := re.search(rb"\{(\d+)\}\Z", line):
            while len(self._rest) < int(literal[1]) and self._more():
                pass
            line += b"\r\n" + self._rest[: int(literal[1])]
            self._rest = self._rest[int(literal[1]) :]
            line += self._up_to(b"\r\n")
        return line

    def _up_to(self, end: bytes) -> bytes:
        while end not in self._rest:
            if not self._more():
                return b""
        line, _, self._rest = self._rest.partition(end)
        return line

    def _more(self) -> bool:
        try:
            more = self.socket.recv(1 << 20)
        except (ConnectionResetError, ssl.SSLError):
            more = b""
        self._rest += more
        return bool(more)

    def ask(self, command: bytes) -> bytes:
        """The tagged answer without its tag, or the BYE, or b"" where we are hung up on. A whole command, its literals not waiting."""
        tag = b"t%d" % next(self._tags)
        self.say(tag + b" " + command + b"\r\n")
        goodbye = b""
        while line := self.line():
            if line.startswith(tag + b" "):
                return line[len(tag) + 1 :]
            if line.startswith(b"* BYE"):
                goodbye = line[2:]
            if line.startswith(b"* BAD"):
                return line[2:]
        return goodbye

    def log_in(self, person: Person) -> None:
        assert self.ask(f"LOGIN {person.address} {person.password}".encode()).startswith(b"OK")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def client(house: House, way: str) -> Iterator[Client]:
    made = Client(house, way)
    yield made
    made.close()


@pytest.fixture
def user(client: Client, guest: Person) -> Client:
    """Somebody who has logged in and opened an INBOX with a letter."""
    client.log_in(guest)
    assert client.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(LETTER), LETTER)).startswith(b"OK")
    assert client.ask(b"SELECT INBOX").startswith(b"OK")
    return client


def case(name: str, command: bytes, *answers: bytes) -> object:
    return pytest.param(command, answers, id=name)


#: Said before login; the answer begins so. b"": we are hung up on.
BEFORE_LOGIN = [
    case("line-without-end", b"LOGIN " + b"x" * 100_000, b"BYE", b"BAD", b""),
    case("line-of-2-KiB", b"LOGIN " + b"x" * 2000 + b" y", b"BAD"),
    case("literal-of-4-GiB", b"LOGIN {4294967295}", b"BAD", b"NO"),
    case("literal-that-does-not-wait", b"LOGIN {100000+}", b"BAD", b"BYE", b""),
    case("literal-with-a-sign", b"LOGIN {-1}", b"BAD"),
    case("literal-of-many-digits", b"LOGIN {" + b"9" * 900 + b"}", b"BAD"),
    case("hundreds-of-literals", b"LOGIN " + b"{0+}\r\n" * 1000 + b"x", b"BAD", b"BYE", b""),
    case("deep-list", b"ID " + b"(" * 900, b"BAD"),
    case("nul", b"LOGIN \0 x", b"BAD"),
    case("eight-bit", b"LOGIN gr\xfc\xdfe x", b"BAD", b"NO"),
    case("select-without-login", b"SELECT INBOX", b"BAD"),
    case("append-without-login", b"APPEND INBOX {10000000+}", b"BAD", b"BYE", b""),
    case("compress-without-login", b"COMPRESS DEFLATE", b"BAD"),
    case("long-sasl", b"AUTHENTICATE PLAIN " + b"A" * 20_000, b"BAD", b"NO", b"BYE", b""),
    case("no-base64", b"AUTHENTICATE PLAIN !!!!", b"BAD", b"NO"),
]


@pytest.mark.parametrize(("command", "answers"), BEFORE_LOGIN)
def test_a_stranger_gets_little(house: House, client: Client, costs: Costs, command: bytes, answers: tuple[bytes, ...]) -> None:
    said = client.ask(command)
    assert any(said == b"" if not answer else said.startswith(answer) for answer in answers), said
    assert costs.are_bounded, costs.said


NAMES = [
    case("dots", b"CREATE a/../../etc", b"NO", b"BAD"),
    case("one-dot", b"CREATE ./x", b"NO", b"BAD", b"OK"),
    case("leading-slash", b"CREATE /etc/passwd", b"NO", b"BAD", b"OK"),
    case("empty-level", b"CREATE a//b", b"NO", b"BAD"),
    case("nul", b'CREATE "a\0b"', b"BAD"),
    case("control", b'CREATE "a\x07b"', b"NO", b"BAD"),
    case("control-in-utf-7", b"CREATE &AAcABw-", b"NO", b"BAD"),
    case("broken-utf-7", b"CREATE &Jjo", b"BAD", b"NO"),
    case("ascii-in-utf-7", b"CREATE &AGEAYg-", b"BAD", b"NO"),
    case("half-a-surrogate", b"CREATE &2D0-", b"BAD", b"NO"),
    case("long-part", b"CREATE " + b"a" * 300, b"NO", b"BAD"),
    case("long-name", b"CREATE " + b"/".join([b"a" * 90] * 15), b"NO", b"BAD"),
    case("deep-name", b"CREATE " + b"/".join([b"a"] * 40), b"NO", b"BAD"),
    case("latin-1", b'CREATE "gr\xfc\xdfe"', b"BAD", b"NO"),
    case("wildcards", b'CREATE "a*b%c"', b"NO", b"BAD", b"OK"),
    case("a-thousand-stars", b'LIST "" "' + b"*a" * 1000 + b'"', b"OK", b"BAD", b"NO"),
    case("percent-and-stars", b'LIST "" "' + b"%*" * 2000 + b'x"', b"OK", b"BAD", b"NO"),
]
SETS = [
    case("all-there-can-be", b"FETCH 1:4294967295 FLAGS", b"OK", b"BAD"),
    case("all-uids", b"UID FETCH 1:4294967295 FLAGS", b"OK"),
    case("thousands-of-ranges", b"UID FETCH " + b",".join(b"%d:%d" % (n, n + 4) for n in range(1, 45_000, 9)) + b" FLAGS", b"OK", b"BAD"),
    case("the-same-again-and-again", b"UID FETCH " + b",".join([b"1:4294967295"] * 3000) + b" FLAGS", b"OK", b"BAD"),
    case("beyond", b"FETCH 4294967296 FLAGS", b"BAD"),
    case("zero", b"FETCH 0 FLAGS", b"BAD"),
    case("many-digits", b"UID FETCH " + b"1" * 5000 + b" FLAGS", b"BAD"),
    case("deep-search", b"SEARCH " + b"(" * 1000 + b"ALL" + b")" * 1000, b"BAD"),
    case("nots", b"SEARCH " + b"NOT " * 10_000 + b"ALL", b"BAD"),
    case("many-keys", b"SEARCH " + b" ".join([b"SUBJECT x"] * 5000), b"BAD"),
    case("ors", b"SEARCH " + b"OR ALL " * 2000 + b"ALL", b"BAD"),
    case("long-needle", b"SEARCH TEXT " + b"a" * 60_000, b"OK", b"BAD", b"NO"),
    case("unknown-charset", b"SEARCH CHARSET X-NONE TEXT x", b"NO"),
    case("the-same-item-a-thousand-times", b"FETCH 1 (" + b" ".join([b"BODY.PEEK[]"] * 4000) + b")", b"OK", b"BAD", b"NO"),
    case("many-header-fields", b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + b" ".join(b"f%d" % n for n in range(8000)) + b")]", b"OK", b"BAD"),
    case("deep-part", b"FETCH 1 BODY.PEEK[" + b".".join([b"1"] * 3000) + b"]", b"OK", b"BAD"),
    case("huge-partial", b"FETCH 1 BODY.PEEK[]<4294967295.4294967295>", b"OK", b"BAD"),
    case("keywords", b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % n for n in range(5000)) + b")", b"NO", b"BAD"),
    case("long-keyword", b"STORE 1 +FLAGS (" + b"k" * 5000 + b")", b"NO", b"BAD"),
    case("no-such-flag", b"STORE 1 +FLAGS (\\Nonsense)", b"NO", b"BAD"),
    case("sort-by-everything", b"SORT (" + b" ".join([b"REVERSE SUBJECT"] * 3000) + b") UTF-8 ALL", b"OK", b"BAD"),
    case("metadata", b'SETMETADATA INBOX (/private/x "' + b"x" * 60_000 + b'")', b"NO", b"OK", b"BAD"),
    case("catenate", b"APPEND INBOX CATENATE (" + b" ".join([b'URL "/INBOX/;UID=1"'] * 3000) + b")", b"OK", b"NO", b"BAD"),
    case("notify", b"NOTIFY SET " + b"(MAILBOXES (INBOX) (MessageNew))" * 500, b"OK", b"NO", b"BAD"),
]


@pytest.mark.parametrize(("command", "answers"), [*NAMES, *SETS])
def test_a_user_who_asks_for_too_much_is_answered_and_goes_on(
    house: House, user: Client, costs: Costs, command: bytes, answers: tuple[bytes, ...]
) -> None:
    said = user.ask(command)
    assert any(said.startswith(answer) for answer in answers), said
    assert costs.are_bounded, costs.said
    assert user.ask(b"NOOP").startswith(b"OK")


def parts(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


def nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)) + b"\r\nx\r\n"


def forwarded(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: at last\r\n\r\nx\r\n"


MESSAGES = {
    "100000-parts": parts(100_000),
    "depth-5000": nested(5000),
    "forwarded-5000-times": forwarded(5000),
    "one-boundary-is-the-beginning-of-the-next": b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"a" * n, b"a" * n) for n in range(1, 70)
    )
    + (b"--" + b"a" * 70 + b"\r\n") * 5000,
    "encoded-words": b"Subject: " + b"=?utf-8?q?=3D=3D?= " * 50_000 + b"\r\n\r\nx\r\n",
    "encoded-words-without-end": b"Subject: " + b"=?utf-8?b?" * 50_000 + b"\r\n\r\nx\r\n",
    "addresses": b"To: " + b"a@b.test, " * 50_000 + b"\r\n\r\nx\r\n",
    "comments-in-addresses": b"To: " + b"(" * 50_000 + b"\r\n\r\nx\r\n",
    "quotes-in-addresses": b"To: " + b'"\\' * 50_000 + b"\r\n\r\nx\r\n",
    "parameters": b"Content-Type: text/plain" + b"; a=b" * 50_000 + b"\r\n\r\nx\r\n",
    "continued-parameters": b"Content-Type: text/plain" + b"".join(b"; a*%d*=x" % n for n in range(20_000)) + b"\r\n\r\nx\r\n",
    "blanks": b"Subject:" + b" " * 500_000 + b"x\r\n\r\nx\r\n",
    "folds": b"Subject: x" + b"\r\n x" * 100_000 + b"\r\n\r\nx\r\n",
    "references": b"References: " + b"<a@b> " * 50_000 + b"\r\n\r\nx\r\n",
    "re-re-re": b"Subject: " + b"re: " * 100_000 + b"\r\n\r\nx\r\n",
    "blobs": b"Subject: " + b"[x]" * 100_000 + b"\r\n\r\nx\r\n",
    "fields": b"".join(b"X-%d: y\r\n" % n for n in range(50_000)) + b"\r\nx\r\n",
    "html": b"Content-Type: text/html\r\n\r\n" + b"<" * 500_000,
    "html-entities": b"Content-Type: text/html\r\n\r\n" + b"&#" * 250_000,
    "base64-of-nothing": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 500_000,
    "uuencode": b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n" + b"M" * 500_000,
}
QUESTIONS = (
    b"FETCH 2 (ENVELOPE BODYSTRUCTURE BODY PREVIEW EMAILID THREADID)",
    b"FETCH 2 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (SUBJECT TO)] BINARY.SIZE[1])",
    b"SEARCH OR SUBJECT nothing TEXT nowhere",
    b"SORT (SUBJECT FROM TO DATE) UTF-8 ALL",
    b"THREAD REFERENCES UTF-8 ALL",
)


@pytest.mark.parametrize("name", MESSAGES)
def test_what_stands_in_a_message_costs_what_it_weighs(house: House, guest: Person, name: str) -> None:
    client = Client(house, "in-clear")
    client.log_in(guest)
    message = MESSAGES[name]
    costs = Costs(house)
    assert client.ask(b"APPEND INBOX {3+}\r\nabc").startswith(b"OK")
    client.say(b"a APPEND INBOX {%d}\r\n" % len(message))
    assert client.line().startswith(b"+")
    client.say(message + b"\r\n")
    assert client.line().startswith(b"a OK")
    assert client.ask(b"SELECT INBOX").startswith(b"OK")
    assert costs.are_bounded, f"APPEND: {costs.said}"
    for question in QUESTIONS:
        costs = Costs(house)
        said = client.ask(question)
        assert said.startswith((b"OK", b"NO")), said
        assert costs.are_bounded, f"{question!r}: {costs.said}"
    client.close()


def test_what_unpacks_to_more_than_it_may_is_the_end(house: House, guest: Person, costs: Costs) -> None:
    """A COMPRESS bomb: 100 MiB of blanks in 100 KiB."""
    client = Client(house, "in-clear")
    client.log_in(guest)
    assert client.ask(b"COMPRESS DEFLATE").startswith(b"OK")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"a NOOP" + b" " * (100 << 20)) + packer.flush()
    client.say(bomb)
    assert costs.are_bounded, costs.said
    client.socket.settimeout(20)
    heard = b""
    try:
        while more := client.socket.recv(65536):
            heard += more
    except ConnectionResetError:
        pass
    assert b"BAD" in zlib.decompressobj(-15).decompress(heard) or heard == b"" or b"BYE" in zlib.decompressobj(-15).decompress(heard)
    assert costs.are_bounded, costs.said


def test_who_never_reads_is_waited_for_and_costs_little(house: House, user: Client, costs: Costs) -> None:
    """8,000 answers of 40 KiB each are asked for, and none is read: the server stops reading and answering."""
    text = b"x" * 76 + b"\r\n"
    assert user.ask(b"APPEND INBOX {%d+}\r\n%b" % (4056, text * 52)).startswith(b"OK")
    user.socket.setblocking(False)
    asked = 0
    try:
        while asked < 8000:
            user.socket.send(b"x FETCH 2 BODY.PEEK[]\r\n")
            asked += 1
    except (BlockingIOError, ssl.SSLWantWriteError):
        pass
    assert costs.are_bounded, costs.said


def test_who_says_nonsense_again_and_again_is_sent_away(house: House, client: Client, costs: Costs) -> None:
    answers = []
    while (said := client.ask(b"NONSENSE")).startswith(b"BAD"):
        answers.append(said)
        assert len(answers) < 100
    assert said.startswith(b"BYE")
    assert costs.are_bounded, costs.said


def test_hundreds_of_folders_asked_for_at_once_are_made_and_listed(house: House, guest: Person) -> None:
    """Each is answered in its turn; their limit of number is tested with the store."""
    client = Client(house, "in-clear")
    client.log_in(guest)
    client.say(b"".join(b"c%d CREATE f%d\r\n" % (n, n) for n in range(300)))
    answers = [client.line() for _ in range(300)]
    assert all(b" OK" in answer or b" NO" in answer for answer in answers)
    costs = Costs(house)
    assert client.ask(b'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))').startswith(b"OK")
    assert costs.are_bounded, costs.said
