"""Final delivery, built from the configuration: which couriers bring what is here, and what the helper that works as others is told.

`assembly` gives the couriers to `mailflow`; `routing.piper_of` starts the helper while the server may still be root.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from twistmail.accounts.system import are_meant
from twistmail.config.load import CrossCheck
from twistmail.config.problem import WARNING, Problem, error
from twistmail.config.settled import Config
from twistmail.delivery.agents import Agent, AgentCourier, FileAgent, ProgramAgent, ServerAgent
from twistmail.delivery.discard import DiscardCourier
from twistmail.delivery.files import HOUSE_FILES, OWN_FILES, FileCourier, Writers, is_ours
from twistmail.delivery.programs import HOUSE_PROGRAMS, OWN_PROGRAMS, Named, ProgramCourier, Runners
from twistmail.delivery.settings import beginning_of, chosen
from twistmail.facts import Teller
from twistmail.formats import filing
from twistmail.interfaces import ICourier
from twistmail.mail.address import canonical_domain, parse
from twistmail.mail.envelope import Kind, Target
from twistmail.options import Settings
from twistmail.piping import Command, folder_objection, is_group
from twistmail.relay.route import Route, Tls, Transport, parse_via
from twistmail.store.courier import MailboxCourier

MDA, MDA_FOR = "mda", "mda_for"


def delivered(config: Config, foundation: Any, people: Any, relay: Any, programs: Mapping[str, Named]) -> dict[Kind, ICourier]:
    """The couriers for all that is here. *people*: `assembly.People`; *relay*: `relay.courier.RelayCourier`; *programs*: [pipe:NAME]."""
    ground, settings = foundation.ground, config["delivery"]
    uid_of, most = ground.terms.uid_of, max(settings.concurrency, 1)
    extension = partial(extension_of, people.expansion)
    writers = Writers(ground.lasting.threads("files of aliases", most), ground.piper, not is_ours(settings.file_user, _number))
    runners = Runners(ground.lasting.threads("programs of aliases", most), ground.piper, extension)
    agents = {name: _agent(_row_of(name), one, ground, relay, extension) for name, one in _sections(config).items()}
    box = f"postmaster@{people.default_domain}"  # the house's own, which nobody else knows

    def agent_of(account: str) -> Agent | None:
        name = chosen(account, agents)
        return None if account == box and not name else agents[name]

    own = MailboxCourier(foundation.store, Teller(ground.facts, ground.epoch))
    return {
        Kind.MAILBOX: AgentCourier(own, agent_of) if any(agents.values()) else own,
        Kind.FILE: FileCourier(settings.file_dirs, writers, uid_of, settings.lock_timeout, most),
        Kind.PROGRAM: ProgramCourier(programs, runners, uid_of, most),
        Kind.DISCARD: DiscardCourier(),
    }


def extension_of(expansion: Any, target: Target) -> str:
    """What stands behind the separator in the recipient's name, or behind his account's name in it; empty where there is none."""
    whole, *shorter = expansion.spellings(target.address)
    if not shorter:
        return ""
    stem = next((name.local for name in shorter if name.local == target.account.rpartition("@")[0]), shorter[-1].local)
    return str(whole.local[len(stem) + 1 :])


def objection_to_file(config: Config, path: str) -> str:
    """What keeps mail for system-wide aliases from the file at *path*, as far as we can see; empty: nothing. Blocking."""
    if path == filing.NOWHERE:
        return ""
    settings = config["delivery"]
    writer = _number(settings.file_user) if settings.file_user else os.geteuid()
    try:
        filing.look(filing.way_to(path, settings.file_dirs), writer)
    except OSError as error:
        if error.errno == errno.EACCES and os.geteuid() not in (0, writer):
            return ""  # it is his to see
        return f"{path}: " + ("" if error.filename in (None, path) else f"{error.filename}: ") + str(error.strerror)
    return ""


# ----- agents


def _sections(config: Config) -> dict[str, Settings]:
    """All that is said of agents; "": [mda]."""
    return {"": config[MDA], **{name.lower(): one for name, one in config.named(MDA_FOR).items()}}


def _row_of(name: str) -> str:
    return f"{MDA_FOR}:{name}" if name else MDA


def _agent(row: str, settings: Settings, ground: Any, relay: Any, extension: Any) -> Agent | None:
    if settings.lmtp:
        route = _server(settings.lmtp)
        return ServerAgent(str(route), partial(relay.carry_along, route))
    if not settings.command and not settings.file:
        return None
    most = max(settings.concurrency, 1)
    if settings.file:
        return FileAgent(row, ground.piper, ground.lasting.threads(row, most), ground.terms.uid_of,
                         own=not settings.user, file=settings.file, most=most)
    return ProgramAgent(row, ground.piper, ground.lasting.threads(row, most), ground.terms.uid_of,
                        own=not settings.user, extension=extension, most=most)


def _server(text: str) -> Route:
    """ValueError with two lines."""
    return parse_via(text if text.startswith("lmtp:") else f"lmtp:{text}", Tls.OPPORTUNISTIC)


# ----- the helper


def commands_of(config: Config, server: int | None) -> dict[str, tuple[str, Command]]:
    """What the helper may do for final delivery: its rows, each with the place that says so. *server*: as `routing.piper_of`'s user."""
    settings, users, own = config["delivery"], config["users"], config["forward"]
    runs = max(settings.concurrency, 1)
    has_homes = are_meant(users.source) and own.homes
    rows: dict[str, tuple[str, Command]] = {}
    if settings.file_user and not _is_server(settings.file_user, server):
        filing = Command(user=settings.file_user, files=settings.file_dirs, keeps_mail=True, seconds=2 * settings.lock_timeout, runs=runs)
        rows[HOUSE_FILES] = "[delivery] file_user:", filing
    if has_homes and own.files:
        filing = Command(least=users.min_uid, files=settings.file_dirs, keeps_mail=True, seconds=2 * settings.lock_timeout, runs=runs)
        rows[OWN_FILES] = "[forward] files:", filing
    if settings.program_dir:
        program = partial(Command, folder=settings.program_dir, seconds=settings.program_timeout, output=settings.program_output, runs=runs)
        rows[HOUSE_PROGRAMS] = "[delivery] program_user:", program(user=settings.program_user, apart=True)
        if has_homes and own.programs:
            rows[OWN_PROGRAMS] = "[forward] programs:", program(least=users.min_uid, keeps_mail=True)
    for name, one in _sections(config).items():
        if one.command or one.file:
            rows[_row_of(name)] = f"[{_row_of(name)}]", _agent_command(one, users.min_uid)
    return rows


def _agent_command(settings: Settings, least: int) -> Command:
    folder = beginning_of(settings.file)
    return Command(
        words=settings.command, files=((folder,) if folder else ()) if settings.file else None, user=settings.user,
        least=None if settings.user else least, groups=settings.groups, keeps_mail=True,
        seconds=settings.timeout, output=settings.output, runs=max(settings.concurrency, 1),
    )  # fmt: skip


def _number(user: str) -> int:
    """The number of *user*; -1 where there is nobody of that name."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _is_server(user: str, server: int | None) -> bool:
    return _number(user) == (os.geteuid() if server is None else server)


# ----- what a configuration can get wrong


def agents_are_in_order(config: Config) -> Iterator[Problem]:
    """One way for each, which can be gone."""
    for name, one in _sections(config).items():
        section = _row_of(name)
        ways = [key for key in ("file", "lmtp", "command") if getattr(one, key)]
        if len(ways) > 1:
            yield config.problem(section, ways[0], f"mail cannot go by {' and '.join(ways)}", f"remove one of {' and '.join(ways)}")
        if one.lmtp and (trouble := _server_trouble(one.lmtp)):
            yield config.problem(section, "lmtp", *trouble)
        key = "command" if one.command else "file"
        if (one.command or one.file) and not one.user and not are_meant(config["users"].source):
            text = "the users here are none of this machine, so there is nobody to do it as"
            yield config.problem(section, key, text, "set user, such as vmail")
        if one.user and one.file.startswith("~"):
            yield config.problem(section, "file", "a home is only known of who has the file himself", "remove user, or write a path")
        if one.command and not one.user and len(one.groups) > 1:
            yield config.problem(section, "groups", "a command that is run as whose mail it is gets one group", "name one, or set user")
        if one.user == "root":
            yield config.problem(section, "user", "no program is run as root", "name an ordinary user")


def _server_trouble(text: str) -> tuple[str, str] | None:
    try:
        route = _server(text)
    except ValueError as trouble:
        what, _, suggestion = str(trouble).partition("\n")
        return what, suggestion.replace("lmtp:unix", "unix").replace("lmtp:[", "[")
    is_one = route.transport is Transport.LMTP and bool(route.next_hop)
    return None if is_one else (f"{text} is no server", "write unix:/path or [address]:port")


def agents_are_of_somebody(config: Config) -> Iterator[Problem]:
    """Sections that are called after a domain or an account."""
    for name in config.named(MDA_FOR):
        domain = name.rpartition("@")[2]
        try:
            if "@" in name:
                parse(name)
            elif canonical_domain(domain) != domain:
                raise ValueError(f"{name} would never match an account")
        except ValueError as trouble:
            yield error(config.place(f"{MDA_FOR}:{name}"), str(trouble).partition("\n")[0], "write a domain, or user@domain")


def users_of_files_are_ordinary(config: Config) -> Iterator[Problem]:
    settings = config["delivery"]
    if settings.file_user == "root":
        yield config.problem("delivery", "file_user", "mail is not written to files as root", "name an ordinary user")
    if settings.file_user and not settings.file_dirs:
        text = "no folder is named, so aliases' files lie nowhere"
        yield config.problem("delivery", "file_user", text, "set file_dirs", WARNING)
    if settings.program_user == "root":
        yield config.problem("delivery", "program_user", "no program is run as root", "name an ordinary user, such as nobody")


def what_is_named_is_there(config: Config) -> Iterator[Problem]:
    """Users, groups, programs and folders of this machine. It may be another one that the configuration is for: warnings."""
    settings = config["delivery"]
    named = [("delivery", "file_user", settings.file_user)]
    if settings.program_dir:
        named.append(("delivery", "program_user", settings.program_user))
        if why := folder_objection(settings.program_dir):
            yield config.problem("delivery", "program_dir", why, "mail for programs waits until that is so", WARNING)
    for name, one in _sections(config).items():
        if one.command or one.file:
            named.append((_row_of(name), "user", one.user))
            missing = [group for group in one.groups if not is_group(group)]
            if missing:
                yield config.problem(_row_of(name), "groups", f"there is no group {missing[0]} on this machine", level=WARNING)
        if one.command and not os.access(one.command[0], os.X_OK):
            yield config.problem(_row_of(name), "command", f"{one.command[0]} is no program here", "correct the path", WARNING)
    for section, key, user in named:
        if user and _number(user) < 0:
            yield config.problem(section, key, f"there is no user {user} on this machine", "make it, or name another", WARNING)


FILE_CHECKS: tuple[CrossCheck, ...] = (what_is_named_is_there,)
CHECKS: tuple[CrossCheck, ...] = (agents_are_in_order, agents_are_of_somebody, users_of_files_are_ordinary)
