"""What judges and takes over the messages of a mail service, as the configuration says: its stages, and its Reception.

`assembly` builds both for the services, `rehearsal` once more for messages that
nobody sends, with stand-ins for what keeps mail.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from twistmail.config.settled import Config
from twistmail.expansion import Expansion
from twistmail.facts import Facts
from twistmail.foundation import Foundation, Standing
from twistmail.foundation import build as part
from twistmail.mail.envelope import Role
from twistmail.mailflow import Dispatch, Reception
from twistmail.plugins import POLICY_STAGE
from twistmail.policy import copies
from twistmail.policy.access import Access
from twistmail.policy.access_file import parse as parse_access
from twistmail.policy.copies import Copies
from twistmail.policy.greylist import Onlooker
from twistmail.policy.identities import Identities
from twistmail.policy.ledger import Spectator
from twistmail.policy.pipeline import House, Pipeline
from twistmail.policy.sent import SentCopies
from twistmail.quota_watch import room_for
from twistmail.relay.ours import addresses_of_this_machine
from twistmail.way_out import leaving_of

P = TypeVar("P", bound=Pipeline)

#: The special use of the mailbox for what was sent (RFC 6154 §2).
SENT = "\\Sent"


def reception_of(role: Role, config: Config, foundation: Any, people: Any, dispatch: Dispatch, policy: Pipeline) -> Reception:
    """What takes messages over. Of *foundation* its ground, store, queue and runner are used; *people*: `assembly.People`."""
    return Reception(
        config["server"].hostname,
        policy,
        people.expansion,
        dispatch,
        foundation.runner.submit,
        foundation.ground.epoch,
        foundation.ground.facts,
        sent=_sent_copies(foundation, people) if role is Role.SUBMISSION else None,
        room_for=foundation.queue.room_for,
        canonical=people.canonical if people.canonical.any else None,
        copies=_copies(config, foundation, people.expansion),
    )


def _copies(config: Config, foundation: Any, expansion: Expansion) -> Copies | None:
    """What tells who gets copies by rule; None where there are no rules."""
    settings, watched = config["copies"], foundation.ground.watched
    senders, recipients = (
        watched.file(config.file(name), copies.parse) if name else None for name in (settings.of_senders, settings.of_recipients)
    )
    return Copies(expansion, settings.always, senders, recipients) if settings.always or senders or recipients else None


def _sent_copies(foundation: Any, people: Any) -> SentCopies | None:
    """What files the mail that is sent as a role; None where there is no role."""

    async def folder_of(account: str) -> str:
        with suppress(OSError):
            for folder in await (await foundation.store.mailboxes(account)).folders():
                if SENT in folder.uses:
                    return str(folder.name)
        return SENT.removeprefix("\\")

    circles = people.circles
    return SentCopies(Identities(people.expansion, None, circles), circles, folder_of) if circles.roles else None


def trial(kind: type[P], role: Role, config: Config, foundation: Standing, people: Any) -> P:
    """The stages of a service once more, for questions without a connection: what these count and tell, nobody else hears of.

    They know what users have sent, and nothing of what the real stages have counted themselves.
    """
    ground = replace(foundation.ground, ledger=Spectator(foundation.ground.ledger))
    aside = replace(foundation, ground=ground, greylist=Onlooker(foundation.greylist))
    outside = replace(people, leaving=leaving_of(config, aside, people.domains, people.canonical), lists=people.lists.aside())
    return policy_of(role, config, aside, outside, part("lookup", config["dns"].use, ground, config=config), Facts(), kind)


def policy_of(
    role: Role, config: Config, foundation: Standing, people: Any, lookup: Any, facts: Facts, kind: type[P] = Pipeline  # type: ignore[assignment]
) -> P:
    """The stages of a service in their order, whoever brings them, in a pipeline of this *kind*."""
    ground, settings = foundation.ground, config[role.value]
    house = House(
        hostname=config["server"].hostname,
        role=role,
        settings=settings,
        local_domains=people.expansion.local_domains,
        expansion=people.expansion,
        accounts=people.accounts,
        lookup=lookup,
        facts=facts,
        clock=ground.reactor,
        epoch=ground.epoch,
        identifiers=ground.identifiers,
        folder=ground.data_dir if ground.data_dir.is_dir() else None,
        own_addresses=addresses_of_this_machine,
        access=_access(config, foundation, lookup),
        popauth=foundation.popauth,
        greylist=foundation.greylist,
        watched=ground.watched,
        path=config.file,
        threads=ground.threads,
        ledger=ground.ledger,
        circles=people.circles,
        leaving=people.leaving,
        lists=people.lists,
        room_for=partial(room_for, foundation.store, ground.terms) if isinstance(foundation, Foundation) else None,
    )
    stages: list[Any] = []
    for word in settings.stages:
        built = part(POLICY_STAGE, word, ground, house, config)
        stages += built if isinstance(built, tuple | list) else [built]
    return kind(stages, ground.reactor)


def _access(config: Config, foundation: Standing, lookup: Any) -> Access | None:
    """The house's access list; None where it has none."""
    name = config["access"].file
    return Access(foundation.ground.watched.file(config.file(name), parse_access), lookup, foundation.ground.reactor) if name else None
