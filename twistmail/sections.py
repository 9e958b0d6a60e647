"""What the configuration consists of: the sections of all components, in the order of config.example.ini.

Each component declares its own beside its code; here they are only listed.
Parts from other packages add theirs (`plugins.Discovery.sections`).
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from twistmail.accounts.circles import GROUP, ROLE
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.config import USER
from twistmail.accounts.cred import OPTIONS as CRED
from twistmail.accounts.domains import DOMAIN_OPTIONS as DOMAIN
from twistmail.accounts.domains import OPTIONS as DOMAINS
from twistmail.accounts.http import OPTIONS as HTTP
from twistmail.accounts.kerberos import OPTIONS as KERBEROS
from twistmail.accounts.ldap import OPTIONS as LDAP
from twistmail.accounts.pam import OPTIONS as PAM
from twistmail.accounts.sql import OPTIONS as SQL
from twistmail.accounts.tokens import OPTIONS as OAUTH
from twistmail.alias_checks import CHECKS as ALIAS_CHECKS
from twistmail.aliases.own import OPTIONS as FORWARD
from twistmail.aliases.table import ALIAS
from twistmail.aliases.table import FILES as ALIAS_FILES
from twistmail.aliases.table import OPTIONS as ALIASES
from twistmail.backup.shelf import OPTIONS as BACKUP
from twistmail.canonical.options import OPTIONS as CANONICAL
from twistmail.checks import CHECKS as HOUSE_CHECKS
from twistmail.checks import FILE_CHECKS, QUICK_FILE_CHECKS
from twistmail.config.cross import CHECKS
from twistmail.config.load import CrossCheck
from twistmail.config.problem import Problem
from twistmail.config.server import LOG, SERVER
from twistmail.config.settled import Config
from twistmail.couriers import named as couriers_named
from twistmail.delivering import CHECKS as DELIVERY_CHECKS
from twistmail.delivering import FILE_CHECKS as DELIVERY_FILE_CHECKS
from twistmail.delivery.settings import AGENT_OF_OPTIONS as MDA_FOR
from twistmail.delivery.settings import AGENT_OPTIONS as MDA
from twistmail.delivery.settings import OPTIONS as DELIVERY
from twistmail.leaving.options import OPTIONS as REWRITE
from twistmail.leaving.options import SRS
from twistmail.lists.settings import LIST
from twistmail.lists.settings import OPTIONS as LISTS
from twistmail.lookup.resolver import OPTIONS as DNS
from twistmail.mailing import CHECKS as MAILING_CHECKS
from twistmail.options import Section
from twistmail.own_sts import OPTIONS as MTA_STS
from twistmail.plugins import Discovery
from twistmail.policy.access import OPTIONS as ACCESS
from twistmail.policy.checks import OPTIONS as MESSAGE_CHECKS
from twistmail.policy.copies import OPTIONS as COPIES
from twistmail.queue.reports import OPTIONS as DSN
from twistmail.queue.spool import OPTIONS as QUEUE
from twistmail.relay.programs import OPTIONS as PIPE
from twistmail.relay.routes import OPTIONS as RELAY
from twistmail.relay.routes import ROUTE_OPTIONS as ROUTE
from twistmail.relay.routes import SENDER_ROUTE_OPTIONS as SENDER_ROUTE
from twistmail.servers.authsocket import OPTIONS as AUTH_SOCKET
from twistmail.servers.imap.service import OPTIONS as IMAP
from twistmail.servers.imap.sharing.settings import OPTIONS as SHARING
from twistmail.servers.login import OPTIONS as AUTH
from twistmail.servers.pop3.service import OPTIONS as POP3
from twistmail.servers.smtp_options import LMTP, MX, SUBMISSION
from twistmail.steering.metrics import OPTIONS as METRICS
from twistmail.store.mailstore import OPTIONS as STORE
from twistmail.tls.acme.settings import OPTIONS as ACME
from twistmail.tls.contexts import OPTIONS as TLS
from twistmail.way_out import CHECKS as WAY_OUT_CHECKS

BUILT_IN: tuple[Section, ...] = (
    SERVER,
    MX,
    SUBMISSION,
    LMTP,
    ACCESS,
    MESSAGE_CHECKS,
    IMAP,
    POP3,
    TLS,
    ACME,
    MTA_STS,
    DOMAINS,
    DOMAIN,
    USERS,
    USER,
    SQL,
    LDAP,
    HTTP,
    PAM,
    CRED,
    SHARING,
    GROUP,
    ROLE,
    ALIASES,
    ALIAS,
    FORWARD,
    COPIES,
    LISTS,
    LIST,
    STORE,
    DELIVERY,
    MDA,
    MDA_FOR,
    QUEUE,
    RELAY,
    ROUTE,
    SENDER_ROUTE,
    PIPE,
    CANONICAL,
    REWRITE,
    SRS,
    DSN,
    DNS,
    AUTH,
    OAUTH,
    KERBEROS,
    AUTH_SOCKET,
    LOG,
    METRICS,
    BACKUP,
)

#: What of our own stands behind a word, and the words that stand for none of our parts but for a kind of table.
_TABLES = {"users": {"sqlite", "config", "passwd", "system"}, "aliases": {"config", "sqlite", *ALIAS_FILES}}
_KINDS = {("store", "use"): "store", ("queue", "use"): "queue", ("dns", "use"): "lookup", ("users", "source"): "accounts",
          ("aliases", "source"): "alias source", ("mx", "stages"): "policy stage", ("submission", "stages"): "policy stage",
          ("lmtp", "stages"): "policy stage"}  # fmt: skip


def _named_parts(config: Config, discovery: Discovery) -> Iterator[tuple[str, str, str, str]]:
    """(section, key, kind, word) of every part that the configuration names; with the sources that other sources lean on."""
    for (section, key), kind in _KINDS.items():
        value = getattr(config[section], key)
        for word in value if isinstance(value, tuple) else (value,):
            yield section, key, kind, word
            if kind == "accounts":
                yield from ((place, "accounts", kind, leant_on) for place, leant_on in _leanings(config, discovery, word))
    yield from ((section, key, "courier", name) for section, key, name in couriers_named(config))


def _leanings(config: Config, discovery: Discovery, word: str) -> Iterator[tuple[str, str]]:
    """(section, word in its setting `accounts`) of the source *word*, then of the one which that names, and so on, each once."""
    seen = set()
    while (part := discovery.find("accounts", word.partition(":")[0])) and part.options and part.options.option("accounts"):
        if part.name in seen:
            return
        seen.add(part.name)
        word = word.partition(":")[2] or config[part.options.name].accounts
        yield part.options.name, word


def checks(discovery: Discovery, *, files: bool = True) -> tuple[CrossCheck, ...]:
    """All cross checks: those of the configuration, whether every part that is named is there, and files with rules.

    *files* False: large ones of those are only opened.
    """

    def parts_exist(config: Config) -> Iterator[Problem]:
        for section, key, kind, word in _named_parts(config, discovery):
            name = word.partition(":")[0]
            known = set(discovery.of_kind(kind)) | (_TABLES["users"] if kind == "accounts" else _TABLES.get(section, set()))
            if name not in known:
                near = get_close_matches(name, known, 1, 0.6)
                there_are = f"there are: {', '.join(sorted(known))}" if known else "none is installed (twistmail plugin list)"
                suggestion = f"did you mean {near[0]}?" if near else there_are
                yield config.problem(section, key, f"no {kind} is called {name}", suggestion)
            elif key == "accounts" and name in {leant_on.partition(":")[0] for _, leant_on in _leanings(config, discovery, name)}:
                yield config.problem(section, key, f"{name} leans on itself", "name a source that says who has a mailbox")

    def parts_can_work(config: Config) -> Iterator[Problem]:
        for name in dict.fromkeys((kind, word.partition(":")[0]) for _, _, kind, word in _named_parts(config, discovery)):
            part = discovery.find(*name)
            if part is not None and part.options is not None and hasattr(part.factory, "check"):
                for key, text, suggestion in part.factory.check(config[part.options.name]):
                    yield config.problem(part.options.name, key, text, suggestion)

    house = (*CHECKS, *HOUSE_CHECKS, *WAY_OUT_CHECKS, *DELIVERY_CHECKS, *MAILING_CHECKS)
    return (*house, parts_exist, parts_can_work, *((*FILE_CHECKS, *ALIAS_CHECKS, *DELIVERY_FILE_CHECKS) if files else QUICK_FILE_CHECKS))


def everything(discovery: Discovery) -> tuple[Section, ...]:
    """Our own sections, then those that only plugins have."""
    own = {section.name for section in BUILT_IN}
    return (*BUILT_IN, *(section for section in discovery.sections() if section.name not in own))
