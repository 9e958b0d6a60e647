"""Which SASL mechanisms are offered to whom, and how an exchange in each begins.

What a mechanism stands on is told once, in `_TABLE`: whether the password itself
is sent (then only under TLS, or where clear text is allowed), and what it needs
beside (a certificate that the client has shown, somebody who judges tokens).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any

from twistmail.mail.envelope import TlsState
from twistmail.mail.values import frozen
from twistmail.networks import Network, covers
from twistmail.wire.sasl.bearer import OAuthBearer, XOAuth2
from twistmail.wire.sasl.cram import CramMd5
from twistmail.wire.sasl.exchange import Exchange
from twistmail.wire.sasl.external import External
from twistmail.wire.sasl.gssapi import Gssapi
from twistmail.wire.sasl.password import LoginExchange, Plain
from twistmail.wire.sasl.scram import PLUS, Scram

NO_BINDINGS = MappingProxyType[str, bytes]({})


@frozen
class Caller:
    """Who wants in: the id of the connection, the client's address, the TLS, and *via* which proxy's address it came, if any."""

    connection: str
    address: str
    tls: TlsState | None = None
    via: str = ""

    @property
    def bindings(self) -> Any:
        """What binds a login to the connection: name of a channel binding (RFC 5056) -> octets."""
        return self.tls.bindings if self.tls is not None and self.tls.bindings is not None else NO_BINDINGS


class Denied(Enum):
    """Why no exchange begins."""

    ENCRYPT_FIRST = "not before TLS"
    NO_SUCH_MECHANISM = "not offered"


class Privacy(Enum):
    """What a mechanism gives away to whoever listens."""

    PASSWORD = "the password"  # or a token, which is as good
    PROOF = "a proof of it"
    NOTHING = "nothing"


@frozen
class Openness:
    """What may be said without TLS. *enabled* False: nothing, not even a proof. Passwords come in clear from *networks* only."""

    enabled: bool = False
    networks: Sequence[Network] = ()

    def allows(self, privacy: Privacy, caller: Caller) -> bool:
        if caller.tls is not None or privacy is Privacy.NOTHING:
            return True
        if not self.enabled or privacy is Privacy.PROOF:
            return self.enabled
        nearest = caller.via or caller.address
        return nearest == "unix" or covers(self.networks, nearest)


CLOSED = Openness()


@frozen
class Tools:
    """What exchanges are made of. *nonce*() gives text without commas that was never used before.

    *issuer* and *scope* are what clients are told who come with a bad token.
    """

    nonce: Callable[[], str]
    hostname: str = "localhost"
    issuer: str = ""
    scope: str = ""
    kerberos: Any = None  # () -> a `wire.sasl.gssapi.Context`; None: no GSSAPI

    def challenge(self) -> bytes:
        """A message-id (RFC 2195 §2) that was never used before."""
        return f"<{self.nonce()}@{self.hostname}>".encode()


@frozen
class Mechanism:
    """`begin`(name, caller, tools) makes the exchange."""

    privacy: Privacy
    begin: Callable[[str, Caller, Tools], Exchange]


def _scram(name: str, caller: Caller, tools: Tools) -> Exchange:
    return Scram(name, tools.nonce(), caller.bindings, binding_offered=bool(caller.bindings))


def _cram(name: str, caller: Caller, tools: Tools) -> Exchange:
    return CramMd5(tools.challenge())


def _external(name: str, caller: Caller, tools: Tools) -> Exchange:
    return External(caller.tls.client if caller.tls is not None else "")


#: Those with -PLUS are offered with those without, and stand here because they begin alike.
_TABLE = {
    "SCRAM-SHA-256-PLUS": Mechanism(Privacy.PROOF, _scram),
    "SCRAM-SHA-256": Mechanism(Privacy.PROOF, _scram),
    "SCRAM-SHA-1-PLUS": Mechanism(Privacy.PROOF, _scram),
    "SCRAM-SHA-1": Mechanism(Privacy.PROOF, _scram),
    "PLAIN": Mechanism(Privacy.PASSWORD, lambda name, caller, tools: Plain()),
    "LOGIN": Mechanism(Privacy.PASSWORD, lambda name, caller, tools: LoginExchange()),
    "OAUTHBEARER": Mechanism(Privacy.PASSWORD, lambda name, caller, tools: OAuthBearer(tools.issuer, tools.scope)),
    "XOAUTH2": Mechanism(Privacy.PASSWORD, lambda name, caller, tools: XOAuth2(tools.issuer, tools.scope)),
    "EXTERNAL": Mechanism(Privacy.NOTHING, _external),
    "GSSAPI": Mechanism(Privacy.PROOF, lambda name, caller, tools: Gssapi(tools.kerberos())),
    "CRAM-MD5": Mechanism(Privacy.PROOF, _cram),
}
#: The words of [auth] mechanisms.
KNOWN = tuple(name for name in _TABLE if not name.endswith(PLUS))
#: Mechanism -> the kind of evidence that it needs.
EVIDENCE = {name: name.removesuffix(PLUS) for name in _TABLE if name.startswith("SCRAM-")} | {"CRAM-MD5": "PLAIN"}
NEED_TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})


class Mechanisms:
    """The mechanisms of one service, of which *words* names those that are wanted, in the order in which they are told."""

    def __init__(self, words: Sequence[str], openness: Openness, tools: Tools) -> None:
        self._names = tuple(name for word in words for name in (word + PLUS, word) if name in _TABLE)
        self._openness = openness
        self._tools = tools

    def offered(self, caller: Caller) -> tuple[str, ...]:
        """Those that may be told *caller*."""
        return tuple(name for name in self._names if self._fits(name, caller) and self._private(name, caller))

    def begin(self, name: str, caller: Caller) -> Exchange | Denied:
        """A new exchange in mechanism *name* (upper case)."""
        if name not in self._names:
            return Denied.NO_SUCH_MECHANISM
        if (caller.tls is None and not self._openness.enabled) or not self._private(name, caller):
            return Denied.ENCRYPT_FIRST
        if not self._fits(name, caller):
            return Denied.NO_SUCH_MECHANISM
        return _TABLE[name].begin(name, caller, self._tools)

    def may_send_password(self, caller: Caller) -> bool:
        """Whether *caller* may send a password as things are; it is not for the mechanisms alone (USER and PASS, LOGIN)."""
        return self._openness.allows(Privacy.PASSWORD, caller)

    def may_prove(self, caller: Caller) -> bool:
        """Whether *caller* may send a proof of his password as things are."""
        return self._openness.allows(Privacy.PROOF, caller)

    def challenge(self) -> bytes:
        return self._tools.challenge()

    def _private(self, name: str, caller: Caller) -> bool:
        return self._openness.allows(_TABLE[name].privacy, caller)

    def _fits(self, name: str, caller: Caller) -> bool:
        """Whether the connection has what the mechanism stands on."""
        if name.endswith(PLUS):
            return bool(caller.bindings)
        return name != External.mechanism or (caller.tls is not None and bool(caller.tls.client))
