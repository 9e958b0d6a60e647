"""Alias files that change, break, and ask for what is not done here; rows R24 to R30."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.aliases.sources import alias_file, meaning
from tests.helpers import result_of
from twistmail.aliases.file import AliasFile
from twistmail.aliases.table import ALIAS, OPTIONS, AliasTable, alias_table
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse

DOMAINS = frozenset({"dom1.test", "dom2.test"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "aliases"
    path.write_text("flintstone: fred\ninfo@dom2.test: anna\ninfo: bert\n")
    return path


def lookup(aliases: AliasFile | AliasTable, address: str) -> list[str]:
    step = result_of(aliases.lookup(parse(address).folded))
    return [str(goal) for goal in step.goals] if step else []


def test_a_name_without_domain_holds_in_every_local_domain_and_in_no_other(path: Path) -> None:
    aliases = alias_file(path, DOMAINS)
    assert lookup(aliases, "Flintstone@dom1.test") == ["fred"]
    assert lookup(aliases, "flintstone@dom2.test") == ["fred"]
    assert lookup(aliases, "flintstone@far.test") == []


def test_a_full_address_goes_before_a_bare_name(path: Path) -> None:
    aliases = alias_file(path, DOMAINS)
    assert lookup(aliases, "info@dom2.test") == ["anna"]
    assert lookup(aliases, "info@dom1.test") == ["bert"]


def test_an_edited_file_counts_for_the_next_message(path: Path) -> None:
    aliases = alias_file(path, DOMAINS)
    lookup(aliases, "info@dom1.test")
    path.write_text("flintstone: wilma\n")
    os.utime(path, (1, 1))
    assert lookup(aliases, "flintstone@dom1.test") == ["wilma"]
    assert lookup(aliases, "info@dom1.test") == []


def test_a_syntax_error_leaves_the_old_aliases(path: Path) -> None:
    aliases = alias_file(path, DOMAINS)
    lookup(aliases, "info@dom1.test")
    path.write_text("flintstone: wilma\nnonsense\n")
    os.utime(path, (1, 1))
    assert lookup(aliases, "flintstone@dom1.test") == ["fred"]


def test_a_syntax_error_at_the_start_is_unavailable_and_never_empty(path: Path) -> None:
    path.write_text("nonsense\n")
    with pytest.raises(Unavailable, match="line 1"):
        lookup(alias_file(path, DOMAINS), "flintstone@dom1.test")


def test_an_entry_that_is_refused_makes_its_mail_wait_and_no_other(path: Path) -> None:
    path.write_text('vacation: "|vacation fred", fred\nflintstone: fred\n')
    aliases = alias_file(path, DOMAINS)
    assert lookup(aliases, "flintstone@dom1.test") == ["fred"]
    with pytest.raises(Unavailable, match=r":1 leads to a program, which is not allowed"):
        lookup(aliases, "vacation@dom1.test")


def test_what_is_refused_is_logged_once_with_its_line(path: Path, logged: list[str]) -> None:
    path.write_text("flintstone: fred,\n  /var/mail/archive\n")
    aliases = alias_file(path, DOMAINS)
    for _ in range(3):
        lookup(aliases, "info@dom1.test")
    assert logged == [f"{path}:2: flintstone leads to a file, which is not allowed ([aliases] files = yes); mail for it has to wait"]


def test_entries_can_be_listed_with_their_lines(path: Path) -> None:
    entries = result_of(alias_file(path, DOMAINS).listed())
    assert [(entry.name, entry.origin) for entry in entries] == [
        ("flintstone", f"{path}:1"), ("info@dom2.test", f"{path}:2"), ("info", f"{path}:3")]


def test_the_configuration_s_own_aliases() -> None:
    to = ALIAS.option("to").kind.read("anna@blue.example,\nbert")  # type: ignore[union-attr]
    aliases = alias_table({"Info": ALIAS.defaults(to=to)}, DOMAINS, meaning())
    assert lookup(aliases, "info@dom1.test") == ["anna@blue.example", "bert"]
    assert [entry.address for entry in result_of(aliases.listed())] == [Address("info")]


def test_an_alias_must_lead_somewhere() -> None:
    with pytest.raises(ValueError, match="lead somewhere"):
        ALIAS.option("to").kind.read("")  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "sources"), [
    pytest.param("config file:/etc/aliases", ("config", "file:/etc/aliases"), id="both"),
    pytest.param("", (), id="none"),
    pytest.param("ldap:main", ("ldap:main",), id="a-plugin's"),
])
def test_sources_are_read(text: str, sources: tuple[str, ...]) -> None:
    assert OPTIONS.option("source").kind.read(text) == sources  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["file", "file:", ":/etc/aliases"])
def test_what_is_no_source_is_said_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="write config"):
        OPTIONS.option("source").kind.read(text)  # type: ignore[union-attr]
