"""What the checker can say of routes: names that no address has, servers that are none, and passwords that anybody may hear."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from twistmail.config.problem import WARNING, Place, Problem, error, warning
from twistmail.config.settled import Config
from twistmail.mail.address import canonical_domain, parse
from twistmail.relay import table
from twistmail.relay.route import Tls, Transport, parse_via


def routes_are_of_somebody(config: Config) -> Iterator[Problem]:
    """Sections that are called after a domain or a sender."""
    for pattern, read in (("route", _domain), ("sender_route", _sender)):
        for name in config.named(pattern):
            try:
                read(name)
            except ValueError as trouble:
                what, _, suggestion = str(trouble).partition("\n")
                yield error(config.place(f"{pattern}:{name}"), what, suggestion)


def _domain(name: str) -> None:
    bare = name.removeprefix(".")
    if name != "*" and canonical_domain(bare) != bare:
        raise ValueError(f"{name} would never match an address\nwrite {'.' * (bare != name)}{canonical_domain(bare)}")


def _sender(name: str) -> None:
    if "@" in name.removeprefix("@"):
        parse(name)
    else:
        _domain(name.removeprefix("@"))


def second_servers_are_servers(config: Config) -> Iterator[Problem]:
    """The other servers of our own domains: by name, not by MX records, which lead here."""
    for name, domain in config.named("domain").items():
        section = f"domain:{name}"
        if not domain.other_server:
            if domain.other_gets != "unknown":
                yield config.problem(section, "other_gets", "there is no other server that could get it", "set other_server")
            continue
        try:
            route = parse_via(domain.other_server)
        except ValueError as trouble:
            what, _, suggestion = str(trouble).partition("\n")
            yield config.problem(section, "other_server", what, suggestion)
            continue
        if not route.transport.has_servers or not route.next_hop:
            yield config.problem(section, "other_server", f"{domain.other_server} is no server", "write [name]:port")
        if domain.catchall and not domain.same_as:
            text = "the catch-all gets what nobody has, so nothing goes to the other server"
            yield config.problem(section, "other_server", text, "remove one of them", WARNING)


def passwords_are_not_overheard(config: Config) -> Iterator[Problem]:
    """A password goes to whoever answers at that address, where nobody looks at the certificate."""
    said = [("relay", key, user) for key, user in (("smarthost", "smarthost_user"), ("fallback", "fallback_user"))]
    said += [(f"{pattern}:{name}", "via", "user") for pattern in ("route", "sender_route") for name in config.named(pattern)]
    for section, key, user in said:
        settings = config[section]
        if not getattr(settings, user):
            continue
        if not getattr(settings, key):
            yield config.problem(section, user, f"there is no {key} to log in at", f"set {key}, or remove {user}")
        elif not getattr(settings, user.replace("user", "password")):
            yield config.problem(section, user, "a login without a password", f"set {user.replace('user', 'password')}")
        elif settings.tls == Tls.OFF.value:
            yield config.problem(section, "tls", "a password is never said without TLS, so the login cannot work", "set tls = verified")
        elif settings.tls == Tls.REQUIRED.value:
            text = "the password goes to whoever answers there, because no certificate is checked"
            yield warning(config.place(section, user), text, "set tls = verified")


def smart_hosts_are_somewhere(config: Config) -> Iterator[Problem]:
    """`smtp:` alone means the servers of each domain, which is no smart host."""
    for section, key in (("relay", "smarthost"), ("relay", "fallback")):
        text = getattr(config[section], key)
        if text and not parse_via(text).next_hop:
            yield config.problem(section, key, f"{text} names no server", "write name, name:port or [name]:port")


def held_mail_can_be_called_for(config: Config) -> Iterator[Problem]:
    """Mail is kept for servers; for a program or a mailbox there is nobody who calls."""
    for name, one in config.named("route").items():
        if one.hold and one.via and not parse_via(one.via).transport.has_servers:
            yield config.problem(f"route:{name}", "hold", f"{one.via} never calls for mail", "remove hold, or name a server")
        if one.via and parse_via(one.via).transport is Transport.DISCARD:
            text = f"mail for {name} is thrown away"
            yield config.problem(f"route:{name}", "via", text, "remove the section, if that is not meant", WARNING)


def programs_are_there(config: Config) -> Iterator[Problem]:
    """Programs that a section of ours names, and that a route leads to."""
    named = config.named("pipe")
    for name, one in named.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            yield error(config.place(f"pipe:{name}"), f"{name!r} cannot be the name of a program", "write letters and digits")
        if one.command and not os.access(one.command[0], os.X_OK):
            text = f"{one.command[0]} is not there, or cannot be run"
            yield config.problem(f"pipe:{name}", "command", text, "mail for it waits", WARNING)
        if not one.user:
            text = "the program runs as the server itself, and may read all mail"
            yield warning(config.place(f"pipe:{name}"), text, "set user, and start the server as root with twistd --uid")
    for name, one in config.named("route").items():
        route = parse_via(one.via) if one.via else None
        if route is not None and route.transport is Transport.PIPE and route.next_hop not in named:
            yield config.problem(f"route:{name}", "via", f"there is no [pipe:{route.next_hop}]", f"write a section [pipe:{route.next_hop}]")


def table_leads_to_programs(config: Config) -> Iterator[Problem]:
    """Lines of the route table that name programs. Blocking; what else is wrong with the table is told by others."""
    name = config["relay"].route_table
    if not name:
        return
    path = config.file(name)
    try:
        entries = table.parse(path.read_text("utf-8"))
    except (OSError, ValueError):
        return
    for entry in entries.values():
        route = entry.route
        if route.transport is Transport.PIPE and route.next_hop not in config.named("pipe"):
            text = f"there is no [pipe:{route.next_hop}]"
            yield warning(Place(str(path), entry.number, 1), text, f"mail for {entry.key} waits until there is such a section")


CHECKS = (
    routes_are_of_somebody, second_servers_are_servers, passwords_are_not_overheard, smart_hosts_are_somewhere,
    held_mail_can_be_called_for, programs_are_there,
)  # fmt: skip
