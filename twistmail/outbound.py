"""Puts together how mail leaves encrypted: who decides, who shakes hands, what is remembered (`relay.tlspolicy`). Called by `assembly`."""

from __future__ import annotations

import errno
from functools import partial
from typing import Any

from OpenSSL import SSL

from twistmail.config.settled import Config
from twistmail.foundation import Foundation
from twistmail.interfaces import INameLookup
from twistmail.relay.exchange import Manners
from twistmail.relay.handshake import TlsClients
from twistmail.relay.login import Means
from twistmail.relay.ours import addresses_of_this_machine
from twistmail.relay.route import SMTP_PORT
from twistmail.relay.stspolicies import StsPolicies
from twistmail.relay.terms import Level
from twistmail.relay.tlspolicy import Rules, Table, TlsPolicies
from twistmail.relay.tlstable import parse

_MEMORY = {"off": Level.PLAIN, "encrypted": Level.ENCRYPTED, "verified": Level.VERIFIED}


def manners(config: Config, foundation: Foundation, policies: TlsPolicies) -> Manners:
    """How we present ourselves to other servers. OSError where the file of authorities cannot be used."""
    handshakes = _trusting(config, partial(TlsClients, now=foundation.ground.epoch))
    return Manners(config["server"].hostname, handshakes, policies=policies, avoided=config["relay"].avoid,
                   login=Means(threads=foundation.ground.threads))


def tls_policies(config: Config, foundation: Foundation, lookup: INameLookup) -> TlsPolicies:
    """Who decides how much encryption a server has to show. OSError as with `manners`."""
    settings, ground = config["relay"], foundation.ground
    rules = Rules(dane=settings.dane, memory=_MEMORY[settings.tls_memory])
    sts = None
    if settings.mta_sts and ground.dial is None:  # where the way out is pretended nothing is fetched from the world
        from twistmail.relay.stsfetch import PolicyFetcher  # with Twisted's web client: for whoever needs it (`twistmail.later`)

        fetch = _trusting(config, partial(PolicyFetcher, ground.reactor, lookup))
        sts = StsPolicies(lookup, fetch, foundation.tls_memory, ground.epoch)
    return TlsPolicies(lookup, foundation.tls_memory, rules, sts, _table(config, foundation))


def own_addresses(config: Config) -> frozenset[str]:
    """The addresses on which [mx] takes mail on port 25: mail for a host with one of them would come back here."""
    interfaces = {listen.interface for listen in config["mx"].listen if listen.port == SMTP_PORT}
    return addresses_of_this_machine() if "" in interfaces else frozenset(interfaces)


def _table(config: Config, foundation: Foundation) -> Table | None:
    name = config["relay"].tls_policy
    if not name:
        return None
    file = foundation.ground.watched.file(config.file(name), parse)

    async def lines() -> Any:
        await file.freshen()
        return file.value

    return lines, str(file.path)


def _trusting(config: Config, make: Any) -> Any:
    """What *make* makes of the file of authorities, or of None. OSError where it cannot be used."""
    name = config["relay"].tls_ca
    path = config.file(name) if name else None
    try:
        return make(authorities=path)
    except (SSL.Error, ValueError) as trouble:
        raise OSError(errno.EINVAL, "it holds no certificates of authorities, as PEM", str(path)) from trouble
