"""What every IAliasResolver promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests import daemons
from tests.accounts.services import Bridge, http_settings, ldap_settings, sql_settings
from tests.aliases.sources import alias_file, meaning
from tests.helpers import result_of
from twistmail.aliases.book import AliasBook, Kept
from twistmail.aliases.chain import AliasChain
from twistmail.aliases.database import DatabaseAliases
from twistmail.aliases.table import ALIAS, alias_table
from twistmail.interfaces import IAliasResolver, Unavailable
from twistmail.lasting import inline
from twistmail.mail.address import Address, parse
from twistmail.memory.people import MemoryAliases
from twistmail.parts import HTTP_ALIASES, LDAP_ALIASES, SQL_ALIASES
from twistmail.tasks import Inline

DOMAINS = frozenset({"here.example", "blue.example"})
#: What is in each of them.
ALIASES = {
    "flintstone@here.example": ("fred",),
    "authors@here.example": ("tom", "dick", "harry@away.example"),
    "info@blue.example": ("anna@here.example", "info"),
}


def memory(folder: Path) -> Any:
    return MemoryAliases(ALIASES)


def table(folder: Path) -> Any:
    named = {name: ALIAS.defaults(to=tuple(map(parse, targets))) for name, targets in ALIASES.items()}
    return alias_table(named, DOMAINS, meaning())


def file(folder: Path) -> Any:
    path = folder / "aliases"
    path.write_text("".join(f"{name}: {', '.join(targets)}\n" for name, targets in ALIASES.items()))
    return alias_file(path, DOMAINS)


def database(folder: Path) -> Any:
    book = AliasBook(folder / "aliases.db")
    book.put(Kept(parse(name), tuple(map(parse, targets))) for name, targets in ALIASES.items())
    return DatabaseAliases(book, Inline(), DOMAINS, meaning())


def chain(folder: Path) -> Any:
    first = MemoryAliases({"flintstone@here.example": ["fred"]})
    return AliasChain([first, MemoryAliases({**ALIASES, "flintstone@here.example": ["wilma"]})])


@pytest.fixture(params=["memory", "table", "file", "database", "chain", "of_sql", "of_ldap", "of_http"])
def aliases(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    makers: dict[str, Callable[[Path], Any]] = {"memory": memory, "table": table, "file": file, "database": database, "chain": chain}
    return makers[request.param](tmp_path) if request.param in makers else request.getfixturevalue(request.param)


@pytest.fixture
def of_sql(postgresql: daemons.Daemon) -> Iterator[Any]:
    rows = "".join(
        f"INSERT INTO leads VALUES ({number}, '{name}', '{target}');"
        for name, targets in ALIASES.items()
        for number, target in enumerate(targets)
    )
    daemons.psql(postgresql, f"DROP TABLE IF EXISTS leads; CREATE TABLE leads (number integer, address text, target text); {rows}")
    settings = sql_settings(postgresql, "postgresql", alias_query="SELECT target FROM leads WHERE address = '%u' ORDER BY number")
    yield from _built(SQL_ALIASES, settings)


@pytest.fixture
def of_ldap(openldap: daemons.Daemon) -> Iterator[Any]:
    base = f"ou=aliases,{daemons.SUFFIX}"
    if "ou=aliases" not in daemons.ldapsearch(openldap, "(ou=aliases)"):
        entries = "".join(
            f"dn: cn={name},{base}\nobjectClass: nisMailAlias\ncn: {name}\nrfc822MailMember: {', '.join(targets)}\n\n"
            for name, targets in ALIASES.items()
        )
        daemons.ldapadd(openldap, f"dn: {base}\nobjectClass: organizationalUnit\nou: aliases\n\n{entries}")
    settings = ldap_settings(openldap, base=base, alias_filter="(&(objectClass=nisMailAlias)(cn=%u))")
    yield from _built(LDAP_ALIASES, settings)


@pytest.fixture
def of_http() -> Iterator[Any]:
    bridge = Bridge({})
    bridge.aliases = {name: list(targets) for name, targets in ALIASES.items()}
    bridge.start()
    yield from _built(HTTP_ALIASES, http_settings(bridge))
    bridge.stop()


def _built(part: Any, settings: Any) -> Iterator[Any]:
    """*part* as the server makes it."""
    ground = SimpleNamespace(reactor=Clock(), threads=Inline(), lasting=inline(), config=SimpleNamespace(file=Path))
    yield part.build(settings, ground)
    ground.lasting.stop()


def test_it_provides_the_interface(aliases: Any) -> None:
    verifyObject(IAliasResolver, aliases)


@pytest.mark.parametrize("name", ALIASES)
def test_targets_come_in_the_order_in_which_they_were_written(aliases: Any, name: str) -> None:
    assert result_of(aliases.lookup(parse(name))).goals == tuple(parse(target) for target in ALIASES[name])


@pytest.mark.parametrize("address", [
    pytest.param(Address("fred", "here.example"), id="a-target"),
    pytest.param(Address("flintstone", "blue.example"), id="of-another-domain"),
    pytest.param(Address("flintstone+x", "here.example"), id="with-a-suffix"),
    pytest.param(Address("*", "here.example"), id="a-star"),
    pytest.param(Address("x' OR '1'='1", "here.example"), id="that-would-be-sql"),
    pytest.param(Address("x)(cn=*", "here.example"), id="that-would-be-a-filter"),
    pytest.param(Address("x\0", "here.example"), id="with-a-nul"),
])
def test_what_is_no_alias_leads_nowhere(aliases: Any, address: Address) -> None:
    assert result_of(aliases.lookup(address)) is None


class TestWhenItIsAway:
    """A source that cannot be read is never taken for an empty one."""

    def test_memory(self) -> None:
        aliases = MemoryAliases(ALIASES)
        aliases.available = False
        self.is_unavailable(aliases)

    def test_file(self, tmp_path: Path) -> None:
        self.is_unavailable(alias_file(tmp_path / "none", DOMAINS))

    def test_a_chain_with_one_that_is_away_before_one_that_knows(self) -> None:
        away = MemoryAliases()
        away.available = False
        self.is_unavailable(AliasChain([away, MemoryAliases(ALIASES)]))

    @pytest.mark.parametrize(("fixture", "server"), [("of_sql", "postgresql"), ("of_ldap", "openldap")])
    def test_a_directory(self, request: pytest.FixtureRequest, fixture: str, server: str) -> None:
        aliases = request.getfixturevalue(fixture)
        with request.getfixturevalue(server).down():
            self.is_unavailable(aliases)

    @staticmethod
    def is_unavailable(aliases: Any) -> None:
        with pytest.raises(Unavailable):
            result_of(aliases.lookup(Address("flintstone", "here.example")))
