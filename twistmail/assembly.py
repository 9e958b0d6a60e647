"""What a reload replaces: everything that connections and delivery attempts are made of, built top to bottom.

`build` takes the checked configuration and the foundation and gives `Parts`;
objects are born complete, nothing is patched afterwards. `service` hands the
parts to the listeners and the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twistmail import alias_problems, tasks
from twistmail.account_sources import sources_of
from twistmail.accounts.app_passwords import OWN
from twistmail.accounts.circles import circles, members
from twistmail.accounts.domains import configured
from twistmail.accounts.fresh import kinds
from twistmail.accounts.keyring import Keyring
from twistmail.accounts.local import LocalUsers
from twistmail.accounts.people import People as Known
from twistmail.accounts.table import account_name
from twistmail.alias_sources import resolver_of
from twistmail.canonical.rules import ENVELOPE_RECIPIENT, Canonical
from twistmail.carriage import carrier_of
from twistmail.certificate_views import certificates_of
from twistmail.config.settled import Config
from twistmail.delivering import delivered
from twistmail.endpoints import Listen
from twistmail.expansion import Expansion
from twistmail.facts import Facts, Teller
from twistmail.following import limits
from twistmail.forwarding import ForwardDesk, forwards_of
from twistmail.foundation import Foundation, Standing
from twistmail.foundation import build as part
from twistmail.leaving.departure import Leaving
from twistmail.leaving.reports import SeparateReports
from twistmail.lists.mailing_list import Lists
from twistmail.lists.source import ListNames
from twistmail.logins import auth_socket, login_of
from twistmail.mail.acl import ALL, Acl
from twistmail.mail.address import Address, parse
from twistmail.mail.circles import Circles
from twistmail.mail.domains import Domains
from twistmail.mail.envelope import Kind, Role
from twistmail.mail.values import frozen
from twistmail.mailflow import Dispatch
from twistmail.mailing import folders, list_courier, lists_of
from twistmail.notices import Notices, Writer
from twistmail.options import Settings
from twistmail.outbound import manners, tls_policies
from twistmail.own_passwords import Desk
from twistmail.own_sts import web_services
from twistmail.pacing import bounds_of, rules_of
from twistmail.policy.pipeline import Pipeline
from twistmail.queue.reports import House as ReportHouse
from twistmail.queue.reports import Reports
from twistmail.quota_watch import QuotaWatch, Sender
from twistmail.receiving import policy_of, reception_of
from twistmail.relay.carrier import Capacity
from twistmail.relay.courier import RelayCourier
from twistmail.relay.pickups import Pickups
from twistmail.relay.tlspolicy import TlsPolicies
from twistmail.routing import elsewhere, programs_of, routed, routes_of, second_servers
from twistmail.servers.gate import Terms
from twistmail.servers.imap.quota import QuotaOffice
from twistmail.servers.imap.service import ImapService
from twistmail.servers.imap.sharing.lists import House as SharingRules
from twistmail.servers.imap.sharing.sharing import Sharing
from twistmail.servers.listeners import Born
from twistmail.servers.pop3.service import Pop3Service
from twistmail.servers.smtp.service import SmtpService
from twistmail.servers.smtp.session import open_connection as open_smtp
from twistmail.servers.stress import Stress
from twistmail.servers.urls import Urls
from twistmail.steering.metrics import open_metrics
from twistmail.tls.acme.settings import wish
from twistmail.tls.clients import Authorities
from twistmail.tls.contexts import Contexts
from twistmail.way_in import canonical_of
from twistmail.way_out import leaving_of

SERVICES = ("mx", "submission", "lmtp", "imap", "pop3", "acme", "mta_sts", "lists", "auth_socket", "metrics")
#: Whoever looks for web servers, and whoever collects numbers once a minute, need not be remembered for months.
UNNOTED = ("acme", "mta_sts", "lists", "metrics")


@frozen
class People:
    """Who lives here: `accounts` (mailboxes), `authenticator` (logins), `expansion` (addresses), `circles` (who belongs together),
    `canonical` (what they are called here, whatever was written), `leaving` (what they are called outside), `lists`."""

    accounts: Any
    authenticator: Any
    expansion: Expansion
    domains: Domains
    circles: Circles
    leaving: Leaving
    canonical: Canonical
    lists: Lists

    @property
    def default_domain(self) -> str:
        return self.domains.default


@frozen
class Parts:
    """What the listeners and the queue work with until the next reload. `services`: by name, what sessions are given."""

    config: Config
    foundation: Foundation
    people: People
    dispatch: Dispatch
    relay: RelayCourier
    tls_policies: TlsPolicies
    services: dict[str, Callable[..., Any]]
    contexts: Contexts
    desk: Desk

    def born(self, service: str, listen: Listen) -> Born:
        """What connections to *listen* are made of."""
        ground, settings = self.foundation.ground, self.config[service]
        offered = listen.implicit_tls or getattr(settings, "tls", "off") != "off"
        return Born(
            service=service,
            begin=self.services[service],
            identifiers=ground.identifiers,
            epoch=ground.epoch,
            facts=ground.facts if service not in UNNOTED else Facts(),
            tls=self.contexts.factory(_ALPN.get(service, "")) if offered else None,
            implicit=listen.implicit_tls,
            handshake_timeout=self.config["tls"].handshake_timeout,
            most=settings.max_connections,
            proxy_from=getattr(settings, "proxy_from", ()),
            stress=self._stress(settings) if service == "mx" else None,
            look_first=service == "mx" and settings.early_talker != "off",
            turns_away=self.foundation.gate.turns_away,
            recognize=self.local_users.recognize if service == Role.SUBMISSION.value else None,
        )

    @property
    def local_users(self) -> LocalUsers:
        """Who the users of this machine are, when the kernel tells their numbers."""
        return LocalUsers(self.people.accounts, self.foundation.threads, self.people.default_domain)

    def _stress(self, settings: Settings) -> Stress:
        stress = self.foundation.stress
        stress.adopt(settings.stress_at)
        return stress

    def hand_over(self) -> None:
        """Give the queue what it works with from now on; attempts under way keep what they have."""
        runner, ground = self.foundation.runner, self.foundation.ground
        self.foundation.throttle.rates = self.config["auth"].failures
        self.foundation.gate.adopt(Terms(self.config["auth"].ban, self.config["auth"].never_ban))
        self.foundation.popauth.keep_for(self.config["mx"].pop_before_smtp)
        self.foundation.renewal.adopt(wish(self.config["acme"], self.config["server"].hostname, self.config.file))
        self.foundation.access.adopt(_sharing_rules(self.config, self.people))
        self.foundation.warn_by(_quota_watch(self), _notices(self))
        tasks.start(alias_problems.warn(self.people.expansion), "looking for accounts that aliases hide")
        reports = Reports(runner.queue, _report_house(self), ground.clock, ground.random.random)
        separate: Any = SeparateReports(reports, self.people.leaving)
        pickups = _pickups(self.config, self.foundation, self.relay.routes.holds if self.config["relay"].route_table else None)
        runner.adopt(rules_of(self.config, self.dispatch, separate, pickups, self.foundation.uplink), bounds_of(self.config))


_ALPN = {"mx": "smtp", "submission": "smtp", "lmtp": "lmtp", "imap": "imap", "pop3": "pop3", "acme": "http/1.1", "mta_sts": "http/1.1",
         "lists": "http/1.1"}


def build(config: Config, foundation: Foundation) -> Parts:
    """All parts, top to bottom. The configuration was checked; OSError where a certificate cannot be read or made."""
    people = people_of(config, foundation)
    lookup = part("lookup", config["dns"].use, foundation.ground, config=config)
    policies = tls_policies(config, foundation, lookup)
    relay = _relay(config, foundation, people, lookup, policies)
    programs = programs_of(config, foundation.ground)
    elsewhere_by = routed(config, foundation, people.expansion, relay, programs)
    lists = list_courier(config, foundation, people)
    here = delivered(config, foundation, people, relay, programs)
    dispatch = Dispatch({**here, Kind.REMOTE: elsewhere_by, Kind.LIST: lists})
    contexts = _contexts(config, foundation)
    services: dict[str, Callable[..., Any]] = {
        **_mail_services(config, foundation, people, dispatch, lookup, contexts),
        "imap": _imap(config, foundation, people, contexts),
        "pop3": _pop3(config, foundation, people, contexts),
        "auth_socket": auth_socket(config, foundation, people),
        **web_services(config, foundation.renewal.answers.pages, folders(config, lists)),
        "metrics": open_metrics(foundation),
    }
    foundation.ground.terms.accounts = people.accounts
    return Parts(config, foundation, people, dispatch, relay, policies, services, contexts, _desk(config, foundation, people))


# ----- people


def people_of(config: Config, foundation: Standing) -> People:
    """Who lives here, as *config* says."""
    domains = domains_of(config, foundation)
    default = domains.default
    accounts = _accounts(config, foundation, domains)
    canonical = canonical_of(config, foundation, domains)
    leaving = leaving_of(config, foundation, domains, canonical)
    around = circles(config.named("group"), config.named("role"), default)
    lists = lists_of(config, foundation, domains, around)
    expansion = Expansion(
        resolver_of(config, foundation.ground, domains, first=(ListNames(lists),) if lists else ()),
        accounts,
        domains.names,
        default,
        **limits(config, foundation.ground.reactor),
        like=domains.like,
        catchalls={domain.name: _address(domain.catchall, default) for domain in domains if domain.catchall},
        postmaster=_postmaster(config, default),
        home=leaving.home if leaving.leads_back else None,
        canonical=canonical.recipient if canonical.covers(ENVELOPE_RECIPIENT) else None,
        elsewhere=elsewhere(config, foundation.ground),
        second_servers=second_servers(config),
        forwards=forwards_of(config, foundation.ground),
        clock=foundation.ground.reactor.seconds,
    )
    return People(accounts, accounts, expansion, domains, around, leaving, canonical, lists)


def domains_of(config: Config, foundation: Standing) -> Domains:
    """The domains whose mail is kept here. Blocking, but for a moment where nothing has changed."""
    settings = config["domains"]
    named = configured(settings, config.named("domain"), config["server"].hostname, lambda section: config.place(section).short)
    return foundation.domains.read(named, _list_of_domains(config))


def domains_are_current(config: Config, foundation: Standing) -> bool:
    """Whether `domains_of` would say the same as last time. Three stats at most."""
    return foundation.domains.is_current(_list_of_domains(config))


def _list_of_domains(config: Config) -> Path | None:
    name = config["domains"].normal_file
    return config.file(name) if name else None


def _accounts(config: Config, foundation: Standing, domains: Domains) -> Known:
    """Everybody whom the sources know, asked in order."""
    ground = foundation.ground
    return Known(
        sources_of(config, foundation, domains.default),
        foundation.verifier,
        ground.threads,
        domains=domains,
        secret=foundation.secret,
        logins=config["users"].login,
        kinds=kinds(config["auth"].mechanisms),
        epoch=ground.epoch,
    )


def _contexts(config: Config, foundation: Foundation) -> Contexts:
    settings = config["tls"]
    certificates = certificates_of(config, foundation.ground.epoch, self_sign=settings.self_signed)
    clients = Authorities(config.file(settings.client_ca)) if settings.client_ca else None
    return Contexts(certificates, settings.minimum, clients, foundation.renewal.answers)


def _address(text: str, default_domain: str) -> Address:
    address = parse(text)
    return address if address.domain else Address(address.local, default_domain)


def _postmaster(config: Config, default_domain: str) -> Address | None:
    """Where postmaster's mail goes; None: to the box of that name, or to whoever has it."""
    address = _address(config["server"].postmaster, default_domain)
    return None if address == Address("postmaster", default_domain) else address


# ----- services


def _mail_services(
    config: Config, foundation: Foundation, people: People, dispatch: Dispatch, lookup: Any, contexts: Contexts
) -> dict[str, Callable[..., Any]]:
    """MX, submission and LMTP. Where the MX takes submissions too, whoever logs in there goes on as a user."""
    made = {role.value: _smtp(role, config, foundation, people, dispatch, lookup, contexts) for role in Role}
    if config["mx"].also_submission:
        login = login_of("mx", config, foundation, people, in_clear=False)
        made["mx"] = replace(made["mx"], login=login, for_users=made["submission"])
    return {name: partial(open_smtp, service) for name, service in made.items()}


def _smtp(
    role: Role, config: Config, foundation: Foundation, people: People, dispatch: Dispatch, lookup: Any, contexts: Contexts
) -> SmtpService:
    ground, settings = foundation.ground, config[role.value]
    hostname = config["server"].hostname
    policy: Pipeline = policy_of(role, config, foundation, people, lookup, ground.facts)
    pickups = _pickups(config, foundation)
    in_clear = settings.tls != "required"
    login = login_of(role.value, config, foundation, people, in_clear=in_clear) if role is Role.SUBMISSION else None
    return SmtpService(
        hostname=hostname,
        role=role,
        settings=settings,
        policy=policy,
        expansion=people.expansion,
        reception=reception_of(role, config, foundation, people, dispatch, policy),
        login=login,
        facts=ground.facts,
        threads=ground.threads,
        drafts=foundation.drafts,
        clock=ground.reactor,
        epoch=ground.epoch,
        identifiers=ground.identifiers,
        tls_available=contexts.available and settings.tls != "off",
        urls=Urls(hostname, foundation.store, login.account_of, ground.threads, ground.epoch) if login else None,
        release=pickups.call if pickups.any else None,
        stress=foundation.stress if role is Role.MX else Stress(),
    )


def _imap(config: Config, foundation: Foundation, people: People, contexts: Contexts) -> Callable[..., Any]:
    ground, settings = foundation.ground, config["imap"]
    service = ImapService(
        hostname=config["server"].hostname,
        settings=settings,
        store=foundation.store,
        login=login_of("imap", config, foundation, people, in_clear=settings.tls != "required"),
        facts=ground.facts,
        threads=ground.threads,
        drafts=foundation.drafts,
        clock=ground.reactor,
        epoch=ground.epoch,
        tls_available=contexts.available and settings.tls != "off",
        census=foundation.census,
        sharing=_sharing(config, foundation, people) if config["sharing"].enabled else None,
        quotas=_quotas(foundation, people),
    )
    return partial(open_imap, service)


def _quotas(foundation: Foundation, people: People) -> QuotaOffice:
    ground = foundation.ground

    async def change(account: str, octets: int | None) -> None:
        await ground.threads.run(foundation.database.set_quota, account, octets)
        ground.terms.forget(account)

    return QuotaOffice(people.accounts.find, change)


def _sharing(config: Config, foundation: Foundation, people: People) -> Sharing:
    ground, store = foundation.ground, foundation.store
    return Sharing(config["sharing"], foundation.access, store, people.accounts, ground.facts, ground.epoch, people.default_domain)


def _sharing_rules(config: Config, people: People) -> SharingRules:
    """Who belongs together, and whose the mailboxes of the house are."""
    settings, domain = config["sharing"], people.default_domain
    return SharingRules(
        people.circles,
        account_name(settings.account or "shared", domain),
        Acl(dict.fromkeys(members(settings.admins, domain), ALL)),
    )


def _pop3(config: Config, foundation: Foundation, people: People, contexts: Contexts) -> Callable[..., Any]:
    ground, settings = foundation.ground, config["pop3"]
    service = Pop3Service(
        hostname=config["server"].hostname,
        store=foundation.store,
        login=login_of("pop3", config, foundation, people, in_clear=settings.tls != "required"),
        facts=ground.facts,
        settings=settings,
        threads=ground.threads,
        clock=ground.reactor,
        epoch=ground.epoch,
        tls_available=contexts.available and settings.tls != "off",
        locks=foundation.pop3_locks,
        census=foundation.census,
    )
    return partial(open_pop3, service)


def open_imap(service: ImapService, *caller: Any) -> Any:
    """Wire and session of a new connection (`later.AT_START`); so with the next one."""
    from twistmail.servers.imap.session import open_connection

    return open_connection(service, *caller)


def open_pop3(service: Pop3Service, *caller: Any) -> Any:
    from twistmail.servers.pop3.session import open_connection

    return open_connection(service, *caller)


def _desk(config: Config, foundation: Foundation, people: People) -> Desk:
    """Where people change their own passwords."""
    login = login_of(OWN, config, foundation, people, in_clear=True)
    ground, keyring = foundation.ground, Keyring(foundation.database, foundation.ground.epoch)
    forwards = ForwardDesk(lambda: config, ground.threads, lambda name: people.expansion.forget(), lambda: ground.reader)
    return Desk(login, people.accounts, keyring, ground.threads, ground.identifiers, config["users"].minimum_password, forwards)


# ----- the way out


def _relay(config: Config, foundation: Foundation, people: People, lookup: Any, policies: TlsPolicies) -> RelayCourier:
    ground, settings = foundation.ground, config["relay"]
    routes = routes_of(config, ground, lookup)
    capacity = Capacity(settings.concurrency, settings.concurrency_per_domain, settings.keep_connections)
    together = getattr(foundation.queue, "together", nullcontext)
    carrier = carrier_of(config, ground, manners(config, foundation, policies), capacity, together)
    return RelayCourier(routes, policies, carrier, capacity, people.leaving, Teller(ground.facts, ground.epoch))


def _pickups(config: Config, foundation: Foundation, held: Callable[[str], bool] | None = None) -> Pickups:
    """Whose mail waits to be called for. *held*: what the route table says of that."""
    return Pickups(config.named("route"), foundation.runner.collect, held)


def _quota_watch(parts: Parts) -> QuotaWatch:
    """Who tells people that their mailboxes are filling up."""
    config, ground = parts.config, parts.foundation.ground
    postmaster = _address(config["server"].postmaster, parts.people.default_domain)
    sender = Sender(str(postmaster), config["server"].hostname, ground.identifiers, ground.epoch)
    return QuotaWatch(parts.foundation.store, ground.terms, sender, ground.reactor, config["store"].quota_warnings)


def _notices(parts: Parts) -> Notices:
    """Who tells the postmaster of mail that waits for something to be set up."""
    ground, expansion = parts.foundation.ground, parts.people.expansion
    postmaster = _address(parts.config["server"].postmaster, parts.people.default_domain)
    writer = Writer(postmaster, parts.config["server"].hostname, ground.identifiers, ground.epoch, expansion.follow,
                    parts.foundation.runner.submit)
    return Notices(writer)


def _report_house(parts: Parts) -> ReportHouse:
    """Who we are when we write to senders."""
    ground = parts.foundation.ground
    return ReportHouse(
        parts.config["server"].hostname,
        _address(parts.config["server"].postmaster, parts.people.default_domain),
        parts.people.expansion.follow,
        ground.identifiers,
        ground.threads,
        parts.config["dsn"],
        Address("postmaster", parts.people.default_domain),
        parts.foundation.runner.rules.reports.ledger,
    )
