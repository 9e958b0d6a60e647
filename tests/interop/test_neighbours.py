"""We bring mail to Debian's mail servers: under TLS, counted, international, with wishes for reports, and whole to the octet."""

from __future__ import annotations

import contextlib
import email
import re
import smtplib
import ssl
from email import policy

import pytest

from tests.interop.house import IS_ROOT, House, Person, eventually, folder, free_port, running
from tests.interop.mtas import users_exist
from tests.interop.neighbours import Exim, Neighbour, OpenSmtpd, Postfix

ALICE = Person("alice")
KINDS = [
    pytest.param(Postfix, marks=pytest.mark.client("postfix", "openssl"), id="postfix"),
    pytest.param(Exim, marks=pytest.mark.client("exim4", "openssl"), id="exim"),
    pytest.param(OpenSmtpd, marks=pytest.mark.client("smtpd", "unshare", "openssl"), id="opensmtpd"),
]
COUNTING = [KINDS[0], KINDS[1]]
HEAD = b"From: alice@blue.test\r\nTo: bob@peer.test\r\nSubject: %b\r\nMessage-ID: <%b@blue.test>\r\nDate: Sat, 21 Nov 2026 08:00 +0000\r\n"
TYPED = HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
TEXT = b"..two dots\r\n.\r\n..\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"x" * 900 + b"\r\nQUIT\r\nthe last line\r\n"
BIG = b"".join(b"%07d " % number + b"y" * 60 + b"\r\n" for number in range(20_000))


@pytest.fixture(scope="module")
def blue():
    """Our server, and where it brings the mail for each of them."""
    places = {kind.values[0].name: free_port() for kind in KINDS}
    routes = "".join(f"[route:{name}.test]\nvia = [127.0.0.1]:{port}\n" for name, port in places.items())
    with folder() as here, running(House(here, more=f"[relay]\nretry = 2s\n{routes}")) as house:
        house.add(ALICE)
        house.places = places
        yield house


@pytest.fixture(scope="module")
def street(blue):
    """The neighbours, each started when it is first asked for."""
    if not IS_ROOT:
        pytest.skip("mail servers are started by root")
    with contextlib.ExitStack() as stack:
        known: dict[type[Neighbour], Neighbour] = {}

        def neighbour(kind: type[Neighbour]) -> Neighbour:
            if kind not in known:
                assert users_exist(*kind.users), f"{kind.name} wants the users {kind.users}"
                place = stack.enter_context(folder())
                place.chmod(0o755)
                one = kind(place, blue.port("mx"))
                one.own = blue.places[kind.name]
                stack.enter_context(one.running())
                known[kind] = one
            return known[kind]

        yield neighbour


@pytest.fixture
def peer(request, street, blue):
    one = street(request.param)
    blue.mark()
    yield one
    print(f"--- log of {one.name}\n{one.log[-5000:]}")  # noqa: T201 - pytest shows it where the test has failed
    blue.check_log()


def submit(blue, recipient, message, *mail, rcpt=()):
    """Let alice send *message*; the id that it got."""
    with smtplib.SMTP("localhost", blue.port("submission")) as client:
        client.starttls(context=ssl.create_default_context(cafile=blue.authority))
        client.login(ALICE.address, ALICE.password)
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL", f"FROM:<{ALICE.address}> {' '.join(mail)}")[0] == 250
        assert client.docmd("RCPT", f"TO:<{recipient}> {' '.join(rcpt)}")[0] == 250
        code, said = client.data(message)
    assert code == 250, said
    return re.search(rb"Accepted as (\S+)", said)[1].decode()


def report(blue, subject, known):
    """The report about the message of that subject that alice has got, once it has come."""
    found = eventually(lambda: next((one for one in blue.stored(ALICE) if one not in known and subject in one), None), "a report", 20)
    return email.message_from_bytes(found, policy=policy.default)


@pytest.mark.parametrize("peer", KINDS, indirect=True)
@pytest.mark.parametrize(("name", "text"), [pytest.param(b"text", TEXT, id="text"), pytest.param(b"big", BIG, id="big")])
def test_mail_arrives_whole(blue, peer, name, text):
    """And encrypted; but the TLS of Debian's opensmtpd works with no client (OpenSSL 3), and then it comes in clear."""
    submit(blue, f"bob@{peer.domain}", HEAD % (name, name) + b"\r\n" + text, "BODY=8BITMIME")
    octets = peer.message(name)
    assert octets.partition(b"\n\n")[2].rstrip(b"\n") == text.replace(b"\r\n", b"\n").rstrip(b"\n")
    message = email.message_from_bytes(octets, policy=policy.default)
    assert message["Return-Path"] == f"<{ALICE.address}>"
    received = message.get_all("Received")[0]
    assert "mail.blue.test" in received
    assert (re.search(r"ESMTPS|TLS", received, re.IGNORECASE) is not None) == (peer.name != "opensmtpd")


@pytest.mark.parametrize("peer", KINDS, indirect=True)
def test_lines_that_are_too_long_arrive_as_they_were_meant(blue, peer):
    body = "Grüße, ".encode() * 500 + b"\r\n"
    submit(blue, f"bob@{peer.domain}", TYPED % (b"long", b"long") + body, "BODY=8BITMIME")
    message = email.message_from_bytes(peer.message(b"long"), policy=policy.default)
    assert message.get_content().strip().encode() == body.strip()
    assert message["Content-Transfer-Encoding"] in ("quoted-printable", "base64")


@pytest.mark.parametrize("peer", COUNTING, indirect=True)
def test_content_is_counted_where_that_is_offered(blue, peer):
    submit(blue, f"bob@{peer.domain}", HEAD % (b"counted", b"counted") + b"\r\n" + TEXT, "BODY=8BITMIME")
    peer.message(b"counted")
    blue.twistmail("queue", "list")
    told = {"postfix": r"bdat=[1-9]", "exim": r"<= alice@blue.test.* K "}[peer.name]
    eventually(lambda: re.search(told, peer.log), f"{told} in its log", 15)


@pytest.mark.parametrize("peer", COUNTING, indirect=True)
def test_an_address_in_utf_8_is_served_where_that_is_offered(blue, peer):
    submit(blue, f"grün@{peer.domain}", HEAD % ("Grüße".encode(), b"utf8") + b"\r\n" + TEXT, "SMTPUTF8", "BODY=8BITMIME")
    octets = peer.message("Grüße".encode())
    assert re.search(rb"with UTF8SMTPS?|with utf8esmtps", octets)


@pytest.mark.parametrize("peer", [KINDS[2]], indirect=True)
def test_an_address_in_utf_8_comes_back_where_it_is_not(blue, peer):
    known = blue.stored(ALICE)
    submit(blue, f"grün@{peer.domain}", HEAD % (b"ascii", b"not-there") + b"\r\n" + TEXT, "SMTPUTF8", "BODY=8BITMIME")
    told = report(blue, b"Subject: ascii", known)
    assert "5.6.7" in told.as_string()


@pytest.mark.parametrize("peer", COUNTING, indirect=True)
def test_a_wish_for_a_report_goes_along(blue, peer):
    known = blue.stored(ALICE)
    name = f"wish-{peer.name}".encode()
    submit(blue, f"bob@{peer.domain}", HEAD % (name, name) + b"\r\n" + TEXT, "RET=HDRS", "ENVID=QQ314", rcpt=["NOTIFY=SUCCESS,FAILURE"])
    told = report(blue, b"<%b@blue.test>" % name, known)
    assert told.get_content_type() == "multipart/report"
    status = list(told.iter_parts())[1].as_string()
    assert f"Reporting-MTA: dns; {peer.domain}" in status.replace("dns;exim", "dns; exim").replace("dns;postfix", "dns; postfix")
    assert re.search(r"Action: delivered", status)


@pytest.mark.parametrize("peer", KINDS, indirect=True)
def test_an_unknown_recipient_comes_back_with_their_words(blue, peer):
    known = blue.stored(ALICE)
    name = f"lost-{peer.name}".encode()
    submit(blue, f"nobody-has-this-name@{peer.domain}", HEAD % (name, name) + b"\r\n" + TEXT)
    told = report(blue, b"<%b@blue.test>" % name, known)
    status = list(told.iter_parts())[1].as_string()
    assert re.search(r"Action: failed", status)
    assert re.search(r"Diagnostic-Code: smtp; 5\d\d", status)
