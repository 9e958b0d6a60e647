"""Mailboxes that others keep: delivery agents and LMTP servers beside our own store (row R06)."""

from __future__ import annotations

import errno

import pytest

from tests.delivery.places import CONTENT, EVE, WHOLE, Helper, item, to, uid_of
from tests.helpers import result_of
from twistmail import tasks
from twistmail.delivery.agents import AgentCourier, FileAgent, ProgramAgent, ServerAgent
from twistmail.delivery.settings import AGENT, FILE, FOLDER, FOLDERS, chosen
from twistmail.interfaces import Batch
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Result, outcome_of
from twistmail.mail.status import Status
from twistmail.mailflow import Dispatch
from twistmail.memory.courier import MemoryCourier
from twistmail.piping import Run, Wanted
from twistmail.piping_helper import NOT_FILED, filled


def box(account, **more):
    return to(Kind.MAILBOX, account=account, **more)


def agent(helper, *, own=True, extension="lists"):
    return ProgramAgent("mda", helper, tasks.Inline(), uid_of, own=own, extension=lambda target: extension)


def carried(courier, *targets, sender=EVE):
    return [(one.result, one.status.enhanced) for one in result_of(courier.carry(item(*targets, sender=sender), targets, CONTENT))]


def test_what_is_ours_is_brought_at_once_and_the_rest_by_whoever_keeps_it():
    helper = Helper(Run(0), "mda")
    kept = agent(helper)
    courier = AgentCourier(MemoryCourier({}), lambda account: kept if account.endswith("@here") else None)
    targets = box("ann@here"), box("bob@elsewhere"), box("ann@here", folder="Sent")
    assert [courier.at_once(target) for target in targets] == [False, True, True]
    assert [batch.place for batch in courier.batches(item(*targets), targets)] == ["mda", ""]
    assert [result for result, _ in carried(courier, *targets)] == [Result.DELIVERED, Result.RELAYED, Result.RELAYED]
    assert helper.messages == [WHOLE % b"ann@blue.test"]


@pytest.mark.parametrize("kept", [
    agent(Helper(Run(0), "mda")), FileAgent("mda", Helper(Run(0), "mda"), tasks.Inline(), uid_of, own=True, file="~/Maildir/"),
], ids=["a-program", "files"])  # fmt: skip
def test_each_recipient_is_carried_by_himself_so_that_what_came_of_him_is_noted_before_others_are_done(kept):
    targets = box("ann@here"), box("bob@here"), box("ann@here", name="ann+lists")
    noted = []

    async def note(outcome):
        noted.append((outcome.target, outcome.result))

    dispatch = Dispatch({Kind.MAILBOX: AgentCourier(None, lambda account: kept)})
    for target, trip in zip(targets, dispatch.trips(item(*targets), targets), strict=True):
        assert (trip.place, trip.targets) == ("mda", (target,))
        result_of(dispatch.carry(trip, item(*targets), CONTENT, note))
        assert noted.pop() == (target, Result.DELIVERED)


def test_a_user_of_the_machine_is_called_by_his_name_and_it_is_run_as_he():
    helper = Helper(Run(0), "mda")
    carried(AgentCourier(None, lambda account: agent(helper)), box("ann@here", name="ann+lists"))
    (wanted,) = helper.asked
    assert (wanted.name, wanted.user) == ("mda", 1001)
    command = AGENT.read("/usr/bin/procmail -a {extension} -d %u -t {recipient} %d %n 100%%")
    assert filled(list(command), wanted.values) == [
        "/usr/bin/procmail", "-a", "lists", "-d", "ann", "-t", "ann+lists@blue.test", "here", "ann", "100%"]  # fmt: skip


def test_somebody_else_is_called_by_his_address_and_one_user_runs_it_for_all():
    helper = Helper(Run(0), "mda")
    carried(AgentCourier(None, lambda account: agent(helper, own=False)), box("ann@elsewhere"))
    (wanted,) = helper.asked
    assert wanted.user is None
    command = AGENT.read("/usr/lib/dovecot/dovecot-lda -d %u -f {sender}")
    assert filled(list(command), wanted.values)[2:] == ["ann@elsewhere", "-f", "eve@red.test"]


@pytest.mark.parametrize(("status", "result", "enhanced"), [
    (0, Result.DELIVERED, "2.0.0"), (75, Result.DEFERRED, "4.3.0"), (67, Result.FAILED, "5.1.1"), (69, Result.FAILED, "5.3.0"),
    (73, Result.FAILED, "5.2.0"), (77, Result.FAILED, "5.7.0"), (1, Result.FAILED, "5.3.0"), (127, Result.DEFERRED, "4.3.5"),
    (-9, Result.DEFERRED, "4.3.0"),
])  # fmt: skip
def test_what_the_end_of_an_agent_means(status, result, enhanced):
    assert carried(AgentCourier(None, lambda account: agent(Helper(Run(status), "mda"))), box("ann@here")) == [(result, enhanced)]


@pytest.mark.parametrize(("helper", "account", "enhanced"), [
    pytest.param(Helper(Run(0), "mda"), "ann@elsewhere", "4.3.5", id="nobody-to-run-it-as"),
    pytest.param(Helper(Run(0)), "ann@here", "4.3.5", id="not-in-the-table"),
    pytest.param(None, "ann@here", "4.3.5", id="no-helper"),
    pytest.param(Helper(BrokenPipeError("gone"), "mda"), "ann@here", "4.3.0", id="no-helper-any-more"),
    pytest.param(Helper(Run(0), "mda"), "carl@here", "4.3.0", id="nobody-can-tell-who-he-is"),
])  # fmt: skip
def test_mail_waits_while_it_cannot_be_run(helper, account, enhanced):
    assert carried(AgentCourier(None, lambda name: agent(helper)), box(account)) == [(Result.DEFERRED, enhanced)]


def test_a_name_that_would_be_an_option_is_refused():
    helper = Helper(Run(0), "mda")
    assert carried(AgentCourier(None, lambda name: agent(helper)), box("-rf@here")) == [(Result.FAILED, "5.1.3")]
    assert helper.asked == []


@pytest.mark.parametrize(("extension", "given"), [("-x", "_x"), ("--x", "_-x"), ("-", "_"), (".", "_"), ("..", "_."), ("x-y.z", "x-y.z")])
def test_an_extension_that_would_be_an_option_or_a_folder_is_given_without_that(extension, given):
    helper = Helper(Run(0), "mda")
    courier = AgentCourier(None, lambda name: agent(helper, extension=extension))
    assert carried(courier, box("ann@here", name=f"ann+{extension}")) == [(Result.DELIVERED, "2.0.0")]
    assert [wanted.values["extension"] for wanted in helper.asked] == [given]


# ----- files


def filed(helper, file="~/Maildir/", *, own=True):
    return AgentCourier(None, lambda account: FileAgent("mda", helper, tasks.Inline(), uid_of, own=own, file=file))


@pytest.mark.parametrize(("file", "account", "own", "path", "user"), [
    ("~/Maildir/", "ann@here", True, "~/Maildir/", 1001),
    ("/var/mail/%n", "ann@here", True, "/var/mail/ann", 1001),
    ("/var/mail/%u", "ann@here", True, "/var/mail/ann", 1001),
    ("/srv/mail/%d/%n/", "ann@elsewhere", False, "/srv/mail/elsewhere/ann/", None),
    ("/srv/mail/%u", "ann@elsewhere", False, "/srv/mail/ann@elsewhere", None),
])  # fmt: skip
def test_each_has_a_file_of_his_own(file, account, own, path, user):
    helper = Helper(Run(0), "mda")
    assert carried(filed(helper, file, own=own), box(account)) == [(Result.DELIVERED, "2.0.0")]
    assert helper.asked == [Wanted("mda", user=user, path=path)]
    assert helper.messages == [WHOLE % b"ann@blue.test"]


@pytest.mark.parametrize(("end", "enhanced"), [
    (Run(NOT_FILED, f"{errno.EPERM} is a symbolic link"), "4.3.5"), (Run(NOT_FILED, f"{errno.EDQUOT} Quota exceeded"), "4.2.2"),
    (Run(NOT_FILED, f"{errno.ETIMEDOUT} locked by process 7"), "4.2.0"), (Run(-9, late=True), "4.3.0"),
])  # fmt: skip
def test_mail_waits_while_his_file_cannot_be_written(end, enhanced):
    assert carried(filed(Helper(end, "mda")), box("ann@here")) == [(Result.DEFERRED, enhanced)]


def test_a_name_that_would_climb_out_has_no_file():
    helper = Helper(Run(0), "mda")
    assert carried(filed(helper, "/srv/mail/%n/", own=False), box("../x@elsewhere")) == [(Result.FAILED, "5.1.3")]
    assert helper.asked == []


@pytest.mark.parametrize("text", ["Maildir/", "/%u", "/var/mail/%x", "~ann/x"])
def test_what_is_no_file_for_each(text):
    with pytest.raises(ValueError, match="\n"):
        FILE.read(text)


# ----- servers


class Server:
    """`RelayCourier.carry_along` to a server that knows no bob."""

    def __init__(self):
        self.said = []

    async def bring(self, item, targets, content):
        assert {errand.target for errand in item.errands} >= set(targets)
        self.said.append((item.sender, [str(target.address) for target in targets]))
        answers = {"bob": Status(550, "5.1.1", "Who?")}
        return [outcome_of(one, answers.get(one.address.local, Status(250, "2.0.0", "Saved")), "box.test") for one in reversed(targets)]


def test_a_server_is_asked_for_the_mailbox_and_what_it_takes_is_delivered():
    server = Server()
    kept = ServerAgent("lmtp:box", server.bring)
    courier = AgentCourier(None, lambda account: kept)
    targets = box("ann@here", name="info"), box("bob@here", name="bobby"), box("eve@here")
    assert courier.batches(item(*targets), targets) == (Batch("lmtp:box", targets),)
    found = result_of(courier.carry(item(*targets), targets, CONTENT))
    assert tuple(outcome.target for outcome in found) == targets
    assert [(one.result, one.host) for one in found] == [
        (Result.DELIVERED, "box.test"), (Result.FAILED, "box.test"), (Result.DELIVERED, "box.test")]  # fmt: skip
    assert server.said == [(EVE, ["ann@here", "bob@here", "eve@here"])]


# ----- settings


@pytest.mark.parametrize(("account", "section"), [
    ("anna@blue.test", "anna@blue.test"), ("bert@blue.test", "blue.test"), ("anna@red.test", ""), ("blue.test@red.test", ""),
])  # fmt: skip
def test_the_nearest_section_speaks_for_an_account(account, section):
    assert chosen(account, {"anna@blue.test": 1, "blue.test": 1}) == section


@pytest.mark.parametrize(("kind", "text"), [
    (AGENT, "procmail -d %u"), (AGENT, "/usr/bin/procmail {password}"), (FOLDERS, "archive"), (FOLDERS, "/"), (FOLDERS, "/a/../etc"),
    (FOLDER, "/a /b"),
])  # fmt: skip
def test_what_is_no_setting(kind, text):
    with pytest.raises(ValueError, match="\n"):
        kind.read(text)


def test_what_is_one():
    assert FOLDERS.read("/var/archive, /srv/mail") == ("/var/archive", "/srv/mail")
    assert (FOLDER.read("/etc/programs/"), FOLDER.read("")) == ("/etc/programs", "")
