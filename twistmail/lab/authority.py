"""The town's certificate authority: it vouches for the offices, for whoever takes its certificate. Blocking; at start only.

Its key signs once, for all offices, and is thrown away: nobody can make it vouch for anything else, and what it may vouch for is
written into its own certificate (RFC 5280 §4.2.1.10), so that a mail program that trusts it trusts it for the classroom alone.
What is kept (`town.pem`, and in `tls` what each office shows) is used again while it fits and lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twistmail.lab.offices import Office
from twistmail.tls.files import UNREADABLE, write_secret

NAME = "Certificate authority of the town"
#: Apple's programs take nothing that lasts for more than 825 days. A year before the end all is made anew.
LIFETIME, AT_LEAST = timedelta(days=800), timedelta(days=365)
#: A clock that is a little behind must not find it to be of the future.
BEFORE = timedelta(days=1)
#: What it may vouch for, beside the address of this computer in the LAN.
DOMAINS = ("test", "localhost")
NETWORKS = ("127.0.0.0/8", "::1/128", "192.0.2.0/24")
LOOPBACK = ("127.0.0.1", "::1")
PEM = serialization.Encoding.PEM


class Authority:
    """Lies in *folder*. `path`: its certificate, for all to have; `certificate`: the same as octets of PEM, once they are provided."""

    certificate = b""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "town.pem"
        self._folder = folder / "tls"

    def directory(self, office: Office) -> Path:
        """Where *office* has its certificate and key."""
        return self._folder / office.name

    def provide(self, offices: Iterable[Office], address: str, now: float) -> None:
        """See to it that each of *offices* can show a certificate that holds. *now*: POSIX seconds. OSError.

        *address*: of this computer in the LAN, or empty.
        """
        offices, moment = tuple(offices), datetime.fromtimestamp(now, UTC)
        if not all(self._holds(office, address, moment) for office in offices):
            self._sign(offices, address, moment)
        self.certificate = self.path.read_bytes()

    def _holds(self, office: Office, address: str, now: datetime) -> bool:
        try:
            authority = x509.load_pem_x509_certificate(self.path.read_bytes())
            octets = _place(self.directory(office)).read_bytes()
            shown, key = x509.load_pem_x509_certificate(octets), serialization.load_pem_private_key(octets, None)
            shown.verify_directly_issued_by(authority)
            names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (*UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
            return False
        begins = max(authority.not_valid_before_utc, shown.not_valid_before_utc)  # in the future where the clock was wrong
        ends = min(authority.not_valid_after_utc, shown.not_valid_after_utc) - AT_LEAST
        return begins <= now < ends and key.public_key() == shown.public_key() and set(names) == set(_names(office, address))

    def _sign(self, offices: Iterable[Office], address: str, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        own = _authority(key, address, now)
        for office in offices:
            secret = ec.generate_private_key(ec.SECP256R1())
            shown = _office(office, address, secret, own, key, now)
            told = secret.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            write_secret(_place(self.directory(office)), shown.public_bytes(PEM) + told)
        write_secret(self.path, own.public_bytes(PEM))


def _place(directory: Path) -> Path:
    return directory / "office.pem"


def _authority(key: ec.EllipticCurvePrivateKey, address: str, now: datetime) -> x509.Certificate:
    networks = [ip_network(one) for one in (*NETWORKS, *([address] if address else []))]
    may: list[x509.GeneralName] = [*(x509.DNSName(domain) for domain in DOMAINS), *(x509.IPAddress(network) for network in networks)]
    return (
        _certificate(NAME, key, now)
        .issuer_name(_called(NAME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.NameConstraints(may, None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _office(office: Office, address: str, secret: ec.EllipticCurvePrivateKey, own: x509.Certificate, key: ec.EllipticCurvePrivateKey,
            now: datetime) -> x509.Certificate:  # fmt: skip
    return (
        _certificate(office.host, secret, now)
        .issuer_name(own.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(office, address)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_called(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "twistmail classroom"), x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    """An authority signs certificates, an office its handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _names(office: Office, address: str) -> list[x509.GeneralName]:
    """By which programs find *office*: its names, its pretend address, and where it really listens."""
    return [*(x509.DNSName(name) for name in (office.host, office.domain, "localhost")), *_addresses(office, address)]


def _addresses(office: Office, address: str) -> Iterator[x509.IPAddress]:
    for one in (office.address, *LOOPBACK, *([address] if address else [])):
        yield x509.IPAddress(ip_address(one))
