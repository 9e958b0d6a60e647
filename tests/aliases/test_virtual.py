"""Virtual user tables (row R20): the samples of virtual(5) and of sendmail's cf/README mean what those documents say."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aliases.sources import alias_file
from tests.helpers import result_of, takes_linear_time
from twistmail.aliases.chain import AliasChain
from twistmail.aliases.virtual import POSTFIX, SENDMAIL, Dialect, Table
from twistmail.aliases.virtualfile import House, VirtualFile
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.spelled import spellings
from twistmail.tasks import Inline
from twistmail.watched import Broken, WatchedFiles

HOUSE = House("our.test", frozenset({"our.test"}), lambda address: spellings(address, "+"))

#: Each line of the table in cf/README, and one of each kind that its text tells of.
CF_README = """\
# comments begin with a sharp
info@foo.test\tfoo-info
info@bar.test\tbar-info
joe@bar.test\terror:nouser 550 No such user here
jax@bar.test\terror:5.7.0:550 Address invalid
@baz.test\tjane@elsewhere.test

@foo.test\t%1@example.test
old+*@qux.test\tnew+%2@example.test
gen+*@qux.test\t%2@example.test
+*@qux.test\t%1%3@example.test
X++@qux.test\tZ%3@example.test
@bar.test\t%1%3
"""

#: The forms of virtual(5), in the order in which its text has them.
VIRTUAL_5 = """\
# comments begin with a sharp
virtual-alias.test    anything that is written here does not matter!
postmaster@virtual-alias.test postmaster
user1@virtual-alias.test      address1@far.test
user2@virtual-alias.test      address2@far.test, address3@far.test
    address4
user+own@virtual-alias.test   special@far.test
root                          admin@our.test
@old.test                     @new.test
@rest.test                    somebody
user@rest.test                user@rest.test
"""


def source(path: Path, dialect: Dialect) -> VirtualFile:
    return VirtualFile(path, dialect, WatchedFiles(Inline()), HOUSE)


def where(tmp_path: Path, dialect: Dialect, text: str, address: str) -> list[str] | None:
    (tmp_path / "table").write_text(text)
    step = result_of(source(tmp_path / "table", dialect).lookup(parse(address).folded))
    return [str(goal) for goal in step.goals] if step else None


@pytest.mark.parametrize(("address", "goals"), [
    pytest.param("info@foo.test", ["foo-info@our.test"], id="a-name-of-ours"),
    pytest.param("INFO@bar.test", ["bar-info@our.test"], id="in-any-case"),
    pytest.param("joe@bar.test", [":fail: 550 5.1.1 No such user here"], id="error-nouser"),
    pytest.param("jax@bar.test", [":fail: 550 5.7.0 Address invalid"], id="error-with-an-enhanced-code"),
    pytest.param("anyone@baz.test", ["jane@elsewhere.test"], id="a-whole-domain"),
    pytest.param("ann@foo.test", ["ann@example.test"], id="the-same-name-elsewhere"),
    pytest.param("old+x@qux.test", ["new+x@example.test"], id="%2"),
    pytest.param("old+@qux.test", ["new+@example.test"], id="an-empty-detail"),
    pytest.param("gen+x@qux.test", ["x@example.test"], id="%2-alone"),
    pytest.param("ann+x@qux.test", ["ann+x@example.test"], id="anybody-with-a-detail"),
    pytest.param("ann+@qux.test", ["ann+@example.test"], id="anybody-with-an-empty-detail"),
    pytest.param("ann@qux.test", None, id="nobody-without-a-detail"),
    pytest.param("x+y@qux.test", ["Z+y@example.test"], id="%3"),
    pytest.param("x+@qux.test", ["x+@example.test"], id="++-wants-a-detail"),
    pytest.param("ann+x@bar.test", ["ann+x@our.test"], id="%1%3-keeps-the-detail"),
    pytest.param("ann@bar.test", ["ann@our.test"], id="%1%3-without-a-detail"),
    pytest.param("ann+x@foo.test", ["ann@example.test"], id="%1-is-the-user"),
    pytest.param("info+x@foo.test", ["foo-info@our.test"], id="a-detail-that-has-no-line"),
    pytest.param("ann@other.test", None, id="another-domain"),
])
def test_sendmail_s_samples(tmp_path: Path, address: str, goals: list[str] | None) -> None:
    assert where(tmp_path, SENDMAIL, CF_README, address) == goals


@pytest.mark.parametrize(("address", "goals"), [
    pytest.param("postmaster@virtual-alias.test", ["postmaster@our.test"], id="a-name-of-ours"),
    pytest.param("user2@virtual-alias.test", ["address2@far.test", "address3@far.test", "address4@our.test"], id="several"),
    pytest.param("unknown@virtual-alias.test", None, id="nobody"),
    pytest.param("user+own@virtual-alias.test", ["special@far.test"], id="the-whole-address-first"),
    pytest.param("user1+x@virtual-alias.test", ["address1+x@far.test"], id="the-suffix-goes-along"),
    pytest.param("root@our.test", ["admin@our.test"], id="a-name-alone-in-our-own-domain"),
    pytest.param("root+x@our.test", ["admin+x@our.test"], id="a-name-alone-with-a-suffix"),
    pytest.param("root@virtual-alias.test", None, id="a-name-alone-nowhere-else"),
    pytest.param("ann+x@old.test", ["ann+x@new.test"], id="the-same-name-in-another-domain"),
    pytest.param("ann+x@rest.test", ["somebody@our.test"], id="everybody-else"),
    pytest.param("user@rest.test", ["user@rest.test"], id="a-line-of-his-own-before-everybody-else"),
])
def test_postfix_s_samples(tmp_path: Path, address: str, goals: list[str] | None) -> None:
    assert where(tmp_path, POSTFIX, VIRTUAL_5, address) == goals


def test_postfix_reads_the_same_lines(tmp_path: Path) -> None:
    """`postmap` is asked for each key that we list; it knows no order, and no more than the text of the right side."""
    if shutil.which("postmap") is None:
        if os.environ.get("REQUIRE_CLIENTS"):
            pytest.fail("postmap is missing")
        pytest.skip("postmap is not installed")
    (tmp_path / "main.cf").touch()
    (tmp_path / "table").write_text(VIRTUAL_5)
    listed = {one.name: " ".join(one.texts) for one in result_of(source(tmp_path / "table", POSTFIX).listed())}
    said = subprocess.run(["postmap", "-c", tmp_path, "-q", "-", f"texthash:{tmp_path}/table"], input="\n".join(listed),
                          capture_output=True, text=True, timeout=20, check=False)  # fmt: skip
    theirs = {key: " ".join(value.replace(",", " ").split()) for key, value in (line.split("\t", 1) for line in said.stdout.splitlines())}
    assert theirs == listed


def test_an_answer_knows_its_line(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(VIRTUAL_5)
    step = result_of(source(tmp_path / "table", POSTFIX).lookup(parse("user2@virtual-alias.test")))
    assert step.origin == f"{tmp_path}/table:5"


def test_a_name_goes_before_a_catch_all_in_whichever_table_it_stands(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("@our.test everybody@far.test\n")
    (tmp_path / "aliases").write_text("ann: bert@far.test\n")
    chain = AliasChain([source(tmp_path / "table", POSTFIX), alias_file(tmp_path / "aliases", {"our.test"})], HOUSE.spellings)

    def led(address: str) -> str:
        return str(result_of(chain.lookup(parse(address))).goals[0])

    assert led("ann@our.test") == "bert@far.test"
    assert led("ann+x@our.test") == "bert@far.test"
    assert led("zoe@our.test") == "everybody@far.test"


@pytest.mark.parametrize(("dialect", "text", "line", "words"), [
    pytest.param(POSTFIX, "a@b.test c\nd@b.test\n", 2, "stands for nothing", id="no-right-side"),
    pytest.param(POSTFIX, "a@b.test c\nA@B.test d\n", 2, "stands in line 1 already", id="twice"),
    pytest.param(POSTFIX, " a@b.test c\n", 1, "begins with white space", id="continues-nothing"),
    pytest.param(POSTFIX, "a@b.test c@-\n", 1, "not a domain name", id="no-domain"),
    pytest.param(POSTFIX, "@-. c\n", 1, "not a domain name", id="no-domain-on-the-left"),
    pytest.param(POSTFIX, "@b.test %1@c.test\n", 1, "virtusertable:PATH", id="gaps-of-sendmail-s"),
    pytest.param(POSTFIX, "a@b.test c, :fail: x\n", 1, "stands alone", id="answer-and-more"),
    pytest.param(SENDMAIL, "a@b.test c, d\n", 1, "more than one address", id="several-for-sendmail"),
    pytest.param(SENDMAIL, "@b.test @c.test\n", 1, "write %1@c.test", id="a-domain-for-sendmail"),
    pytest.param(SENDMAIL, "@b.test error:nouser \u00fc\n", 1, "plain ASCII", id="answer-that-is-not-ascii"),
    pytest.param(POSTFIX, 'a@b.test "c\n', 1, "", id="unfinished-quotes"),
    pytest.param(POSTFIX, "a@b.test |run\n", 1, "nothing else in such a table", id="a-program"),
    pytest.param(SENDMAIL, "a@b.test /etc/passwd\n", 1, "nothing else in such a table", id="a-file"),
    pytest.param(POSTFIX, "a@b.test c\n" + "x" * 10_000_000, 2, "too long", id="ten-megabytes"),
    pytest.param(POSTFIX, "a@b.test c\0d\n", 1, "needs quotes", id="nul"),
    pytest.param(POSTFIX, "a@b.test " + "c," * 10_001, 1, "more than 10000", id="many"),
])
def test_a_mistake_is_told_with_its_line(dialect: Dialect, text: str, line: int, words: str) -> None:
    with pytest.raises(Broken) as raised:
        Table(text, dialect)
    assert raised.value.problems[0][0] == line
    assert words in raised.value.problems[0][1]


@given(st.text(min_size=1, max_size=30))
def test_whatever_a_stranger_writes_stays_one_local_part(local: str) -> None:
    line = Table("@b.test %1%3@c.test\n", SENDMAIL).find("@b.test")
    assert line is not None
    try:
        (goal,) = line.goals(Address(local, "b.test"), (local, "", ""))
    except ValueError:
        return
    assert goal == Address(local, "c.test")


@given(st.text(alphabet='ab@.+*%12 \t\n,"#:', max_size=80), st.sampled_from([POSTFIX, SENDMAIL]))
def test_a_table_that_is_taken_answers_for_each_of_its_keys(text: str, dialect: Dialect) -> None:
    try:
        table = Table(text, dialect)
    except Broken:
        return
    listed = list(table.listed("t"))
    assert len(listed) == len(table)
    assert all(table.find(one.name if "@" in one.name else f"{one.name}@") for one in listed)


def test_a_broken_table_keeps_the_old_one(tmp_path: Path, logged: list[str]) -> None:
    (tmp_path / "table").write_text("a@b.test c\n")
    table = source(tmp_path / "table", POSTFIX)
    assert result_of(table.lookup(parse("a@b.test"))) is not None
    (tmp_path / "table").write_text("a@b.test c\nd@b.test\n")
    assert result_of(table.lookup(parse("a@b.test"))) is not None
    assert [line.partition(": ")[0] for line in logged] == [f"{tmp_path}/table:2"]
    assert result_of(table.troubles())[0][2] == f"{tmp_path}/table:2"


def test_a_missing_table_makes_mail_wait(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        result_of(source(tmp_path / "none", SENDMAIL).lookup(parse("a@b.test")))


@pytest.mark.parametrize("text", [
    pytest.param(lambda number: "".join(f"n{line}@a.test b{line}@c.test\n" for line in range(number)), id="plain"),
    pytest.param(lambda number: "a@b.test " + "c," * number, id="one-line"),
    pytest.param(lambda number: '"' * number * 10, id="quotes"),
    pytest.param(lambda number: '"\\' * number * 10, id="backslashes"),
    pytest.param(lambda number: "a@b.test " + '"' * number * 10, id="quotes-on-the-right"),
    pytest.param(lambda number: "a@b.test c\n" + " \n" * number * 10, id="empty-lines"),
])
def test_hostile_text_costs_time_in_proportion(text: Callable[[int], str]) -> None:
    def seconds(number: int) -> float:
        given_text = text(number)
        began = time.thread_time()
        try:
            Table(given_text, POSTFIX)
        except Broken:
            pass
        return time.thread_time() - began

    assert takes_linear_time(seconds, 600)
