"""Tickets instead of passwords: [auth] mechanisms GSSAPI, section [kerberos], the extra `gssapi`.

A ticket names a principal (`anna@BLUE.EXAMPLE`). One of our realm is the account
of that name in `domain`; principals with an instance (`anna/admin`) and those of
other realms are nobody here, though our KDC may vouch for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twistmail.accounts.asking import imported
from twistmail.mail.evidence import Accepted
from twistmail.options import TEXT, Option, Section, Settings

OPTIONS = Section(
    "kerberos",
    "Tickets instead of passwords: [auth] mechanisms GSSAPI.",
    Option("keytab", TEXT, "", "The keys of imap/HOST, pop/HOST and smtp/HOST, where HOST is what clients connect to.",
           example="/etc/twistmail/krb5.keytab"),
    Option("realm", TEXT, "", "Whose principals have accounts here.", example="BLUE.EXAMPLE"),
    Option("domain", TEXT, "", "The domain of those accounts; empty: the default domain.", example="blue.example"),
)


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    if missing := imported("gssapi", "gssapi"):
        yield "keytab", *missing
    for key, what in (("keytab", "the keys of our services are"), ("realm", "whose principals have accounts is")):
        if not getattr(settings, key):
            yield key, f"{what} not told", f"set {key}"


def acceptor(settings: Settings, path: Callable[[str], Path], default_domain: str) -> Callable[[], Context]:
    """What makes the server's side of a new context."""
    gssapi = importlib.import_module("gssapi")
    keytab, domain = str(path(settings.keytab)), settings.domain or default_domain
    return lambda: Context(gssapi, keytab, settings.realm, domain)


class Context:
    """See `wire.sasl.gssapi.Context`. Blocking. *gssapi* is the package."""

    def __init__(self, gssapi: Any, keytab: str, realm: str, domain: str) -> None:
        self._gssapi = gssapi
        self._keytab = keytab
        self._realm = realm
        self._domain = domain
        self._context: Any = None

    def accept(self, token: bytes) -> Accepted:
        gssapi = self._gssapi
        try:
            if self._context is None:
                credentials = gssapi.Credentials(usage="accept", store={"keytab": f"FILE:{self._keytab}"})
                self._context = gssapi.SecurityContext(creds=credentials, usage="accept")
            reply = self._context.step(token) or b""
            return Accepted(reply, self._login(str(self._context.initiator_name)) if self._context.complete else "")
        except gssapi.exceptions.GSSError as error:
            raise ValueError(f"GSSAPI: {error.maj_code:#x}") from error

    def _login(self, principal: str) -> str:
        """The address of *principal*. ValueError where it is none of ours."""
        local, _, realm = principal.rpartition("@")
        if realm != self._realm or not local or set(local) & set("/@\\"):
            raise ValueError("the principal has no account here")
        return f"{local}@{self._domain}"

    def wrap(self, message: bytes) -> bytes:
        try:
            wrapped: bytes = self._context.wrap(message, False).message
        except self._gssapi.exceptions.GSSError as error:
            raise ValueError("GSSAPI cannot wrap") from error
        return wrapped

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            message: bytes = self._context.unwrap(wrapped).message
        except self._gssapi.exceptions.GSSError as error:
            raise ValueError("what the client has wrapped was changed") from error
        return message
