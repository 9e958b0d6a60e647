"""Senders of forwarded messages: there and back, and nowhere for whoever makes one up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.address import Address, parse
from twistmail.mail.srs import ALPHABET, HASH, ROUND, Expired, Forged, Srs, is_srs

TODAY = 20_000
OLD, NEW = b"old secret", b"new secret"
HERE = Srs((NEW, OLD), "here.test")
THERE = Srs((b"another",), "there.test")
ANN = Address("ann", "far.test")

LOCALS = st.text("abcXYZ019.+=-_", min_size=1, max_size=12).filter(
    lambda text: not text.startswith(".") and not text.endswith(".") and ".." not in text
)
SENDERS = st.builds(Address, LOCALS, st.sampled_from(["far.test", "a.b", "xn--bcher-kva.test", "[192.0.2.1]"]))


def local(text: str, number: int) -> str:
    """Word *number* of a local part that is divided by =."""
    return text.split("=")[number]


def test_how_it_reads() -> None:
    made = HERE.forward(ANN, TODAY)
    assert made is not None
    assert re.fullmatch(rf"SRS0=[{ALPHABET}]{{{HASH}}}=[{ALPHABET}]{{2}}=far\.test=ann@here\.test", str(made))
    assert is_srs(made)
    assert not is_srs(ANN)


@given(SENDERS, st.integers(0, 30_000), st.integers(0, 21))
def test_what_is_rewritten_leads_back_for_three_weeks(sender: Address, today: int, later: int) -> None:
    made = HERE.forward(sender, today)
    assert made is not None
    if not is_srs(sender):
        assert HERE.back(made, today + later) == sender


@given(SENDERS, st.integers(0, 30_000))
def test_case_may_change_on_the_way(sender: Address, today: int) -> None:
    made = HERE.forward(sender, today)
    assert made is not None
    for changed in (made.local.upper(), made.local.lower()):
        assert HERE.back(Address(changed, "here.test"), today).folded == sender.folded


@pytest.mark.parametrize(("days", "is_good"), [
    pytest.param(0, True, id="today"),
    pytest.param(21, True, id="on-the-last-day"),
    pytest.param(22, False, id="a-day-later"),
    pytest.param(ROUND - 2, False, id="years-later"),
    pytest.param(-1, True, id="made-where-midnight-is-over"),
])  # fmt: skip
def test_an_address_has_its_time(days: int, is_good: bool) -> None:
    made = HERE.forward(ANN, TODAY)
    assert made is not None
    if is_good:
        assert HERE.back(made, TODAY + days) == ANN
    else:
        with pytest.raises(Expired):
            HERE.back(made, TODAY + days)


def test_days_are_counted_round() -> None:
    made = HERE.forward(ANN, ROUND * 20 - 3)
    assert made is not None
    assert HERE.back(made, ROUND * 20 + 5) == ANN


def test_an_older_secret_is_believed_and_not_used() -> None:
    before = Srs((OLD,), "here.test").forward(ANN, TODAY)
    assert before is not None
    assert HERE.back(before, TODAY) == ANN
    assert HERE.forward(ANN, TODAY) == Srs((NEW,), "here.test").forward(ANN, TODAY) != before
    with pytest.raises(Forged):
        Srs((NEW,), "here.test").back(before, TODAY)


@pytest.mark.parametrize("name", [
    pytest.param("SRS0", id="nothing-behind-it"),
    pytest.param("SRS0=", id="an-empty-rest"),
    pytest.param("SRS0=aaaaaa=bb=far.test=ann", id="another-hash"),
    pytest.param("SRS0=aaaaaa=bb=far.test", id="no-name"),
    pytest.param("SRS0=aaaaaa=bb=far.test=", id="an-empty-name"),
    pytest.param("SRS0=aaaaaa=bb=far..test=ann", id="no-domain"),
    pytest.param("SRS0==bb=far.test=ann", id="no-hash"),
    pytest.param("SRS0=\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9=bb=far.test=ann", id="a-hash-that-is-not-ascii"),
    pytest.param("SRS1=aaaaaa=far.test==x", id="another-hash-of-a-chain"),
    pytest.param("SRS1=aaaaaa=far.test", id="half-a-chain"),
    pytest.param("SRS1=aaaaaa", id="a-chain-without-anything"),
    pytest.param("SRS1=aaaaaa=far.test=", id="a-chain-with-an-empty-rest"),
    pytest.param("SRS2=aaaaaa=bb=far.test=ann", id="another-number"),
    pytest.param("ann", id="somebody"),
])  # fmt: skip
def test_what_we_have_not_made_leads_nowhere(name: str) -> None:
    with pytest.raises(Forged):
        HERE.back(Address(name, "here.test"), TODAY)


@given(st.text(max_size=80))
def test_whatever_somebody_makes_up_is_forged_or_nothing(text: str) -> None:
    for mark in ("SRS0=", "SRS1=", "srs0+", "srs1-", ""):
        with pytest.raises(Forged):
            HERE.back(Address(mark + text, "here.test"), TODAY)


def test_nobody_changes_a_word_of_it() -> None:
    made = HERE.forward(ANN, TODAY)
    assert made is not None
    for old, new in (("far.test", "evil.test"), ("=ann", "=eve")):
        with pytest.raises(Forged):
            HERE.back(Address(made.local.replace(old, new), "here.test"), TODAY)
    stolen = made.local.replace("SRS0", "SRS1")
    with pytest.raises(Forged):
        HERE.back(Address(stolen, "here.test"), TODAY)


def test_who_forwards_what_was_forwarded_remembers_the_first_one_only() -> None:
    third = Srs((b"third",), "third.test")
    first = THERE.forward(ANN, TODAY)
    assert first is not None
    second = HERE.forward(first, TODAY)
    assert second is not None
    assert second.local.startswith("SRS1=")
    assert local(second.local, 2) == "there.test"
    again = third.forward(second, TODAY)
    assert again is not None
    assert len(again.local) == len(second.local)
    assert third.back(again, TODAY) == first, "past us, to him who knows"
    assert HERE.back(second, TODAY) == first
    assert THERE.back(first, TODAY) == ANN


def test_how_another_divides_is_his_business() -> None:
    other = parse("SRS0+xyz=ab=far.test=ann@there.test")
    made = HERE.forward(other, TODAY)
    assert made is not None
    assert HERE.back(made, TODAY) == other


def test_what_only_looks_like_a_chain_is_somebody() -> None:
    odd = Address("SRS1=aaaaaa=no..domain==x", "far.test")
    made = HERE.forward(odd, TODAY)
    assert made is not None
    assert made.local.startswith("SRS0=")
    assert HERE.back(made, TODAY) == odd


def test_what_would_be_longer_than_a_local_part_may_be_is_not_made() -> None:
    assert HERE.forward(Address("a" * 40, "far.test"), TODAY) is not None
    assert HERE.forward(Address("a" * 41, "far.test"), TODAY) is None
