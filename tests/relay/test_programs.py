"""Mail for programs: what their ends mean, and what they are called with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import result_of
from twistmail import tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.piping import Run
from twistmail.piping_helper import SAFE
from twistmail.programs import COMMAND, OUTPUT, status_of, values_of
from twistmail.relay.programs import Program


def target(local: str) -> Target:
    address = Address(local, "list.test")
    return Target(Kind.REMOTE, address, address)


def item(sender: Address | None = Address("eve", "far.test")) -> Item:  # noqa: B008
    return Item("i1", sender, (Errand(target("x")),), 0.0, 20, b"Received: x\r\n")


class Helper:
    def __init__(self, run: Run | OSError) -> None:
        self.end, self.runs = run, []

    def run(self, name, values, message):
        self.runs.append((name, values, b"".join(message)))
        if isinstance(self.end, OSError):
            raise self.end
        return self.end


def carried(end, local="x", sender=Address("eve", "far.test")):  # noqa: B008
    helper = Helper(end)
    program = Program("tickets", helper, tasks.Inline())
    return result_of(program.run(item(sender), target(local), Memory(b"Subject: x\r\n\r\nhello\r\n"))), helper


def test_a_program_gets_the_message_as_a_mailbox_does():
    status, helper = carried(Run(0))
    assert (status.code, status.enhanced) == (250, "2.0.0")
    name, values, message = helper.runs[0]
    assert (name, values["recipient"], values["sender"]) == ("tickets", "x@list.test", "eve@far.test")
    assert message == b"Return-Path: <eve@far.test>\r\nDelivered-To: x@list.test\r\nReceived: x\r\nSubject: x\r\n\r\nhello\r\n"


@pytest.mark.parametrize(("run", "code", "enhanced"), [
    pytest.param(Run(0), 250, "2.0.0", id="done"),
    pytest.param(Run(75, "later"), 451, "4.3.0", id="EX_TEMPFAIL"),
    pytest.param(Run(67, "no such list\nmore"), 550, "5.1.1", id="EX_NOUSER"),
    pytest.param(Run(77), 550, "5.7.0", id="EX_NOPERM"),
    pytest.param(Run(1, "Traceback"), 550, "5.3.0", id="any-other-code"),
    pytest.param(Run(-9), 451, "4.3.0", id="a-signal"),
    pytest.param(Run(-9, late=True), 451, "4.3.0", id="too-long"),
    pytest.param(Run(127, "not there"), 451, "4.3.5", id="never-begun"),
    pytest.param(OSError("gone"), 451, "4.3.0", id="no-helper"),
])
def test_what_an_end_means(run, code, enhanced):
    status, _ = carried(run)
    assert (status.code, status.enhanced) == (code, enhanced)


def test_the_sender_hears_the_first_line_that_was_said_without_its_controls():
    said = status_of(Run(67, "\n  no\tsuch \x1b[1mlist\nsecret second line")).text
    assert said.endswith("does not know that recipient: no such  [1mlist")


@pytest.mark.parametrize("local", ["-rf", "..", "."])
def test_an_address_that_would_be_an_option_or_a_folder_is_not_given(local):
    status, helper = carried(Run(0), local=local)
    assert (status.enhanced, helper.runs) == ("5.1.3", [])


def test_a_report_has_no_sender_and_keeps_its_place():
    _, helper = carried(Run(0), sender=None)
    assert helper.runs[0][1]["sender"] == ""
    assert helper.runs[0][2].startswith(b"Return-Path: <>\r\n")


@given(st.text(min_size=1, max_size=40))
def test_whatever_an_address_holds_the_helper_takes_it_or_it_is_refused(local):
    values = values_of(item(), target(local))
    assert all(SAFE.fullmatch(value) or value.startswith("-") for value in values.values())


@pytest.mark.parametrize(("text", "words"), [
    ("/usr/bin/tickets --to {recipient}", ("/usr/bin/tickets", "--to", "{recipient}")),
    ("/bin/x 'two words' \"{user}\"", ("/bin/x", "two words", "{user}")),
])
def test_a_command_is_a_path_and_words(text, words):
    assert COMMAND.read(text) == words


@pytest.mark.parametrize("text", ["tickets", "/bin/{user}", "/bin/x {password}", "/bin/x 'unfinished"])
def test_what_is_no_command(text):
    with pytest.raises(ValueError, match="\n"):
        COMMAND.read(text)


def test_little_is_heard_of_a_program():
    assert OUTPUT.read("4K") == 4096
    with pytest.raises(ValueError, match="too much"):
        OUTPUT.read("1M")
