"""Tables of regular expressions: the syntax of regexp_table(5), and that no address makes one of them slow, or more than an address."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aliases.sources import meaning
from tests.helpers import result_of
from twistmail.aliases.permits import Permits
from twistmail.aliases.regexp import Rules
from twistmail.aliases.regexpfile import RegexpFile
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Step
from twistmail.tasks import Inline
from twistmail.watched import Broken, WatchedFiles

#: With sentences of its manual's own example, in our words; each result is an address, so that Postfix can be asked the same.
TABLE = """\
# comments, and empty lines

/^postmaster@/            post@here.example
if !/^owner-/
/^(.*)-outgoing@(.*)$/    ${1}@$(2)
endif
/^Case@/i                 upper@here.example
if /^in-/
if /@b\\.example$/
/^in-(.)/                 $1.b@here.example
endif
/^in-([[:digit:]]+)/
   number-$1@here.example
endif
~^[[:alnum:]+/]{6,}@long~ long@here.example
!/@(a|b|far)\\.example$/   elsewhere@here.example
/^twice-(a+?)(a*)@/       $2-$1@here.example
/^dollar@/                a$$b@here.example
"""
ASKED = [
    "postmaster@a.example", "PostMaster@b.example", "sales-outgoing@a.example", "owner-sales-outgoing@a.example", "case@a.example",
    "Case@a.example", "in-1@b.example", "in-12@a.example", "in-x@a.example", "abc+def@long.example", "abc@long.example",
    "x@c.example", "twice-aaa@a.example", "dollar@a.example", "nobody@a.example",
]  # fmt: skip


def source(path: Path, permits: Permits | None = None) -> RegexpFile:
    return RegexpFile(path, WatchedFiles(Inline()), "dom1.test", meaning(permits))


def asked(tmp_path: Path, text: str, address: str, permits: Permits | None = None) -> Step | None:
    (tmp_path / "table").write_text(text)
    return result_of(source(tmp_path / "table", permits).lookup(parse(address)))


@pytest.mark.parametrize(("address", "goal", "line"), [
    ("postmaster@a.example", "post@here.example", 3), ("sales-outgoing@a.example", "sales@a.example", 5),
    ("owner-sales-outgoing@a.example", None, 0), ("case@a.example", None, 0), ("Case@a.example", "upper@here.example", 7),
    ("in-1@b.example", "1.b@here.example", 10), ("in-12@a.example", "number-12@here.example", 12), ("in-x@a.example", None, 0),
    ("abc+def@long.example", "long@here.example", 15), ("x@c.example", "elsewhere@here.example", 16),
    ("twice-aaa@a.example", "aa-a@here.example", 17), ("dollar@a.example", "a$b@here.example", 18), ("nobody@far.example", None, 0),
])
def test_the_first_rule_that_fits_answers(tmp_path: Path, address: str, goal: str | None, line: int) -> None:
    step = asked(tmp_path, TABLE, address)
    assert (step and (str(step.goals[0]), step.origin)) == (goal and (goal, f"{tmp_path}/table:{line}"))


def test_postfix_says_the_same(tmp_path: Path) -> None:
    if shutil.which("postmap") is None:
        if os.environ.get("REQUIRE_CLIENTS"):
            pytest.fail("postmap is missing")
        pytest.skip("postmap is not installed")
    posix = TABLE.replace("a+?", "a")  # POSIX has no lazy repetition
    (tmp_path / "main.cf").touch()
    (tmp_path / "table").write_text(posix)
    said = subprocess.run(["postmap", "-c", tmp_path, "-q", "-", f"regexp:{tmp_path}/table"], input="\n".join(ASKED), capture_output=True,
                          text=True, timeout=20, check=False)  # fmt: skip
    theirs = dict(line.split("\t") for line in said.stdout.splitlines())
    ours = {address: str(step.goals[0]) for address in ASKED if (step := asked(tmp_path, posix, address))}
    assert ours == theirs
    assert len(theirs) > 8


@pytest.mark.parametrize(("line", "address", "goals"), [
    pytest.param("/^a@/ b, c@x.example, \\d", "a@dom1.test", ["b@dom1.test", "c@x.example", "\\d@dom1.test"], id="several"),
    pytest.param("/^(.*)@old$/ $1", "a@old", ["a@dom1.test"], id="a-name-alone"),
    pytest.param("/^(.*)@(.*)\\.old$/ $1@$2.new", "a@x.old", ["a@x.new"], id="a-domain"),
    pytest.param("/^a@/ :fail: gone, away", "a@dom1.test", [":fail: 550 5.1.1 gone, away"], id="an-answer"),
    pytest.param("/^a@/ error:nouser 550 No", "a@dom1.test", [":fail: 550 5.1.1 No"], id="as-sendmail-says-it"),
    pytest.param("/^a@/ :blackhole:", "a@dom1.test", [":blackhole:"], id="thrown-away"),
    pytest.param("/^(.*)@old$/ $1@new.example", '"a b,c"@old', None, id="quoted-has-its-quotes"),
])
def test_what_a_rule_leads_to(tmp_path: Path, line: str, address: str, goals: list[str] | None) -> None:
    step = asked(tmp_path, line + "\n", address)
    if goals is None:
        assert step is not None
        assert [type(goal) for goal in step.goals] == [Address]
        return
    assert step is not None
    assert [str(goal) for goal in step.goals] == goals


@given(st.text(min_size=1, max_size=20))
def test_whatever_a_stranger_writes_stays_one_address(local: str) -> None:
    rules = Rules("/^(.*)@(.*)$/ $1@new.example\n")
    found = rules.find(str(Address(local, "old.example")))
    assert found is None or [type(goal) for goal in found[1]] == [Address]
    assert found is None or found[1][0].domain == "new.example"  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("/a/ b\n/b\n", 2, "no / at its end", id="no-end"),
    pytest.param("a b", 1, "no expression", id="no-delimiter"),
    pytest.param("/a/", 1, "leads nowhere", id="no-result"),
    pytest.param("/a/ $1@x", 1, "no group of this expression, which has 0", id="no-group"),
    pytest.param("!/(a)/ $1@x", 1, "no group", id="group-of-what-does-not-fit"),
    pytest.param("/(a)/ |run $1", 1, "addresses only", id="into-a-program"),
    pytest.param("/(a)/ /var/mail/$1", 1, "addresses only", id="into-a-file"),
    pytest.param("/(a)/ $1/box", 1, "addresses only", id="into-a-path"),
    pytest.param("/(a)/ :include:/lists/$1", 1, "addresses only", id="into-a-list"),
    pytest.param("/a/x b", 1, "the flag x", id="flag"),
    pytest.param("/(?=a)/ b", 1, "is not done here", id="look-around"),
    pytest.param("/(a)\\1/ b", 1, "refer back", id="back-reference"),
    pytest.param("/a/ b c", 1, "white space", id="two-words"),
    pytest.param("if /a/\n/a/ b", 1, "no endif", id="no-endif"),
    pytest.param("endif", 1, "closes nothing", id="endif-alone"),
    pytest.param("if /a/ b\nendif", 1, "stands behind an if", id="result-of-an-if"),
    pytest.param("/(a{1,200}){1,200}/ b", 1, "longer than", id="long"),
    pytest.param("/((a{1,20}){1,20})/ $1@x", 1, "too long for one whose groups are used", id="long-with-groups"),
    pytest.param("if /a/\n" * 51 + "endif\n" * 51, 51, "ifs are open", id="deep"),
    pytest.param("/a/ b\n" * 2001, 2001, "more than 2000 rules", id="many"),
    pytest.param("/a/ b, :fail: x", 1, "cannot be refused", id="answer-and-more"),
    pytest.param("/(a)/ $1@-", 1, "not a domain name", id="no-domain"),
    pytest.param("/" + "a" * 10_000_000 + "/ b", 1, "too long", id="ten-megabytes"),
])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Broken) as raised:
        Rules(text)
    assert raised.value.problems[0][0] == line
    assert words in raised.value.problems[0][1]


def test_files_and_programs_need_their_permission(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"table:1 leads to a program, which is not allowed"):
        asked(tmp_path, "/^a@/ |run\n", "a@dom1.test")
    step = asked(tmp_path, "/^a@/ |run\n", "a@dom1.test", Permits(programs="yes"))
    assert step is not None
    assert [str(goal) for goal in step.goals] == ["|run"]


@pytest.mark.parametrize("expression", ["/(a+)+$/ x", "/^(a|a)*b/ x", "/^(.*a){20}$/ x", "/^((a*)*)*@c$/ $1@x.example"])
def test_an_expression_that_is_built_to_explode_does_not(expression: str) -> None:
    rules = Rules(expression)
    began = time.thread_time()
    rules.find("a" * 300 + "!")
    assert time.thread_time() - began < 5  # a machine that goes back would take longer than a life


def test_a_broken_table_keeps_the_old_one(tmp_path: Path, logged: list[str]) -> None:
    (tmp_path / "table").write_text("/^a@/ b\n")
    regexp = source(tmp_path / "table")
    assert result_of(regexp.lookup(parse("a@dom1.test"))) is not None
    (tmp_path / "table").write_text("/^a@/ b\n/c d\n")
    assert result_of(regexp.lookup(parse("a@dom1.test"))) is not None
    assert logged == [f"{tmp_path}/table:2: the expression has no / at its end (what was read before stays in use)"]
    assert result_of(regexp.troubles()) == [("-", "the expression has no / at its end", f"{tmp_path}/table:2")]
    assert [(one.name, one.texts) for one in result_of(regexp.listed())] == [("/^a@/", ("b",))]
