"""The settings of ACME, and the wish that they make up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from twistmail.endpoints import ENDPOINTS
from twistmail.mail.values import frozen
from twistmail.options import COUNT, DURATION, SWITCH, TEXT, WORDS, Option, Section, Settings, choice

HTTP, TLS_ALPN, DNS = "http-01", "tls-alpn-01", "dns-01"
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

OPTIONS = Section(
    "acme",
    "Certificates from an authority such as Let's Encrypt, got and renewed by the server itself. Needs the package twistmail[acme].",
    Option("enabled", SWITCH, "no", "Get certificates. Whoever says yes agrees to the terms of service of the authority."),
    Option("email", TEXT, "", "Where the authority may write to."),
    Option("directory", TEXT, LETS_ENCRYPT, "The authority: the URL of its ACME directory."),
    Option("names", WORDS, "", "The names that one certificate is for; without any, the hostname. *.blue.example needs dns-01.",
           example="mail.blue.example imap.blue.example"),
    Option("challenge", choice(HTTP, TLS_ALPN, DNS), HTTP, "How we prove that the names are ours: by a page on port 80 (http-01), "
           "a handshake on port 443 (tls-alpn-01), a record that we put into the DNS (dns-01)."),
    Option("listen", ENDPOINTS, "off", "Where the authority looks: tcp:80 for http-01, tls:port=443 for tls-alpn-01.", example="tcp:80"),
    Option("webroot", TEXT, "", "For http-01 beside a web server: the folder that it serves. The pages are put there, below "
           ".well-known/acme-challenge.", example="/var/www/html"),
    Option("authorities", TEXT, "", "Who vouches for the directory itself, a PEM file, where it is not one whom this machine trusts."),
    Option("key", choice("ecdsa", "rsa"), "ecdsa", "The kind of key: rsa for clients from before 2015."),
    Option("external_account", TEXT, "", "The account at authorities that want one (external account binding): its identifier."),
    Option("external_key", TEXT, "", "And its key, as the authority writes it.", secret=True),
    Option("dns_server", TEXT, "", "For dns-01: the name server that takes updates (RFC 2136), as HOST or HOST:PORT.",
           example="192.0.2.53"),
    Option("dns_zone", TEXT, "", "The zone to change; without it the server is asked for the one that the name is in."),
    Option("dns_key", TEXT, "", "The name of the TSIG key."),
    Option("dns_secret", TEXT, "", "The TSIG key, in base64.", secret=True),
    Option("dns_algorithm", choice("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1"), "hmac-sha256", "What it is for."),
    Option("dns_wait", DURATION, "30s", "How long the other name servers of the zone may take until they have the record too."),
    Option("max_connections", COUNT, "20", "Connections at a time to where we listen; more are sent away."),
)  # fmt: skip


class Failed(Exception):
    """There is no certificate; why, in words."""


@frozen
class NameServer:
    """Where updates go. `zone` empty: find out. `algorithm` and `secret` (base64) belong to the TSIG key `key`. `wait`: seconds."""

    host: str
    port: int
    zone: str
    key: str
    secret: str = field(repr=False)
    algorithm: str
    wait: float


@frozen
class Wish:
    """What certificate is wanted, of whom, and how it is proved that the names are ours. `authorities` and `webroot` None: not set."""

    names: tuple[str, ...]
    directory: str
    email: str = ""
    challenge: str = HTTP
    authorities: Path | None = None
    webroot: Path | None = None
    key: str = "ecdsa"
    external: tuple[str, str] | None = field(default=None, repr=False)
    name_server: NameServer | None = None


def wish(settings: Settings, hostname: str, file: Callable[[str], Path]) -> Wish | None:
    """What *settings* ask for; None where ACME is off. *file* finds a path that is written there."""
    if not settings.enabled:
        return None
    return Wish(
        names=tuple(dict.fromkeys(name.lower() for name in settings.names)) or (hostname.lower(),),
        directory=settings.directory,
        email=settings.email,
        challenge=settings.challenge,
        authorities=file(settings.authorities) if settings.authorities else None,
        webroot=file(settings.webroot) if settings.webroot else None,
        key=settings.key,
        external=(settings.external_account, settings.external_key) if settings.external_account else None,
        name_server=_name_server(settings) if settings.challenge == DNS else None,
    )


def _name_server(settings: Settings) -> NameServer:
    host, port = host_and_port(settings.dns_server)
    key = (settings.dns_key, settings.dns_secret, settings.dns_algorithm)
    return NameServer(host, port, settings.dns_zone, *key, settings.dns_wait)


def host_and_port(text: str) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[2001:db8::1]:PORT` or a bare IPv6 address; 53 where there is no port. ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, "53"
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text} is no name server\nwrite HOST or HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
