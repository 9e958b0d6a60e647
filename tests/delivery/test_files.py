"""Mail for files that aliases name, and users for themselves (row R27)."""

from __future__ import annotations

import errno
import os

import pytest

from tests.delivery.places import CONTENT, WHOLE, Helper, item, to, uid_of
from tests.helpers import result_of
from twistmail import tasks
from twistmail.delivery.discard import DiscardCourier
from twistmail.delivery.files import HOUSE_FILES, OWN_FILES, FileCourier, Writers, is_ours
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Result
from twistmail.piping import Run, Wanted
from twistmail.piping_helper import NOT_FILED


def carried(courier, *targets):
    outcomes = result_of(courier.carry(item(*targets), targets, CONTENT))
    return [(outcome.result, outcome.status.enhanced) for outcome in outcomes]


def courier(allowed, helper=None, *, apart=False, patience=0.0):
    return FileCourier([str(allowed)], Writers(tasks.Inline(), helper, apart), uid_of, patience)


def test_a_file_of_the_house_gets_the_message_as_a_mailbox_does(tmp_path):
    assert carried(courier(tmp_path), to(Kind.FILE, f"{tmp_path}/box")) == [(Result.DELIVERED, "2.0.0")]
    first, rest = (tmp_path / "box").read_bytes().split(b"\n", 1)
    assert first.startswith(b"From eve@red.test ")
    assert rest == (WHOLE % b"ann@blue.test").replace(b"\r\n", b"\n") + b"\n"


def test_what_stands_in_front_there_and_who_gets_reports_is_in_it(tmp_path):
    target = to(Kind.FILE, f"{tmp_path}/all/", sender=to(Kind.FILE, name="owner-list").address, front=b"X-Front: y\r\n")
    carried(courier(tmp_path), target)
    (file,) = (tmp_path / "all" / "new").iterdir()
    assert file.read_bytes().startswith(b"Return-Path: <owner-list@blue.test>\nDelivered-To: ann@blue.test\nReceived: x\nX-Front: y\n")


def test_nowhere_is_a_file_too(tmp_path):
    assert carried(courier(tmp_path), to(Kind.FILE, "/dev/null")) == [(Result.DELIVERED, "2.0.0")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "enhanced"), [
    pytest.param("../box", "4.3.5", id="outside"), pytest.param("missing/box", "4.3.5", id="no-such-folder"),
    pytest.param("link", "4.3.5", id="a-link"), pytest.param("locked", "4.2.0", id="locked"),
])  # fmt: skip
def test_mail_waits_for_an_operator_where_a_file_is_not_fit(tmp_path, name, enhanced):
    (tmp_path / "link").symlink_to("/etc/motd")
    (tmp_path / "locked.lock").touch()
    assert carried(courier(tmp_path), to(Kind.FILE, f"{tmp_path}/{name}")) == [(Result.DEFERRED, enhanced)]


def test_one_file_that_is_not_fit_keeps_no_other_from_its_mail(tmp_path):
    both = to(Kind.FILE, "/etc/passwd"), to(Kind.FILE, f"{tmp_path}/box")
    assert [result for result, _ in carried(courier(tmp_path), *both)] == [Result.DEFERRED, Result.DELIVERED]
    places = [batch.place for batch in courier(tmp_path).batches(item(*both), both)]
    assert places == ["file:/etc/passwd", f"file:{tmp_path}/box"]


def test_the_house_s_files_are_written_by_the_user_whom_the_operator_has_named(tmp_path):
    helper = Helper(Run(0), HOUSE_FILES)
    assert carried(courier(tmp_path, helper, apart=True), to(Kind.FILE, f"{tmp_path}/box")) == [(Result.DELIVERED, "2.0.0")]
    assert helper.asked == [Wanted(HOUSE_FILES, path=f"{tmp_path}/box")]
    assert helper.messages == [WHOLE % b"ann@blue.test"]
    assert not (tmp_path / "box").exists()


def test_somebody_s_own_files_are_written_as_he(tmp_path):
    helper = Helper(Run(0), OWN_FILES)
    assert carried(courier(tmp_path, helper), to(Kind.FILE, "/home/ann/box", "ann@here")) == [(Result.DELIVERED, "2.0.0")]
    assert helper.asked == [Wanted(OWN_FILES, user=1001, path="/home/ann/box")]


@pytest.mark.parametrize(("account", "enhanced"), [
    pytest.param("ann@elsewhere", "4.3.5", id="who-is-no-user-of-this-machine"),
    pytest.param("carl@here", "4.3.0", id="while-nobody-can-tell"),
])  # fmt: skip
def test_who_has_no_files_here(tmp_path, account, enhanced):
    helper = Helper(Run(0), OWN_FILES)
    assert carried(courier(tmp_path, helper), to(Kind.FILE, f"{tmp_path}/box", account)) == [(Result.DEFERRED, enhanced)]
    assert helper.asked == []


@pytest.mark.parametrize("helper", [None, Helper(Run(0), "another row")], ids=["none", "without-that-row"])
def test_mail_waits_where_nobody_can_write_as_others(tmp_path, helper):
    assert carried(courier(tmp_path, helper), to(Kind.FILE, "/home/ann/box", "ann@here")) == [(Result.DEFERRED, "4.3.5")]


@pytest.mark.parametrize(("end", "enhanced"), [
    pytest.param(Run(NOT_FILED, f"{errno.EPERM} is a symbolic link"), "4.3.5", id="not-fit"),
    pytest.param(Run(NOT_FILED, f"{errno.EACCES} Permission denied"), "4.3.5", id="not-allowed"),
    pytest.param(Run(NOT_FILED, f"{errno.ENOSPC} No space left on device"), "4.3.1", id="full"),
    pytest.param(Run(NOT_FILED, f"{errno.EDQUOT} Quota exceeded"), "4.2.2", id="his-quota"),
    pytest.param(Run(NOT_FILED, f"{errno.ETIMEDOUT} locked by process 12"), "4.2.0", id="locked"),
    pytest.param(Run(NOT_FILED, "odd words"), "4.3.0", id="odd-words"),
    pytest.param(Run(-9, late=True), "4.3.0", id="ended"),
    pytest.param(Run(127, "not there"), "4.3.0", id="never-begun"),
    pytest.param(BrokenPipeError("gone"), "4.3.0", id="no-helper-any-more"),
])  # fmt: skip
def test_what_the_helper_s_trouble_means(tmp_path, end, enhanced):
    helper = Helper(end, OWN_FILES)
    assert carried(courier(tmp_path, helper), to(Kind.FILE, "/home/ann/box", "ann@here")) == [(Result.DEFERRED, enhanced)]


def test_who_writes_the_house_s_files():
    assert is_ours("", lambda user: -1)
    assert is_ours("me", lambda user: os.geteuid())
    assert not is_ours("archive", lambda user: -1)


def test_what_is_thrown_away_has_been_delivered():
    targets = to(Kind.DISCARD), to(Kind.DISCARD, name="bob")
    assert carried(DiscardCourier(), *targets) == [(Result.DELIVERED, "2.0.0")] * 2
    assert [batch.place for batch in DiscardCourier().batches(item(*targets), targets)] == ["discard:"]
