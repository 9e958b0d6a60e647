"""Logging in at a server that passes our mail on (RFC 4954): by the strongest way that both sides know, over TLS only.

A password is never said in clear, and where SCRAM is offered it is not said at
all. Whatever goes wrong is temporary: the mail waits for an administrator.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import field
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.client import SmtpConnection
from twistmail.relay.route import Login
from twistmail.wire.sasl.clients import Login as Exchange
from twistmail.wire.sasl.clients import Unfit, Work, begin
from twistmail.wire.sasl.spelling import decode
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Reply, status_of

log = Logger()

LOGIN_REFUSED = Status(454, "4.7.0", "The smart host does not accept our login; its administrator, and ours, must see to it")
LOGIN_IMPOSSIBLE = Status(454, "4.7.0", "The smart host offers no way to log in that we may use")
NOT_THE_ONE = Status(454, "4.7.0", "The smart host has not shown that it knows our password; it may be somebody else")
#: Rounds of one login; SCRAM takes three.
MOST_ROUNDS = 6
#: Octets of an initial response, undone by base64, with which AUTH still fits into a line (RFC 4954 §4, RFC 5321 §4.5.3.1.4).
LONGEST_INITIAL = 360


@frozen
class Means:
    """`nonce`() gives what never comes twice; `threads` do what takes its time; `patience`: seconds for each answer."""

    nonce: Callable[[], str] = secrets.token_urlsafe
    threads: Any = field(default_factory=tasks.Inline)
    patience: float = 300.0


async def log_in(connection: SmtpConnection, offered: str, login: Login, means: Means) -> Status | None:
    """Log in as *login*; None where that went well, else why not. *offered*: the parameters of the keyword AUTH. Raises Lost."""
    exchange = begin(offered.upper().split(), login.user, login.password, means.nonce) if connection.tls else None
    if exchange is None:
        return LOGIN_IMPOSSIBLE
    try:
        reply = await _talk(connection, exchange, means)
    except Unfit as unfit:
        log.error("relay: {mechanism} at the smart host breaks off: {why}", mechanism=exchange.mechanism, why=str(unfit))
        connection.send(say.AUTH_CANCEL)
        await connection.reply(means.patience)
        return NOT_THE_ONE
    if reply.code != 235:
        log.error("relay: our login by {mechanism} is not accepted: {reply}", mechanism=exchange.mechanism, reply=str(status_of(reply)))
        return LOGIN_REFUSED
    if not exchange.believed:
        log.error("relay: the smart host lets us in without having shown that it knows our password")
        return NOT_THE_ONE
    return None


async def _talk(connection: SmtpConnection, exchange: Exchange, means: Means) -> Reply:
    """The reply that ends the login. Raises Unfit and Lost."""
    waiting = exchange.initial
    if waiting is not None and len(waiting) <= LONGEST_INITIAL:
        connection.send(say.auth(exchange.mechanism, waiting))
        waiting = None
    else:
        connection.send(say.auth(exchange.mechanism))
    reply = await connection.reply(means.patience)
    for _ in range(MOST_ROUNDS):
        if reply.code != 334:
            return reply
        if waiting is not None:
            answer, waiting = waiting, None
        else:
            answer = await _answer(exchange, reply, means.threads)
        connection.send(say.auth_response(answer))
        reply = await connection.reply(means.patience)
    raise Unfit("it has no end")


async def _answer(exchange: Exchange, reply: Reply, threads: Any) -> bytes:
    challenge = decode(reply.lines[0])
    if challenge is None:
        if exchange.mechanism != "LOGIN":  # whose questions some servers do not even encode
            raise Unfit("the challenge is not base64")
        challenge = b""
    answer = exchange.answer(challenge)
    return await threads.run(answer.work) if isinstance(answer, Work) else answer
