"""Mail for `|program words` of aliases and users' forwards (row R28)."""

from __future__ import annotations

import pytest

from tests.delivery.places import CONTENT, WHOLE, Helper, item, to, uid_of
from tests.helpers import result_of
from tests.mail.test_commands import ESCAPES
from twistmail import tasks
from twistmail.delivery.programs import HOUSE_PROGRAMS, OWN_PROGRAMS, ProgramCourier, Runners
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.piping import Run


class Section:
    """A program of [pipe:tickets]."""

    def __init__(self):
        self.runs = []

    async def run(self, item, target, content):
        self.runs.append(target)
        return Status(250, "2.0.0", "Done")


def carried(helper, *targets, named=(), extension="ext"):
    courier = ProgramCourier(dict(named), Runners(tasks.Inline(), helper, lambda target: extension), uid_of)
    return [(one.result, one.status.enhanced) for one in result_of(courier.carry(item(*targets), targets, CONTENT))]


def test_a_program_of_the_folder_gets_the_message_its_words_and_who_it_was_for():
    helper = Helper(Run(0), HOUSE_PROGRAMS)
    target = to(Kind.PROGRAM, '/usr/ucb/vacation -a "two words"', original=Address("info", "blue.test"))
    assert carried(helper, target) == [(Result.DELIVERED, "2.0.0")]
    (wanted,) = helper.asked
    assert (wanted.name, wanted.user, wanted.words) == (HOUSE_PROGRAMS, None, ("vacation", "-a", "two words"))
    assert wanted.values == {
        "sender": "eve@red.test", "recipient": "ann@blue.test", "original": "info@blue.test", "user": "ann", "domain": "blue.test",
        "extension": "ext", "size": "40", "id": "i1",
    }  # fmt: skip
    assert helper.messages == [WHOLE % b"ann@blue.test"]


def test_somebody_s_own_program_is_run_as_he():
    helper = Helper(Run(0), HOUSE_PROGRAMS, OWN_PROGRAMS)
    carried(helper, to(Kind.PROGRAM, "vacation ann", "ann@here"))
    assert [(wanted.name, wanted.user) for wanted in helper.asked] == [(OWN_PROGRAMS, 1001)]


def test_a_name_of_a_section_is_that_program_and_only_for_the_house():
    helper, section = Helper(Run(0), HOUSE_PROGRAMS, OWN_PROGRAMS), Section()
    targets = to(Kind.PROGRAM, "tickets"), to(Kind.PROGRAM, "tickets --all"), to(Kind.PROGRAM, "tickets", "ann@here")
    assert [result for result, _ in carried(helper, *targets, named={"tickets": section}.items())] == [Result.DELIVERED] * 3
    assert section.runs == [targets[0]]
    assert [wanted.name for wanted in helper.asked] == [HOUSE_PROGRAMS, OWN_PROGRAMS]


@pytest.mark.parametrize(("run", "result", "enhanced"), [
    pytest.param(Run(0), Result.DELIVERED, "2.0.0", id="EX_OK"),
    pytest.param(Run(64), Result.FAILED, "5.3.5", id="EX_USAGE"),
    pytest.param(Run(65), Result.FAILED, "5.6.0", id="EX_DATAERR"),
    pytest.param(Run(66), Result.FAILED, "5.3.0", id="EX_NOINPUT"),
    pytest.param(Run(67), Result.FAILED, "5.1.1", id="EX_NOUSER"),
    pytest.param(Run(68), Result.FAILED, "5.1.2", id="EX_NOHOST"),
    pytest.param(Run(69), Result.FAILED, "5.3.0", id="EX_UNAVAILABLE"),
    pytest.param(Run(70), Result.FAILED, "5.3.0", id="EX_SOFTWARE"),
    pytest.param(Run(71), Result.DEFERRED, "4.3.0", id="EX_OSERR"),
    pytest.param(Run(72), Result.FAILED, "5.3.0", id="EX_OSFILE"),
    pytest.param(Run(73), Result.FAILED, "5.2.0", id="EX_CANTCREAT"),
    pytest.param(Run(74), Result.DEFERRED, "4.3.0", id="EX_IOERR"),
    pytest.param(Run(75), Result.DEFERRED, "4.3.0", id="EX_TEMPFAIL"),
    pytest.param(Run(76), Result.FAILED, "5.5.0", id="EX_PROTOCOL"),
    pytest.param(Run(77), Result.FAILED, "5.7.0", id="EX_NOPERM"),
    pytest.param(Run(78), Result.FAILED, "5.3.5", id="EX_CONFIG"),
    pytest.param(Run(1), Result.FAILED, "5.3.0", id="any-other"),
    pytest.param(Run(-15), Result.DEFERRED, "4.3.0", id="a-signal"),
    pytest.param(Run(-9, late=True), Result.DEFERRED, "4.3.0", id="too-long"),
    pytest.param(Run(127, "missing"), Result.DEFERRED, "4.3.5", id="never-begun"),
    pytest.param(BrokenPipeError("gone"), Result.DEFERRED, "4.3.0", id="no-helper-any-more"),
])  # fmt: skip
def test_what_the_end_of_a_program_means(run, result, enhanced):
    assert carried(Helper(run, HOUSE_PROGRAMS), to(Kind.PROGRAM, "x")) == [(result, enhanced)]


@pytest.mark.parametrize("command", [*ESCAPES, "..", "", "x 'unfinished"])
def test_a_command_that_is_none_waits_for_an_operator_and_nothing_is_run(command):
    helper = Helper(Run(0), HOUSE_PROGRAMS)
    assert carried(helper, to(Kind.PROGRAM, command)) == [(Result.DEFERRED, "4.3.5")]
    assert helper.asked == []


@pytest.mark.parametrize(("account", "enhanced"), [("ann@elsewhere", "4.3.5"), ("carl@here", "4.3.0")])
def test_who_is_no_user_of_this_machine_has_no_programs(account, enhanced):
    helper = Helper(Run(0), OWN_PROGRAMS)
    assert carried(helper, to(Kind.PROGRAM, "x", account)) == [(Result.DEFERRED, enhanced)]
    assert helper.asked == []


@pytest.mark.parametrize("helper", [None, Helper(Run(0), OWN_PROGRAMS)], ids=["no-helper", "no-folder"])
def test_mail_waits_where_programs_are_off(helper):
    assert carried(helper, to(Kind.PROGRAM, "x")) == [(Result.DEFERRED, "4.3.5")]


def test_a_recipient_who_would_be_an_option_is_refused():
    helper = Helper(Run(0), HOUSE_PROGRAMS)
    assert carried(helper, to(Kind.PROGRAM, "x", name="-rf")) == [(Result.FAILED, "5.1.3")]
    assert helper.asked == []


def test_an_extension_that_would_be_an_option_is_given_without_its_hyphen():
    helper = Helper(Run(0), HOUSE_PROGRAMS)
    assert carried(helper, to(Kind.PROGRAM, "x", name="ann+-x"), extension="-x") == [(Result.DELIVERED, "2.0.0")]
    assert helper.asked[0].values["extension"] == "_x"


def test_what_an_address_holds_means_nothing_in_a_program():
    helper = Helper(Run(0), HOUSE_PROGRAMS)
    carried(helper, to(Kind.PROGRAM, "x", name="() { :; }; id `id` $(id)|;\n"))
    assert set(helper.asked[0].values["recipient"]) <= set("_id@blue.test")


def test_each_command_is_a_place_of_its_own():
    targets = to(Kind.PROGRAM, "a"), to(Kind.PROGRAM, "b"), to(Kind.PROGRAM, "a", name="bob"), to(Kind.PROGRAM, "a", "ann@here")
    batches = ProgramCourier({}, Runners(tasks.Inline(), None), uid_of).batches(item(*targets), targets)
    assert [(batch.place, len(batch.targets)) for batch in batches] == [("program:a", 2), ("program:b", 1), ("program:a (ann@here)", 1)]
