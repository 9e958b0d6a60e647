"""The town's certificate authority: for what it vouches, how long its word is kept, and who goes by it."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto
from twisted.internet import reactor

from tests.lab.living import Guest, living, run, wait_for
from twistmail.lab import authority
from twistmail.lab.authority import AT_LEAST, LIFETIME, NAME, PEM, Authority
from twistmail.lab.drafts import Draft, Person
from twistmail.lab.faults import Board
from twistmail.lab.offices import OFFICES
from twistmail.lab.pages.inbox import postbox_of
from twistmail.lab.town import Town
from twistmail.relay.names import fits

NOW = 1_800_000_000.0
DAY = 86400.0
LAN = "192.168.1.2"


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    here = Authority(tmp_path)
    here.provide(OFFICES, LAN, NOW)
    return here


def shown_by(here: Authority, place: int = 0) -> x509.Certificate:
    return x509.load_pem_x509_certificate((here.directory(OFFICES[place]) / "office.pem").read_bytes())


def is_believed(own: x509.Certificate, shown: x509.Certificate, at: float = NOW) -> bool:
    """Whether OpenSSL, which knows *own* and nobody else, believes *shown*."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(own))
    store.set_time(datetime.fromtimestamp(at, UTC).replace(tzinfo=None))
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(shown)).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True


# ----- for what it vouches


def test_it_vouches_for_each_office_by_its_names_and_addresses(made):
    own = x509.load_pem_x509_certificate(made.certificate)
    for place, office in enumerate(OFFICES):
        shown = shown_by(made, place)
        assert is_believed(own, shown)
        assert all(fits(shown, name) for name in (office.host, office.domain, "localhost", office.address, "127.0.0.1", "::1", LAN))
        assert not fits(shown, OFFICES[place - 1].host)
        assert not fits(shown, "192.168.1.3")


@pytest.mark.parametrize(
    ("name", "believed"),
    [
        pytest.param(x509.DNSName("mail.purple.test"), True, id="another office"),
        pytest.param(x509.DNSName("bank.example"), False, id="somebody of the real world"),
        pytest.param(x509.DNSName("test.example"), False, id="who only sounds like us"),
        pytest.param(x509.IPAddress(ip_address(LAN)), True, id="this computer in the LAN"),
        pytest.param(x509.IPAddress(ip_address("192.168.1.3")), False, id="the next computer"),
    ],
)
def test_whoever_trusts_it_trusts_it_for_the_classroom_alone(name, believed):
    key, secret = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    moment = datetime.fromtimestamp(NOW, UTC)
    own = authority._authority(key, LAN, moment)
    shown = (
        authority._certificate("whoever", secret, moment)
        .issuer_name(own.subject)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    assert is_believed(own, shown) is believed


def test_its_key_is_nowhere_and_those_of_the_offices_are_theirs(made, tmp_path):
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.pem")}
    assert set(files) == {"town.pem", "tls/blue/office.pem", "tls/green/office.pem", "tls/red/office.pem"}
    assert b"PRIVATE" not in files["town.pem"].read_bytes()
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())
    constraints = x509.load_pem_x509_certificate(made.certificate).extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert ip_network(LAN) in [one.value for one in constraints.value.permitted_subtrees]


# ----- how long


def provided_again(made: Authority, tmp_path: Path, address: str = LAN, later: float = 0.0) -> Authority:
    again = Authority(tmp_path)
    again.provide(OFFICES, address, NOW + later)
    return again


def test_what_is_there_is_used_again(made, tmp_path):
    before = shown_by(made)
    again = provided_again(made, tmp_path, later=100 * DAY)
    assert again.certificate == made.certificate
    assert shown_by(again) == before


@pytest.mark.parametrize("harm", ["address", "end", "lost", "damaged", "keyless", "foreign key", "future", "foreign"])
def test_what_does_not_fit_any_more_is_made_anew(made, tmp_path, harm):
    office = made.directory(OFFICES[1]) / "office.pem"
    address, later = LAN, 0.0
    if harm == "address":
        address = "192.168.1.99"
    elif harm == "end":
        later = (LIFETIME - AT_LEAST + timedelta(days=1)).total_seconds()
    elif harm == "future":
        later = -3 * 365 * DAY
    elif harm == "lost":
        office.unlink()
    elif harm == "damaged":
        office.write_bytes(office.read_bytes()[:200])
    elif harm == "keyless":
        office.write_bytes(shown_by(made, 1).public_bytes(PEM))
    elif harm == "foreign key":
        key = made.directory(OFFICES[0]) / "office.pem"
        office.write_bytes(shown_by(made, 1).public_bytes(PEM) + key.read_bytes().partition(b"-----END CERTIFICATE-----\n")[2])
    else:
        other = Authority(tmp_path / "other")
        other.provide(OFFICES, LAN, NOW)
        office.write_bytes((other.directory(OFFICES[1]) / "office.pem").read_bytes())
    again = provided_again(made, tmp_path, address, later)
    assert again.certificate != made.certificate
    own = x509.load_pem_x509_certificate(again.certificate)
    assert all(is_believed(own, shown_by(again, place), NOW + later) for place in range(3))
    assert fits(shown_by(again), address)


# ----- in a town


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        yield town, guest, Board(town)


@pytest.fixture(autouse=True)
def mended(request):
    yield
    if "place" in request.fixturenames:
        run(request.getfixturevalue("place")[2].clear_all())


def strict(town: Town) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=town.authority.path)


@pytest_twisted.ensureDeferred
async def test_programs_that_know_it_speak_with_the_offices_without_a_question(place):
    town, guest, _ = place

    def speak() -> None:
        for office in OFFICES:
            with smtplib.SMTP("127.0.0.1", town.ports[office.name, "mx"], timeout=10) as client:
                client.starttls(context=strict(town))
            imaplib.IMAP4_SSL("127.0.0.1", town.ports[office.name, "imaps"], ssl_context=strict(town), timeout=10).shutdown()
        with pytest.raises(ssl.SSLCertVerificationError):
            imaplib.IMAP4_SSL("127.0.0.1", town.ports["blue", "imaps"], ssl_context=ssl.create_default_context(), timeout=10)

    await guest.do(speak)


async def send(town: Town, guest: Guest) -> int:
    """From alice to carol; the number of the last event before."""
    before = town.ring.last

    def write() -> None:
        with smtplib.SMTP("127.0.0.1", town.ports["blue", "submission"], "pc.test", timeout=10) as client:
            client.login("alice@blue.test", "demo")
            client.sendmail("alice@blue.test", ["carol@green.test"], "Subject: Sealed\r\n\r\nHello\r\n")

    await guest.do(write)
    return before


@pytest_twisted.ensureDeferred
async def test_an_office_knows_with_whom_it_speaks_and_the_journey_says_by_whose_word(place):
    town, guest, _ = place
    before = await send(town, guest)
    seen = await wait_for(town, "tls", "blue", after=before, verified="its authority")
    assert (seen.what["fault"], seen.what["issuer"]) == ("", NAME)
    relayed = await wait_for(town, "mail", "blue", after=before, state="relayed")
    assert "certificate checked by its authority" in relayed.what["secured"]
    assert f"certificate checked by its authority: {NAME}" in sealed(town, relayed.about)


@pytest_twisted.ensureDeferred
async def test_who_is_content_with_any_encryption_sees_that_it_is_another_one_and_sends(place):
    town, guest, board = place
    await board.set("wrong-certificate", "blue>green")
    before = await send(town, guest)
    relayed = await wait_for(town, "mail", "blue", after=before, state="relayed")
    assert "certificate not in order: its certificate vouches for itself" in sealed(town, relayed.about)


def sealed(town: Town, item: str) -> str:
    """What the journey says of TLS on the way from office to office."""
    return next(one.tls for one in town.journeys.of(item).dialogues if one.kind == "out")


@pytest_twisted.ensureDeferred
async def test_the_list_of_the_system_is_never_read(place, monkeypatch):
    town, guest, board = place

    def refused(self: SSL.Context) -> None:
        raise AssertionError("whom the system trusts is of no interest here")

    monkeypatch.setattr(SSL.Context, "set_default_verify_paths", refused)
    await board.set("insists-on-tls", "blue")
    before = await send(town, guest)
    await wait_for(town, "store", "green", after=before, account="carol@green.test")
    draft = Draft(Person("", "alice@blue.test"), (Person("", "carol@green.test"),), (), (), "By the page", "Hello")
    assert (await postbox_of(town).post(draft, "alice@blue.test")).ids


@pytest_twisted.ensureDeferred
async def test_it_outlives_a_reset_a_crash_and_the_town(tmp_path):
    town = Town(tmp_path, reactor, any_ports=True)
    await town.start()
    try:
        before = town.authority.certificate
        await town.crash("blue")
        await town.reset()
    finally:
        await town.stop()
    again = Town(tmp_path, reactor, any_ports=True)
    await again.start()
    try:
        assert again.authority.certificate == before == again.authority.path.read_bytes()
        assert not list(tmp_path.rglob("self-signed.pem"))
        assert again.service("blue").config["relay"].tls_ca == str(again.authority.path)
    finally:
        await again.stop()
