"""openssl s_client and curl shake hands with us: names, protocols, what is switched off, and certificates instead of passwords."""

from __future__ import annotations

import imaplib
import ssl
import time

import pytest

from tests.interop.house import IS_ROOT, House, Person, folder, give_away, run, running
from tests.tls.authority import Authority, key_pem, pem

pytestmark = pytest.mark.client("openssl")

ALICE, BOB = Person("alice"), Person("bob")
LETTER = b"From: alice@blue.test\r\nSubject: by certificate\r\n\r\nno password was said\r\n"


@pytest.fixture(scope="module")
def trusting():
    """A server that believes in clients of an authority of our own, and has a certificate for a second name."""
    authority = Authority("Blue", time.time())
    with folder() as place:
        house = House(place, more="[tls]\nclient_ca = clients.pem\ndirectory = certificates\n")
        (house.data / "clients.pem").write_bytes(pem(authority.certificate))
        second = house.data / "certificates" / "second"
        second.mkdir(parents=True)
        for kind, octets in zip(("fullchain", "privkey"), authority.issue("mail.green.test"), strict=True):
            (second / f"{kind}.pem").write_bytes(octets)
        for person in (ALICE, BOB):
            certificate, key = authority.person(person.name.title(), person.address)
            (place / f"{person.name}.pem").write_bytes(pem(certificate) + key_pem(key))
        house.add(ALICE, BOB)
        with running(house):
            yield house


@pytest.fixture
def s_client(trusting, client):
    """What `openssl s_client` says when it talks to a service after STARTTLS (`port` tells which) and is told *words*."""

    def call(*options: str, words: str = "QUIT\r\n", service: str = "mx") -> str:
        starttls = {"mx": "smtp"}.get(service, service)
        port = trusting.port(service)
        done = client(
            "openssl", "s_client", "-connect", f"localhost:{port}", "-starttls", starttls, *options, stdin=words, expect=None, timeout=15
        )
        return done.stdout + done.stderr

    return call


@pytest.mark.parametrize(("options", "said"), [
    pytest.param(("-tls1_3",), "TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384", id="1.3"),
    pytest.param(("-tls1_2",), "TLSv1.2, Cipher is ECDHE-", id="1.2"),
    pytest.param(("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "alert protocol version", id="1.1-is-refused"),
    pytest.param(("-servername", "mail.green.test"), "subject=CN = mail.green.test", id="by-name"),
    pytest.param(("-servername", "mail.nobody.test"), "subject=CN = mail.blue.test", id="an-unknown-name-gets-the-default"),
    pytest.param(("-noservername",), "subject=CN = mail.blue.test", id="no-name-gets-the-default"),
    pytest.param(("-alpn", "smtp"), "ALPN protocol: smtp", id="our-protocol"),
    pytest.param(("-alpn", "h2,http/1.1"), "alert no application protocol", id="a-browser-is-refused"),
    pytest.param(("-tls1_2",), "Compression: NONE", id="no-compression"),
    pytest.param((), "Acceptable client certificate CA names\nCN = Blue", id="asks-for-a-certificate"),
])
def test_what_s_client_sees(s_client, options, said):
    assert said in s_client(*options)


def test_s_client_cannot_renegotiate(s_client):
    """Its command `R`."""
    said = s_client("-tls1_2", words="R\n")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


@pytest.mark.client("curl")
@pytest.mark.parametrize("implicit", [pytest.param(False, id="starttls"), pytest.param(True, id="implicit")])
def test_curl_sends_by_certificate(trusting, client, place, implicit):
    before = len(trusting.stored(BOB))
    (place / "letter").write_bytes(LETTER)
    url = f"smtp{'s' if implicit else ''}://localhost:{trusting.port('submission', tls=implicit)}/pc.test"
    who = ["--cert", trusting.folder / "alice.pem", "-u", f"{ALICE.address}:", "--login-options", "AUTH=EXTERNAL"]
    mail = ["--mail-from", ALICE.address, "--mail-rcpt", BOB.address, "-T", place / "letter"]
    client("curl", "-sS", "--ssl-reqd", "--cacert", trusting.authority, *who, *mail, url)
    (letter,) = trusting.stored(BOB)[before:]
    assert b"with ESMTPSA" in letter
    assert b"tls TLS_AES_256_GCM_SHA384;" in letter


@pytest.mark.client("curl")
@pytest.mark.parametrize("scheme", ["imap", "pop3"])
def test_curl_reads_by_certificate_and_not_as_another(trusting, client, scheme):
    def call(login: Person, expect: int):
        url = f"{scheme}s://localhost:{trusting.port(scheme, tls=True)}/"
        who = ["--cert", trusting.folder / "alice.pem", "-u", f"{login.address}:", "--login-options", "AUTH=EXTERNAL"]
        return client("curl", "-sS", "--cacert", trusting.authority, *who, url, expect=expect)

    call(ALICE, 0)
    call(BOB, 67)  # CURLE_LOGIN_DENIED


def test_the_certificate_that_clients_get_is_our_own_where_there_is_no_other(trusting):
    served = ssl.get_server_certificate(("localhost", trusting.port("submission", tls=True)))
    assert served.split() == trusting.authority.read_text()[trusting.authority.read_text().index("-----BEGIN CERT") :].split()


# ----- certificates that change, and that cannot be used


@pytest.fixture
def renewing():
    """A server of its own whose certificates are changed, and the authority that gives them."""
    with folder() as place, running(House(place, more="[tls]\ndirectory = certificates\n")) as house:
        house.add(ALICE)
        yield house, Authority("Blue", time.time())


def _shown(house: House) -> str:
    """Who has signed what a client of IMAP gets to see."""
    said = run("openssl", "s_client", "-connect", f"localhost:{house.port('imap', tls=True)}", expect=None, stdin="")
    return next(line for line in said.stdout.splitlines() if line.startswith("issuer="))


def test_a_renewal_is_shown_to_the_next_and_nobody_is_dropped(renewing) -> None:
    house, authority = renewing
    context = ssl.create_default_context(cafile=str(house.authority))
    with imaplib.IMAP4_SSL("localhost", house.port("imap", tls=True), ssl_context=context, timeout=20) as reader:
        reader.login(ALICE.address, ALICE.password)
        assert "mail.blue.test" in _shown(house)
        for name, octets in zip(("chain.pem", "key.pem"), authority.issue("mail.blue.test"), strict=True):
            (house.folder / name).write_bytes(octets)
        said = house.twistmail("cert", "import", house.folder / "chain.pem", house.folder / "key.pem")
        assert "signed by Blue" in said
        assert _shown(house) == "issuer=CN = Blue"
        assert reader.select("INBOX")[0] == "OK"
        assert "nobody who has signed it" in house.twistmail("cert", "check", expect=1)


def test_what_cannot_be_used_is_named_and_what_was_shown_before_stays(renewing) -> None:
    house, authority = renewing
    place = house.data / "certificates" / "mail"
    place.mkdir(parents=True)
    give_away(place.parent)
    give_away(place)

    def put(chain: bytes, key: bytes) -> str:
        (place / "fullchain.pem").write_bytes(chain)
        (place / "privkey.pem").write_bytes(key)
        (place / "fullchain.pem").chmod(0o644)
        (place / "privkey.pem").chmod(0o600)
        return house.twistmail("cert", "check", expect=None)

    pair, other = authority.issue("mail.blue.test"), authority.issue("mail.blue.test")
    if IS_ROOT:
        assert "mail: privkey.pem: Permission denied" in put(*pair)
        assert "self-signed" in house.twistmail("cert", "check", expect=None)
        give_away(place / "privkey.pem")
    assert "the key is not that of the certificate" in put(pair[0], other[1])
    assert "mail.blue.test" in _shown(house)
    put(*pair)
    assert _shown(house) == "issuer=CN = Blue"
    assert "has ended at" in put(*authority.issue("mail.blue.test", days=-0.5))
    assert "the certificate for mail.blue.test has ended" in house.twistmail("status")
    place.parent.chmod(0)
    assert "certificates: Permission denied" in house.twistmail("cert", "check", expect=1)
