"""The mailing lists of the configuration: what `assembly` gives to expansion, policy, queue and the pages, and what it checks of them."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

from twistmail.config.load import CrossCheck
from twistmail.config.problem import WARNING, Problem
from twistmail.config.settled import Config
from twistmail.foundation import Foundation, Standing
from twistmail.lists import sources
from twistmail.lists.book import FILE, Book
from twistmail.lists.courier import ListCourier, Office
from twistmail.lists.mailing_list import Lists, MailingList, Tools
from twistmail.lists.names import Role, called
from twistmail.lists.pages import Pages
from twistmail.lists.settings import BOOK, GROUP
from twistmail.lists.settings import FILE as MEMBERS_FILE
from twistmail.lists.tokens import Tokens
from twistmail.mail.address import Address, parse
from twistmail.mail.circles import Circles
from twistmail.mail.domains import Domains
from twistmail.servers.pages import Folders

#: So that what is signed with the server's own secret for one purpose says nothing about another.
PURPOSE = b"mailing lists"
#: The stage that says at the door who may write to a list (`policy.lists`), and the services that have one.
DOOR, DOORS = "lists", ("mx", "submission", "lmtp")


def lists_of(config: Config, foundation: Standing, domains: Domains, circles: Circles) -> Lists:
    """The lists, as *config* says. *circles*: who is in the groups."""
    ground = foundation.ground
    book = Book(ground.data_dir / FILE)
    tokens = Tokens(hmac.digest(foundation.secret, PURPOSE, "sha256"))
    tools = Tools(book, tokens, ground.threads, ground.epoch, config["lists"].url, domains.names)
    made = []
    for written, settings in config.named("list").items():
        name = whole(written, domains.default)
        found = [_source(config, ground, word, name, circles) for word in settings.members if word != BOOK]
        origin = config.place(f"list:{written}").short
        made.append(MailingList(name, settings, found, tools, in_book=BOOK in settings.members, origin=origin))
    return Lists(made, tools)


def _source(config: Config, ground: Any, word: str, name: Address, circles: Circles) -> Any:
    kind, colon, rest = word.partition(":")
    if colon and kind == MEMBERS_FILE:
        return sources.Listed(ground.watched.file(config.file(rest), sources.read), name.domain, ground.threads)
    if colon and kind == GROUP:
        return sources.Written(word, map(parse, sorted(circles.groups.get(rest, ()))))
    return sources.Written(config.place(f"list:{name}", "members").short, [_in_domain(parse(word), name.domain)])


def whole(text: str, default_domain: str) -> Address:
    """The address that the name of a section means. ValueError where it means none."""
    return _in_domain(parse(text).folded, default_domain)


def _in_domain(address: Address, domain: str) -> Address:
    return address if address.domain else Address(address.local, domain)


def list_courier(config: Config, foundation: Foundation, people: Any) -> ListCourier:
    """What brings mail to lists. *people*: `assembly.People`."""
    ground, runner = foundation.ground, foundation.runner
    office = Office(
        follow=people.expansion.follow,
        submit=runner.submit,
        is_queued=lambda identifier: runner.item(identifier) is not None,
        identifiers=ground.identifiers,
        threads=ground.threads,
        clock=ground.reactor,
        epoch=ground.epoch,
        host=config["server"].hostname,
        has_door=all(DOOR in config[service].stages for service in DOORS),
    )
    return ListCourier(people.lists, office)


def folders(config: Config, courier: ListCourier) -> Folders:
    """The pages where people unsubscribe, below the path that [lists] url has; none where it has none."""
    pages = Pages(courier.lists, courier.requests.leave, config["lists"].url)
    return {pages.path: pages.answer} if config["lists"].url else {}


# ----- what a configuration can get wrong


def lists_are_lists(config: Config) -> Iterator[Problem]:
    """Names that are addresses of ours, and of no other list; groups that there are."""
    local = {*config["domains"].local, *config["domains"].normal, *config.named("domain")}
    names: dict[Address, str] = {}
    for written, settings in config.named("list").items():
        section = f"list:{written}"
        try:
            name = whole(written, "")
        except ValueError as trouble:
            yield config.problem(section, "", str(trouble), "write an address, such as [list:news@blue.example]")
            continue
        if "+" in name.local:
            yield config.problem(section, "", f"{written}: the name of a list has no +", "write another name")
        if name.domain and local and name.domain not in local:
            text = f"{name.domain} is no domain of ours: mail for the list goes elsewhere"
            yield config.problem(section, "", text, "name one of [domains] local", WARNING)
        if (first := names.setdefault(name, section)) != section:
            yield config.problem(section, "", f"{name} is a list already: [{first}]", "remove one of the two sections")
        for word in settings.members:
            kind, colon, rest = word.partition(":")
            if colon and kind == GROUP and rest not in config.named("group"):
                yield config.problem(section, "members", f"there is no group {rest}", f"add [group:{rest}]")
    for name, section in names.items():
        if (other := called(name, names.keys() - {name})) is not None and other.role is not Role.POST:
            text = f"{name} is one of the addresses of the list {other.name}"
            yield config.problem(section, "", text, "write another name")


def lists_have_a_door(config: Config) -> Iterator[Problem]:
    """Services that take mail for lists without asking who may write to them."""
    for service in DOORS if config.named("list") else ():
        if config[service].listen and DOOR not in config[service].stages:
            text = "there are lists, and nobody asks here who may write to them: whoever may not is told by a report, or not at all"
            yield config.problem(service, "stages", text, f"add {DOOR} behind recipients", WARNING)


CHECKS: tuple[CrossCheck, ...] = (lists_are_lists, lists_have_a_door)
