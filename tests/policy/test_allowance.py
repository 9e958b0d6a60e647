"""How much a user may send, and when he may go on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.servers.smtp.house import SmtpHouse
from twistmail.interfaces import Point, Verdict
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Recipient, Role, Transaction
from twistmail.policy import ledger
from twistmail.policy.allowance import AllowanceFactory
from twistmail.policy.ledger import SLOTS, Ledger

FRED = Account("fred@here.example")
HOUR, DAY = 3600.0, 86_400.0


class Desk:
    """A user who sends; *rates* are settings of [submission]."""

    def __init__(self, account: Account | None = FRED, book: Ledger | None = None, **rates: Any) -> None:
        self.account = account
        self.now = 0.0
        self.book = book or Ledger()
        self.change(**rates)

    def change(self, **rates: Any) -> None:
        """As a reload does."""
        own = {"rate": None, "recipient_rate": None} | rates
        house = SmtpHouse().house(Role.SUBMISSION, **own)
        stages = AllowanceFactory().build(None, replace(house, ledger=self.book, epoch=lambda: self.now))
        self.stages = {stage.point: stage for stage in stages}

    def sends(self, recipients: int = 1) -> str:
        """What happens: "sent", or at which point it is refused."""
        transaction = Transaction(Peer("c1", "192.0.2.7", 1, Role.SUBMISSION, account=self.account), "item", self.now, parse("a@b"))
        if refused := self.ask(Point.SENDER, transaction):
            return f"sender {refused}"
        taken: tuple[Recipient, ...] = ()
        for number in range(recipients):
            transaction = replace(transaction, recipients=taken)
            if refused := self.ask(Point.RECIPIENT, transaction, parse(f"r{number}@b")):
                return f"recipient {number} {refused}"
            taken += (Recipient(parse(f"r{number}@b")),)
        return self.ask(Point.MESSAGE, replace(transaction, recipients=taken)) or "sent"

    def ask(self, point: Point, *about: Any) -> str:
        verdict: Verdict | None = result_of(self.stages[point].judge(*about)) if point in self.stages else None
        if verdict is None:
            return ""
        assert verdict.status is not None
        assert (verdict.status.code, verdict.status.enhanced) == (451, "4.7.1")
        return f"{verdict.rule}: {verdict.status.text}"


def test_messages_beyond_the_rate_wait_and_are_told_how_long() -> None:
    desk = Desk(rate=((2, HOUR),))
    assert [desk.sends(), desk.sends()] == ["sent", "sent"]
    assert desk.sends() == "sender 2 messages in 1h: You may send 2 messages within 1h; try again after 1970-01-01 01:01:00 UTC"
    desk.now = HOUR + 59
    assert desk.sends().startswith("sender")
    desk.now = HOUR + 60
    assert desk.sends() == "sent"


def test_recipients_are_counted_over_messages_and_within_one() -> None:
    desk = Desk(recipient_rate=((5, HOUR),))
    assert desk.sends(3) == "sent"
    assert desk.sends(3).startswith("recipient 2 5 recipients in 1h")
    assert desk.sends(2) == "sent"
    assert desk.sends(1).startswith("recipient 0")
    assert Desk(recipient_rate=((5, HOUR),)).sends(6).startswith("recipient 5")


def test_what_was_refused_is_not_counted() -> None:
    desk = Desk(rate=((2, HOUR),), recipient_rate=((3, HOUR),))
    assert desk.sends(3) == "sent"
    assert [desk.sends(1)[:9] for _ in range(5)] == ["recipient"] * 5
    assert desk.book.exceeded(FRED.name, "messages", ((2, HOUR),), 1, desk.now) is None


def test_of_two_rates_the_one_that_lasts_longer_is_told() -> None:
    desk = Desk(rate=((1, HOUR), (2, DAY)))
    assert desk.sends() == "sent"
    assert "within 1h" in desk.sends()
    desk.now = 2 * HOUR
    assert desk.sends() == "sent"
    assert "1970-01-02 00:24:00" in desk.sends(), "the first message is forgotten a day and a slot later"


def test_several_connections_at_once_do_not_help() -> None:
    desk = Desk(rate=((1, HOUR),))
    transaction = Transaction(Peer("c1", "192.0.2.7", 1, Role.SUBMISSION, account=FRED), "item", 0.0, parse("a@b"))
    assert [desk.ask(Point.SENDER, transaction) for _ in range(2)] == ["", ""]
    assert [bool(desk.ask(Point.MESSAGE, transaction)) for _ in range(2)] == [False, True]


def test_a_reload_forgets_nothing() -> None:
    desk = Desk(rate=((2, HOUR),))
    assert [desk.sends(), desk.sends()] == ["sent", "sent"]
    desk.change(rate=((3, HOUR),))
    assert desk.sends() == "sent"
    assert desk.sends().startswith("sender")


@pytest.mark.parametrize(("own", "sent"), [
    pytest.param(None, 1, id="what-holds-for-all"), pytest.param(((3, HOUR),), 3, id="his-own"), pytest.param((), 5, id="any-number"),
])  # fmt: skip
def test_an_account_may_have_a_rate_of_its_own(own: Any, sent: int) -> None:
    desk = Desk(Account("fred@here.example", rate=own), rate=((1, HOUR),))
    assert [desk.sends() for _ in range(5)].count("sent") == sent


def test_users_do_not_count_for_each_other_and_strangers_not_at_all() -> None:
    book = Ledger()
    assert [Desk(Account(f"u{number}@here.example"), book, rate=((1, HOUR),)).sends() for number in range(3)] == ["sent"] * 3
    stranger = Desk(None, book, rate=((1, HOUR),))
    assert [stranger.sends(), stranger.sends()] == ["sent", "sent"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_WINDOWS", 10)
    book = Ledger()
    for number in range(100):
        for second in range(200):
            book.add(f"u{number}", "messages", ((1, HOUR),), 1, second * 60.0)
    assert len(book._windows) == 10
    assert max(len(window._counts) for window in book._windows.values()) <= SLOTS + 1


@given(st.lists(st.tuples(st.floats(0, 5000), st.integers(1, 4)), max_size=40), st.integers(1, 10))
def test_never_more_than_the_rate_in_any_window_and_free_when_it_was_said(steps: list[tuple[float, int]], most: int) -> None:
    book, now, rate = Ledger(), 0.0, ((most, HOUR),)
    sent: list[tuple[float, int]] = []
    for wait, count in steps:
        now += wait
        exceeded = book.exceeded("u", "messages", rate, count, now)
        if exceeded is None:
            book.add("u", "messages", rate, count, now)
            sent.append((now, count))
            assert sum(c for at, c in sent if at > now - HOUR) <= most
        else:
            assert exceeded[0] == rate[0]
            assert now < exceeded[1] <= now + HOUR + HOUR / SLOTS
            if count <= most:
                assert deepcopy(book).exceeded("u", "messages", rate, count, exceeded[1]) is None
