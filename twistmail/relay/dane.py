"""DANE: which certificates a mail server may show, as its domain says in the DNS, signed by DNSSEC (RFC 6698, RFC 7671, RFC 7672).

`published` asks; `check` compares what a server has shown with that. What is
not proved by DNSSEC counts as if it were not there; what cannot be had now is
trouble, and then that server gets no mail for now: somebody may want us to
believe that it has no records (RFC 7672 §2.1.2).

Only usages 2 (an authority of the domain's own) and 3 (this very certificate)
count between mail servers; 0 and 1 mean that some record is there, but none
that can be used (RFC 7672 §3.1.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from OpenSSL import crypto

from twistmail.interfaces import Proved
from twistmail.mail.values import frozen
from twistmail.relay.names import fits

AUTHORITY, CERTIFICATE = 2, 3
WHOLE, KEY = 0, 1
FULL, SHA256, SHA512 = 0, 1, 2
_DIGESTS = {SHA256: hashlib.sha256, SHA512: hashlib.sha512}
_LENGTHS = {SHA256: 32, SHA512: 64}
#: Records of one server that are looked at.
MOST_RECORDS = 30
#: What cannot be parsed, or is of a kind that the library does not know.
_STRANGE = (ValueError, TypeError, UnsupportedAlgorithm)

#: `INameLookup.proved`.
Ask = Callable[[str, str], Awaitable[Proved]]


@dataclass(frozen=True, slots=True, order=True)
class Tlsa:
    """One record (RFC 6698 §2.1): who is meant (`usage`), of what (`selector`), compared how (`matching`), with what (`data`)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        """As a zone file writes it."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"

    @property
    def is_usable(self) -> bool:
        """Whether it can be compared with a certificate at all."""
        right_length = len(self.data) == _LENGTHS.get(self.matching, len(self.data)) and bool(self.data)
        return self.usage in (AUTHORITY, CERTIFICATE) and self.selector in (WHOLE, KEY) and self.matching in (0, 1, 2) and right_length


@frozen
class Published:
    """What a server's domain says of it. `base`: the name under which the records are. `records`: all that are there, proved."""

    base: str
    records: tuple[Tlsa, ...] = ()

    @property
    def usable(self) -> tuple[Tlsa, ...]:
        """Those to compare with. Of several digests of one kind the strongest alone counts (RFC 7671 §9)."""
        found = sorted({record for record in self.records[:MOST_RECORDS] if record.is_usable})
        strongest: dict[tuple[int, int], int] = {}
        for record in found:
            kind = record.usage, record.selector
            strongest[kind] = max(strongest.get(kind, FULL), record.matching)
        return tuple(one for one in found if one.matching in (FULL, strongest[one.usage, one.selector]))


async def published(ask: Ask, host: str, port: int, family: str) -> Published:
    """The records of server *host* (RFC 7672 §2.2.3). *family*: "A" or "AAAA", of the address to which we would go.

    Where its address is not proved there can be no proved record either, and name servers that stumble over such questions
    are not asked (RFC 7672 §2.2.2). Raises DnsTrouble.
    """
    address = await ask(host, family)
    if address.secure:
        bases = dict.fromkeys((address.name, host))
    elif address.name != host and (await ask(host, "CNAME")).secure:
        bases = dict.fromkeys((host,))
    else:
        return Published(host)
    for base in bases:
        answer = await ask(f"_{port}._tcp.{base}", "TLSA")
        if answer.secure and answer.values:
            return Published(base, tuple(Tlsa(*value) for value in answer.values))
    return Published(host)


# ----- what was shown -----------------------------------------------------------


class Mismatch(Exception):
    """Why a certificate is not the one that was published. `kind`: the result type of RFC 8460 §4.3."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


def check(chain: Sequence[x509.Certificate], records: Iterable[Tlsa], names: Sequence[str], now: float) -> Tlsa:
    """The record that *chain* (the server's own certificate first) fits. Raises Mismatch.

    *names*: those of which the certificate must have one where an authority vouches for it (RFC 7672 §3.2.2); a certificate
    that is published itself needs neither name nor date (§3.1.1). *now*: POSIX seconds.
    """
    if not chain:
        raise Mismatch("validation-failure", "the server shows no certificate")
    mismatch: Mismatch | None = None
    for record in sorted(records, reverse=True):  # the certificate itself first: that is the cheaper question
        if record.usage == CERTIFICATE and is_of(record, chain[0]):
            return record
        if record.usage == AUTHORITY:
            try:
                if _vouched(record, chain, names, now):
                    return record
            except Mismatch as found:
                mismatch = found
    raise mismatch or Mismatch("certificate-not-trusted", "its certificate is not the one that its domain publishes (TLSA)")


def is_of(record: Tlsa, certificate: x509.Certificate) -> bool:
    """Whether *record* describes *certificate*."""
    try:
        whole = certificate.public_bytes(Encoding.DER) if record.selector == WHOLE else key_of(certificate)
    except _STRANGE:
        return False
    return record.data == (_DIGESTS[record.matching](whole).digest() if record.matching in _DIGESTS else whole)


def key_of(certificate: x509.Certificate) -> bytes:
    """Its public key with the algorithm, as DER (SubjectPublicKeyInfo). ValueError, UnsupportedAlgorithm."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _vouched(record: Tlsa, chain: Sequence[x509.Certificate], names: Sequence[str], now: float) -> bool:
    """Whether the authority of *record* is in or above *chain*. Mismatch where it is, and the certificate is not in order."""
    anchor = next(_anchors(record, chain), None)
    if anchor is None:
        return False
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(datetime.fromtimestamp(now, UTC).replace(tzinfo=None))
    shown = [crypto.X509.from_cryptography(certificate) for certificate in chain]
    try:
        crypto.X509StoreContext(store, shown[0], shown[1:]).verify_certificate()
    except crypto.X509StoreContextError as error:
        late = "expired" in str(error)
        kind = "certificate-expired" if late else "certificate-not-trusted"
        raise Mismatch(kind, f"its certificate does not lead to the authority that its domain publishes: {error}") from None
    if not any(fits(chain[0], name, common_name=True) for name in names):
        raise Mismatch("certificate-host-mismatch", f"its certificate is not for {names[0] if names else 'it'}")
    return True


def _anchors(record: Tlsa, chain: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """What *record* lets us begin from: a certificate that was shown, one that is in the record, or one signed by the key in it."""
    yield from (certificate for certificate in chain[1:] if is_of(record, certificate))
    if record.matching != FULL:
        return
    try:
        if record.selector == WHOLE:
            yield x509.load_der_x509_certificate(record.data)
        else:
            key = load_der_public_key(record.data)
            yield from (certificate for certificate in chain if _signed_by(certificate, key))
    except _STRANGE:
        return


def _signed_by(certificate: x509.Certificate, key: object) -> bool:
    signature, signed, digest = certificate.signature, certificate.tbs_certificate_bytes, certificate.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and digest is not None:
            scheme = certificate.signature_algorithm_parameters
            key.verify(signature, signed, scheme if isinstance(scheme, padding.PSS) else padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, *_STRANGE):
        return False
    return True
