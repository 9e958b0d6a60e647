"""Bans and last logins outlive the server; a book that cannot be read or written keeps nobody out."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail.bans import OPERATOR, Ban, network_in
from twistmail.doorbook import Doorbook, LastLogin
from twistmail.doorkeeper import CLEARING, Doorkeeper
from twistmail.facts import Closed, Fact, LoggedIn

NOW = 1_800_000_000.0
ANN, ADDRESS = "ann@here.example", "192.0.2.7"


class Here:
    """Threads that are none."""

    async def run(self, function, *arguments):
        return function(*arguments)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door.sqlite"


def keeper(path: Path, now: float = NOW) -> Doorkeeper:
    return Doorkeeper(Doorbook(path), lambda: now)


def write(keeper: Doorkeeper) -> None:
    result_of(keeper.write(Here()))


def test_bans_outlive_the_server_with_all_that_is_known_of_them(path: Path) -> None:
    first = keeper(path)
    first.bans.ban(network_in(ADDRESS), "guessing", NOW, 900.0)
    first.bans.put(Ban(network_in("2001:db8::/32"), NOW, None, "a bad lot", OPERATOR))
    write(first)
    assert keeper(path).bans.in_force(NOW) == first.bans.in_force(NOW)
    assert keeper(path, NOW + 900).bans.ban(network_in(ADDRESS), "guessing", NOW + 900, 900.0).times == 2


def test_what_was_lifted_stays_lifted(path: Path) -> None:
    first = keeper(path)
    first.bans.ban(network_in(ADDRESS), "guessing", NOW, 900.0)
    write(first)
    first.bans.lift(network_in(ADDRESS))
    write(first)
    assert len(keeper(path).bans) == 0


def test_the_last_login_of_each_account_is_kept(path: Path) -> None:
    door = keeper(path)
    door.note(Fact(NOW, "c1", LoggedIn(ANN, "PLAIN", "imap", ADDRESS)))
    door.note(Fact(NOW + 5, "c2", LoggedIn(ANN, "USER", "pop3", "192.0.2.9")))
    door.note(Fact(NOW + 6, "c2", Closed("quit", 1, 2)))
    write(door)
    door.note(Fact(NOW + 9, "c3", LoggedIn("bob@here.example", "PLAIN", "submission", ADDRESS)))
    write(door)
    assert Doorbook(path).last_login(ANN) == LastLogin(ANN, NOW + 5, "pop3", "192.0.2.9", "USER")
    assert [one.account for one in Doorbook(path).last_logins()] == [ANN, "bob@here.example"]
    assert Doorbook(path).last_login("nobody@here.example") is None


def test_where_nothing_happens_nothing_is_written_and_nothing_is_there(path: Path) -> None:
    write(keeper(path))
    assert not path.exists()
    assert Doorbook(path).last_login(ANN) is None
    assert Doorbook(path).bans() == ()


def test_the_book_is_for_nobody_elses_eyes(path: Path) -> None:
    Doorbook(path).write({}, [LastLogin(ANN, NOW, "imap", ADDRESS, "PLAIN")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_now_is_written_later_and_is_said_once(path: Path) -> None:
    door = keeper(path)
    path.mkdir()
    door.bans.ban(network_in(ADDRESS), "guessing", NOW, 900.0)
    door.note(Fact(NOW, "c1", LoggedIn(ANN, "PLAIN", "imap", ADDRESS)))
    write(door)
    door.note(Fact(NOW + 1, "c1", LoggedIn(ANN, "PLAIN", "pop3", ADDRESS)))
    write(door)
    path.rmdir()
    door.close()
    last = Doorbook(path).last_login(ANN)
    assert last is not None
    assert last.service == "pop3"
    assert [ban.place for ban in Doorbook(path).bans()] == [ADDRESS]


@pytest.mark.parametrize("content", [
    pytest.param(b"this is no database, not in the least, however long one looks at it" * 20, id="not-a-database"),
    pytest.param(None, id="of-a-later-version"),
])
def test_a_book_that_cannot_be_read_keeps_nobody_out(path: Path, content: bytes | None) -> None:
    if content is None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(content)
    door = keeper(path)
    assert len(door.bans) == 0
    door.bans.ban(network_in(ADDRESS), "guessing", NOW, 900.0)
    write(door)
    assert door.bans.covering(ADDRESS, NOW) is not None


def test_a_line_that_cannot_be_understood_is_left_out(path: Path) -> None:
    Doorbook(path).write({network_in(one): Ban(network_in(one), NOW, None, "") for one in ("192.0.2.1", "192.0.2.2")}, ())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bans SET network = 'nonsense' WHERE network LIKE '192.0.2.1%'")
    assert [ban.place for ban in Doorbook(path).bans()] == ["192.0.2.2"]


def test_what_ended_long_ago_is_cleared_away_from_time_to_time(path: Path) -> None:
    times = [NOW]
    door = Doorkeeper(Doorbook(path), lambda: times[0])
    door.bans.ban(network_in(ADDRESS), "guessing", NOW, 900.0)
    write(door)
    times[0] = NOW + 10 * 86_400 + CLEARING
    write(door)
    assert Doorbook(path).bans() == ()
