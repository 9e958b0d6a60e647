"""What the check says of the sources of accounts and of their sections."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from twistmail.config.load import load
from twistmail.plugins import discover
from twistmail.sections import checks, everything

DISCOVERY = discover()


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "config.ini"
    file.write_text("[server]\nhostname = mx.blue.test\n[mx]\nlisten = tcp:0\n" + text)
    loaded = load(everything(DISCOVERY), file, (), {}, checks(DISCOVERY))
    return [f"{problem.place.short.partition(':')[2]}: {problem.text}" for problem in loaded.problems]


@pytest.mark.parametrize(("text", "says"), [
    pytest.param("[users]\nsource = sqlite\n[sql]\nport = 5\n", [], id="what-nobody-asks-need-not-work"),
    pytest.param("[users]\nsource = sql\n", ["the database is asked nothing"], id="sql-without-a-query"),
    pytest.param("[users]\nsource = sql\n[sql]\nuser_query = SELECT 1 WHERE a = %x\npassword_query = SELECT 2\n",
                 ["%x is not a variable"], id="strange-variable"),
    pytest.param("[users]\nsource = sql\n[sql]\nuser_query = SELECT 1\n    FROM users\n    WHERE a = '%u'\n", [], id="query-of-lines"),
    pytest.param("[users]\nsource = ldap\n[ldap]\nfilter = mail=%u\n", ["mail=%u is not a search filter"], id="strange-filter"),
    pytest.param("[users]\nsource = http\n", ["there is no service to ask"], id="http-without-url"),
    pytest.param("[users]\nsource = http\n[http]\nurl = http://far.test/\n", ["passwords would go over the network in clear"],
                 id="in-clear"),
    pytest.param("[users]\nsource = cred\n[cred]\naccounts = sqlite\n", ["there is no checker to ask"], id="cred-without-checker"),
    pytest.param("[users]\nsource = cred\n[cred]\nchecker = nonsense:x\naccounts = sqlite\n",
                 ["nonsense:x is not a credentials checker", "there is no checker to ask"], id="strange-checker"),
    pytest.param("[users]\nsource = pam\n[pam]\naccounts = sqlite\n", [], id="pam-over-the-database"),
    pytest.param("[users]\nsource = pam:system cred:sqlite\n[cred]\nchecker = memory:a:b\n", [], id="over-what-the-word-says"),
    pytest.param("[users]\nsource = pam:pam\n[pam]\naccounts = sqlite\n", [], id="over-itself-over-the-database"),
    pytest.param("[users]\nsource = pam:systen\n", ["no accounts is called systen"], id="misspelled-in-the-word"),
    pytest.param("[users]\nsource = pam\n[pam]\naccounts = sqllite\n", ["no accounts is called sqllite"], id="misspelled"),
    pytest.param("[users]\nsource = pam\n[pam]\naccounts = pam\n", ["pam leans on itself"], id="on-itself"),
    pytest.param("[users]\nsource = pam\n[pam]\naccounts = sql\n", ["the database is asked nothing"], id="who-is-leant-on-must-work"),
    pytest.param("[users]\nsource = pam\n[pam]\naccounts = cred\n[cred]\nchecker = memory:a:b\naccounts = pam\n",
                 ["cred leans on itself", "pam leans on itself"], id="on-each-other"),
])  # fmt: skip
def test_what_is_wrong_with_a_source(tmp_path: Path, text: str, says: list[str]) -> None:
    found = problems(tmp_path, text)
    assert len(found) == len(says), found
    assert all(any(said in problem for problem in found) for said in says), found


@pytest.mark.parametrize(("source", "module", "extra"), [
    ("sql", "psycopg", "postgresql"), ("sql", "pymysql", "mysql"), ("ldap", "ldap3", "ldap"), ("pam", "pam", "pam"),
])  # fmt: skip
def test_a_missing_package_is_told_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, module: str, extra: str
) -> None:
    find: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    sections = f"[sql]\ndriver = {'mysql' if extra == 'mysql' else 'postgresql'}\nuser_query = SELECT 1\n[pam]\naccounts = sqlite\n"
    (found,) = problems(tmp_path, f"[users]\nsource = {source}\n{sections}")
    assert found.endswith(f"the Python package {module} is not installed")


def test_what_tells_it_where_it_is_written(tmp_path: Path) -> None:
    assert problems(tmp_path, "[users]\nsource = pam\n[pam]\nservice = x\naccounts = nowhere\n") == ["9: no accounts is called nowhere"]
