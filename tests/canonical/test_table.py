"""What a canonical table says, and what is wrong with one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.canonical.table import Found, parse, parse_domains
from twistmail.mail.address import Address
from twistmail.watched import Broken

TEXT = """\
# who        what it becomes
ann          Ann.Smith
Fred@pc7.lan
    Fred.Jones@blue.test     # his name is long

    # a comment in between
@old.test    @blue.test
@lan         office@blue.test
"""


def test_lines_may_go_on_and_have_comments() -> None:
    found = parse(TEXT)
    assert [(str(line.who.local), line.who.domain, line.becomes, line.number) for line in found.values()] == [
        ("ann", "", Address("Ann.Smith"), 2),
        ("fred", "pc7.lan", Address("Fred.Jones", "blue.test"), 3),
        ("", "old.test", Address("", "blue.test"), 7),
        ("", "lan", Address("office", "blue.test"), 8),
    ]


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("ann", 1, "wants one address", id="nothing-behind"),
    pytest.param("\nann a@blue.test b@blue.test", 2, "wants one address", id="several-addresses"),
    pytest.param("ann a@blue.test\nANN b@blue.test", 2, "stands in line 1 already", id="twice"),
    pytest.param("@x.test a\n@X.test b", 2, "@x.test stands in line 1 already", id="a-domain-twice"),
    pytest.param("@a..b a@blue.test", 1, "not a domain name", id="no-domain"),
    pytest.param("ann @", 1, "not a domain name", id="a-bare-at"),
    pytest.param("a\x00b ann@blue.test", 1, "needs quotes", id="nul"),
    pytest.param("ann " + "x" * 70 + "@blue.test", 1, "longer than 64", id="too-long-a-name"),
])  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Broken) as broken:
        parse(text)
    ((found, said),) = broken.value.problems
    assert (found, words in said) == (line, True), said


def test_a_domaintable_of_sendmail() -> None:
    """What is said of it in cf/README: a domain that has been renamed."""
    found = parse_domains("anotherfake.test  thefake.test\nold.test new.test # a comment\n")
    assert found.find(Address("ann", "old.test"), [(Address("ann", "old.test"), ""), (Address("", "old.test"), "")]) == Found(
        2, Address("", "new.test"))  # fmt: skip
    with pytest.raises(Broken, match="line 2: 'ann@x' is not a domain name"):
        parse_domains("a.test b.test\nann@x b.test\n")


@given(st.text(alphabet="an@. #\t\n%+\"\\", max_size=60))
def test_any_text_is_a_table_or_told_what_is_wrong(text: str) -> None:
    with contextlib.suppress(Broken):
        assert all(line.who.local or line.who.domain for line in parse(text).values())
