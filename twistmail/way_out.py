"""What senders become when mail leaves, built from the configuration: `assembly` gives it to expansion, policy, relay and reports."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from twistmail.canonical.rules import Canonical
from twistmail.config.load import CrossCheck
from twistmail.config.problem import WARNING, Problem
from twistmail.config.settled import Config
from twistmail.following import spelled
from twistmail.foundation import Standing
from twistmail.leaving.departure import Leaving, VerpRules
from twistmail.leaving.forwarding import DAY, Forwarding
from twistmail.leaving.generic import parse
from twistmail.leaving.senders import Names, Senders, machine_names
from twistmail.mail.domains import Domains
from twistmail.mail.masquerade import Masquerade
from twistmail.mail.srs import ROUND, Srs
from twistmail.policy.rates import Rate

#: So that what is signed with the server's own secret for one purpose says nothing about another.
PURPOSE = b"srs"


def leaving_of(config: Config, foundation: Standing, domains: Domains, canonical: Canonical) -> Leaving:
    """The one Leaving of the house, as *config* says."""
    ground, relay = foundation.ground, config["relay"]
    rules = VerpRules(frozenset(relay.verp), relay.verp_delimiters)
    forwarding = _forwarding(config, foundation, domains) if config["srs"].enabled else None
    strict = config["rewrite"].unanswerable == "reject"
    came = canonical.sender if canonical.any else None
    return Leaving(_senders(config, foundation, domains), forwarding, rules, ground.threads, strict=strict, came=came)


def _senders(config: Config, foundation: Standing, domains: Domains) -> Senders:
    settings = config["rewrite"]
    machine = machine_names(config["server"].hostname)
    names = Names(domains.names, machine, spelled(config))
    masquerade = None
    if settings.masquerade_as:
        covered = frozenset(settings.masquerade_domains) or machine
        masquerade = Masquerade(settings.masquerade_as, covered, frozenset(settings.masquerade_exceptions))
    listed = foundation.ground.watched.file(config.file(settings.sender_map), parse) if settings.sender_map else None
    return Senders(
        names, listed, masquerade,
        envelope=settings.masquerade_envelope, header=settings.masquerade_header, reverse=settings.reverse,
    )  # fmt: skip


def _forwarding(config: Config, foundation: Standing, domains: Domains) -> Forwarding:
    settings, ground = config["srs"], foundation.ground
    secrets = tuple(word.encode() for word in settings.secrets) or (hmac.digest(foundation.secret, PURPOSE, "sha256"),)
    srs = Srs(secrets, settings.domain or domains.default, int(settings.expire // DAY))
    return Forwarding(srs, ground.epoch, Rate(settings.reports, ground.reactor.seconds), everybody=settings.accept == "all")


# ----- what a configuration can get wrong


def forwarding_can_come_back(config: Config) -> Iterator[Problem]:
    """Reports to rewritten senders must come here, and in time."""
    settings, domains = config["srs"], config["domains"]
    local = {*domains.local, *domains.normal, *config.named("domain")}
    if not settings.enabled:
        return
    if settings.domain and local and settings.domain not in local:
        text = f"{settings.domain} is no domain of ours: reports would go elsewhere"
        yield config.problem("srs", "domain", text, "name one of [domains] local", WARNING)
    if not 1 <= settings.expire / DAY <= ROUND // 2:
        yield config.problem("srs", "expire", "such an address tells its age in whole days, up to 512", "write 1d to 500d")


def verp_comes_back(config: Config) -> Iterator[Problem]:
    """Reports find a mailbox by what divides names from suffixes."""
    behind = config["relay"].verp_delimiters[0]
    if config["relay"].verp and behind not in config["aliases"].subaddress:
        text = f"reports would find nobody: {behind} does not divide a name from a suffix here"
        yield config.problem("relay", "verp_delimiters", text, f"add {behind} to [aliases] subaddress, or begin with another")


def masquerade_is_whole(config: Config) -> Iterator[Problem]:
    """What says nothing without masquerade_as."""
    settings = config["rewrite"]
    for key in ("masquerade_domains", "masquerade_exceptions"):
        if getattr(settings, key) and not settings.masquerade_as:
            yield config.problem("rewrite", key, "without masquerade_as nothing is masqueraded", "set masquerade_as, or remove it")


CHECKS: tuple[CrossCheck, ...] = (forwarding_can_come_back, verp_comes_back, masquerade_is_whole)
