"""The policy of a server that does not run: as much of it as can be built beside its files, asked once.

Nothing is opened but the accounts' database, nothing is listened on, nothing is
written. The DNS is asked by a reactor of our own, which runs until the answer
is there.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from twistmail import assembly, explaining, route_views, tasks
from twistmail.accounts.domains import DomainBook
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.accounts.verified import Verifier
from twistmail.config.settled import Config
from twistmail.delivering import commands_of
from twistmail.dry_run import DryRun, read
from twistmail.facts import Facts
from twistmail.foundation import SECRET, Ground, Standing, build
from twistmail.lasting import inline
from twistmail.mail.address import parse
from twistmail.mail.ids import identifiers
from twistmail.plugins import discover
from twistmail.policy.greylist import Greylist
from twistmail.policy.ledger import Ledger
from twistmail.policy.pipeline import Pipeline
from twistmail.policy.popauth import PopAuth
from twistmail.receiving import trial
from twistmail.relay.terms import AsRouted
from twistmail.routing import routes_of
from twistmail.tables import Tables
from twistmail.terms import Terms
from twistmail.understudies import Piper
from twistmail.watched import WatchedFiles


def asked(config: Config, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of `dry_run.DryRun` to the question in *arguments*. ValueError where it is none, LookupError for a strange account."""
    question = read(arguments)
    with _stood(config) as (reactor, stands):
        people = assembly.people_of(config, stands)
        policy = trial(Pipeline, question.role, config, stands, people)

        async def run() -> dict[str, Any]:
            account = await people.accounts.find(parse(question.login).folded) if question.login else None
            if question.login and account is None:
                raise LookupError(f"there is no account {question.login}")
            return await DryRun(policy, people.expansion, question, account).run()

        return finish(reactor, run())


def tables(config: Config) -> list[dict[str, str]]:
    """What `table.list` would say."""
    with _stood(config) as (_, stands):
        return Tables(config, assembly.people_of(config, stands)).names()


def queried(config: Config, name: str, key: str) -> dict[str, Any]:
    """What `table.query` would say. control.Refusal."""
    with _stood(config) as (reactor, stands):
        return finish(reactor, Tables(config, assembly.people_of(config, stands)).query(name, key))  # type: ignore[no-any-return]


def routed(config: Config, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What `route.show` would say, as far as that does not take what a running server has learned. control.Refusal."""
    with _stood(config) as (reactor, stands):
        people = assembly.people_of(config, stands)
        routes = routes_of(config, stands.ground, build("lookup", config["dns"].use, stands.ground, config=config))
        return finish(reactor, route_views.asked(  # type: ignore[no-any-return]
            route_views.Desk(people.expansion, routes, AsRouted(), people.leaving), arguments))


def explained(config: Config, arguments: Mapping[str, Any], message: bytes | None) -> dict[str, Any]:
    """What `explain.show` would say, but for what only a running server knows: how full it is. control.Refusal."""
    with _stood(config) as (reactor, stands):
        people = assembly.people_of(config, stands)
        stands.ground.terms.accounts = people.accounts
        names = frozenset({*config.named("pipe"), *commands_of(config, None)})
        stands = replace(stands, ground=replace(stands.ground, piper=Piper(names)))
        routes = routes_of(config, stands.ground, build("lookup", config["dns"].use, stands.ground, config=config))
        desk = route_views.Desk(people.expansion, routes, AsRouted(), people.leaving)
        return finish(reactor, explaining.explained(explaining.House(config, stands, people, desk), arguments, message))  # type: ignore[no-any-return]


def asking(config: Config, question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """What *question*(lookup) returns or raises, where *lookup* (INameLookup) is that of the configuration."""
    with _stood(config) as (reactor, stands):
        return finish(reactor, question(build("lookup", config["dns"].use, stands.ground, config=config)))


@contextmanager
def _stood(config: Config) -> Iterator[tuple[SelectReactor, Standing]]:
    """A reactor of our own, and what the policy and the people stand on."""
    reactor = own_reactor()
    with _database(config) as database:
        stands = standing(config, reactor, database)
        try:
            yield reactor, stands
        finally:
            stands.ground.lasting.stop()


@contextmanager
def _database(config: Config) -> Iterator[AccountDatabase]:
    """The accounts; where the server has made none yet, an empty one that nobody sees."""
    path = config.file(config["users"].database)
    with tempfile.TemporaryDirectory(prefix="twistmail-") as folder:
        database = AccountDatabase(path if path.exists() else Path(folder) / "accounts")
        try:
            yield database
        finally:
            database.close()


def standing(config: Config, reactor: Any, database: AccountDatabase) -> Standing:
    """What the people of a server stand on, without the server. Only *database* is open."""
    threads: Any = tasks.Inline()
    ground = Ground(
        config=config,
        reactor=reactor,
        data_dir=config.data_dir,
        committer=None,  # type: ignore[arg-type]  # nothing is written
        threads=threads,
        facts=Facts(),
        epoch=time.time,
        clock=reactor,
        identifiers=identifiers(time.time, 0),
        random=random.Random(),
        discovery=discover(),
        terms=Terms(config["store"]),
        watched=WatchedFiles(threads),
        ledger=Ledger(),
        lasting=inline(),
    )
    return Standing(ground, database, Verifier(threads, time.monotonic, b""), _secret(config), PopAuth(ground.facts, reactor.seconds),
                    Greylist(None, time.time), DomainBook(database.domains, database.files))


def _secret(config: Config) -> bytes:
    """What the server signs with, so that addresses that it has made are known; nothing where there is none, or we may not read it."""
    try:
        return (config.data_dir / SECRET).read_bytes()
    except OSError:
        return b""


def own_reactor() -> SelectReactor:
    """One that nobody else has, for a while."""
    return SelectReactor()


def finish(reactor: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What *coroutine* returns or raises; *reactor* runs while it waits."""
    results: list[Any] = []

    def ended(result: Any) -> None:
        results.append(result)
        if reactor is not None and reactor.running:
            reactor.stop()

    tasks.shielded(coroutine).addBoth(ended)
    if not results:
        reactor.run(installSignalHandlers=False)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
