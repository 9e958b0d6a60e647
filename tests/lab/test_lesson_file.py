"""Lessons as teachers write them: what is read, and what is said about each mistake, with its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.lab.lesson import Act, Block, Check, Choice, Field
from twistmail.lab.lesson_file import load, load_all, names_in, read

WHOLE = """\
# 2 SMTP by hand
minutes: 20
goal: You can speak SMTP
    as a client does.
look: /console?office=green&service=mx

Some prose
on two lines.

- one
- two, which
  goes on

    to copy

## Say hello
Type it.
type: green mx
    EHLO pc.test -> 250

    QUIT -> 221
send: from={me} to=carol@green.test subject="Two words"
    Hi!
expect: line office=green side=C text^EHLO :: Green hears your EHLO
hint: HELO would do
lpi: telnet, mail

## Wait
never: read office=green :: Nobody may read
done: I have looked

## Question 1: Can SMTP both send and receive?
- [x] True
- [ ] False
shown: 1 2
answer: Between servers, yes.

## Question: What do you think?
answer: It depends.
"""


def lesson(text: str = WHOLE):
    made, problems = read(text)
    assert problems == ()
    return made


def test_a_lesson_is_a_head_prose_steps_and_questions():
    made = lesson()
    assert (made.number, made.title, made.minutes) == (2, "SMTP by hand", 20)
    assert made.goal == "You can speak SMTP as a client does."
    assert made.prose == (
        Block("text", ("Some prose on two lines.",)),
        Block("list", ("one", "two, which goes on")),
        Block("code", ("to copy",)),
    )
    first, second = made.steps
    assert (first.title, first.hint, first.lpi) == ("Say hello", "HELO would do", ("telnet", "mail"))
    assert first.acts == (
        Act("type", ("green", "mx"), ("EHLO pc.test -> 250", "", "QUIT -> 221")),
        Act("send", ("from={me}", "to=carol@green.test", "subject=Two words"), ("Hi!",)),
    )
    fields = (Field("office", "=", "green"), Field("side", "=", "C"), Field("text", "^", "EHLO"))
    assert first.expects == (Check("line", fields, "Green hears your EHLO"),)
    assert (second.done, len(second.nevers)) == ("I have looked", 1)
    assert [(question.number, question.shown, question.right) for question in made.questions] == [(1, (1, 2), (0,)), (0, (), ())]
    assert made.questions[0].choices == (Choice("True", True), Choice("False", False))


def test_names_in_braces_are_replaced_where_the_class_knows_them():
    made = lesson()
    assert names_in(made) == {"me"}
    filled = made.filled({"me": "alice@blue.test"})
    assert filled.steps[0].acts[1].words[0] == "from=alice@blue.test"
    assert names_in(filled) == set()
    assert made.filled({"other": "x"}) == made


STEP = "# 1 A\n\n## Do\n"


def test_choices_are_mixed_and_stay_where_they_are():
    """Who writes a question begins with what is right: the place of a choice must not tell it."""
    places = {question.right[0] for one in load_all()[0] for question in one.questions if len(question.choices) == 3}
    assert places == {0, 1, 2}
    assert {question.right[0] for one in load_all()[0] for question in one.questions if len(question.choices) == 2} == {0, 1}
    turned = WHOLE.replace("- [x] True\n- [ ] False", "- [ ] False\n- [x] True")
    assert lesson(turned).questions[0].choices == lesson().questions[0].choices


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        pytest.param("", 1, "no title", id="empty"),
        pytest.param("Hello\n# 1 A\n## Do\ndone: yes\n", 1, "title comes first", id="words-before-the-title"),
        pytest.param("# One\n## Do\ndone: yes\n", 1, "no title", id="a-title-without-number"),
        pytest.param("# 1 A\n", 1, "at least one step", id="no-step"),
        pytest.param("# 1 A\nminutes: soon\n## Do\ndone: x\n", 2, "no number of minutes", id="minutes"),
        pytest.param("# 1 A\nlook: //evil.test/\n## Do\ndone: x\n", 2, "no page", id="a-page-elsewhere"),
        pytest.param("# 1 A\ngaol: x\n## Do\ndone: x\n", 2, "did you mean 'goal:'", id="a-key-misspelt"),
        pytest.param("# 1 A\n### Deep\n", 2, "one # for the lesson", id="a-head-too-deep"),
        pytest.param(STEP, 3, "when this step is done", id="a-step-without-end"),
        pytest.param(STEP + "expect: lines :: x\n", 4, "no events of the kind 'lines'", id="an-unknown-kind"),
        pytest.param(STEP + "expect: line txt~250 :: x\n", 4, "have no 'txt'", id="an-unknown-field"),
        pytest.param(STEP + "expect: line text :: x\n", 4, "is no demand", id="a-demand-without-sign"),
        pytest.param(STEP + "expect: line text~250\n", 4, "waiting for", id="no-words-for-the-student"),
        pytest.param(STEP + 'expect: line text~"25 :: x\n', 4, "quotation mark", id="an-open-quotation"),
        pytest.param(STEP + "never: read :: x\nexpect: line :: x\n", 4, "'never:' wants a 'done:'", id="never-without-end"),
        pytest.param(STEP + "done: a\ndone: b\n", 5, "here once already, in line 4", id="twice"),
        pytest.param(STEP + "done: a\ntype: green\n    QUIT\n", 5, "which office and service", id="typed-nowhere"),
        pytest.param(STEP + "done: a\ntype: green mx\n", 5, "stands below", id="nothing-typed"),
        pytest.param(STEP + "done: a\nrun:\n", 5, "write the command", id="no-command"),
        pytest.param(STEP + "done: a\nsend: from=a\n", 5, "from=... and to=...", id="a-letter-to-nobody"),
        pytest.param(STEP + "done: a\nsend: from=a to=b cc=c\n", 5, "'cc' is nothing", id="a-letter-with-more"),
        pytest.param(STEP + "done: a\nswitch: green\n", 5, "on or off", id="a-switch"),
        pytest.param(STEP + "done: a\nclock: 20 minutes\n", 5, "how much time", id="a-time"),
        pytest.param(STEP + "done: a\nzone: green.test\n", 5, "a name, a type", id="a-record"),
        pytest.param(STEP + "done: a\n## Question 1 What?\nanswer: b\n", 5, "a question looks so", id="a-question-without-colon"),
        pytest.param(STEP + "done: a\n## Question: What?\n", 5, "answer for the teacher", id="a-question-without-answer"),
        pytest.param(STEP + "done: a\n## Question: What?\n- [ ] no\nanswer: b\n", 5, "none of the choices", id="no-right-choice"),
        pytest.param(STEP + "done: a\n## Question: What?\nSo.\nanswer: b\n", 6, "stand its choices", id="prose-in-a-question"),
        pytest.param(STEP + "done: a\n## Question: What?\nshown: 2\nanswer: b\n", 6, "'2' is no step", id="shown-nowhere"),
    ],
)
def test_a_mistake_is_told_with_its_line(text, line, why):
    made, problems = read(text, "03-x.md")
    assert made is None
    assert [problem for problem in problems if problem.line == line and why in problem.why], list(map(str, problems))
    assert str(problems[0]).startswith("03-x.md:")


def test_all_mistakes_are_told_at_once_in_their_order():
    _, problems = read("# 1 A\nminutes: x\n## Do\nexpect: nothing :: x\n## Again\n")
    assert [problem.line for problem in problems] == [2, 4, 5]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
@settings(max_examples=150)
def test_whatever_is_written_makes_a_lesson_or_problems(text):
    made, problems = read(text)
    assert (made is None) == bool(problems)


@given(st.lists(st.sampled_from([*WHOLE.split("\n"), "expect:", "type: x", "    ", "## Question"]), max_size=30))
@settings(max_examples=150)
def test_lines_in_any_order_make_a_lesson_or_problems(lines):
    made, problems = read("\n".join(lines))
    assert (made is None) == bool(problems)


def test_a_file_that_is_no_text_or_is_not_there_or_too_long_is_a_problem(tmp_path):
    (tmp_path / "01.md").write_bytes(b"\xff\xfe")
    assert "cannot be read" in str(load(tmp_path / "01.md")[1][0])
    assert "cannot be read" in str(load(tmp_path / "02.md")[1][0])
    (tmp_path / "03.md").write_text(WHOLE + "x" * 300_000)
    assert "longer than" in str(load(tmp_path / "03.md")[1][0])


def test_a_folder_has_each_number_once(tmp_path):
    assert "no lesson here" in str(load_all(tmp_path)[1][0])
    (tmp_path / "a.md").write_text(WHOLE)
    (tmp_path / "b.md").write_text(WHOLE.replace("SMTP by hand", "Other"))
    (tmp_path / "c.md").write_text(WHOLE.replace("# 2", "# 1", 1))
    lessons, problems = load_all(tmp_path)
    assert [lesson.number for lesson in lessons] == [1, 2]
    assert [str(problem) for problem in problems] == ["b.md:1: there is a lesson 2 already: SMTP by hand"]


@pytest.mark.parametrize(("words", "said"), [
    (("from=a@b.test", "to=c@d.test"), "from a@b.test to c@d.test"),
    (("from=a@b.test", "to=c@d.test,e@d.test", "subject=No room?"), "from a@b.test to c@d.test and e@d.test, about “No room?”"),
    (("from=a@b.test", "to=c@d.test", "as=m@r.test"), "from a@b.test to c@d.test, logged in as m@r.test"),
])  # fmt: skip
def test_a_letter_is_asked_for_in_words(words, said):
    assert Act("send", words).letter == said
