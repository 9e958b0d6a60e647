"""The command line of `twistd twistmail`."""

import pytest
from twisted.python.usage import UsageError

from twistmail.service_options import Options


def test_options_are_kept_in_order_and_lists_are_split():
    options = Options()
    options.parseOptions(["-c", "x.ini", "--set", "mx.listen=tcp:25", "--set", "route:a.example.via=b=c", "--only", "mx,imap", "--check"])
    assert (options["config"], options["set"], options["only"], bool(options["check"])) == (
        "x.ini", ["mx.listen=tcp:25", "route:a.example.via=b=c"], ["mx", "imap"], True)  # fmt: skip


def test_two_command_lines_share_nothing():
    first, second = Options(), Options()
    first.parseOptions(["--set", "a.b=c"])
    second.parseOptions([])
    assert second["set"] == []


@pytest.mark.parametrize("assignment", ["nonsense", "a=b", "a.b"])
def test_a_set_that_sets_nothing_is_refused(assignment):
    with pytest.raises(UsageError, match=r"write --set section\.key=value"):
        Options().parseOptions(["--set", assignment])


def test_help_has_three_whole_examples():
    text = str(Options())
    assert text.count("\n  twist") == 3
    assert "$TWISTMAIL_CONFIG, ./config.ini, /etc/twistmail/config.ini" in text
