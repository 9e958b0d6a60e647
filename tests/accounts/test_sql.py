"""Accounts in PostgreSQL and in MariaDB: what rows mean, what a strange name cannot do, and what happens without the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import daemons
from tests.accounts.services import ask, house, sql_settings
from tests.helpers import result_of
from twistmail.accounts.secrets import Entry
from twistmail.interfaces import Unavailable
from twistmail.lasting import Lasting, inline
from twistmail.mail.account import Account
from twistmail.parts import SQL
from twistmail.tasks import Inline

TABLE = """\
DROP TABLE IF EXISTS users;
CREATE TABLE users (address varchar(200) PRIMARY KEY, local varchar(100), full_name varchar(100), secret varchar(200), quota bigint,
                    active boolean, rule varchar(100));
INSERT INTO users VALUES ('ann@here.example', 'ann', 'Ann Ött', '{PLAIN}one', 2147483648, true, '*:storage=2G');
INSERT INTO users VALUES ('bob@blue.example', 'bob', NULL, '{PLAIN}two', NULL, false, NULL);
INSERT INTO users VALUES ('o''hara@here.example', 'o''hara', 'O''Hara', '{PLAIN}three', 0, true, '');
INSERT INTO users VALUES ('bob@here.example', 'bob', '', NULL, NULL, true, 'nonsense');
"""
USER = "SELECT address AS \"user\", full_name AS name, quota, active FROM users WHERE address = '%u'"
PASSWORD = "SELECT secret AS password FROM users WHERE address = %u"
ANN = Entry(Account("ann@here.example", "Ann Ött", 2 << 30), "{PLAIN}one")


@pytest.fixture(params=["postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> tuple[str, daemons.Daemon]:
    """(driver, its server), with TABLE."""
    if request.param == "postgresql":
        daemon = request.getfixturevalue("postgresql")
        daemons.psql(daemon, TABLE)
    else:
        daemon = request.getfixturevalue("mariadb")
        daemons.mariadb_client(daemon, "SET SQL_MODE='ANSI_QUOTES';\n" + TABLE)
    return request.param, daemon


@pytest.fixture
def source(database: tuple[str, daemons.Daemon]) -> Iterator[Callable[..., Any]]:
    """source(option=text, ...): one over the database; by default with both queries."""
    driver, daemon = database
    lasting = inline()

    def make(**texts: str) -> Any:
        queries = {"user_query": _quoted(driver, USER), "password_query": PASSWORD}
        return SQL.build(sql_settings(daemon, driver, **queries | texts), house(lasting))

    yield make
    lasting.stop()


def _quoted(driver: str, query: str) -> str:
    return query if driver == "postgresql" else query.replace('"', "`")


def test_a_row_is_an_account_and_what_is_kept_of_its_password(source: Callable[..., Any]) -> None:
    assert ask(source().lookup("ann@here.example")) == ANN
    assert ask(source().lookup("bob@blue.example")) == Entry(Account("bob@blue.example", enabled=False), "{PLAIN}two")
    assert ask(source().lookup("carol@here.example")) is None


def test_one_query_may_tell_all(source: Callable[..., Any]) -> None:
    query = "SELECT full_name, quota, secret AS password FROM users WHERE address = '%n@%d'"
    assert ask(source(user_query="", password_query=query).lookup("ann@here.example")) == ANN
    assert ask(source(user_query=query, password_query="").lookup("ann@here.example")) == ANN


def test_who_has_no_password_has_a_mailbox_all_the_same(source: Callable[..., Any]) -> None:
    active = PASSWORD + " AND active"
    assert ask(source(password_query=active).lookup("bob@blue.example")) == Entry(Account("bob@blue.example", enabled=False))
    assert ask(source().lookup("bob@here.example")) == Entry(Account("bob@here.example"))


def test_queries_of_dovecot_work_as_they_are(source: Callable[..., Any]) -> None:
    made = source(password_query="SELECT address AS username, secret AS password, rule AS userdb_quota_rule, '/x' AS userdb_home, \\\n"
                                 "  5000 AS userdb_uid FROM users WHERE local = '%Ln' AND address LIKE '%%@%d'".replace("\\\n", "\n"),
                  user_query="")
    assert ask(made.lookup("ann@here.example")) == Entry(Account("ann@here.example", quota=2 << 30), "{PLAIN}one")


def test_passwords_without_a_scheme_are_of_the_one_that_is_set(source: Callable[..., Any]) -> None:
    bare = "SELECT 'c2VjcmV0' AS password FROM users WHERE address = %u"
    assert ask(source(password_query=bare, password_scheme="SSHA256").lookup("ann@here.example")).secret == "{SSHA256}c2VjcmV0"
    assert ask(source(password_scheme="SSHA256").lookup("ann@here.example")).secret == "{PLAIN}one"


@pytest.mark.parametrize("name", [
    pytest.param("x' OR '1'='1", id="always-true"),
    pytest.param("ann@here.example'; DROP TABLE users; --", id="second-statement"),
    pytest.param("ann@here.example' -- ", id="comment"),
    pytest.param("\\' OR 1=1 -- @here.example", id="backslash"),
    pytest.param("%", id="pattern"),
    pytest.param("%s%(x)s{0}$1", id="placeholders"),
    pytest.param("ann@here.example\0", id="nul"),
    pytest.param("ann\n@here.example", id="line-feed"),
    pytest.param("\udcff@here.example", id="no-unicode"),
    pytest.param("¿' OR 1=1 -- ", id="multibyte"),
    pytest.param("", id="nothing"),
    pytest.param("a" * 100_000, id="very-long"),
])  # fmt: skip
def test_no_name_is_more_than_a_name(source: Callable[..., Any], name: str) -> None:
    made = source(namesakes_query=_bare_query())
    assert ask(made.lookup(name)) is None
    assert ask(made.namesakes(name)) == ()
    assert ask(made.lookup("ann@here.example")) == ANN


def _bare_query() -> str:
    return "SELECT address AS account FROM users WHERE local = '%n' ORDER BY address"


@pytest.mark.parametrize("name", ["%", "___@here.example", "ann@%", "a%@here.example", "\\%", "ann@here.example\\"])
def test_a_name_behind_like_is_no_pattern(source: Callable[..., Any], name: str) -> None:
    made = source(user_query=USER_LIKE, namesakes_query="SELECT address AS account FROM users WHERE address LIKE '%n@%%'")
    assert ask(made.lookup(name)) is None
    assert ask(made.namesakes(name)) == ()
    assert ask(made.lookup("ann@here.example"))
    assert len(ask(made.namesakes("bob"))) == 2


USER_LIKE = "SELECT full_name, quota, active FROM users WHERE address LIKE '%u'"


def test_a_quote_in_a_name_finds_who_is_called_so(source: Callable[..., Any]) -> None:
    assert ask(source().lookup("o'hara@here.example")) == Entry(Account("o'hara@here.example", "O'Hara"), "{PLAIN}three")


def test_a_bare_name_means_all_who_are_called_so(source: Callable[..., Any]) -> None:
    made = source(namesakes_query=_bare_query())
    assert [entry.account.name for entry in ask(made.namesakes("bob"))] == ["bob@blue.example", "bob@here.example"]
    assert ask(made.namesakes("ann")) == (ANN,)
    assert ask(source().namesakes("ann")) == ()


def test_accounts_are_listed_where_a_query_lists_them(source: Callable[..., Any]) -> None:
    listed = ask(source(iterate_query="SELECT local AS username, 'here.example' AS domain, quota FROM users WHERE quota > 0").list())
    assert listed == (Account("ann@here.example", quota=2 << 30),)
    assert not hasattr(source(), "list")


@pytest.mark.parametrize(("query", "says"), [
    pytest.param("SELECT nothing FROM users WHERE address = %u", "nothing", id="no-such-column"),
    pytest.param("SELECT address AS account FROM users WHERE address <> %u", "more than one row", id="several-rows"),
    pytest.param("SELECT rule AS quota_rule FROM users WHERE address = %u", "nonsense", id="strange-quota"),
    pytest.param("SELECT local AS enabled FROM users WHERE address = %u", "neither yes nor no", id="strange-switch"),
])  # fmt: skip
def test_a_query_that_does_not_work_is_no_answer(source: Callable[..., Any], logged: list[str], query: str, says: str) -> None:
    made = source(user_query=query)
    with pytest.raises(Unavailable, match=says):
        ask(made.lookup("bob@here.example"))
    with pytest.raises(Unavailable):
        ask(made.lookup("bob@here.example"))
    assert len([line for line in logged if says in line]) == 1
    assert daemons.PASSWORD not in " ".join(logged)


def test_while_the_server_is_away_nobody_is_unknown(database: tuple[str, daemons.Daemon], source: Callable[..., Any]) -> None:
    made = source()
    assert ask(made.lookup("ann@here.example")) == ANN  # and the connection is kept
    with database[1].down():
        for name in ("ann@here.example", "nobody@here.example"):
            with pytest.raises(Unavailable):
                ask(made.lookup(name))
    assert ask(made.lookup("ann@here.example")) == ANN


def test_a_connection_that_was_kept_over_a_restart_of_the_server_does_no_harm(
    database: tuple[str, daemons.Daemon], source: Callable[..., Any]
) -> None:
    made = source()
    assert ask(made.lookup("ann@here.example")) == ANN
    with database[1].down():
        pass
    assert ask(made.lookup("ann@here.example")) == ANN


def test_a_wrong_password_for_the_server_is_no_answer_and_told_nobody(source: Callable[..., Any], logged: list[str]) -> None:
    with pytest.raises(Unavailable):
        ask(source(password="not-the-right-one").lookup("ann@here.example"))
    assert "not-the-right-one" not in " ".join(logged)


@pytest.mark.parametrize(("host", "answers"), [
    pytest.param("localhost", True, id="the-name-in-its-certificate"),
    pytest.param("127.0.0.1", False, id="another-name"),
])  # fmt: skip
def test_the_certificate_of_the_server_must_be_right(
    database: tuple[str, daemons.Daemon], source: Callable[..., Any], host: str, answers: bool
) -> None:
    made = source(host=host, tls="verify", tls_ca=str(database[1].authority))
    if answers:
        assert ask(made.lookup("ann@here.example")) == ANN
    else:
        with pytest.raises(Unavailable):
            ask(made.lookup("ann@here.example"))


def test_a_certificate_that_nobody_knows_is_refused(source: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable):
        ask(source(host="localhost", tls="verify").lookup("ann@here.example"))


def test_a_socket_is_a_place_too(database: tuple[str, daemons.Daemon], source: Callable[..., Any]) -> None:
    place = database[1].place if database[0] == "postgresql" else database[1].place / "socket"
    assert ask(source(host=str(place)).lookup("ann@here.example")) == ANN


def test_what_asks_nothing_is_told_by_the_check() -> None:
    assert [(key, text) for key, text, _ in SQL.check(SQL.options.defaults())] == [("user_query", "the database is asked nothing")]  # type: ignore[union-attr]


def test_a_reload_keeps_the_connections_unless_the_settings_have_changed(database: tuple[str, daemons.Daemon]) -> None:
    driver, daemon = database
    lasting = Lasting(lambda name, most: Inline())

    def made(**texts: str) -> Any:
        return SQL.build(sql_settings(daemon, driver, password_query=PASSWORD, **texts), house(lasting))

    first, second = made(), made()
    assert result_of(first.lookup("ann@here.example"))
    assert first._connections is second._connections
    third = made(timeout="3s")
    assert third._connections is not first._connections
    assert result_of(first.lookup("ann@here.example")), "who has it yet may go on asking"
    lasting.stop()
