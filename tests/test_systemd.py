"""Sockets from systemd are taken by name or number, and a missing one is told."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from twistmail.endpoints import parse
from twistmail.systemd import adopt


class AdoptingReactor:
    def __init__(self) -> None:
        self.adopted: list[tuple[int, Any]] = []

    def adoptStreamPort(self, descriptor: int, family: Any, factory: Any) -> Any:
        self.adopted.append((descriptor, family))
        return "port"


def environment(count: int) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": ":".join(["imap", "smtp"][:count])}


@pytest.mark.parametrize(
    ("text", "descriptor"),
    [pytest.param("systemd:domain=INET:index=1", 4, id="by-number"), pytest.param("systemd:domain=INET:name=imap", 3, id="by-name")],
)
def test_a_socket_that_was_given_is_adopted(text: str, descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    reactor = AdoptingReactor()
    assert adopt(reactor, parse(text), Factory(), environment(2)) == "port"
    assert reactor.adopted == [(descriptor, socket.AF_INET)]
    assert closed == [descriptor]


@pytest.mark.parametrize("text", ["systemd:domain=INET:index=5", "systemd:domain=INET:name=pop3"])
def test_a_socket_that_was_not_given_is_told(text: str) -> None:
    with pytest.raises(CannotListenError, match="systemd has opened 1 sockets"):
        adopt(AdoptingReactor(), parse(text), Factory(), environment(1))
