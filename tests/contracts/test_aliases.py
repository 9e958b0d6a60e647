"""What every IAliasResolver promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from twistmail.aliases.chain import AliasChain
from twistmail.aliases.file import AliasFile
from twistmail.aliases.table import ALIAS, alias_table
from twistmail.interfaces import IAliasResolver, Unavailable
from twistmail.mail.address import Address, parse
from twistmail.memory.people import MemoryAliases
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
    return alias_table({name: ALIAS.defaults(to=tuple(map(parse, targets))) for name, targets in ALIASES.items()}, DOMAINS)


def file(folder: Path) -> Any:
    path = folder / "aliases"
    path.write_text("".join(f"{name}: {', '.join(targets)}\n" for name, targets in ALIASES.items()))
    return AliasFile(path, Inline(), DOMAINS)


def chain(folder: Path) -> Any:
    first = MemoryAliases({"flintstone@here.example": ["fred"]})
    return AliasChain([first, MemoryAliases({**ALIASES, "flintstone@here.example": ["wilma"]})])


@pytest.fixture(params=[memory, table, file, chain], ids=lambda maker: maker.__name__)
def aliases(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: Callable[[Path], Any] = request.param
    return make(tmp_path)


def test_it_provides_the_interface(aliases: Any) -> None:
    verifyObject(IAliasResolver, aliases)


@pytest.mark.parametrize("name", ALIASES)
def test_targets_come_in_the_order_in_which_they_were_written(aliases: Any, name: str) -> None:
    assert result_of(aliases.lookup(parse(name))) == tuple(parse(target) for target in ALIASES[name])


@pytest.mark.parametrize("address", [
    pytest.param(Address("fred", "here.example"), id="a-target"),
    pytest.param(Address("flintstone", "blue.example"), id="of-another-domain"),
    pytest.param(Address("flintstone+x", "here.example"), id="with-a-suffix"),
    pytest.param(Address("*", "here.example"), id="a-star"),
])
def test_what_is_no_alias_leads_nowhere(aliases: Any, address: Address) -> None:
    assert result_of(aliases.lookup(address)) == ()


class TestWhenItIsAway:
    """A source that cannot be read is never taken for an empty one."""

    def test_memory(self) -> None:
        aliases = MemoryAliases(ALIASES)
        aliases.available = False
        self.is_unavailable(aliases)

    def test_file(self, tmp_path: Path) -> None:
        self.is_unavailable(AliasFile(tmp_path / "none", Inline(), DOMAINS))

    def test_a_chain_with_one_that_is_away_before_one_that_knows(self) -> None:
        away = MemoryAliases()
        away.available = False
        self.is_unavailable(AliasChain([away, MemoryAliases(ALIASES)]))

    @staticmethod
    def is_unavailable(aliases: Any) -> None:
        with pytest.raises(Unavailable):
            result_of(aliases.lookup(Address("flintstone", "here.example")))
