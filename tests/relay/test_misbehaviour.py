"""Servers that do what they should not, at every step: we always come to an end, in time, and believe nothing that was not said.

Each row is played with content that is dotted, that is counted, and with commands one by one.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.relay.peers import EHLO, HANG_UP, SILENCE, Net, Peer, Slowly
from tests.relay.test_exchange import BODY, HOST, ROUTE, item_for, offering, targets
from twistmail import tasks
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Target
from twistmail.mail.outcome import Outcome, Result, outcome_of
from twistmail.mail.status import Status
from twistmail.relay.client import Patience
from twistmail.relay.connect import open_route
from twistmail.relay.exchange import Manners, leave
from twistmail.relay.transaction import deliver

PATIENCE = Patience()
#: BODY, with its dot doubled.
STUFFED = BODY.replace(b"\r\n.", b"\r\n..")
WAYS = {"dotted": EHLO, "counted": offering(b"CHUNKING"), "one-by-one": b"250-peer.example\r\n250 8BITMIME"}
#: Step -> how long the server may take for it.
PROLOGUE = {b"": PATIENCE.greeting, b"EHLO": PATIENCE.hello}
ENVELOPE = {b"MAIL": PATIENCE.mail, b"RCPT": PATIENCE.recipient}
DOTTED = {b"DATA": PATIENCE.data, b".": PATIENCE.end}
COUNTED = {b"BDAT": PATIENCE.end}
STEPS = [
    (way, step, seconds)
    for way in WAYS
    for step, seconds in (PROLOGUE | ENVELOPE | (COUNTED if way == "counted" else DOTTED)).items()
]  # fmt: skip


class Town:
    """A clock, one server, and somebody who brings it one message and leaves."""

    def __init__(self, way: str, answers: dict[bytes, Any]) -> None:
        self.clock, self.peer = Clock(), Peer({b"EHLO": WAYS[way]} | answers)
        self.net = Net(self.clock)
        self.net.peers[HOST.address] = self.peer
        self.took = 0.0

    @property
    def side(self):
        return self.peer.connections[0]

    def carry(self) -> Outcome:
        (outcome,) = self.carry_to(targets("bob"))
        return outcome

    def carry_to(self, to: tuple[Target, ...]) -> tuple[Outcome, ...]:
        results: list[Any] = []
        tasks.shielded(self._carry(to)).addBoth(results.append)
        while not results:
            self.clock.advance(1.0)
            self.took += 1.0
            assert self.took < 5000, "it never ends"
        for _ in range(60):
            self.clock.advance(1.0)  # what is closed has half a minute to go
        assert isinstance(results[0], tuple), results[0]
        return results[0]

    async def _carry(self, to: tuple[Target, ...]) -> tuple[Outcome, ...]:
        session = await open_route(ROUTE, (HOST,), self.net, Manners("us.example", None))
        if isinstance(session, Status):
            return tuple(outcome_of(one, session) for one in to)
        outcomes = await deliver(session, item_for(to), to, Memory(BODY), tasks.Inline())
        await leave(session)
        return outcomes


def is_over(town: Town) -> bool:
    """Nothing is open, and no timer of ours runs."""
    return not town.side.open and not [call for call in town.clock.getDelayedCalls() if "_deliver" not in str(call)]


NONSENSE = [
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
    pytest.param(b"HTTP/1.1 400 Bad Request", id="HTTP"),
    pytest.param(b"", id="an-empty-line"),
    pytest.param(b"250_Ok", id="no-separator"),
    pytest.param(b"25\xb2 Ok", id="a-digit-of-another-kind"),
    pytest.param(b"999 Ok", id="no-such-code"),
    pytest.param(b"\0" * 1000, id="zeros"),
    pytest.param(b"250-a\r\n354 b", id="two-codes-in-one-reply"),
    pytest.param(b"250 " + b"x" * 1_000_000, id="a-line-of-1-MB"),
    pytest.param(b"250-x\r\n" * 200_000 + b"250 x", id="a-reply-of-200000-lines"),
    pytest.param(b"x" * 1_000_000, id="1-MB-of-nothing"),
]


@pytest.mark.parametrize("said", NONSENSE)
@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_does_not_speak_smtp_gets_nothing_and_the_mail_waits(way, step, seconds, said):
    town = Town(way, {step: said})
    outcome = town.carry()
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.5.0")
    assert town.took <= 2
    assert is_over(town)


@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_says_nothing_is_left_in_time(way, step, seconds):
    town = Town(way, {step: SILENCE})
    outcome = town.carry()
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.2")
    assert seconds <= town.took <= seconds + 2
    assert is_over(town)
    assert town.side.aborted


@pytest.mark.parametrize("octets", [
    pytest.param(b"250 " + b"o" * 1000, id="one-line"), pytest.param(b"250-o\r\n" * 100, id="several-lines"),
])
@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_says_it_an_octet_at_a_time_has_no_more_time_than_others(way, step, seconds, octets):
    town = Town(way, {step: Slowly(octets, every=10.0)})
    outcome = town.carry()
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.2")
    assert seconds <= town.took <= seconds + 2
    assert is_over(town)


@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_says_it_slowly_but_in_time_is_heard(way, step, seconds):
    good = Peer({b"EHLO": WAYS[way]}).answers[step] + b"\r\n"
    town = Town(way, {step: Slowly(good, every=(seconds - 5) / len(good))})
    assert town.carry().result is Result.RELAYED
    assert town.took >= seconds * 0.9


@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_hangs_up_gets_it_later(way, step, seconds):
    town = Town(way, {step: HANG_UP})
    outcome = town.carry()
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.4.2")
    assert is_over(town)


ABOUT_THE_MESSAGE = (b"MAIL", b"RCPT", b"DATA", b".", b"BDAT")


@pytest.mark.parametrize(("said", "enhanced"), [
    pytest.param(b"421 4.3.2 Going down", "4.3.2", id="421"), pytest.param(b"451 4.3.0 Later", "4.3.0", id="4xx"),
    pytest.param(b"450 Not now", "4.0.0", id="4xx-without-more"),
    pytest.param(b"451-4.7.1 Grey\r\n451 4.7.1 listed", "4.7.1", id="several-lines"),
])
@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_says_later_gets_it_later(way, step, seconds, said, enhanced):
    town = Town(way, {step: said})
    outcome = town.carry()
    assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, enhanced)
    assert town.took <= 2
    assert is_over(town)


@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_says_never_means_the_message_only_where_it_is_about_one(way, step, seconds):
    town = Town(way, {step: b"554 5.7.1 Never", b"HELO": b"554 5.7.1 Never"})
    outcome = town.carry()
    if step in ABOUT_THE_MESSAGE:
        assert (outcome.result, outcome.status) == (Result.FAILED, Status(554, "5.7.1", "Never"))
    else:
        assert (outcome.result, outcome.status.code) == (Result.DEFERRED, 451)
    assert is_over(town)


@pytest.mark.parametrize(("way", "step", "said"), [
    *(pytest.param(way, step, said, id=f"{way}-{step.decode() or 'greeting'}-{said[:3].decode()}")
      for way, step, _ in STEPS for said in (b"354 Go on", b"334 Go on") if step not in (b"DATA",)),
    *(pytest.param(way, b"DATA", said, id=f"{way}-DATA-{said[:3].decode()}") for way in ("dotted", "one-by-one")
      for said in (b"250 Ok", b"334 Go on")),
])  # fmt: skip
def test_an_answer_of_the_wrong_kind_is_none(way, step, said):
    outcome = Town(way, {step: said}).carry()
    assert outcome.result is Result.DEFERRED


@pytest.mark.parametrize(("way", "step", "seconds"), STEPS)
def test_who_answers_twice_has_not_answered_what_comes_next(way, step, seconds):
    """What is said beyond what was asked, in the same breath, is nobody's answer."""
    good = Peer({b"EHLO": WAYS[way]}).answers[step]
    town = Town(way, {step: good + b"\r\n" + b"250 2.0.0 Ok\r\n" * 20 + b"250 2.0.0 Ok"})
    outcome = town.carry()
    if step in (b".", b"BDAT"):
        assert outcome.result is Result.RELAYED, "that was the answer, and what follows it comes too late to be one"
    else:
        assert (outcome.result, outcome.status.enhanced) == (Result.DEFERRED, "4.5.0")
    assert is_over(town)


@pytest.mark.parametrize(("answers", "text"), [
    pytest.param({b"MAIL": b"<html>\x1b[2J"}, "The other side does not speak SMTP, it said: <html>?[2J", id="nonsense"),
    pytest.param({b"MAIL": b"x" * 1000}, "The other side does not speak SMTP, it said: " + "x" * 80 + "...", id="much-nonsense"),
    pytest.param({b"DATA": b"250 Ok"}, "The other side gave an answer that makes no sense there: 250 Ok", id="of-the-wrong-kind"),
    pytest.param({b"DATA": b"354 Go\r\n250 Ok"}, "The other side gave an answer that nobody had asked for: 250 Ok", id="unasked"),
])  # fmt: skip
def test_what_was_wrong_is_told_to_the_operator(answers, text):
    assert Town("dotted", answers).carry().status.text == text


LINES = [
    b"250 Ok", b"250-a", b"354 Go on", b"220 hi", b"221 Bye", b"421 4.3.2 Busy", b"451 4.0.0 Later", b"452 4.5.3 Too many", b"550 5.1.1 No",
    b"334 ", b"", b"junk", EHLO, offering(b"CHUNKING"),
]  # fmt: skip
PIECES = st.sampled_from([*(line + b"\r\n" for line in LINES), b"25", b"250 ", b"\n"])
ANSWERED = st.one_of(st.just(HANG_UP), st.just(SILENCE), st.lists(PIECES, min_size=1, max_size=5).map(lambda said: Slowly(b"".join(said))))
STEP = st.sampled_from([b"", b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b".", b"BDAT", b"RSET", b"QUIT"])


@given(st.dictionaries(STEP, ANSWERED, max_size=4), st.sampled_from(sorted(WAYS)), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_whatever_a_server_does_everybody_has_an_outcome_and_nothing_is_open(answers, way, count):
    """And nobody is said to have it before the whole content has been said.

    A server that answers more than it was asked, slowly, makes it look as if that were answers to what is said meanwhile, and may
    take the content for commands: who would tell? But it has been said.
    """
    town = Town(way, answers)
    outcomes = town.carry_to(targets(*(f"r{number}" for number in range(count))))
    assert len(outcomes) == count
    assert all(outcome.result in (Result.RELAYED, Result.DEFERRED, Result.FAILED) for outcome in outcomes)
    if any(outcome.result is Result.RELAYED for outcome in outcomes):
        assert b"X: y\r\n" + BODY in town.peer.contents or b"X: y\r\n" + STUFFED in town.peer.heard
    assert is_over(town)


def test_who_answers_too_much_and_slowly_has_been_said_the_content_when_he_has_it():
    town = Town("one-by-one", {b"RCPT": Slowly(b"250 Ok\r\n354 Go on\r\n250 Ok\r\n"), b"DATA": SILENCE})
    assert town.carry().result is Result.RELAYED
    assert b"X: y\r\n" + STUFFED + b".\r\n" in town.peer.heard


@pytest.mark.parametrize("way", WAYS)
def test_replies_may_end_with_bare_line_feeds(way):
    answers = Peer({b"EHLO": WAYS[way]}).answers
    assert Town(way, {step: Slowly(answers[step].replace(b"\r", b"") + b"\n") for step in answers}).carry().result is Result.RELAYED
