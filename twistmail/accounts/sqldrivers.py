"""The SQL servers that accounts may be kept in, through their DB-API drivers (extras `postgresql` and `mysql`).

Blocking; called in threads. A value is never pasted into a statement: PostgreSQL
gets it beside the statement (the extended query protocol), MySQL and MariaDB,
whose driver has no such thing, get it as a hexadecimal literal, in which nothing
but the digits 0 to f can stand.
"""

from __future__ import annotations

import ipaddress
import math
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twistmail.accounts.asking import Trouble
from twistmail.accounts.templates import Query
from twistmail.options import Settings

Row = dict[str, Any]


class Driver(Protocol):
    """Talks to one kind of server. Every method may raise Trouble."""

    def connect(self) -> Any:
        """A new connection."""

    def close(self, connection: Any) -> None:
        """End it."""

    def select(self, connection: Any, query: Query, name: str, most: int) -> Sequence[Row]:
        """The first *most* rows of *query* for *name*, by column names."""


def is_here(host: str) -> bool:
    """Is *host* this machine: a socket's path, localhost, or an address of loopback?"""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _verifies(settings: Settings) -> bool:
    return settings.tls == "verify" or (settings.tls == "auto" and not is_here(settings.host))


class PostgreSql:
    """PostgreSQL by psycopg 3. *authorities*: the path of a file, or empty: those of the system."""

    def __init__(self, driver: Any, settings: Settings, authorities: str) -> None:
        self._driver = driver
        milliseconds = math.ceil(settings.timeout * 1000)
        self._words = {
            "host": settings.host or None,
            "port": settings.port or None,
            "dbname": settings.database,
            "user": settings.user or None,
            "password": settings.password or None,
            "connect_timeout": max(2, math.ceil(settings.timeout)),  # libpq takes less than two seconds for two
            "tcp_user_timeout": milliseconds,
            "options": f"-c statement_timeout={milliseconds}",
            "application_name": "twistmail",
            "client_encoding": "UTF8",
            "sslmode": "verify-full" if _verifies(settings) else "disable" if settings.tls == "off" else "prefer",
            "sslrootcert": authorities or ("system" if _verifies(settings) else None),
        }

    def connect(self) -> Any:
        # Autocommit: a connection that is kept holds no transaction open. No prepared statements: poolers know nothing of them.
        return self._answer(lambda: self._driver.connect(**self._words, autocommit=True, prepare_threshold=None))

    def close(self, connection: Any) -> None:
        connection.close()

    def select(self, connection: Any, query: Query, name: str, most: int) -> Sequence[Row]:
        values: list[str] = []

        def parameter(value: str) -> str:
            values.append(value)
            return "%s"

        statement = query.statement(name, parameter, lambda text: text.replace("%", "%%"))

        def run() -> list[Row]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(most)]

        return self._answer(run)

    def _answer(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (self._driver.Error, OSError, ValueError) as error:
            raise Trouble(" ".join(str(error).split())) from error


class MySql:
    """MySQL and MariaDB by PyMySQL. *authorities* as for PostgreSql."""

    def __init__(self, driver: Any, settings: Settings, authorities: str) -> None:
        self._driver = driver
        socket = settings.host if settings.host.startswith("/") else None
        self._words: dict[str, Any] = {
            "host": None if socket else settings.host or "localhost",
            "unix_socket": socket,
            "port": settings.port or 3306,
            "database": settings.database,
            "user": settings.user or None,
            "password": settings.password.encode(),  # the driver would make Latin-1 of it
            "connect_timeout": settings.timeout,
            "read_timeout": settings.timeout,
            "write_timeout": settings.timeout,
            "charset": "utf8mb4",
            "autocommit": True,
            "program_name": "twistmail",
        }
        if _verifies(settings):
            self._words["ssl"] = ssl.create_default_context(cafile=authorities or None)
        elif settings.tls == "off":
            self._words["ssl_disabled"] = True

    def connect(self) -> Any:
        return self._answer(lambda: self._driver.connect(**self._words))

    def close(self, connection: Any) -> None:
        try:
            connection.close()
        except (self._driver.Error, OSError):  # it was dead already
            pass

    def select(self, connection: Any, query: Query, name: str, most: int) -> Sequence[Row]:
        statement = query.statement(name, lambda value: f"_utf8mb4 X'{value.encode().hex()}'")

        def run() -> list[Row]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                names = [column[0] for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(most)]

        return self._answer(run)

    def _answer(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (self._driver.Error, OSError, ValueError) as error:
            raise Trouble(_sentence(error)) from error


def _sentence(error: BaseException) -> str:
    """PyMySQL's (number, text)."""
    numbered = len(error.args) == 2 and isinstance(error.args[0], int)
    return f"{error.args[1]} ({error.args[0]})" if numbered else str(error)
