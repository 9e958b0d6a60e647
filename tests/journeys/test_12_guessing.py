"""Somebody guesses at passwords: what becomes of him, and of those who share his address; over a reload and a restart."""

from __future__ import annotations

import sys

import pytest
from twisted.internet.address import IPv4Address

from tests.helpers import result_of
from tests.journeys.house import CONFIG, Client
from tests.journeys.test_6_the_service import Running
from twistmail import tasks
from twistmail.operator import Operator

STRICT = CONFIG + "[auth]\nfailures = 3/1m\n"
GUESSER, FRIEND = "198.51.100.66", "192.0.2.7"


class House(Running):
    """A running server: `door(service, address)` is a connection, or what is said to whoever is sent away; `ask` is the control socket."""

    def __init__(self, folder, monkeypatch, text) -> None:
        super().__init__(folder, monkeypatch, text)
        self._verbs = Operator(self.service).verbs()

    def door(self, service: str, address: str) -> Client:
        listener = next(listener for (name, _), listener in self.service.listeners.items() if name == service)
        return Client(self, listener.buildProtocol(IPv4Address("TCP", address, 40_000)))

    def ask(self, verb: str, **arguments):
        results: list = []

        async def asked() -> None:
            results.append(await self._verbs[verb](arguments))

        tasks.shielded(asked())
        self.settle()
        return results[0]

    def guess(self, times: int, address: str = GUESSER, user: str = "") -> None:
        """So many wrong passwords, each on a connection of its own; for anybody, or for *user*."""
        for number in range(times):
            client = self.door("pop3", address)
            client.say(f"USER {user or f'user{number}'}")
            client.say(f"PASS guess{number}{address}")
            if user:
                self.reactor.pass_time(16.0, step=1.0)
            client.leave()

    def log_in(self, address: str, user: str = "ann") -> str:
        """What is said to the right password."""
        client = self.door("pop3", address)
        if client.transport.closed:
            return "sent away"
        client.say(f"USER {user}")
        said = client.say("PASS sesame street")
        if not said:
            self.reactor.pass_time(40.0, step=1.0)
            said = client.heard()
        client.leave()
        return said[0]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """house(text) is a running server in the same folder, stopped at the end."""
    made = []

    def start(text: str = STRICT) -> House:
        made.append(House(tmp_path, monkeypatch, text))
        return made[-1]

    interval = sys.getswitchinterval()
    yield start
    for running in made:
        running.stop()
    sys.setswitchinterval(interval)


def test_who_guesses_is_sent_away_where_one_logs_in_and_nobody_else_is(house) -> None:
    running = house()
    running.guess(3)
    closed = {service: running.door(service, GUESSER).transport.closed for service in ("imap", "pop3", "submission", "mx")}
    assert closed == {"imap": True, "pop3": True, "submission": True, "mx": False}
    assert running.door("imap", GUESSER).transport.value().startswith(b"* BYE ")
    assert running.log_in(FRIEND).startswith("+OK")
    (ban,) = running.ask("ban.list")
    assert (ban["network"], ban["by"], ban["reason"], ban["left_s"] > 800) == (GUESSER, "server", "too many failed logins", True)
    assert ban["turned_away"] >= 3


def test_the_ban_outlives_the_server(house) -> None:
    first = house()
    first.guess(3)
    first.reactor.pass_time(2.0, step=1.0)
    first.stop()
    second = house()
    second.reactor.rightNow = first.reactor.rightNow
    assert second.log_in(GUESSER) == "sent away"
    (ban,) = second.ask("ban.list")
    assert ban["times"] == 1


def test_an_operator_lets_somebody_in_again_who_may_then_log_in(house) -> None:
    running = house()
    running.guess(3)
    assert running.ask("ban.remove", networks=[GUESSER]) == {"lifted": [GUESSER]}
    assert running.log_in(GUESSER).startswith("+OK")


def test_an_operators_ban_holds_for_the_mx_too_and_spares_who_is_in_already(house) -> None:
    running = house()
    inside = running.door("mx", FRIEND)
    running.ask("ban.add", networks=["192.0.2.0/24"], for_s=3600, reason="a bad lot")
    outside = running.door("mx", FRIEND)
    assert outside.transport.closed
    assert outside.transport.value().startswith(b"421 4.7.0 ")
    assert inside.say("NOOP")[0].startswith("250")


def test_a_reload_changes_who_is_spared_and_how_soon_somebody_is_banned(house) -> None:
    running = house()
    running.write(CONFIG + f"[auth]\nfailures = 2/1m\nnever_ban = {GUESSER}\n")
    assert running.service.reload() == ()
    running.guess(4)
    running.guess(2, "198.51.100.67")
    assert [ban["network"] for ban in running.ask("ban.list")] == ["198.51.100.67"]
    assert running.log_in(GUESSER).startswith("+OK")


def test_where_many_guess_at_one_account_its_owner_gets_in(house) -> None:
    running = house()
    assert running.log_in(FRIEND).startswith("+OK")
    for number in range(9):
        running.guess(1, f"198.51.100.{number}", "ann")
    assert running.log_in(FRIEND).startswith("+OK")  # from where he always comes
    assert running.log_in("203.0.113.7").startswith("+OK")  # and from elsewhere, later


def test_who_is_shown_out_is_told_and_is_gone(house) -> None:
    running = house()
    clients = {service: running.door(service, FRIEND) for service in ("imap", "mx")}
    clients["imap"].say('a LOGIN ann "sesame street"')
    running.reactor.pass_time(7.0)
    listed = {one["service"]: one for one in running.ask("session.list")}
    assert (listed["imap"]["user"], listed["imap"]["client"], listed["imap"]["idle_s"]) == ("ann@blue.test", f"{FRIEND}:40000", 7)
    assert running.ask("session.kick", who=["ann@blue.test"])["count"] == 1
    assert clients["imap"].heard() == ["* BYE An operator has ended this session"]
    assert clients["imap"].transport.closed
    assert not clients["mx"].transport.closed
    assert running.ask("session.kick", who=[FRIEND])["count"] == 1
    assert clients["mx"].heard() == ["421 4.3.2 An operator has ended this session"]
    for client in clients.values():
        client.leave()
    assert running.ask("session.list") == []


def test_the_last_login_is_known_after_a_restart(house) -> None:
    first = house()
    first.log_in(FRIEND)
    first.reactor.pass_time(2.0, step=1.0)
    first.stop()
    last = house().service.foundation.doorkeeper.book.last_login("ann@blue.test")
    assert last is not None
    assert (last.service, last.address, last.mechanism) == ("pop3", FRIEND, "USER")


def test_the_verbs_can_be_asked_before_anything_has_happened(house) -> None:
    assert result_of(Operator(house().service).verbs()["ban.list"]({})) == []
