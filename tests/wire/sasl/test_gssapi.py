"""GSSAPI, with a context that is none: what follows what, and what must fail."""

from __future__ import annotations

from typing import Any

import pytest

from twistmail.mail.evidence import Accepted
from twistmail.wire.sasl.exchange import Answer, Challenge, Disproved, Malformed, NeedsWork, Proven
from twistmail.wire.sasl.gssapi import MOST_TOKENS, NO_LAYER, Gssapi


class Context:
    """Takes `one` and `two`; wraps by reversing."""

    def __init__(self, *replies: Accepted) -> None:
        self.replies = list(replies)

    def accept(self, token: bytes) -> Accepted:
        if token != b"token":
            raise ValueError
        return self.replies.pop(0)

    def wrap(self, message: bytes) -> bytes:
        return b"<" + message

    def unwrap(self, wrapped: bytes) -> bytes:
        if not wrapped.startswith(b"<"):
            raise ValueError
        return wrapped[1:]


def said(exchange: Gssapi, data: bytes | None) -> Answer:
    """The answer, with all work done."""
    answer: Any = exchange.step(data)
    while isinstance(answer, NeedsWork):
        answer = exchange.given(answer.work())
    return answer


OFFER = Challenge(b"<" + NO_LAYER)


@pytest.mark.parametrize(("replies", "dialogue"), [
    pytest.param([Accepted(b"reply", "ann@here.example")], [(b"token", Challenge(b"reply")), (b"", OFFER)], id="with-a-last-reply"),
    pytest.param([Accepted(b"", "ann@here.example")], [(b"token", OFFER)], id="without"),
    pytest.param([Accepted(b"more"), Accepted(b"reply", "ann@here.example")],
                 [(None, Challenge(b"")), (b"token", Challenge(b"more")), (b"token", Challenge(b"reply")), (b"", OFFER)], id="two-tokens"),
])  # fmt: skip
@pytest.mark.parametrize(("chosen", "end"), [
    pytest.param(b"<" + NO_LAYER, Proven("ann@here.example"), id="as-himself"),
    pytest.param(b"<" + NO_LAYER + b"bob", Proven("ann@here.example", "bob"), id="for-another"),
    pytest.param(b"<\x02\x00\x10\x00", Malformed("Only TLS is offered to protect what follows"), id="another-layer"),
    pytest.param(b"<\x01\x00\x10\x00", Malformed("Only TLS is offered to protect what follows"), id="no-layer-with-octets"),
    pytest.param(b"<", Malformed("Only TLS is offered to protect what follows"), id="nothing"),
    pytest.param(b"<" + NO_LAYER + b"\xff", Malformed("The name must be UTF-8"), id="a-name-that-is-not-utf-8"),
    pytest.param(b"changed", Disproved("ann@here.example", guessable=False), id="changed-on-the-way"),
])  # fmt: skip
def test_tokens_then_a_layer(replies: list[Accepted], dialogue: list[tuple[bytes | None, Answer]], chosen: bytes, end: Answer) -> None:
    exchange = Gssapi(Context(*replies))
    for data, answer in dialogue:
        assert said(exchange, data) == answer
    assert said(exchange, chosen) == end


def test_a_ticket_that_is_none_proves_nothing() -> None:
    assert said(Gssapi(Context()), b"nonsense") == Disproved("", guessable=False)


def test_tokens_do_not_go_on_for_ever() -> None:
    exchange = Gssapi(Context(*[Accepted(b"more")] * 20))
    answers = [said(exchange, b"token") for _ in range(MOST_TOKENS + 1)]
    assert isinstance(answers[-1], Malformed)
    assert all(isinstance(answer, Challenge) for answer in answers[:-1])
