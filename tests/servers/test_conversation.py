"""What a conversation says of a proof before it is accepted, and after."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.helpers import TOOLS
from twistmail import tasks
from twistmail.facts import Facts, LoggedIn
from twistmail.mail.account import Account
from twistmail.mail.envelope import TlsState
from twistmail.memory.people import MemoryPeople
from twistmail.networks import NETWORKS
from twistmail.servers.conversation import Conversation, Failed, Welcome
from twistmail.servers.login import Login
from twistmail.servers.mechanisms import Caller
from twistmail.servers.throttle import Throttle
from twistmail.wire.sasl.exchange import Challenge, Malformed, Proven

PEER = "192.0.2.7"
PROOF = b"v=that we have the keys"
ANN = Account("ann@here.example")


class Proving:
    """An exchange in which the client has proved at once that it knows the password of *login*."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, login: str = ANN.name, authzid: str = "") -> None:
        self._proven = Proven(login, authzid, PROOF, guessable=True)

    def step(self, data: bytes | None) -> Any:
        return self._proven

    def given(self, what: Any) -> Any:
        raise AssertionError("nothing was needed")


class Talk:
    """A conversation; `says(data)`: what it answers, however long that takes."""

    def __init__(self, account: Account = ANN, authzid: str = "", *, guesses: int = 0, final_with_success: bool = False) -> None:
        self.clock = Clock()
        people, throttle, self.told = MemoryPeople({}, "here.example"), Throttle(rates=((3, 60.0),)), []
        people.add(account, "secret")
        for guess in range(guesses):
            throttle.failed(PEER, "somebody@here.example", 0.0, str(guess))
        facts = Facts()
        facts.listen(self.told.append)
        login = Login(people, throttle, self.clock, facts, lambda: 0.0, jitter=lambda: 0.0, tools=TOOLS, accounts=people)
        caller = Caller("c1", PEER, TlsState("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256))
        self._conversation = Conversation(login, Proving(authzid=authzid), caller, final_with_success=final_with_success)

    def says(self, data: bytes | None) -> Any:
        results: list[Any] = []
        tasks.shielded(self._conversation.step(data)).addBoth(results.append)
        while not results:
            self.clock.advance(0.25)
        return results[0]


def test_whoever_is_accepted_is_told_our_proof_first_where_the_protocol_tells_nothing_with_a_success() -> None:
    talk = Talk()
    assert talk.says(b"p=...") == Challenge(PROOF)
    assert talk.says(b"") == Welcome(ANN)
    assert [type(fact.what) for fact in talk.told] == [LoggedIn]


def test_whoever_is_accepted_is_told_our_proof_with_the_success() -> None:
    assert Talk(final_with_success=True).says(b"p=...") == Welcome(ANN, PROOF)


def test_nothing_is_to_be_said_to_our_proof() -> None:
    talk = Talk()
    talk.says(b"p=...")
    assert isinstance(talk.says(b"more"), Malformed)
    assert talk.told == [], "and nobody has come in"


@pytest.mark.parametrize("talk", [
    pytest.param(lambda: Talk(guesses=3), id="who-is-not-listened-to-any-more"),
    pytest.param(lambda: Talk(Account(ANN.name, login_from=NETWORKS.read("198.51.100.0/24"))), id="whose-account-is-tied-to-networks"),
    pytest.param(lambda: Talk(authzid="bob@here.example"), id="who-would-be-another"),
])  # fmt: skip
def test_whether_a_guess_was_right_is_not_told_to_one(talk: Any) -> None:
    assert talk().says(b"p=...") == Failed("SCRAM-SHA-256")
