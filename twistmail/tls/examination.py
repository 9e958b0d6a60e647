"""What is wrong with the certificates that there are, or soon will be: for `twistmail cert check` and the status screen.

`Certificates` tells what it cannot read when it meets it; here everything is
looked at from outside, as clients will see it: does somebody vouch for it, is
the chain whole, is the host's own name among the names, who may read the key.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from OpenSSL import crypto

from twistmail.mail.values import frozen
from twistmail.tls.certificates import Certificate, Certificates, Holding
from twistmail.tls.files import UNREADABLE, said

DAY = 86400.0
#: X509_V_ERR_*: nobody in the store has signed the last certificate of the chain.
UNKNOWN_ISSUER = (2, 19, 20, 21)


#: Where it begins to matter who may enter a folder.
TOP = Path("/")


@frozen
class Finding:
    """`path`: of the files (empty: it is about the host). `is_error`: clients will refuse us. `step`: what to do.

    `is_choice`: who vouches for us may be as the operator wants it, so nobody need be told again and again.
    """

    path: str
    is_error: bool
    what: str
    step: str = ""
    is_choice: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"path": self.path, "level": "error" if self.is_error else "warning", "what": self.what, "step": self.step}


def row(holding: Holding, now: float, warn_before: float) -> dict[str, Any]:
    """*holding* as people and programs are told of it, its end *warn_before* seconds ahead. *now*: POSIX seconds."""
    told: dict[str, Any] = {"path": str(holding.path), "names": [], "used_for": list(holding.names), "trouble": holding.trouble}
    if certificate := holding.certificate:
        told |= {
            "names": list(certificate.names),
            "issuer": issuer(certificate),
            "self_signed": certificate.self_signed,
            "begins": instant(certificate.begins),
            "ends": instant(certificate.expires),
            "left_s": int(certificate.expires - now),
            "ends_soon": certificate.expires - now <= warn_before,
        }
    return told


def issuer(certificate: Certificate) -> str:
    """Who has signed it: the common name, or all there is of a name."""
    if certificate.self_signed:
        return "itself"
    name = certificate.chain[0].issuer
    called = [str(one.value) for one in name if one.oid.dotted_string == "2.5.4.3"]
    return called[0] if called else name.rfc4514_string()


def instant(at: float) -> str:
    """POSIX seconds in ISO 8601."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def findings(certificates: Certificates, now: float, trusted: Path | None = None) -> tuple[Finding, ...]:
    """All that is wrong at *now* (POSIX seconds). *trusted*: authorities as PEM (None: those that this machine trusts). Blocking."""
    found = [finding for holding in certificates.holdings for finding in _about(holding, certificates, now, trusted)]
    if certificates.find(certificates.hostname) is None:
        what = f"no certificate is for {certificates.hostname}, the name of this machine ([server] hostname)"
        found.append(Finding("", True, what, "twistmail cert import FILE, or [tls] self_signed = yes"))
    return tuple(found)


def _about(holding: Holding, certificates: Certificates, now: float, trusted: Path | None) -> Iterator[Finding]:
    path, certificate = str(holding.path), holding.certificate
    if holding.trouble:
        kept = "; an earlier one is still used" if certificate else ""
        yield Finding(path, True, holding.trouble + kept, _cure(holding.trouble))
    if certificate is None:
        return
    if everybody := _open_to_all(holding.path):
        yield Finding(path, True, "everybody on this machine may read its key", f"chmod o-r {everybody}")
    if not holding.names:
        return  # another one stands for all its names
    names = " ".join(certificate.names)
    if age := _age(certificate, now, certificates.warn_before):
        yield Finding(path, *age, "renew it: twistmail cert renew, certbot renew, or twistmail cert import FILE")
    elif certificate.self_signed:
        what = f"nobody vouches for {names}: it is self-signed, so programs ask their users whether to trust it"
        yield Finding(path, False, what, "twistmail cert import FILE, certbot, or [acme] enabled = yes", is_choice=True)
    elif doubt := distrust(certificate, now, trusted):
        yield Finding(path, True, doubt, "the file needs the whole chain: certbot's fullchain.pem, not cert.pem", is_choice=True)


def _age(certificate: Certificate, now: float, warn_before: float) -> tuple[bool, str] | None:
    """(is it an error, what) where its time is over, near its end, or not come."""
    names = " ".join(certificate.names)
    if certificate.begins > now:
        return True, f"the time of {names} begins only at {instant(certificate.begins)}; is the clock right?"
    left = certificate.expires - now
    if left <= 0:
        return True, f"the certificate for {names} has ended at {instant(certificate.expires)}"
    if left <= warn_before:
        return False, f"the certificate for {names} ends in {int(left // DAY)} days, at {instant(certificate.expires)}"
    return None


def _cure(trouble: str) -> str:
    if "ermission denied" in trouble:
        return "let the user that the server runs as read it: a group of its own for keys, see docs/certificates.md"
    if "not that of the certificate" in trouble:
        return "the two files are not of one pair: take both from the same renewal"
    return ""


def _open_to_all(path: Path) -> str:
    """The file with the key below *path* where everybody may read it, else empty."""
    try:
        key = path / "privkey.pem" if path.is_dir() else path
        folders = (folder for folder in key.resolve().parents if TOP in folder.parents)
        folders_are_closed = any(not folder.stat().st_mode & 0o001 for folder in folders)
        return str(key) if key.stat().st_mode & 0o004 and not folders_are_closed else ""
    except OSError:
        return ""


def distrust(certificate: Certificate, now: float, trusted: Path | None = None) -> str:
    """Why a client that trusts whom this machine trusts would not believe it; empty: it would, or this machine trusts nobody."""
    store = crypto.X509Store()
    try:
        if trusted is not None:
            store.load_locations(str(trusted))
        else:
            places = ssl.get_default_verify_paths()
            if not places.cafile and not places.capath:
                return ""
            store.load_locations(places.cafile, places.capath)
    except UNREADABLE as error:
        return f"the authorities that this machine trusts cannot be read: {said(error, trusted or Path('/'))}"
    store.set_time(datetime.fromtimestamp(now, UTC))
    own, *others = (crypto.X509.from_cryptography(one) for one in certificate.chain)
    try:
        crypto.X509StoreContext(store, own, others).verify_certificate()
    except crypto.X509StoreContextError as doubt:
        if doubt.errors[0] in UNKNOWN_ISSUER:
            last = certificate.chain[-1].issuer.rfc4514_string()
            return f"this machine trusts nobody who has signed it: after the last of its chain, {last} is missing or unknown"
        return str(doubt)
    return ""
