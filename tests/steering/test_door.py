"""The queue's door: who of this machine sees what, and may have it tried again (R36, R37)."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from twisted.internet.testing import StringTransport

from tests.steering.town import Town, item
from twistmail import own_passwords
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.steering.door import PAUSE, QueueDoor

ANNA, BERT, ROOT, CLOSED, UNKNOWN = 1000, 1001, 0, 1002, None
ACCOUNTS = {ANNA: Account("anna@blue.example"), BERT: Account("bert@blue.example")}


class Door:
    """Of a queue with two messages of Anna, of which one is said to be by somebody else, and one of Bert."""

    def __init__(self, folder, monkeypatch):
        self.town = Town(folder).holding(
            item("i1", sender="anna@blue.example", account="anna@blue.example"),
            item("i2", sender="list@blue.example", account="anna@blue.example"),
            item("i3", "x@red.example", sender="anna@blue.example", account="bert@blue.example"),
        )
        self.settings = SimpleNamespace(users_see="own", users_flush="own")
        self.broken = False
        self.factory = QueueDoor(self.town.clock, self.town.desk, self.recognize, lambda: self.settings)
        self.user = ANNA
        monkeypatch.setattr(own_passwords, "user_of", lambda _: self.user)

    async def recognize(self, user):
        if self.broken:
            raise Unavailable("the directory is away")
        return ACCOUNTS.get(user)

    def connect(self):
        protocol, transport = self.factory.buildProtocol(None), StringTransport()
        transport.socket = None
        protocol.makeConnection(transport)
        return protocol, transport

    def ask(self, user, verb, **arguments):
        """The lines of the answer."""
        self.user = user
        protocol, transport = self.connect()
        protocol.dataReceived(json.dumps({"verb": verb, "args": arguments}).encode() + b"\n")
        for _ in range(20):
            self.town.clock.advance(0)
        said = [json.loads(line) for line in transport.value().splitlines()]
        protocol.connectionLost()
        return said

    def seen(self, user, **arguments):
        *parts, end = self.ask(user, "queue.list", **arguments)
        return [row["id"] for part in parts for row in part["part"]] if end["ok"] else end["exit"]

    def tried(self, user, **arguments):
        (end,) = self.ask(user, "queue.flush", **arguments)
        return end["result"]["count"] if end["ok"] else end["exit"]


@pytest.fixture
def door(tmp_path, monkeypatch):
    return Door(tmp_path, monkeypatch)


@pytest.mark.parametrize(("user", "users_see", "seen"), [
    pytest.param(ANNA, "own", ["i1", "i2"], id="own"),
    pytest.param(BERT, "own", ["i3"], id="another-s-own"),
    pytest.param(ANNA, "all", ["i1", "i2", "i3"], id="all"),
    pytest.param(ANNA, "no", 77, id="nothing"),
    pytest.param(ROOT, "no", ["i1", "i2", "i3"], id="root"),
    pytest.param(CLOSED, "own", 77, id="a-closed-account"),
    pytest.param(UNKNOWN, "all", 77, id="whom-the-kernel-does-not-name"),
])
def test_who_sees_what(door, user, users_see, seen):
    door.settings.users_see = users_see
    assert door.seen(user) == seen


def test_whoever_the_server_runs_as_is_an_operator(door, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    door.settings.users_see = "no"
    assert door.seen(4242) == ["i1", "i2", "i3"]


def test_nobody_sees_more_by_asking_for_another_account(door):
    assert door.seen(ANNA, account="bert@blue.example") == ["i1", "i2"]
    assert door.seen(ANNA, **{"from": "list@"}) == ["i2"]


@pytest.mark.parametrize(("user", "users_flush", "count"), [
    pytest.param(ANNA, "own", 2, id="own"),
    pytest.param(ANNA, "all", 3, id="all"),
    pytest.param(ANNA, "no", 77, id="nothing"),
    pytest.param(ROOT, "no", 3, id="root"),
])
def test_who_may_have_what_tried_again(door, user, users_flush, count):
    door.settings.users_flush = users_flush
    assert door.tried(user, all=True) == count


def test_one_user_has_it_tried_once_in_a_while_and_others_do_not_wait_for_him(door):
    assert door.tried(ANNA, ids=["i1"]) == 1
    assert door.tried(ANNA, ids=["i2"]) == 75
    assert door.tried(BERT) == 1
    door.town.clock.advance(PAUSE)
    assert door.tried(ANNA, ids=["i2"]) == 1
    assert door.tried(ROOT, all=True) == door.tried(ROOT, all=True) == 0


def test_a_user_s_order_does_not_send_what_is_kept_for_somebody_who_calls(door):
    runner = door.town.runner
    runner.adopt(replace(runner.rules, keeps=lambda domain: domain == "green.example"), runner.places.bounds)
    kept = []
    door.town.runner.flush = lambda ids, kept_=kept, **how: kept_.append(how["kept"]) or len(list(ids))
    door.tried(ANNA)
    door.town.clock.advance(PAUSE)
    door.tried(ANNA, to="@green.example")
    assert kept == [False, True]


def test_while_users_cannot_be_looked_up_it_is_tried_later(door):
    door.broken = True
    assert (door.seen(ANNA), door.tried(ANNA)) == (75, 75)


@pytest.mark.parametrize("verb", ["queue.delete", "queue.hold", "queue.dump", "queue.watch", "stop", ""])
def test_other_verbs_are_not_known_here_to_anybody(door, verb):
    for user in (ANNA, ROOT):
        (answer,) = door.ask(user, verb, all=True, id="i1")
        assert (answer["ok"], answer["exit"]) == (False, 69)
    assert len(door.town.queue.items()) == 3


def test_nobody_takes_all_the_room(door):
    talks = [door.connect() for _ in range(6)]
    assert [transport.disconnected or transport.disconnecting for _, transport in talks].count(True) == 2
    door.user = BERT
    assert not door.connect()[1].disconnected
