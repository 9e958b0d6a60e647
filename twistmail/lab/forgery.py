"""The certificate of somebody in the middle: in order in itself, but for another name, and signed by nobody whom anybody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

from twistmail.tls.certificates import parse, use
from twistmail.tls.selfsigned import make_self_signed

NAME = "mx.somebody-else.test"


@implementer(IOpenSSLContextFactory)
class Forgery:
    """A TLS context factory. The certificate lies in *folder*, and is made when it is needed for the first time. *now*: POSIX seconds."""

    def __init__(self, folder: Path, now: float) -> None:
        self._path = folder / "forged.pem"
        self._now = now
        self._context: SSL.Context | None = None

    def getContext(self) -> SSL.Context:
        if self._context is None:
            self._context = self._make()
        return self._context

    def _make(self) -> SSL.Context:
        if not self._path.exists():
            make_self_signed(self._path, NAME, self._now)
        certificate: Any = parse(self._path, self._path.read_bytes())
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        use(context, certificate.key, certificate.chain)
        return context
