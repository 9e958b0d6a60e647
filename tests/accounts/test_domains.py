"""Where domains come from, and whose users they have."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from twistmail.accounts.domains import DOMAIN_OPTIONS, OPTIONS, DomainBook, configured, parse, problems
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.domains import Domain, Domains
from twistmail.watched import Broken


def found(named: dict[str, dict[str, Any]] | None = None, **settings: Any) -> list[Domain]:
    sections = {name: DOMAIN_OPTIONS.defaults(**one) for name, one in (named or {}).items()}
    return configured(OPTIONS.defaults(**settings), sections, "mx.blue.test", lambda section: section)


@pytest.mark.parametrize(
    ("named", "settings", "names"),
    [
        pytest.param({}, {}, ["blue.test", "mx.blue.test"], id="nothing-said"),
        pytest.param({}, {"local": ("red.test", "tan.test")}, ["red.test", "tan.test"], id="local"),
        pytest.param({"tan.test": {}}, {"normal": ("red.test",)}, ["tan.test", "red.test=tan.test"], id="a-section-is-the-default"),
        pytest.param({}, {"normal": ("red.test", "pink.test")}, ["red.test", "pink.test=red.test"], id="normal-alone"),
        pytest.param(
            {"pink.test": {"same_as": "red.test"}, "red.test": {}},
            {"local": ("tan.test",)},
            ["tan.test", "pink.test=red.test", "red.test"],
            id="alias-domain",
        ),
        pytest.param(
            {"tan.test": {"description": "x"}}, {"local": ("red.test", "tan.test")}, ["red.test", "tan.test"], id="a-section-says-more"
        ),
    ],
)
def test_the_domains_of_the_configuration(named: dict[str, Any], settings: dict[str, Any], names: list[str]) -> None:
    assert [domain.name + (f"={domain.like}" if domain.like else "") for domain in found(named, **settings)] == names


def test_lines_that_are_no_domain_are_told_and_the_others_hold() -> None:
    read = parse("# ours\nBlue.Test\n\nno domain\nbücher.example  # books\n")
    assert read.value == ((2, "blue.test"), (5, "xn--bcher-kva.example"))
    assert [line for line, _ in read.problems] == [4]


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twistmail.accounts.domains.MOST_DOMAINS", 3)
    with pytest.raises(Broken, match="more than 3"):
        parse("a.test\nb.test\nc.test\nd.test\n")


class File:
    """A file whose changes show in its times, however quick they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writes = 0

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._writes += 1
        os.utime(self.path, (self._writes, self._writes))


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "local-host-names")


def book(database: Callable[[], Sequence[Domain]] = lambda: ()) -> DomainBook:
    return DomainBook(database, ())


def test_the_file_is_read_again_when_it_has_changed(file: File) -> None:
    ours = book()
    file.write("new.test\nblue.test\n")
    assert ours.read(found(), file.path).like == {"new.test": "blue.test"}
    file.write("other.test\n")
    assert ours.read(found(), file.path).names == {"blue.test", "mx.blue.test", "other.test"}
    assert ours.read(found(), None).names == {"blue.test", "mx.blue.test"}


def test_a_file_that_is_gone_or_broken_means_what_it_meant(file: File) -> None:
    ours = book()
    file.write("new.test\n")
    ours.read(found(), file.path)
    file.path.write_bytes(b"\xff\xfe\n")
    assert "new.test" in ours.read(found(), file.path).names
    file.path.unlink()
    assert "new.test" in ours.read(found(), file.path).names
    assert problems(file.path)[0][0] == 0


def test_what_the_database_said_stays_while_it_does_not_answer(file: File) -> None:
    answers: list[Any] = [(Domain("green.test"),), Unavailable("locked")]

    def database() -> Sequence[Domain]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    file.write("")
    ours = DomainBook(database, (file.path,), now=lambda: 0)  # no time is past yet: it is asked each time
    assert "green.test" in ours.read(found(), None).names
    assert "green.test" in ours.read(found(), None).names
    assert not answers


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that an AccountDatabase is opened."""
    opened: list[str] = []
    connect = AccountDatabase._connect
    monkeypatch.setattr(AccountDatabase, "_connect", lambda self, patience: opened.append("opened") or connect(self, patience))  # type: ignore[func-returns-value]
    return opened


def later() -> int:
    """Nanoseconds: when all that is written now is past."""
    return time.time_ns() + 3600 * 1_000_000_000


@pytest.mark.parametrize("is_kept_open", [False, True], ids=["alone", "beside-a-reader"])
def test_the_database_is_opened_again_when_somebody_has_changed_it(
    tmp_path: Path, reads: list[str], is_kept_open: bool
) -> None:
    database = AccountDatabase(tmp_path / "accounts.db")
    if is_kept_open:  # the log stays, and grows
        database.with_local("ann")
    ours = DomainBook(database.domains, database.files, later)
    for name in ("one.test", "two.test", "three.test"):
        AccountDatabase(database.path).put_domain(Domain(name))
        assert not ours.is_current(None)
        assert name in ours.read(found(), None).names
        reads.clear()
        for _ in range(3):
            assert ours.is_current(None)
            assert name in ours.read(found(), None).names
        assert reads == []
    database.close()


def test_a_list_of_domains_that_has_changed_is_not_current(file: File) -> None:
    ours = book()
    ours.read(found(), None)
    file.write("new.test\n")
    assert not ours.is_current(file.path)
    ours.read(found(), file.path)
    assert ours.is_current(file.path)
    file.write("old.test\n")
    assert not ours.is_current(file.path)


def test_the_first_source_of_a_domain_counts() -> None:
    domains = Domains([Domain("a.test"), Domain("b.test", "a.test"), Domain("b.test")])
    assert domains.default == "a.test"
    assert domains.like == {"b.test": "a.test"}


def test_an_address_is_known_by_the_names_of_the_domains_behind_it() -> None:
    domains = Domains([Domain("a.test"), Domain("b.test", "a.test"), Domain("c.test", "b.test"), Domain("self.test", "self.test")])
    assert [str(one) for one in domains.spellings(Address("bob", "c.test"))] == ["bob@c.test", "bob@b.test", "bob@a.test"]
    assert domains.spellings(Address("bob", "self.test")) == (Address("bob", "self.test"),)


def test_domains_in_a_circle_end() -> None:
    domains = Domains([Domain("a.test", "b.test"), Domain("b.test", "a.test")])
    assert len(domains.spellings(Address("bob", "a.test"))) < 10
