"""A sender for each recipient, and the recipient in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail import verp
from twistmail.mail.address import Address, parse

NEWS = parse("news@here.test")


@pytest.mark.parametrize(("recipient", "delimiters", "sender"), [
    pytest.param("bob@far.test", "+=", "news+bob=far.test@here.test", id="as-usual"),
    pytest.param("bob@far.test", "-=", "news-bob=far.test@here.test", id="as-qmail"),
    pytest.param("bob@far.test", "==", "news=bob=far.test@here.test", id="the-same-twice"),
    pytest.param("bob+list@far.test", "+=", "news+bob+list=far.test@here.test", id="a-suffix"),
    pytest.param("b=b@far.test", "+=", "news+b=b=far.test@here.test", id="a-delimiter-in-the-name"),
    pytest.param("b" * 51 + "@far.test", "+=", "news@here.test", id="too-long-for-a-local-part"),
])  # fmt: skip
def test_the_sender_for_a_recipient(recipient: str, delimiters: str, sender: str) -> None:
    made = verp.sender_for(NEWS, parse(recipient), delimiters)
    assert str(made) == sender
    assert verp.recipient_of(made, NEWS, delimiters) == (None if made == NEWS else parse(recipient))


@given(st.text("ab+=-.", min_size=1, max_size=10), st.sampled_from(["+=", "-=", "==", "-+", "+-", "=+"]))
def test_the_recipient_comes_back(local: str, delimiters: str) -> None:
    recipient = Address(local, "far.test")  # the second delimiter is looked for from the end, and is in no such domain
    assert verp.recipient_of(verp.sender_for(NEWS, recipient, delimiters), NEWS, delimiters) == recipient


@pytest.mark.parametrize("address", ["news@here.test", "news+bob@here.test", "news+=far.test@here.test", "old+bob=far.test@here.test",
                                     "news+bob=far.test@there.test"])  # fmt: skip
def test_other_addresses_have_no_recipient_in_them(address: str) -> None:
    assert verp.recipient_of(parse(address), NEWS) is None


@pytest.mark.parametrize(
    ("text", "are"), [("+=", True), ("-=", True), ("+", False), ("", False), ("+=+", False), ("@=", False), ("a=", False)]
)
def test_what_delimiters_may_be(text: str, are: bool) -> None:
    assert verp.are_delimiters(text) is are
