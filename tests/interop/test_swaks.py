"""swaks speaks SMTP to us: what is taken, what is refused, and in which words (exit codes: swaks(1))."""

from functools import partial

import pytest

from tests.interop.house import Person

pytestmark = pytest.mark.client("swaks")

CONNECTING, STARTTLS, AUTH, MAIL, RCPT = 2, 29, 28, 23, 24


@pytest.fixture
def swaks(house, client):
    """Run swaks against one of the services."""

    def call(service, *options, tls=False, server=None, **rest):
        port = (server or house).port(service, tls=tls)
        return client("swaks", "--server", f"localhost:{port}", "--ehlo", "lab.test", *options, **rest)

    return call


def login(person: Person, mechanism: str = "PLAIN", password: str = "") -> list[str]:
    return ["--auth", mechanism, "--auth-user", person.address, "--auth-password", password or person.password]


def test_a_stranger_writes_to_a_user(house, swaks, guest):
    said = swaks("mx", "--from", "eve@red.test", "--to", guest.address, "--header", "Subject: hello", "--body", "how are you")
    assert "250 2.0.0 Accepted as" in said.stdout
    (message,) = house.stored(guest)
    assert message.startswith(b"Return-Path: <eve@red.test>\n")
    assert b"\nSubject: hello\n" in message
    assert b"\nhow are you\n" in message


def test_the_greeting_offers_what_it_should(swaks):
    said = swaks("mx", "--quit-after", "EHLO").stdout
    for extension in ("PIPELINING", "SIZE 67108864", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS"):
        assert extension in said
    assert "AUTH" not in said


def test_starttls_with_a_checked_certificate(house, swaks, guest):
    verify = ["--tls", "--tls-verify", "--tls-ca-path", house.authority]
    said = swaks("mx", *verify, "--from", "eve@red.test", "--to", guest.address).stdout
    assert "TLS started with cipher TLSv1.3" in said
    (message,) = house.stored(guest)
    assert b"with ESMTPS" in message


def test_a_certificate_that_nobody_vouches_for_is_noticed_by_the_client(swaks, guest):
    said = swaks("mx", "--tls", "--tls-verify", "--from", "eve@red.test", "--to", guest.address, expect=None)
    assert said.returncode == STARTTLS, said.stdout


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("way", ["--tls", "--tls-on-connect"])
def test_submission_after_login(house, swaks, guest, other, mechanism, way):
    verify = [way, "--tls-verify", "--tls-ca-path", house.authority]
    rest = ["--from", guest.address, "--to", other.address, "--attach-type", "text/plain", "--attach-body", "enclosed"]
    swaks("submission", *verify, *login(guest, mechanism), *rest, tls=way == "--tls-on-connect")
    (message,) = house.stored(other)
    assert b"with ESMTPSA" in message
    assert b"enclosed" in message


@pytest.mark.parametrize("way", ["--tls", "--tls-on-connect"])
def test_names_without_a_domain_are_those_of_our_users(house, swaks, guest, other, way):
    send = partial(swaks, "submission", way, *login(guest), "--from", guest.name, "--to", other.name, tls=way == "--tls-on-connect")
    send("--header-To", f"Other <{other.name}>", "--header-From", "boss@green.test")
    (message,) = house.stored(other)
    assert f"\nTo: Other <{other.address}>\n".encode() in message
    assert f"\nSender: {guest.address}\n".encode() in message
    assert "554 5.6.0 To: nobody-here has no domain" in send("--header-To", "nobody-here", expect=None).stdout


def test_mail_for_another_domain_waits_in_the_queue(house, swaks, guest):
    swaks("submission", "--tls", *login(guest), "--from", guest.address, "--to", "carol@green.test")
    assert guest.address in house.twistmail("queue", "list", "--from", guest.address)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        pytest.param(["--to", "nobody@blue.test"], RCPT, "550 5.1.1", id="unknown-user"),
        pytest.param(["--to", "carol@green.test"], RCPT, "550 5.7.1", id="relaying"),
        pytest.param(["--to", "carol%green.test@blue.test"], RCPT, "550 5.7.1", id="relaying-by-percent"),
        pytest.param(["--from", "eve", "--to", "alice@blue.test"], MAIL, "501 5.1.7", id="a-sender-without-domain"),
    ],
)
def test_what_a_stranger_may_not(swaks, options, code, words):
    said = swaks("mx", "--from", "eve@red.test", *options, expect=code).stdout
    assert words in said


def test_a_wrong_password(swaks, guest):
    # From an address of its own: whoever guesses wrongly is answered ever later.
    elsewhere = ["--local-interface", "127.0.0.41"]
    said = swaks("submission", "--tls", *elsewhere, *login(guest, password="wrong-horse-7"), "--to", guest.address, expect=AUTH)
    assert "535 5.7.8" in said.stdout


def test_nobody_submits_without_login(swaks, guest):
    said = swaks("submission", "--tls", "--from", guest.address, "--to", "carol@green.test", expect=MAIL)
    assert "530 5.7.0" in said.stdout


def test_nobody_writes_as_somebody_else(swaks, guest, other):
    said = swaks("submission", "--tls", *login(guest), "--from", other.address, "--to", "carol@green.test", expect=None)
    assert said.returncode in (MAIL, RCPT)
    assert "550 5.7.1" in said.stdout or "553 5.7.1" in said.stdout


def test_passwords_in_clear_are_not_even_offered_where_tls_is_required(insisting, swaks, alice):
    before = swaks("submission", "--quit-after", "EHLO", server=insisting).stdout
    assert "AUTH" not in before
    refused = swaks("submission", *login(alice), "--to", "carol@green.test", server=insisting, expect=AUTH)
    assert "235" not in refused.stdout
    after = swaks("submission", "--tls", *login(alice), "--quit-after", "AUTH", server=insisting).stdout
    assert "235 2.7.0" in after
