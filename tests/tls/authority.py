"""Certificates for tests, signed by an authority that exists only there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = 1_800_000_000.0
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

_SIGNS = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
    key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def key_pem(key: Any) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs certificates. *now*: POSIX seconds; *only*: the one domain of mail addresses that it may sign for."""

    def __init__(self, name: str = "Test Authority", now: float = NOW, *, only: str = "") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._only = only
        self._now = datetime.fromtimestamp(now, UTC)

    def issue(
        self, *names: str, days: float = 90, begins: float = -1, common_name_only: bool = False, key: Any = None
    ) -> tuple[bytes, bytes]:
        """(certificate chain, private key) as PEM, for a server with these names; *begins* and *days*: from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        alternatives = () if common_name_only else tuple(map(x509.DNSName, names))
        return pem(self.sign(key, names[0], *alternatives, days=days, begins=begins)), key_pem(key)

    def person(self, common_name: str, *addresses: str, **rest: Any) -> tuple[x509.Certificate, Any]:
        """(certificate, private key) for somebody with these mail addresses; *rest* as for `sign`."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self.sign(key, common_name, *map(x509.RFC822Name, addresses), usage=rest.pop("usage", CLIENT), **rest), key

    def sign(
        self, key: Any, common_name: str, *alternatives: x509.GeneralName, days: float = 90, begins: float = -1, usage: Any = None
    ) -> x509.Certificate:
        """A certificate for *key*; *common_name* empty: without one."""
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + timedelta(days=begins))
            .not_valid_after(self._now + timedelta(days=days))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)  # Python 3.13 asks
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    @property
    def certificate(self) -> x509.Certificate:
        """Its own, which it has signed itself."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(self._now - timedelta(days=1))
            .not_valid_after(self._now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(_SIGNS, critical=True)
        )
        if self._only:
            builder = builder.add_extension(x509.NameConstraints([x509.RFC822Name(self._only)], None), critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def revoke(self, *certificates: x509.Certificate) -> bytes:
        """A list of these as revoked, as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self._now - timedelta(days=1))
            .next_update(self._now + timedelta(days=30))
        )
        for certificate in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(self._now)
            builder = builder.add_revoked_certificate(entry.build())
        return pem(builder.sign(self.key, hashes.SHA256()))
