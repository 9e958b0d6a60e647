"""Flags and dates as they are told, and the census."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.mailbox import Flag
from twistmail.servers.census import Census
from twistmail.servers.imap.rendering import MOST_REMEMBERED, RECENT_BIT, Days, FlagsRendered, dates
from twistmail.wire.imap.responses import internaldate


@pytest.mark.parametrize(("bits", "text"), [
    pytest.param(0, b"()", id="none"),
    pytest.param(Flag.SEEN | Flag.DELETED, b"(\\Deleted \\Seen)", id="system-flags"),
    pytest.param(RECENT_BIT, b"(\\Recent)", id="recent"),
    pytest.param(Flag.DRAFT | 1 << 9, b"(\\Draft $Work)", id="keyword"),
])  # fmt: skip
def test_flags(bits: int, text: bytes) -> None:
    assert FlagsRendered(["Junk", "$Work"])[bits] == text


def test_a_keyword_that_comes_later_is_known() -> None:
    keywords: list[str] = []
    rendered = FlagsRendered(keywords)
    assert rendered[1] == b"(\\Seen)"
    keywords.append("New")
    assert rendered[1 << 8] == b"(New)"


def test_memory_of_flags_is_bounded() -> None:
    rendered = FlagsRendered([f"k{number}" for number in range(20)])
    for bits in range(0, (MOST_REMEMBERED + 10) << 8, 1 << 8):
        rendered[bits]
    assert len(rendered) <= MOST_REMEMBERED


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 4_000_000_000))
def test_dates_are_those_of_the_wire(seconds: float) -> None:
    assert dates([seconds], Days()) == [internaldate(int(seconds))]


def test_the_census_counts_all_or_nothing() -> None:
    census = Census()
    assert census.enter((("user", "a"), 2), (("ip", "x"), 1))
    assert not census.enter((("user", "a"), 2), (("ip", "x"), 1))
    assert census.count("user", "a") == 1
    assert census.enter((("user", "a"), 2))
    assert not census.enter((("user", "a"), 2))
    census.leave(("user", "a"), ("ip", "x"))
    assert (census.count("user", "a"), census.count("ip", "x")) == (1, 0)
