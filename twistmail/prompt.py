"""Sending at once when nothing waits, instead of one turn of the reactor later.

Twisted's own `write` only queues: the octets leave when the reactor comes round
to the descriptor, which costs two calls of epoll_ctl and a loop per answer. A
protocol of short questions and answers spends half of its time there (measured:
half the CPU per request). What cannot be sent at once takes Twisted's own way.

Leans on names that Twisted does not promise (`_tempDataBuffer`); pyproject.toml pins
the release, and tests/servers/test_transport.py holds both ways against each other.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp


def unsent(transport: tcp.Connection, data: bytes) -> bytes:
    """What is left of *data* for Twisted to write, after as much as the socket takes was sent; all of it where that is not our turn."""
    if transport.TLS or transport._tempDataBuffer or transport.dataBuffer or not transport.connected or transport.disconnecting:
        return data
    try:
        return data[transport.socket.send(data) :]
    except OSError:  # full, or gone: the reactor's way finds out which
        return data


def write(transport: Any, data: bytes) -> None:
    """As `transport.write`, at once where that can be done."""
    rest = unsent(transport, data) if isinstance(transport, tcp.Connection) else data
    if rest:
        transport.write(rest)
