"""Whose a bearer token is, that somebody else has issued: OAUTHBEARER and XOAUTH2 ([auth] mechanisms), sections [oauth].

A token is a JWT (RFC 9068, RFC 7519) that we check with the issuer's keys, which
are fetched from where it says (OpenID Connect Discovery) and kept for an hour;
or, where `introspection` names a place, anything at all, about which we ask
there (RFC 7662). A signature must be one of two keys: whoever can check a token
with a secret could make one too.

What an issuer says of a token is final. That it says nothing is weather
(Unavailable). Blocking, in threads of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twistmail.accounts.asking import Asking, Trouble, imported
from twistmail.accounts.http import URL
from twistmail.accounts.sqldrivers import is_here
from twistmail.mail.evidence import TokenOwner
from twistmail.options import DURATION, TEXT, WORDS, Option, Section, Settings

OPTIONS = Section(
    "oauth",
    "Tokens of an identity provider instead of passwords: [auth] mechanisms OAUTHBEARER and XOAUTH2. docs/logins.md has examples.",
    Option("issuer", URL, "", "Who issues the tokens, as it calls itself.", example="https://login.blue.example/realms/office"),
    Option("audience", WORDS, "", "For whom a token must be meant: one of these must be in its `aud`.", example="mail"),
    Option("scope", TEXT, "", "What a token must allow: all these words must be in its `scope`. Clients are told.", example="mail"),
    Option("login", TEXT, "email", "The claim that names the account: an address, or a local part of the default domain."),
    Option("introspection", URL, "", "Where to ask about tokens, which may then be of any form (RFC 7662). Empty: they are JWTs.",
           example="https://login.blue.example/introspect"),
    Option("client_id", TEXT, "", "How we are called where we ask."),
    Option("client_secret", TEXT, "", "What shows that it is us who ask.", secret=True, example="file:/etc/twistmail/oauth.secret"),
    Option("tls_ca", TEXT, "", "Who has signed its certificate, where the system does not know: a PEM file.", example="/etc/ssl/ca.pem"),
    Option("timeout", DURATION, "5s", "How long an answer may take; then logins are told to come again later."),
)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
THREADS = 2
#: Seconds: how long keys are kept, how soon they are fetched again for a key that is not among them, how far clocks may differ,
#: and how long what was said of a token holds.
KEYS_FOR, KEYS_AGAIN, LEEWAY, SAID_FOR = 3600.0, 60.0, 30.0, 60.0
MOST_SAID = 10_000
LONGEST_LOGIN = 255
INVALID = TokenOwner(error="invalid_token")
INSUFFICIENT = TokenOwner(error="insufficient_scope")


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    for key in ("issuer", "introspection"):
        url = getattr(settings, key)
        if url is not None and url.scheme == "http" and not is_here(url.hostname):
            yield key, "tokens and keys would go over the network in clear", "write https://"
    if settings.issuer is None and settings.introspection is None:
        yield "issuer", "nobody issues tokens", "write https://login.blue.example"
    if not settings.introspection and not settings.audience:
        yield "audience", "whoever has a token for anything at all could log in", "write what stands in the `aud` of tokens for mail"
    if not settings.introspection and (missing := imported("jwt", "oauth")):
        yield "issuer", *missing
    if settings.introspection and not (settings.audience or settings.scope):
        yield "audience", "whoever has a token for anything at all could log in", "set audience or scope"


def build(settings: Settings, reactor: Any, lasting: Any, path: Callable[[str], Any], epoch: Callable[[], float]) -> Tokens:
    """The judge of these settings. It keeps what it knows over reloads that change nothing of them."""
    return lasting.keep("oauth", settings, lambda: _made(settings, reactor, lasting, path, epoch))  # type: ignore[no-any-return]


def _made(settings: Settings, reactor: Any, lasting: Any, path: Callable[[str], Any], epoch: Callable[[], float]) -> Tokens:
    from twistmail.accounts.fetching import Fetcher

    fetcher = Fetcher(str(path(settings.tls_ca)) if settings.tls_ca else "", settings.timeout)
    ask = Introspection(settings, fetcher, epoch).ask if settings.introspection else SignedTokens(settings, fetcher, epoch).read
    return Tokens(Claims(settings), ask, Asking("the issuer of tokens", reactor, lasting.threads("oauth", THREADS), settings.timeout))


class Tokens:
    """*claims_of*(token), blocking, tells what the issuer says in a token, None where it is not valid; *claims* says whose it is then."""

    def __init__(self, claims: Claims, claims_of: Callable[[str], Mapping[str, Any] | None], asking: Asking) -> None:
        self._claims = claims
        self._claims_of = claims_of
        self._asking = asking

    async def judge(self, token: str) -> TokenOwner:
        """Whose *token* is. Raises interfaces.Unavailable."""
        said = await self._asking.ask(self._claims_of, token)
        return INVALID if said is None else self._claims.verdict(said)

    def retire(self) -> None:
        """Nothing is kept open."""


class Claims:
    """What must stand in a token, and who is named by it."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.issuer.geturl() if settings.issuer else ""
        self._audience = frozenset(settings.audience)
        self._scope = frozenset(settings.scope.split())
        self._login = settings.login

    def verdict(self, said: Mapping[str, Any]) -> TokenOwner:
        """Whose the token is in which the issuer has *said* this."""
        if self._issuer and str(said.get("iss", self._issuer)).rstrip("/") != self._issuer.rstrip("/"):
            return INVALID
        if self._audience and self._audience.isdisjoint(_words(said.get("aud"))):
            return INVALID
        if not self._scope <= _words(said.get("scope", said.get("scp"))):
            return INSUFFICIENT
        login = said.get(self._login)
        if not isinstance(login, str) or not 0 < len(login) <= LONGEST_LOGIN or not login.isprintable():
            return INVALID
        if self._login == "email" and said.get("email_verified", True) is not True:  # anybody can write anything there
            return INVALID
        return TokenOwner(login)


def _words(value: Any) -> frozenset[str]:
    """A claim that is a word, words divided by spaces, or a list of words."""
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    return frozenset(word for word in words if isinstance(word, str))


class SignedTokens:
    """Reads JWTs with the keys of their issuer. Blocking; called in threads."""

    def __init__(self, settings: Settings, fetcher: Any, epoch: Callable[[], float]) -> None:
        self._issuer: str = settings.issuer.geturl()
        self._fetcher = fetcher
        self._epoch = epoch
        self._keys: dict[str, Any] = {}
        self._fetched = float("-inf")
        self._lock = threading.Lock()

    def read(self, token: str) -> Mapping[str, Any] | None:
        """The claims of *token*; None where it is not valid (any more). Trouble."""
        import jwt  # an extra

        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=list(ALGORITHMS), options=_OPTIONS)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        return claims if self._is_now(claims) else None

    def _is_now(self, claims: Mapping[str, Any]) -> bool:
        """RFC 7519 §4.1.4, §4.1.5; a token without an end is none of ours."""
        now, end, begin = self._epoch(), claims.get("exp"), claims.get("nbf", 0)
        return isinstance(end, int | float) and isinstance(begin, int | float) and begin - LEEWAY <= now < end + LEEWAY and "iss" in claims

    def _key(self, identifier: str) -> Any:
        """The issuer's key of that name; the only one it has where the token names none."""
        with self._lock:
            age = self._epoch() - self._fetched
            if age > KEYS_FOR or (identifier not in self._keys and age > KEYS_AGAIN):
                self._keys, self._fetched = self._fetch(), self._epoch()
            if not identifier and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            return self._keys.get(identifier)

    def _fetch(self) -> dict[str, Any]:
        """By name, the keys that the issuer tells of now. Trouble."""
        import jwt

        place = self._fetcher.get(self._issuer.rstrip("/") + "/.well-known/openid-configuration").get("jwks_uri")
        if not isinstance(place, str):
            raise Trouble("the issuer does not tell where its keys are")
        found = self._fetcher.get(place)
        try:
            return {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(found).keys if key.key_type != "oct"}
        except (jwt.PyJWTError, ValueError, AttributeError, TypeError) as error:
            raise Trouble(f"the issuer's keys cannot be read: {type(error).__name__}") from error


#: What `jwt` does not look at, we do, on our own clock and for several audiences.
_OPTIONS: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_iss": False}


class Introspection:
    """Asks about tokens (RFC 7662). Blocking; called in threads. Who was valid is not asked about again for a minute."""

    def __init__(self, settings: Settings, fetcher: Any, epoch: Callable[[], float]) -> None:
        self._place: str = settings.introspection.geturl()
        self._credentials = (settings.client_id, settings.client_secret)
        self._fetcher = fetcher
        self._epoch = epoch
        self._said: OrderedDict[bytes, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, token: str) -> Mapping[str, Any] | None:
        """What is said of *token*; None where it is not active. Trouble."""
        name = hashlib.sha256(token.encode()).digest()
        with self._lock:
            until, known = self._said.get(name, (0.0, None))
        if known is not None and self._epoch() < until:
            return known
        said = self._fetcher.post(self._place, {"token": token, "token_type_hint": "access_token"}, self._credentials)
        if said.get("active") is not True:
            return None
        self._remember(name, said)
        return said

    def _remember(self, name: bytes, said: Mapping[str, Any]) -> None:
        end = said.get("exp")
        until = self._epoch() + SAID_FOR
        with self._lock:
            self._said[name] = (min(until, end) if isinstance(end, int | float) else until), said
            if len(self._said) > MOST_SAID:
                self._said.popitem(last=False)
