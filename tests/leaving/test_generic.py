"""What a sender map means, and what is wrong with one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.leaving.generic import parse
from twistmail.mail.address import Address
from twistmail.mail.address import parse as address
from twistmail.watched import Broken

TEXT = """\
# who          what the world sees
root           me@isp.test
Ann@pc7.lan    ann@blue.test    # and why
ann            anna@blue.test
@lan           office@blue.test
@old.lan       @blue.test
@older.lan     %1@blue.test

bob+list@pc7.lan
    list@blue.test
"""


@pytest.mark.parametrize(("spellings", "is_ours", "number"), [
    pytest.param(["ann@pc7.lan"], True, 3, id="an-address-before-a-name"),
    pytest.param(["ann@pc8.lan"], True, 4, id="a-name-in-any-domain-of-ours"),
    pytest.param(["ann@far.test"], False, None, id="a-name-in-another-domain"),
    pytest.param(["eve@lan"], False, 5, id="everybody-in-a-domain"),
    pytest.param(["root@lan"], True, 2, id="a-name-before-a-domain"),
    pytest.param(["eve@pc7.lan"], False, None, id="a-domain-is-that-very-domain"),
    pytest.param(["bob+list@pc7.lan", "bob@pc7.lan"], True, 9, id="with-the-suffix"),
    pytest.param(["root+x@pc7.lan", "root@pc7.lan"], True, 2, id="without-the-suffix"),
    pytest.param(["eve@old.lan"], False, 6, id="another-domain-for-everybody"),
])  # fmt: skip
def test_which_line_counts(spellings: list[str], is_ours: bool, number: int | None) -> None:
    line = parse(TEXT).line_for(tuple(map(address, spellings)), is_ours=is_ours)
    assert (line and line.number) == number


def test_what_is_shown_and_who_is_behind_it() -> None:
    lines = parse(TEXT)
    assert lines.by_who[Address("", "older.lan")].shown == Address("", "blue.test")
    assert lines.by_shown[address("me@isp.test")].who == Address("root")
    assert address("office@blue.test") not in lines.by_shown, "nobody knows who of them it was"


def test_of_several_the_first_is_behind_it() -> None:
    assert parse("a me@isp.test\nb me@isp.test\n").by_shown[address("me@isp.test")].number == 1


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("root", 1, "wants one address", id="nothing-behind"),
    pytest.param("ok me@isp.test\nroot me@isp.test you@isp.test", 2, "wants one address", id="too-much-behind"),
    pytest.param("root me", 1, "has no domain", id="a-name-only"),
    pytest.param("root @isp.test", 1, "has no name", id="a-domain-for-a-name"),
    pytest.param("@a..b me@isp.test", 1, "not a domain name", id="no-domain"),
    pytest.param("a(b me@isp.test", 1, "needs quotes", id="no-address"),
    pytest.param("root jos\u00e9@isp.test", 1, "not ASCII", id="not-for-every-server"),
    pytest.param("root a@x.test\nROOT b@x.test", 2, "stands in line 1", id="twice"),
])  # fmt: skip
def test_mistakes_have_their_lines(text: str, line: int, words: str) -> None:
    with pytest.raises(Broken) as broken:
        parse(text)
    ((number, said),) = broken.value.problems
    assert (number, words in said, "\n" in said) == (line, True, False)


@given(st.text(st.sampled_from('ab@.+%1# \n\t"<é'), max_size=80))
def test_any_text_is_a_map_or_has_mistakes(text: str) -> None:
    problems: tuple[tuple[int, str], ...] = ()
    try:
        parse(text)
    except Broken as broken:
        problems = broken.problems
    assert all(0 < number <= text.count("\n") + 1 for number, _ in problems)
