"""What every IAccountSource promises, whether it reads a file or asks a server elsewhere.

In each: Ann (2 GiB), Bob in another domain, and off, who cannot log in; all have PASSWORD.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from zope.interface.verify import verifyObject

from tests import daemons
from tests.accounts.services import Bridge, house, http_settings, ldap_settings, sql_settings
from tests.contracts import people
from tests.contracts.people import ANN, BOB, NOBODYS, OFF, PASSWORD
from tests.helpers import result_of
from twistmail.accounts import passwords
from twistmail.accounts.cred import CredSource
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, TableSource
from twistmail.interfaces import IAccountSource, Unavailable
from twistmail.lasting import inline
from twistmail.parts import HTTP, LDAP, SQL
from twistmail.tasks import Inline

ALL = (ANN, BOB, OFF)
STORED = "{PLAIN}" + PASSWORD


@dataclass
class Place:
    """A source, and how to put it out of reach (None: it cannot be)."""

    source: Any
    down: Callable[[], AbstractContextManager[None]] | None = None


@pytest.fixture(autouse=True)
def quick_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "NOBODYS", NOBODYS)


# ----- each kind


def _of(maker: Callable[[Path], Any]) -> Callable[[pytest.FixtureRequest, Path, ExitStack], Place]:
    """The one source of the people that *maker* makes."""
    return lambda request, folder, stack: Place(maker(folder).sources[0])


def cred(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    checker = InMemoryUsernamePasswordDatabaseDontUse(**{account.name: PASSWORD.encode() for account in ALL})
    away = ConnectionRefusedError("it is away")

    @contextmanager
    def down() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, "entry", _raising(Unavailable("away")))
            patch.setattr(checker, "requestAvatarId", _raising(away))
            yield

    table = FixedTable(Entry(account, "{PLAIN}other") for account in ALL)
    return Place(CredSource(checker, TableSource(table, Inline())), down)


def _raising(error: Exception) -> Callable[..., Any]:
    def raise_it(*arguments: Any) -> Any:
        raise error

    return raise_it


def postgresql(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    daemon = request.getfixturevalue("postgresql")
    daemons.psql(daemon, TABLE)
    return _sql(daemon, "postgresql", stack)


def mariadb(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    daemon = request.getfixturevalue("mariadb")
    daemons.mariadb_client(daemon, TABLE)
    return _sql(daemon, "mysql", stack)


TABLE = "DROP TABLE IF EXISTS people;\nCREATE TABLE people (address varchar(200), quota bigint, enabled boolean);\n" + "".join(
    f"INSERT INTO people VALUES ('{account.name}', {account.quota or 'NULL'}, {str(account.enabled).lower()});\n" for account in ALL
)


def _sql(daemon: daemons.Daemon, driver: str, stack: ExitStack) -> Place:
    lasting = inline()
    stack.callback(lasting.stop)
    settings = sql_settings(
        daemon, driver, user_query="SELECT quota, enabled FROM people WHERE address = '%u'",
        password_query=f"SELECT '{STORED}' AS password FROM people WHERE address = '%n@%d'",
        namesakes_query="SELECT address AS account FROM people WHERE address LIKE '%n@%%'",
        iterate_query="SELECT address AS account, quota, enabled FROM people",
    )  # fmt: skip
    return Place(SQL.build(settings, house(lasting)), daemon.down)


def ldap_bind(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    return _ldap(request, stack, password="bind")


def ldap_attribute(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    return _ldap(request, stack, password="attribute", bind_dn=daemons.MANAGER)


def _ldap(request: pytest.FixtureRequest, stack: ExitStack, **texts: str) -> Place:
    daemon = request.getfixturevalue("openldap")
    base = f"ou=contract,{daemons.SUFFIX}"
    if "ou=contract" not in daemons.ldapsearch(daemon, "(ou=contract)"):
        daemons.ldapadd(daemon, f"dn: {base}\nobjectClass: organizationalUnit\nou: contract\n\n" + "".join(map(_person, ALL)))
    lasting = inline()
    stack.callback(lasting.stop)
    words = {"base": base, "attributes": "mail=user carLicense=quota employeeType=enabled"}
    return Place(LDAP.build(ldap_settings(daemon, **words, **texts), house(lasting)), daemon.down)


def _person(account: Any) -> str:
    secret = base64.b64encode(PASSWORD.encode()).decode()
    quota = f"carLicense: {account.quota}\n" if account.quota else ""
    return (f"dn: uid={account.local},ou=contract,{daemons.SUFFIX}\nobjectClass: inetOrgPerson\nuid: {account.local}\ncn: x\nsn: x\n"
            f"mail: {account.name}\n{quota}employeeType: {'yes' if account.enabled else 'no'}\nuserPassword:: {secret}\n\n")  # fmt: skip


def http_verify(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    return _http(stack, {}, password="verify")


def http_stored(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Place:
    return _http(stack, {"password": STORED}, password="stored")


def _http(stack: ExitStack, members: dict[str, Any], **texts: str) -> Place:
    bridge = Bridge({one.name: (PASSWORD, members | {"user": one.name, "quota": one.quota, "enabled": one.enabled}) for one in ALL})
    bridge.start()
    lasting = inline()
    stack.callback(bridge.stop)
    stack.callback(lasting.stop)
    return Place(HTTP.build(http_settings(bridge, **texts), house(lasting)), bridge.down)


KINDS = {
    "sqlite": _of(people.sqlite), "passwd": _of(people.passwd_file), "config": _of(people.config), "cred": cred,
    "postgresql": postgresql, "mariadb": mariadb, "ldap-bind": ldap_bind, "ldap-attribute": ldap_attribute,
    "http-verify": http_verify, "http-stored": http_stored,
}  # fmt: skip


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield KINDS[request.param](request, tmp_path, stack)


@pytest.fixture
def source(place: Place) -> Any:
    return place.source


# ----- what they promise


def test_it_provides_the_interface(source: Any) -> None:
    verifyObject(IAccountSource, source)


def test_an_address_finds_its_entry(source: Any) -> None:
    for account in ALL:
        assert result_of(source.lookup(account.name)).account == account


@pytest.mark.parametrize("name", [
    pytest.param("carol@here.example", id="unknown-name"),
    pytest.param("ann@blue.example", id="of-another-domain"),
    pytest.param("ann", id="without-domain"),
    pytest.param("@here.example", id="without-name"),
    pytest.param("", id="nothing"),
    pytest.param("ann+x@here.example", id="with-a-suffix"),
    pytest.param("a' OR '1'='1@here.example", id="that-would-be-sql"),
    pytest.param("ann@here.example' -- ", id="that-would-be-a-comment"),
    pytest.param("%@here.example", id="that-would-be-a-pattern"),
    pytest.param("*@here.example", id="that-would-be-a-filter"),
    pytest.param("ann@here.example)(mail=*", id="that-would-be-a-second-filter"),
    pytest.param("../ann@here.example", id="that-would-be-a-path"),
    pytest.param('ann@here.example", "name": "bob@blue.example', id="that-would-be-json"),
    pytest.param("ann@here.example\0", id="with-a-nul"),
    pytest.param("ann@here.example\r\nX: y", id="with-line-ends"),
    pytest.param("\udcff@here.example", id="with-half-a-character"),
    pytest.param("x" * 100_000, id="very-long"),
])  # fmt: skip
def test_any_other_name_finds_nobody(source: Any, name: str) -> None:
    assert result_of(source.lookup(name)) is None


def test_a_local_part_means_who_has_it(source: Any) -> None:
    assert [entry.account for entry in result_of(source.namesakes("ann"))] == [ANN]
    assert result_of(source.namesakes("carol")) == ()
    assert result_of(source.namesakes("x' OR '1'='1")) == ()
    assert result_of(source.namesakes("*")) == ()
    assert result_of(source.namesakes("")) == ()


def test_all_accounts_are_listed(source: Any) -> None:
    assert set(result_of(source.list())) == set(ALL)


@pytest.mark.parametrize(("login", "password", "account"), [
    pytest.param("ann@here.example", PASSWORD, ANN, id="right"),
    pytest.param("ann", PASSWORD, ANN, id="bare-name"),
    pytest.param("bob@blue.example", PASSWORD, BOB, id="in-another-domain"),
    pytest.param("ann@here.example", "wrong", None, id="wrong"),
    pytest.param("ann@here.example", "", None, id="empty"),
    pytest.param("ann@here.example", PASSWORD + "\0", None, id="with-a-nul"),
    pytest.param("off@here.example", PASSWORD, None, id="disabled"),
    pytest.param("carol@here.example", PASSWORD, None, id="unknown"),
])  # fmt: skip
def test_people_of_it_log_in(source: Any, login: str, password: str, account: Any) -> None:
    assert result_of(people.people(source).authenticate(login, password)) == account


def test_an_entry_without_a_secret_is_judged_by_the_source(source: Any) -> None:
    entry = result_of(source.lookup(ANN.name))
    assert bool(entry.secret) != hasattr(source, "verify")


def test_while_it_is_away_nobody_is_unknown_and_no_later_source_is_asked(place: Place) -> None:
    if place.down is None:
        pytest.skip("it is here, and cannot be away")
    later = TableSource(FixedTable([Entry(ANN, "{PLAIN}later")]), Inline())
    both = people.people(place.source, later)
    with place.down():
        for name in (ANN.name, "carol@here.example"):
            with pytest.raises(Unavailable):
                result_of(place.source.lookup(name))
        with pytest.raises(Unavailable):
            result_of(both.authenticate(ANN.name, "later"))
        with pytest.raises(Unavailable):
            result_of(both.authenticate("carol@here.example", "later"))
    assert result_of(both.authenticate(ANN.name, PASSWORD)) == ANN
