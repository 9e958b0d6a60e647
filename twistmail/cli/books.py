"""The users and domains of a server that does not run, as it would have them (`registrar.Books`)."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

from twistmail import assembly, tasks
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.domains import OPTIONS as DOMAINS
from twistmail.accounts.domains import configured
from twistmail.accounts.sqlite import AccountDatabase, DatabaseSource
from twistmail.cli.dry import finish, own_reactor, standing
from twistmail.cli.folder import prepare
from twistmail.cli.opened import opened
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.config.server import SERVER
from twistmail.config.settled import Config
from twistmail.expansion import Expansion
from twistmail.lists.mailing_list import Lists
from twistmail.mail.domains import Domains


class Files:
    """What the files say. The store is opened when it is asked for, and closed with *stack*."""

    def __init__(self, terminal: Terminal, config: Config, database: AccountDatabase, stack: ExitStack) -> None:
        self.config = config
        self.database = database
        self.reactor = own_reactor()
        self.threads = tasks.Inline()
        self._terminal = terminal
        self._stack = stack
        self._ground = standing(config, self.reactor, database)
        self._people = assembly.people_of(config, self._ground)
        stack.callback(self._ground.ground.lasting.stop)

    @property
    def sources(self) -> tuple[Any, ...]:
        return self._people.accounts.sources  # type: ignore[no-any-return]

    @property
    def domains(self) -> Domains:
        return self._people.domains

    @property
    def expansion(self) -> Expansion:
        return self._people.expansion

    @property
    def lists(self) -> Lists | None:
        return self._people.lists

    @cached_property
    def store(self) -> Any:
        return self._stack.enter_context(opened(Storage(self._terminal)))

    def user_changed(self, name: str) -> None:
        """Nothing is remembered."""

    async def domains_changed(self) -> None:
        self._people = assembly.people_of(self.config, self._ground)

    def finish(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What *coroutine* returns or raises."""
        return finish(self.reactor, coroutine)


class Remains:
    """What there is beside a configuration with mistakes: the database alone."""

    store = expansion = lists = None
    threads = tasks.Inline()

    def __init__(self, config: Config, database: AccountDatabase) -> None:
        self.config = config
        self.database = database
        self.sources = (DatabaseSource(database, tasks.Inline()),)

    @property
    def domains(self) -> Domains:
        hostname = self.config[SERVER.name].hostname or "localhost"
        return Domains([*configured(DOMAINS.defaults(), {}, hostname, lambda section: section), *self.database.domains()])

    def user_changed(self, name: str) -> None:
        """Nothing is remembered."""

    async def domains_changed(self) -> None:
        """They are read anew each time."""

    def finish(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return finish(None, coroutine)


@contextmanager
def books(terminal: Terminal, config: Config, is_whole: bool) -> Iterator[Files | Remains]:
    """The books of *config*; of the database alone where that is not the whole configuration."""
    prepare(terminal, config.data_dir)
    database = AccountDatabase(config.file(config[USERS.name].database))
    with ExitStack() as stack:
        stack.callback(database.close)
        yield Files(terminal, config, database, stack) if is_whole else Remains(config, database)
