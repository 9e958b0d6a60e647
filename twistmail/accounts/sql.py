"""Accounts in an SQL database (PostgreSQL, MySQL, MariaDB), by queries that the operator writes; Dovecot's work as they are.

[users]                       [sql]
source = sql                  driver = postgresql
                              database = mail
                              password_query = SELECT password FROM users WHERE address = %u
                              user_query = SELECT name, quota FROM users WHERE address = %u

The names of the columns say what they mean (`columns`). Who is in no row of
`user_query` is unknown here; who is in none of `password_query` cannot log in.
One of the two queries is enough. The database is only read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from zope.interface import implementer

from twistmail.accounts.asking import Asking, Connections, Trouble, can_be_asked, lacking
from twistmail.accounts.columns import entry_of
from twistmail.accounts.house import House
from twistmail.accounts.leads import MOST_TARGETS, DirectoryAliases
from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqldrivers import Driver, MySql, PostgreSql, Row
from twistmail.accounts.templates import QUERY, Query
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.options import COUNT, DURATION, TEXT, Option, Section, Settings, choice

MOST_ENTRIES = 200_000
#: By the word for the driver: what talks to it, and the module that it needs.
DRIVERS: dict[str, tuple[Callable[[Any, Settings, str], Driver], str]] = {
    "postgresql": (PostgreSql, "psycopg"),
    "mysql": (MySql, "pymysql"),
}

OPTIONS = Section(
    "sql",
    "Accounts in an SQL database: [users] source = sql. In queries %u is the address, %n what stands before the @, %d the domain.",
    Option("driver", choice(*DRIVERS), "postgresql", "postgresql, or mysql (MariaDB too)."),
    Option("host", TEXT, "localhost", "Where the server is: a host, or the path of a socket (PostgreSQL: of its folder)."),
    Option("port", COUNT, "0", "0: the usual one."),
    Option("database", TEXT, "mail", "Name of the database."),
    Option("user", TEXT, "twistmail", "Who we are there. He needs to read, and nothing else."),
    Option("password", TEXT, "", "His password.", secret=True, example="file:/etc/twistmail/sql.password"),
    Option("tls", choice("auto", "verify", "off"), "auto",
           "verify: TLS, and the certificate must be right. auto: verify where the server is another machine."),
    Option("tls_ca", TEXT, "", "Who has signed its certificate, where the system does not know: a PEM file.", example="/etc/ssl/ca.pem"),
    Option("user_query", QUERY, "", "One row for somebody who has a mailbox: columns user, name, quota, enabled, format, or none of them.",
           example="SELECT name, quota FROM users WHERE address = %u"),
    Option("password_query", QUERY, "", "One row with the column password; in the place of user_query, or beside it.",
           example="SELECT password FROM users WHERE address = %u AND active"),
    Option("password_scheme", TEXT, "", "How passwords are kept that do not say so.", example="SHA512-CRYPT"),
    Option("namesakes_query", QUERY, "", "For logins without a domain: a row with the column user for each who is called %n.",
           example="SELECT address AS user FROM users WHERE local = %n"),
    Option("iterate_query", QUERY, "", "All accounts: rows with the column user, or username and domain. Without it they cannot be listed.",
           example="SELECT address AS user FROM users"),
    Option("alias_query", QUERY, "", "For [aliases] source = sql: rows whose first column is an address that %u stands for, or several.",
           example="SELECT target FROM aliases WHERE address = %u"),
    Option("connections", COUNT, "4", "So many connections at most."),
    Option("timeout", DURATION, "5s", "How long an answer may take; then it is a temporary failure."),
)  # fmt: skip


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    if settings.user_query is None and settings.password_query is None:
        yield "user_query", "the database is asked nothing", "set user_query, password_query, or both"
    yield from _check_driver(settings)


def check_aliases(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """As `check`, for aliases."""
    if settings.alias_query is None:
        yield "alias_query", "the database is asked for no aliases", "write SELECT target FROM aliases WHERE address = %u"
    yield from _check_driver(settings)


def _check_driver(settings: Settings) -> Iterator[tuple[str, str, str]]:
    if missing := lacking(DRIVERS[settings.driver][1], settings.driver):
        yield "driver", *missing


def build_aliases(settings: Settings, house: House) -> DirectoryAliases:
    """The aliases of these settings. ImportError without the extra."""
    source = build(settings, house)
    return DirectoryAliases(source.targets, source.asking, "sql")


def build(settings: Settings, house: House) -> SqlSource:
    """The source of these settings. ImportError without the extra."""
    make, module = DRIVERS[settings.driver]
    driver = make(importlib.import_module(module), settings, str(house.path(settings.tls_ca)) if settings.tls_ca else "")
    connections = house.lasting.keep("sql", settings, lambda: Connections(driver.connect, driver.close, settings.connections))
    asking = Asking("the database", house.reactor, house.lasting.threads("sql", settings.connections), settings.timeout)
    source = ListedSqlSource if settings.iterate_query is not None else SqlSource
    return source(settings, driver, connections, asking, house.default_domain)


@implementer(IAccountSource)
class SqlSource:
    """The accounts that the queries of *settings* find through *connections* of *driver*. An IAccountSource."""

    def __init__(self, settings: Settings, driver: Driver, connections: Connections[Any], asking: Asking, default_domain: str) -> None:
        self._settings = settings
        self._driver = driver
        self._connections = connections
        self.asking = asking
        self._default_domain = default_domain

    async def lookup(self, name: str) -> Entry | None:
        if not can_be_asked(name):
            return None
        columns = await self._ask(partial(self._columns, name))
        return None if columns is None else self._entry(name, columns)

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        if self._settings.namesakes_query is None or not can_be_asked(local):
            return ()
        rows = await self._ask(partial(self._rows, self._settings.namesakes_query, f"{local}@", 2))
        return tuple([entry for row in rows if (entry := await self.lookup(self._named(row))) is not None])

    async def targets(self, name: str) -> tuple[Any, ...]:
        """What alias_query tells of *name*: the first column of each row."""
        rows = await self._ask(partial(self._rows, self._settings.alias_query, name, MOST_TARGETS + 1))
        return tuple(next(iter(row.values())) for row in rows)

    async def _ask(self, question: Any) -> Any:
        return await self.asking.ask(self._connections.use, question)

    # ----- in a thread

    def _rows(self, query: Query, name: str, most: int, connection: Any) -> Sequence[Row]:
        return self._driver.select(connection, query, name, most)

    def _columns(self, name: str, connection: Any) -> Row | None:
        """What is told of *name*; None where there is nobody of that name."""
        user = self._settings.user_query and self._row(connection, self._settings.user_query, name)
        if self._settings.user_query and user is None:
            return None
        password = self._settings.password_query and self._row(connection, self._settings.password_query, name)
        if user is None:
            return password or None
        return (password or {}) | user | ({"password": password["password"]} if password and "password" in password else {})

    def _row(self, connection: Any, query: Query, name: str) -> Row | None:
        rows = self._driver.select(connection, query, name, 2)
        if len(rows) > 1:
            raise Trouble(f"more than one row for {name}")
        return {column.lower(): value for column, value in rows[0].items()} if rows else None

    # ----- rows

    def _entry(self, name: str, columns: Row) -> Entry:
        try:
            return entry_of(name, columns, scheme=self._settings.password_scheme)
        except ValueError as error:
            raise self.asking.unavailable(f"what is told of {name} cannot be understood: {error}") from error

    def _named(self, row: Row) -> str:
        try:
            return entry_of(f"nobody@{self._default_domain}", row).account.name
        except ValueError as error:
            raise self.asking.unavailable(f"a row cannot be understood: {error}") from error


class ListedSqlSource(SqlSource):
    """A source whose accounts can be listed too, by iterate_query."""

    async def list(self) -> tuple[Account, ...]:
        """Of everybody as much as the query tells."""
        rows = await self._ask(partial(self._rows, self._settings.iterate_query, "@", MOST_ENTRIES))
        nobody = f"nobody@{self._default_domain}"
        read = (self.asking.understood(partial(entry_of, nobody, row)) for row in rows)
        return tuple(entry.account for entry in read if entry is not None)
