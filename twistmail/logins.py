"""How people log in, as the configuration says: the `Login` of each service, and the socket where other daemons ask."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from typing import Any

from twistmail.accounts import kerberos, tokens
from twistmail.accounts.table import account_name
from twistmail.config.settled import Config
from twistmail.foundation import Foundation
from twistmail.servers.authsocket import AuthSocketService
from twistmail.servers.authsocket import open_connection as open_auth_socket
from twistmail.servers.login import GSSAPI, Login
from twistmail.servers.mechanisms import NEED_TOKENS, Openness, Tools

#: Octets of chance in what no exchange has twice.
NONCE = 24


def login_of(service: str, config: Config, foundation: Foundation, people: Any, *, in_clear: bool) -> Login:
    """The Login of *service*, for *people* (`assembly.People`). *in_clear*: it does not insist on TLS.

    One throttle for all services: whoever guesses at IMAP is not heard at POP3 either.
    """
    ground, settings = foundation.ground, config["auth"]
    return Login(
        people.authenticator,
        foundation.throttle,
        ground.reactor,
        ground.facts,
        ground.epoch,
        jitter=ground.random.random,
        tools=_tools(config, people.default_domain),
        openness=Openness(in_clear, settings.cleartext_from),
        mechanisms=settings.mechanisms,
        max_failures=settings.max_failures,
        accounts=people.accounts,
        default_domain=people.default_domain,
        masters=frozenset(account_name(name, people.default_domain) for name in settings.masters),
        service=service,
        gate=foundation.gate,
        logs_failures=settings.log_failures,
        threads=ground.threads,
        tokens=_tokens(config, foundation),
    )


def _tools(config: Config, default_domain: str) -> Tools:
    oauth = config["oauth"]
    return Tools(
        nonce=partial(secrets.token_urlsafe, NONCE),
        hostname=config["server"].hostname,
        issuer=oauth.issuer.geturl().rstrip("/") + "/.well-known/openid-configuration" if oauth.issuer else "",
        scope=oauth.scope,
        kerberos=kerberos.acceptor(config["kerberos"], config.file, default_domain) if GSSAPI in config["auth"].mechanisms else None,
    )


def _tokens(config: Config, foundation: Foundation) -> tokens.Tokens | None:
    """Who judges bearer tokens; None where no mechanism takes any."""
    if NEED_TOKENS.isdisjoint(config["auth"].mechanisms):
        return None
    ground = foundation.ground
    return tokens.build(config["oauth"], ground.reactor, ground.lasting, config.file, ground.epoch)


def auth_socket(config: Config, foundation: Foundation, people: Any) -> Callable[..., Any]:
    """What begins a connection of another daemon. For each of its services it is the same Login each time.

    When to ask for a password in clear, a daemon decides; from where that is believed, we do.
    """
    service = AuthSocketService(
        login=cache(lambda word: login_of(word, config, foundation, people, in_clear=True)),
        most_requests=config["auth_socket"].max_requests,
        process=os.getpid(),
        numbers=count(1),
        nonce=partial(secrets.token_urlsafe, NONCE),
    )
    return partial(open_auth_socket, service)
