"""The desk where people change their own passwords: who gets through, and what is said to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.helpers import result_of
from twistmail import own_passwords, tasks
from twistmail.control import MOST_CONNECTIONS, Refusal
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.own_passwords import MOST_OF_ONE, PATIENCE, Desk, DeskFactory
from twistmail.tasks import Inline

ANNA = Account("anna@blue.example")
REQUEST = {"login": "anna", "old": "the old one", "new": "a new long one"}


class House:
    """Anna's password is "the old one"; it is kept where `kept_here` says. `asked` is what was compared."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.changed: list[tuple[str, str]] = []
        self.kept_here = True
        self.away = False
        self.turned: list[tuple[Any, ...]] = []
        self.desk = Desk(self, self, self, Inline(), iter(("c1", "c2", "c3")), 10)

    async def check(self, claim: Any, peer: str, mechanism: str, connection: str) -> Account | None:
        if self.away:
            raise Unavailable("no line")
        self.asked.append((claim.login, peer, mechanism, connection))
        return ANNA if (claim.login, claim.password) == ("anna", "the old one") else None

    async def set_password(self, name: str, password: str) -> bool:
        if self.kept_here:
            self.changed.append((name, password))
        return self.kept_here

    # the keyring

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [{"user": name, "label": "telephone"}]

    def add(self, name: str, label: str, services: Any, expires: Any) -> dict[str, Any]:
        if label == "taken":
            raise ValueError("there is one already\ntake another label")
        self.turned.append((name, label, services, expires))
        return {"label": label, "password": "made-up"}

    def remove(self, name: str, label: str) -> dict[str, Any]:
        raise LookupError(f"there is no {label}")

    # questions

    def change(self, **arguments: Any) -> Any:
        return self.ask("password.change", **REQUEST | arguments)

    def ask(self, verb: str, **arguments: Any) -> Any:
        return result_of(self.desk.answer("uid 1000", verb, arguments))


def test_who_knows_the_old_password_gets_a_new_one() -> None:
    house = House()
    assert house.change() == {"account": ANNA.name}
    assert house.changed == [(ANNA.name, "a new long one")]
    assert house.asked == [("anna", "uid 1000", "password", "c1")]


@pytest.mark.parametrize(("arguments", "exit_code", "said"), [
    pytest.param({"old": "wrong"}, 77, "the old password is wrong", id="wrong"),
    pytest.param({"old": ""}, 77, "cannot be those", id="empty"),
    pytest.param({"old": "x" * 5000}, 77, "cannot be those", id="endless"),
    pytest.param({"old": "a\0b"}, 77, "cannot be those", id="nul"),
    pytest.param({"login": "nobody"}, 77, "the old password is wrong", id="nobody-is-no-different"),
    pytest.param({"login": "\ud800"}, 77, "the old password is wrong", id="no-text"),
    pytest.param({"new": "short"}, 65, "shorter than 10 characters", id="short"),
    pytest.param({"new": "aaaaaaaaaaaaa"}, 65, "different characters", id="one-letter"),
    pytest.param({"new": ANNA.name}, 65, "the name of the account", id="name"),
    pytest.param({"old": None}, 64, "are texts", id="no-old"),
    pytest.param({"new": ["x"]}, 64, "is no text", id="no-new"),
])
def test_nothing_changes_otherwise(arguments: dict[str, Any], exit_code: int, said: str) -> None:
    house = House()
    with pytest.raises(Refusal, match=said) as refusal:
        house.change(**arguments)
    assert refusal.value.exit_code == exit_code
    assert house.changed == []


def test_the_new_password_is_judged_only_after_the_old_one() -> None:
    with pytest.raises(Refusal, match="the old password is wrong"):
        House().change(old="wrong", new="short")


def test_passwords_that_others_keep_stay() -> None:
    house = House()
    house.kept_here = False
    with pytest.raises(Refusal, match="not kept here"):
        house.change()


def test_a_source_that_is_away_is_told_to_be_so() -> None:
    house = House()
    house.away = True
    with pytest.raises(Refusal, match="just now") as refusal:
        house.change()
    assert refusal.value.exit_code == 75


# ----- app passwords

PROOF = {"login": "anna", "old": "the old one"}


def test_owners_have_their_app_passwords_themselves() -> None:
    house = House()
    assert house.ask("app-password.list", **PROOF) == [{"user": ANNA.name, "label": "telephone"}]
    made = house.ask("app-password.add", **PROOF, label="laptop", services=["imap"], expires=1e10, name="bert@blue.example")
    assert made == {"label": "laptop", "password": "made-up"}
    assert house.turned == [(ANNA.name, "laptop", ["imap"], 1e10)], "whose it is, the password says and nothing else"


@pytest.mark.parametrize(("verb", "arguments", "exit_code", "said"), [
    pytest.param("list", {"old": "wrong"}, 77, "the old password is wrong", id="list-of-another"),
    pytest.param("add", {"old": "wrong", "label": "x"}, 77, "the old password is wrong", id="add-to-another"),
    pytest.param("add", {"label": "taken"}, 65, "there is one already", id="taken"),
    pytest.param("add", {"label": 7}, 64, "cannot be read", id="no-label"),
    pytest.param("add", {"label": "x", "services": "imap"}, 64, "cannot be read", id="no-list"),
    pytest.param("add", {"label": "x", "expires": "soon"}, 64, "cannot be read", id="no-time"),
    pytest.param("remove", {"label": "x"}, 67, "there is no x", id="unknown"),
])
def test_app_passwords_are_refused_with_a_reason(verb: str, arguments: dict[str, Any], exit_code: int, said: str) -> None:
    house = House()
    with pytest.raises(Refusal, match=said) as refusal:
        house.ask(f"app-password.{verb}", **PROOF | arguments)
    assert refusal.value.exit_code == exit_code
    assert house.turned == []


# ----- the socket


class Bench:
    """Connections of *users* to one factory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.house = House()
        self.factory = DeskFactory(self.clock, lambda: self.house.desk)
        self.user: int | None = 1000
        monkeypatch.setattr(own_passwords, "user_of", lambda _: self.user)

    def connect(self) -> tuple[Any, Any]:
        protocol = self.factory.buildProtocol(None)
        if protocol is None:
            return None, None
        transport = StringTransport()
        transport.socket = None  # type: ignore[attr-defined]
        protocol.makeConnection(transport)
        return protocol, transport


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def asked(protocol: Any, transport: Any, verb: str, **arguments: Any) -> Any:
    protocol.dataReceived(json.dumps({"verb": verb, "args": arguments}).encode() + b"\n")
    return json.loads(transport.value())


def test_the_socket_knows_one_verb_and_no_other(bench: Bench) -> None:
    assert asked(*bench.connect(), "password.change", **REQUEST) == {"ok": True, "result": {"account": ANNA.name}}
    for number, verb in enumerate(("stop", "session.list", "queue.delete", "")):
        bench.user = number
        answer = asked(*bench.connect(), verb, **REQUEST)
        assert not answer["ok"]
        assert answer["exit"] == 69


def test_an_answer_never_quotes_a_password(bench: Bench) -> None:
    _, transport = connection = bench.connect()
    asked(*connection, "password.change", **(REQUEST | {"old": "my wrong secret"}))
    assert b"secret" not in transport.value()


def test_failures_are_those_of_the_user_whom_the_kernel_names(bench: Bench) -> None:
    bench.user = 1001
    asked(*bench.connect(), "password.change", **REQUEST)
    bench.user = None
    asked(*bench.connect(), "password.change", **REQUEST)
    assert [peer for _, peer, *_ in bench.house.asked] == ["uid 1001", "unix"]


def test_one_user_does_not_keep_the_others_out(bench: Bench) -> None:
    connections = [bench.connect() for _ in range(MOST_OF_ONE + 1)]
    assert [transport.disconnected for _, transport in connections] == [False] * MOST_OF_ONE + [True]
    bench.user = 1001
    assert not bench.connect()[1].disconnected


def test_who_is_quiet_is_sent_away(bench: Bench) -> None:
    _, transport = bench.connect()
    protocol, asking = bench.connect()
    bench.clock.advance(PATIENCE - 1)
    asked(protocol, asking, "password.change", **REQUEST)
    bench.clock.advance(1)
    assert transport.disconnecting
    assert not asking.disconnecting
    bench.clock.advance(PATIENCE)
    assert asking.disconnecting


def test_who_waits_for_an_answer_is_not_quiet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    late: tasks.Deferred[None] = tasks.Deferred()

    async def check(*_: Any) -> Account:
        await late
        return ANNA

    monkeypatch.setattr(bench.house, "check", check)
    protocol, transport = bench.connect()
    protocol.dataReceived(json.dumps({"verb": "password.change", "args": REQUEST}).encode() + b"\n")
    bench.clock.advance(10 * PATIENCE)
    assert not transport.disconnecting
    late.callback(None)
    assert json.loads(transport.value())["ok"]
    protocol.connectionLost(None)
    assert bench.clock.getDelayedCalls() == []


def test_a_request_that_never_ends_ends_the_conversation(bench: Bench) -> None:
    protocol, transport = bench.connect()
    protocol.dataReceived(b"x" * 10_000)
    assert transport.disconnecting


def test_there_is_an_end_to_connections(bench: Bench) -> None:
    for number in range(MOST_CONNECTIONS):
        bench.user = number
        assert bench.connect()[0] is not None
    assert bench.connect() == (None, None)
