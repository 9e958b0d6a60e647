"""A certificate of our own making, so that a server speaks TLS from its first minute. Blocking; at start only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twistmail.tls.files import write_secret

#: Whoever trusts it has looked at it himself, so it need not expire before the machine does.
LIFETIME = timedelta(days=3650)
#: A clock that is a little behind must not find it to be of the future.
BEFORE = timedelta(days=1)
#: X.520: the longest common name.
LONGEST_COMMON_NAME = 64


def make_self_signed(path: Path, hostname: str, now: float) -> None:
    """Write key and certificate for *hostname* and this machine into *path*, for our eyes only. *now*: POSIX seconds. OSError.

    ECDSA on P-256: small, quick, and known to every client of the last fifteen years.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, hostname, datetime.fromtimestamp(now, UTC))
    pem = serialization.Encoding.PEM
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Whole or not at all: a half-written key would stand in the way of every later start.
    write_secret(path, own + certificate.public_bytes(pem))


def _sign(key: ec.EllipticCurvePrivateKey, hostname: str, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:LONGEST_COMMON_NAME])])
    names: list[x509.GeneralName] = [x509.DNSName(text) for text in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # A client that is told to trust it takes it as its own issuer.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())
