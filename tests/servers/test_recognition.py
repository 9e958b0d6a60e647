"""Connections over a UNIX socket wait until it is known whose they are."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.servers.recognition import Recognition, user_of


class Transport:
    """One end of a real pair of sockets, with nothing around it."""

    def __init__(self) -> None:
        self.socket, self.other = socket.socketpair(socket.AF_UNIX)
        self.said: list[str] = []

    def pauseProducing(self) -> None:
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")

    def abortConnection(self) -> None:
        self.said.append("abort")


@pytest.fixture
def transport():
    made = Transport()
    yield made
    made.socket.close()
    made.other.close()


def begun(transport: Transport, answer: Any) -> tuple[Recognition, list[Any]]:
    heard: list[Any] = []

    async def recognize(user: int) -> Any:
        heard.append(user)
        found = await answer
        if isinstance(found, Exception):
            raise found
        return found

    waiting = Recognition(recognize, lambda _, account: heard.append(account), lambda _: heard.append("closed"))
    waiting.makeConnection(transport)
    return waiting, heard


def test_the_kernel_tells_who_is_there(transport: Transport) -> None:
    assert user_of(transport.socket) == os.getuid()


def test_nothing_is_read_until_the_account_is_known(transport: Transport) -> None:
    answer: Deferred[Any] = Deferred()
    _, heard = begun(transport, answer)
    assert (heard, transport.said) == ([os.getuid()], ["pause"])
    answer.callback(Account("fred@here.example"))
    assert (heard[1:], transport.said) == ([Account("fred@here.example")], ["pause", "resume"])


def test_a_peer_that_goes_away_meanwhile_is_not_let_in(transport: Transport) -> None:
    answer: Deferred[Any] = Deferred()
    waiting, heard = begun(transport, answer)
    waiting.connectionLost(Failure(ConnectionDone()))
    answer.callback(Account("fred@here.example"))
    assert (heard[1:], transport.said) == (["closed"], ["pause"])


def test_while_accounts_cannot_be_looked_up_nobody_is_let_in(transport: Transport) -> None:
    answer: Deferred[Any] = Deferred()
    _, heard = begun(transport, answer)
    answer.callback(Unavailable("the table is away"))
    assert (heard[1:], transport.said) == ([], ["pause", "abort"])


def test_a_stop_ends_it(transport: Transport) -> None:
    answer: Deferred[Any] = Deferred()
    waiting, heard = begun(transport, answer)
    waiting.shut_down()
    answer.callback(None)
    assert (heard[1:], transport.said) == ([], ["pause", "abort"])
