"""Whose certificate it is: names in certificates compared with the name of a server (RFC 6125, RFC 9525).

An asterisk stands for one whole label, and only the first. A name that begins
with a dot means every name below it: an operator may write that, a certificate
may not.
"""

from __future__ import annotations

import ipaddress

from cryptography import x509
from cryptography.x509.oid import NameOID


def fits(certificate: x509.Certificate, name: str, *, common_name: bool = False) -> bool:
    """Whether *certificate* is for *name*: a host, ".domain" (all below it) or an IP address.

    *common_name* True: one that says no host at all in its alternative names is believed by its common name (RFC 7672 §3.2.3).
    """
    alternative = alternative_names(certificate)
    if alternative is None:
        return False
    if (address := _address(name)) is not None:
        return address in alternative.get_values_for_type(x509.IPAddress)
    hosts = [str(value) for value in alternative.get_values_for_type(x509.DNSName)]
    if not hosts and common_name:
        hosts = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)][-1:]
    return any(matches(host, name) for host in hosts)


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """Empty where it has none; None where they cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def matches(pattern: str, name: str) -> bool:
    """Whether *pattern* ("mx.far.test", "*.far.test") is, or stands for, *name*; *name* ".far.test": anything below it."""
    pattern, name = pattern.lower().removesuffix("."), name.lower().removesuffix(".")
    if name.startswith("."):
        return pattern.removeprefix("*").endswith(name) and len(pattern) > len(name)
    if pattern.startswith("*."):
        label, dot, rest = name.partition(".")
        return bool(label and dot) and rest == pattern[2:] and "." in rest
    return pattern == name


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
