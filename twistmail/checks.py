"""What the checker can say of the whole configuration because it knows the components: circles, contradictions, names.

What is wrong with a single value its Kind says; what needs no knowledge of
components is in `config/cross.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import ip_address

from twistmail import routing_checks
from twistmail.accounts import domains, file, kerberos, tokens
from twistmail.canonical_tables import table_at
from twistmail.config.load import CrossCheck
from twistmail.config.problem import WARNING, Place, Problem, error, warning
from twistmail.config.settled import Config
from twistmail.endpoints import Transport
from twistmail.leaving import generic
from twistmail.mail import acl
from twistmail.mail.address import Address, canonical_domain, parse
from twistmail.policy import access_file, checks_file, copies, relay_domains, sender_map
from twistmail.queue import ground
from twistmail.relay import table, tlstable
from twistmail.servers.login import GSSAPI
from twistmail.servers.mechanisms import NEED_TOKENS
from twistmail.servers.smtp_options import STAGE_OPTIONS
from twistmail.tls import clients, files
from twistmail.tls.acme.settings import host_and_port
from twistmail.watched import WatchedFile

#: Octets of a file with rules that are read within some milliseconds.
SMALL = 32 * 1024
AUTHORITIES = "it holds certificates of authorities, as PEM"
#: What a UNIX socket address holds on Linux, without the final NUL.
LONGEST_SOCKET_PATH = 107


def names_are_names(config: Config) -> Iterator[Problem]:
    """Sections that are called after an address or a domain, and settings that hold one."""
    for pattern, read in (("user", parse), ("alias", parse), ("domain", _spelled), ("role", parse)):
        for name in config.named(pattern):
            yield from _refusal(config.place(f"{pattern}:{name}"), read, name)
    for name, domain in config.named("domain").items():
        if domain.catchall:
            yield from _refusal(config.place(f"domain:{name}", "catchall"), parse, domain.catchall)
    for key in ("local", "normal"):
        for word in getattr(config["domains"], key):
            yield from _refusal(config.place("domains", key), _spelled, word)
    yield from _refusal(config.place("server", "postmaster"), parse, config["server"].postmaster)


def circles_are_circles(config: Config) -> Iterator[Problem]:
    """Groups and roles: members that can be some, groups that there are, and a role that nobody logs in to."""
    groups = {f"{acl.GROUP}{name}" for name in config.named("group")}
    for name, group in config.named("group").items():
        for member in group.members:
            yield from _refusal(config.place(f"group:{name}", "members"), parse, member)
    for name, role in config.named("role").items():
        place = config.place(f"role:{name}", "members")
        yield from _members(place, role.members, groups)
        yield from _members(config.place(f"role:{name}", "senders"), role.senders, groups)
        if name in config.named("user"):
            yield error(place, f"{name} is a user too", f"remove [user:{name}]: nobody logs in as a role")
        if not config["sharing"].enabled:
            yield config.problem("sharing", "enabled", f"nobody sees the mailbox of the role {name}", "write enabled = yes", WARNING)
    yield from _members(config.place("sharing", "admins"), config["sharing"].admins, groups)


def _members(place: Place, members: Sequence[str], groups: Collection[str]) -> Iterator[Problem]:
    for member in members:
        yield from _refusal(place, lambda word: acl.identifier(word, "default.example"), member)
        if member.startswith(acl.GROUP) and member not in groups:
            yield error(place, f"there is no group {member.removeprefix(acl.GROUP)}", f"write a section [group:{member[len(acl.GROUP):]}]")


def _spelled(domain: str) -> str:
    """*domain* itself; ValueError where addresses would have it otherwise (lower case, A-labels)."""
    canonical = canonical_domain(domain)
    if canonical != domain:
        raise ValueError(f"{domain} would never match an address\nwrite {canonical}")
    return domain


def _refusal(place: Place, read: Callable[[str], object], text: str) -> Iterator[Problem]:
    try:
        read(text)
    except ValueError as trouble:
        what, _, suggestion = str(trouble).partition("\n")
        yield error(place, what, suggestion)


def times_fit(config: Config) -> Iterator[Problem]:
    """A wait that is longer than the life of a message is never waited."""
    relay = config["relay"]
    if relay.retry and relay.retry[0] >= relay.expire:
        yield config.problem("relay", "retry", "the first retry comes after a message has expired",
                             f"expire is {config.text('relay', 'expire')}; make it longer, or retry sooner")
    if relay.warn_sender_after >= relay.expire:
        yield config.problem("relay", "warn_sender_after", "the sender would be warned after the message has come back",
                             f"expire is {config.text('relay', 'expire')}", WARNING)


def local_is_not_routed(config: Config) -> Iterator[Problem]:
    """A domain cannot be ours and somebody else's."""
    local = _domains(config)
    for domain in config.named("route"):
        if domain.lower() in local:
            yield error(config.place(f"route:{domain}"), f"{domain} is a local domain, so this route is never taken",
                        f"remove [route:{domain}], or the domain from [domains] and [domain:...]")


def _domains(config: Config) -> set[str]:
    """Those that the configuration calls local; more may stand in the file that it names, and in the database."""
    return {*config["domains"].local, *config["domains"].normal, *config.named("domain")}


def domains_have_users(config: Config) -> Iterator[Problem]:
    """An alias domain leads to a domain with users, and has no say of its own."""
    named = config.named("domain")
    for name, domain in named.items():
        if not domain.same_as:
            continue
        place = config.place(f"domain:{name}", "same_as")
        yield from _refusal(place, _spelled, domain.same_as)
        if (other := named.get(domain.same_as)) and other.same_as and domain.same_as != name:
            yield error(place, f"{domain.same_as} is an alias domain itself", f"write same_as = {other.same_as}, or nothing")
        elif domain.same_as not in _domains(config) or domain.same_as == name:
            yield error(place, f"{domain.same_as} is no domain with users", "name a domain of [domains] local, or another [domain:...]")
        if domain.catchall:
            text = f"{name} has the users of {domain.same_as}, and its catch-all"
            yield config.problem(f"domain:{name}", "catchall", text, "remove it here", WARNING)
        if domain.subaddress:
            text = f"{name} has the users of {domain.same_as}, and its separators"
            yield config.problem(f"domain:{name}", "subaddress", text, "remove it here", WARNING)


def domain_file_can_be_read(config: Config) -> Iterator[Problem]:
    """The file with further names of the default domain. The server takes what can be read of it."""
    if name := config["domains"].normal_file:
        for line, text in domains.problems(config.file(name)):
            if line:
                yield warning(Place(str(config.file(name)), line, 1), text, "write a domain name, or nothing")
            else:
                yield config.problem("domains", "normal_file", f"{config.file(name)}: {text}", "a domain name on each line")


def passwd_files_can_be_read(config: Config) -> Iterator[Problem]:
    """The users that stand in files. The server takes what can be read of them."""
    for source in config["users"].source:
        kind, _, name = source.partition(":")
        if kind == "passwd":
            path = config.file(name)
            for line, text in file.problems(path, config["server"].hostname):
                if line:
                    yield warning(Place(str(path), line, 1), text, "mail for this user waits until the line is mended")
                else:
                    yield config.problem("users", "source", f"{path}: {text}", "logins and mail wait for it", WARNING)


def aliases_end(config: Config) -> Iterator[Problem]:
    """Aliases of the configuration that only lead to each other."""
    targets: dict[Address, set[Address]] = {}
    places: dict[Address, Place] = {}
    for name, alias in config.named("alias").items():
        try:
            address = parse(name).folded
        except ValueError:
            continue  # `names_are_names` tells it
        places[address] = config.place(f"alias:{name}", "to")
        targets[address] = {_whole(item, address.domain) for item in alias.to}
    for address in _endless(targets):
        yield error(places[address], f"{address} leads in a circle and to no mailbox", "let one of the aliases name a mailbox")


def _whole(item: object, domain: str) -> Address:
    """Where *item* leads; what is no address ends there, as a name that nobody has."""
    if not isinstance(item, Address):
        return Address(str(item))
    return item.folded if item.domain else Address(item.folded.local, domain)


def _endless(targets: dict[Address, set[Address]]) -> list[Address]:
    """The aliases from which no target that is no alias can be reached. An alias that names itself means the mailbox of that name."""
    ending = {address for address, found in targets.items() if address in found or any(target not in targets for target in found)}
    while more := {address for address, found in targets.items() if address not in ending and found & ending}:
        ending |= more
    return [address for address in targets if address not in ending]


def control_fits(config: Config) -> Iterator[Problem]:
    """The kernel takes only short names for UNIX sockets."""
    path = config.file(config["server"].control)
    if len(str(path).encode()) > LONGEST_SOCKET_PATH:
        suggestion = f"at most {LONGEST_SOCKET_PATH} octets, such as /run/twistmail.sock"
        yield config.problem("server", "control", f"{path} is too long for a socket", suggestion)


def relaying_is_asked(config: Config) -> Iterator[Problem]:
    """Without that stage everybody sends through us to everybody."""
    if config["mx"].listen and "relaying" not in config["mx"].stages:
        yield config.problem("mx", "stages", "without the stage relaying this server is an open relay", "add relaying before recipients")


def relayed_is_not_local(config: Config) -> Iterator[Problem]:
    """A domain whose mail is kept here is not passed on."""
    for domain in _domains(config).intersection(config["mx"].relay_domains):
        yield config.problem("mx", "relay_domains", f"{domain} is a local domain: its mail stays here", f"remove {domain} here, or there")


def stages_have_their_settings(config: Config) -> Iterator[Problem]:
    """A setting that only a stage looks at, which is not asked."""
    stages = config["mx"].stages
    of = {option.key: stage for stage, options in STAGE_OPTIONS.items() if stage not in stages for option in options}
    for setting in config.changed():
        if setting.section == "mx" and (stage := of.get(setting.option.key)):
            yield config.problem("mx", setting.option.key, f"only the stage {stage} looks at this", f"add {stage} to stages", WARNING)
    if config["mx"].dnswl and not (config["mx"].dnsbl or config["mx"].rhsbl):
        yield config.problem("mx", "dnswl", "it is asked only where a blocklist is", "set dnsbl or rhsbl, or remove it", WARNING)


def tokens_can_be_judged(config: Config) -> Iterator[Problem]:
    """What mechanisms with tokens and tickets need, where one is offered."""
    if not NEED_TOKENS.isdisjoint(config["auth"].mechanisms):
        for key, text, suggestion in tokens.check(config["oauth"]):
            yield config.problem("oauth", key, text, suggestion)
    if GSSAPI in config["auth"].mechanisms:
        for key, text, suggestion in kerberos.check(config["kerberos"]):
            yield config.problem("kerberos", key, text, suggestion)


def sections_are_asked(config: Config) -> Iterator[Problem]:
    """People and aliases that stand in the file, where the file is no source of any."""
    for kind, section in (("user", "users"), ("alias", "aliases")):
        sources = config[section].source
        if config.named(kind) and "config" not in sources:
            suggestion = f"write source = {' '.join([*sources, 'config'])}"
            yield config.problem(section, "source", f"the [{kind}:...] sections of this file are not looked at", suggestion, WARNING)


def rules_can_be_read(config: Config, most: int | None = None) -> Iterator[Problem]:
    """The files with rules, line by line, where they have at most so many octets (None: however many). Blocking."""
    for section, key, parse_file in (
        ("access", "file", access_file.parse),
        ("checks", "file", checks_file.parse),
        ("mx", "relay_recipients", relay_domains.parse),
        ("submission", "sender_map", sender_map.parse),
        ("rewrite", "sender_map", generic.parse),
        ("canonical", "table", None),
        ("copies", "of_senders", copies.parse),
        ("copies", "of_recipients", copies.parse),
        ("canonical", "senders", None),
        ("canonical", "recipients", None),
        ("relay", "tls_policy", tlstable.parse),
        ("relay", "route_table", table.parse),
    ):
        if name := getattr(config[section], key):
            name, reads = (name, parse_file) if parse_file is not None else table_at(name)
            rules: WatchedFile[object] = WatchedFile(config.file(name), reads, None)
            for line, text in rules.problems(most):
                if line:
                    yield error(Place(str(rules.path), line, 1), *text.split("; ", 1))
                else:
                    yield config.problem(section, key, f"{rules.path}: {text}")


def small_rules_can_be_read(config: Config) -> Iterator[Problem]:
    """For a reload, which must not keep connections waiting: large files are only opened. Of a broken one the old rules are kept."""
    return rules_can_be_read(config, SMALL)


def authorities_can_be_read(config: Config) -> Iterator[Problem]:
    """Those that vouch for clients, and for other servers. A server that runs would go on without a new file, but believe nobody."""
    for section, key in (("tls", "client_ca"), ("relay", "tls_ca")):
        if name := getattr(config[section], key):
            path = config.file(name)
            try:
                if not clients.parse(files.read(path)).certificates:
                    yield config.problem(section, key, f"{path}: there is no certificate in it", AUTHORITIES)
            except files.UNREADABLE as error:
                yield config.problem(section, key, f"{path}: {files.said(error, path)}", AUTHORITIES)


def acme_can_work(config: Config) -> Iterator[Problem]:
    """What the way to prove that names are ours needs."""
    settings = config["acme"]
    if not settings.enabled:
        return
    try:  # here and now: whoever starts as root may be unable to read packages later
        importlib.import_module("twistmail.tls.acme.issue")
    except ImportError as missing:
        yield config.problem("acme", "enabled", f"the package {missing.name} is not installed", "pip install twistmail[acme]")
    if settings.challenge == "dns-01":
        yield from _dns_can_be_changed(config)
    elif wildcard := next((name for name in settings.names if name.startswith("*.")), None):
        yield config.problem("acme", "names", f"no authority gives {wildcard} by {settings.challenge}", "set challenge = dns-01")
    if settings.challenge == "tls-alpn-01" and not config["tls"].self_signed:
        yield config.problem("acme", "challenge", "handshakes need a certificate from the first minute on", "set [tls] self_signed = yes")
    if settings.challenge != "dns-01" and not settings.listen and not settings.webroot:
        port = "tcp:80" if settings.challenge == "http-01" else "tls:port=443"
        text = "the authority finds nobody, unless a web server sends it here"
        yield config.problem("acme", "listen", text, f"set listen = {port}", WARNING)
    for name in settings.names:
        yield from _refusal(config.place("acme", "names"), _spelled, name.removeprefix("*."))


def _dns_can_be_changed(config: Config) -> Iterator[Problem]:
    settings = config["acme"]
    if not settings.dns_server:
        yield config.problem("acme", "dns_server", "dns-01 needs the name server that takes updates", "set dns_server = HOST")
    else:
        yield from _refusal(config.place("acme", "dns_server"), host_and_port, settings.dns_server)
    if bool(settings.dns_key) != bool(settings.dns_secret):
        yield config.problem("acme", "dns_key", "dns_key and dns_secret belong together", "set both, or none")


def queue_is_safe(config: Config) -> Iterator[Problem]:
    """Whether the file system of the queue keeps what it is given (spec D5). A queue in memory was asked for by its name."""
    settings = config["queue"]
    if settings.use == "spool" and (found := ground.trouble(config.data_dir / settings.path, settings.allow)):
        yield config.problem("queue", "path", *found)


def blocks_are_pages(config: Config) -> Iterator[Problem]:
    """Whether what SQLite shares between connections can be full of holes: it fills one block of each page of memory, and where the
    disk is full then, the kernel ends the process that writes into another one (SIGBUS)."""
    try:
        blocks = os.statvfs(config.data_dir).f_bsize
    except OSError:
        return  # it is made at the start
    if blocks < (page := resource.getpagesize()):
        text = f"{config.data_dir} lies on a file system with blocks of {blocks} octets: were it full, the server could be killed"
        yield config.problem("server", "data_dir", text, f"use one with blocks of {page} octets (mkfs.ext4 -b {page})", WARNING)


def numbers_can_be_had(config: Config) -> Iterator[Problem]:
    """Who counts, and whether everybody can read what he has counted."""
    listens = config["metrics"].listen
    if listens and importlib.util.find_spec("prometheus_client") is None:
        yield config.problem("metrics", "listen", "the package prometheus_client is not installed", "pip install twistmail[metrics]")
    for listen in listens:
        if listen.kind in (Transport.TCP, Transport.TLS) and not (listen.interface and ip_address(listen.interface).is_loopback):
            suggestion = f"{listen.kind.value}:port={listen.port}:interface=127.0.0.1, unless a firewall stands before it"
            yield config.problem("metrics", "listen", f"{listen}: whoever reaches it reads our numbers", suggestion, WARNING)


def certificates_are_there(config: Config) -> Iterator[Problem]:
    """The folder with certificates, where one is named. What is in it is looked at while the server runs (`tls.certificates`)."""
    if any((setting.section, setting.option.key) == ("tls", "directory") for setting in config.changed()):
        folder = config.file(config["tls"].directory)
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            is_closed = isinstance(error, PermissionError)
            suggestion = "let the server's user read it: docs/certificates.md" if is_closed else "make it, or correct the path"
            yield config.problem("tls", "directory", f"{folder}: {files.said(error, folder)}", suggestion, WARNING)


CHECKS: tuple[CrossCheck, ...] = (
    names_are_names, circles_are_circles, times_fit, local_is_not_routed, aliases_end, control_fits, relaying_is_asked,
    relayed_is_not_local, acme_can_work, domains_have_users, stages_have_their_settings, sections_are_asked,
    tokens_can_be_judged, numbers_can_be_had, *routing_checks.CHECKS,
)  # fmt: skip
#: At the start and for `config check`; and in their place at a reload.
FILE_CHECKS: tuple[CrossCheck, ...] = (
    rules_can_be_read,
    authorities_can_be_read,
    domain_file_can_be_read,
    passwd_files_can_be_read,
    certificates_are_there,
    queue_is_safe,
    blocks_are_pages,
    routing_checks.table_leads_to_programs,
)
QUICK_FILE_CHECKS: tuple[CrossCheck, ...] = (small_rules_can_be_read,)
