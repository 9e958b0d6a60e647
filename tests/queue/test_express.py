"""Express mail: a log is enough for what goes out at once, and whatever happens nothing that was promised is lost."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.inline_log import LoggingCommitter
from tests.queue.logged import LoggedSpool
from twistmail import segments, tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome, Postponed, Result
from twistmail.mail.status import Status
from twistmail.queue import express
from twistmail.queue.jobs import Add
from twistmail.queue.stopped import StoppedSpool
from twistmail.queue.verify import verify_spool

ANN, BOB, CARL = (Target(Kind.REMOTE, Address(name, "far.test"), Address(name, "far.test")) for name in ("ann", "bob", "carl"))
FINE, LATER = Status(250, "2.0.0", "Ok"), Status(451, "4.3.0", "Later")


def body(name, size=50):
    return (b"Subject: %s\r\n\r\n" % name.encode()).ljust(size, b"x")


def item(name, *targets, size=50):
    return Item(name, Address("me", "here.test"), tuple(map(Errand, targets or (ANN,))), 1.0, len(body(name, size)))


def relayed(target=ANN):
    return Outcome(target, Result.RELAYED, FINE, "mx.far.test")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(express, "SEGMENT_SIZE", 64 * 1024)
    monkeypatch.setattr(express, "NOTES", 8 * 1024)


@pytest.fixture
def spool(tmp_path):
    made = LoggedSpool(tmp_path / "queue")
    yield made
    made.killed()


def add(spool, name, *targets, size=50):
    result_of(spool.add(item(name, *targets, size=size), Memory(body(name, size))))


def files(spool):
    return sorted(path.name for path in spool.folders.ready.iterdir())


def restarted(spool):
    """{identifier: (item, content)} of what is there after the process was killed."""
    spool.killed()
    again = LoggedSpool(spool.folders.root)
    found = result_of(again.recover())
    contents = {one.id: (one, b"".join(again.content(one.id).chunks())) for one in found}
    again.killed()
    return contents


def test_what_goes_out_at_once_never_has_files(spool):
    for name in ("a", "b", "c"):
        add(spool, name, ANN, BOB)
        assert b"".join(spool.content(name).chunks()) == body(name)
        assert not result_of(spool.record(name, relayed(ANN))).is_settled
        assert result_of(spool.record(name, relayed(BOB))).is_settled
        result_of(spool.remove(name))
        assert files(spool) == []
    assert spool.items() == ()
    assert spool.bytes == 0
    assert restarted(spool) == {}


def test_after_a_crash_it_is_there_with_what_has_happened(spool):
    add(spool, "a", ANN, BOB)
    add(spool, "gone", ANN)
    result_of(spool.record("gone", relayed()))
    result_of(spool.remove("gone"))
    known = result_of(spool.record("a", relayed(BOB)))
    assert restarted(spool) == {"a": (known, body("a"))}


@pytest.mark.parametrize("order", [
    pytest.param(lambda spool: spool.record("a", Outcome(ANN, Result.DEFERRED, LATER)), id="it-is-not-taken-now"),
    pytest.param(lambda spool: spool.record("a", Outcome(ANN, Result.FAILED, Status(550, "5.1.1", "No"))), id="it-is-refused"),
    pytest.param(lambda spool: spool.record("a", Postponed(99.0)), id="it-is-postponed"),
    pytest.param(lambda spool: spool.hold("a", True), id="an-operator-holds-it"),
])
def test_what_must_wait_has_files_from_then_on(spool, order):
    add(spool, "a", ANN, BOB)
    result_of(spool.record("a", relayed(BOB)))
    known = result_of(order(spool))
    assert files(spool) == ["a.content", "a.envelope"]
    assert restarted(spool) == {"a": (known, body("a"))}


def test_what_waits_for_its_turn_gets_files_after_two_seconds(spool):
    add(spool, "a")
    spool.clock.pump([1.0, 0.9])
    assert files(spool) == []
    spool.clock.pump([0.2, 1.0])
    assert files(spool) == ["a.content", "a.envelope"]
    result_of(spool.record("a", relayed()))
    result_of(spool.remove("a"))
    assert files(spool) == []
    assert not spool.clock.getDelayedCalls()
    assert restarted(spool) == {}


@pytest.mark.parametrize("unfit", [
    pytest.param(lambda one: replace(one, held=True), id="it-is-held"),
    pytest.param(lambda one: replace(one, size=express.LARGEST + 1), id="it-is-large"),
])
def test_some_have_files_from_the_beginning(spool, unfit):
    one = unfit(item("a"))
    result_of(spool.add(one, Memory(b"x" * one.size)))
    assert files(spool) == ["a.content", "a.envelope"]


def test_at_the_end_everything_has_files_and_the_log_is_empty(spool):
    add(spool, "a")
    add(spool, "b")
    result_of(spool.rest())
    assert files(spool) == ["a.content", "a.envelope", "b.content", "b.envelope"]
    spool.stop()
    assert express.pending(spool.folders.root) == {}
    assert set(restarted(spool)) == {"a", "b"}


def test_another_process_on_the_same_queue_does_without_the_log(spool):
    second = express.begin(spool.folders)
    assert second is None


def test_while_the_log_is_full_of_what_waits_new_mail_has_files(spool):
    names = [f"n{number}" for number in range(200)]
    for name in names:
        add(spool, name, size=1000)
    assert 0 < len(files(spool)) < 2 * len(names)
    spool.clock.pump([1.0] * 5)
    assert len(files(spool)) == 2 * len(names)
    assert set(restarted(spool)) == set(names)


def test_a_log_that_cannot_be_synced_promises_nothing_and_is_used_again_when_it_can(spool, monkeypatch):
    def broken(descriptor):
        raise OSError("the disk is ill")

    add(spool, "before")
    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "fdatasync", broken)
        with pytest.raises(OSError, match="ill"):
            add(spool, "refused")
        add(spool, "meanwhile")
    assert files(spool) == ["meanwhile.content", "meanwhile.envelope"]
    spool.clock.pump([1.0, 1.0])
    assert "before.envelope" in files(spool)
    add(spool, "after")
    assert "after.envelope" not in files(spool)
    assert set(restarted(spool)) == {"before", "meanwhile", "after"}


def test_what_was_being_written_when_the_power_failed_does_not_count(spool):
    add(spool, "a")
    end = spool.express._current.end
    add(spool, "b")
    with open(spool.express._current.path, "r+b") as file:
        file.seek(end + 40)
        file.write(b"?")
    assert set(restarted(spool)) == {"a"}


def test_while_no_server_runs_it_is_seen_and_can_be_changed(spool):
    add(spool, "a")
    add(spool, "b")
    root = spool.folders.root
    spool.killed()
    stopped = StoppedSpool(root)
    assert {one.id: b"".join(stopped.pieces(one)) for one in stopped.items()} == {"a": body("a"), "b": body("b")}
    report = verify_spool(root)
    assert (report.counted["items"], report.anomalies) == (2, [])
    stopped.take()
    stopped.remove("a")
    assert [one.id for one in stopped.items()] == ["b"]
    assert set(restarted(spool)) == {"b"}


def test_a_log_of_another_program_is_told(spool):
    spool.killed()
    (spool.folders.root / express.FILES[0]).write_bytes(b"something else")
    assert [anomaly.kind for anomaly in verify_spool(spool.folders.root).anomalies] == ["queue-log"]


class Slow(LoggingCommitter):
    """Keeps the jobs that make files until they are `let` go."""

    def __init__(self):
        super().__init__()
        self.kept = []
        self.is_slow = False

    async def commit(self, job):
        if self.is_slow and not hasattr(job, "redo"):
            waiting = tasks.Deferred()
            self.kept.append(waiting)
            await waiting
        await super().commit(job)


def test_what_happens_while_it_is_given_files_stands_in_them(tmp_path):
    spool = LoggedSpool(tmp_path / "queue")
    spool.committer = spool._fast._committer = slow = Slow()
    add(spool, "a", ANN, BOB, CARL)
    result_of(spool.record("a", relayed(ANN)))
    slow.is_slow = True
    spool.clock.pump([1.0, 1.5])
    first = tasks.shielded(spool.record("a", relayed(BOB)))
    second = tasks.shielded(spool.record("a", Outcome(CARL, Result.DEFERRED, LATER)))
    slow.is_slow = False
    for waiting in slow.kept:
        waiting.callback(None)
    known = item("a", ANN, BOB, CARL).after(relayed(ANN)).after(relayed(BOB)).after(Outcome(CARL, Result.DEFERRED, LATER))
    assert (first.called, second.called) == (True, True)
    assert spool.items() == (known,)
    assert restarted(spool) == {"a": (known, body("a"))}


def test_files_that_could_not_be_made_for_sure_do_not_bring_back_what_was_sent(spool, monkeypatch):
    add(spool, "a")
    commit = spool.committer.commit

    async def troubled(job):
        await commit(job)
        if type(job) is Add:
            raise OSError("the folder could not be synced")

    monkeypatch.setattr(spool.committer, "commit", troubled)
    spool.clock.pump([1.0] * 3)
    assert files(spool) == []
    result_of(spool.record("a", relayed()))
    result_of(spool.remove("a"))
    monkeypatch.undo()
    assert restarted(spool) == {}


def test_on_a_full_disk_the_log_still_takes_what_has_happened(spool, monkeypatch):
    add(spool, "a", ANN, BOB)

    commit, waiting = spool.committer.commit, []

    async def full(job):
        if type(job) is Add:
            waiting.append(tasks.Deferred())
            await waiting[-1]
            raise OSError(28, "No space left on device")
        await commit(job)

    monkeypatch.setattr(spool.committer, "commit", full)
    spool.clock.pump([1.0, 1.5])
    noted = tasks.shielded(spool.record("a", relayed(ANN)))
    assert not noted.called
    waiting.pop(0).callback(None)
    while waiting:
        waiting.pop(0).callback(None)
    assert result_of(tasks.awaiting(noted)).errands[0].result is Result.RELAYED
    assert result_of(spool.record("a", relayed(BOB))).is_settled
    result_of(spool.remove("a"))
    monkeypatch.undo()
    assert restarted(spool) == {}


def test_that_mail_has_gone_finds_room_whatever_else_is_noted(spool):
    many = tuple(Target(Kind.REMOTE, Address(f"u{number}", "far.test"), Address("list", "here.test")) for number in range(300))
    for name in ("a", "b"):
        add(spool, name, *many)
    for target in many[:-1]:
        result_of(spool.record("a", relayed(target)))
    for name in ("a", "b"):
        result_of(spool.remove(name))
    assert restarted(spool) == {}


def test_what_has_gone_is_synced_also_where_the_log_takes_nothing_new(spool):
    add(spool, "a")
    result_of(spool.remove("a"))
    assert spool.express.is_dirty
    spool.express._broken = True
    spool.clock.advance(0.1)
    assert not spool.express.is_dirty


def test_what_goes_together_is_one_write_at_the_end(spool, monkeypatch):
    written, really = [], segments.SegmentFile.append_bodies
    for name in ("a", "b", "c"):
        add(spool, name)
    monkeypatch.setattr(segments.SegmentFile, "append_bodies", lambda file, bodies: written.append(len(bodies)) or really(file, bodies))
    with spool.together():
        for name in ("a", "b"):
            result_of(spool.remove(name))
        assert [one.id for one in spool.items()] == ["c"]
        assert written == []
    assert written == [2]
    result_of(spool.remove("c"))
    assert written == [2, 1]
    assert restarted(spool) == {}


def test_whatever_ends_what_is_done_together_it_is_written(spool):
    add(spool, "a")

    def bug():
        with spool.together():
            result_of(spool.remove("a"))
            raise KeyError

    with pytest.raises(KeyError):
        bug()
    assert restarted(spool) == {}


def test_a_process_that_is_killed_before_that_sends_again_what_it_has_not_written_and_nothing_else(spool):
    for name in ("a", "b", "c"):
        add(spool, name)
    result_of(spool.remove("a"))
    together = spool.together()
    together.__enter__()
    result_of(spool.remove("b"))
    assert sorted(restarted(spool)) == ["b", "c"]


def test_a_record_of_what_waits_is_not_kept_back_by_what_goes(spool):
    for name in ("a", "b"):
        add(spool, name, ANN, BOB)
    together = spool.together()
    together.__enter__()
    result_of(spool.remove("a"))
    result_of(spool.record("b", relayed(ANN)))
    assert [errand.result for errand in restarted(spool)["b"][0].errands] == [Result.RELAYED, None]


KINDS = ["add", "add", "add", "good", "good", "bad", "remove", "remove", "clear", "wait"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9), st.integers(40, 3000)), max_size=60)


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_a_killed_process_leaves_exactly_what_it_has_promised(tmp_path, steps):
    root = tmp_path / "queue"
    shutil.rmtree(root, ignore_errors=True)
    spool, model = LoggedSpool(root), {}
    for number, (step, which, size) in enumerate(steps):
        name = f"m{number}"
        known = sorted(model)[which % len(model)] if model else ""
        if step == "add":
            add(spool, name, ANN, BOB, size=size)
            model[name] = item(name, ANN, BOB, size=size), body(name, size)
        elif step == "wait":
            spool.clock.advance(1.0)
        elif known and step == "remove":
            result_of(spool.remove(known))
            del model[known]
        elif step == "clear":
            with spool.together():
                for known in sorted(model)[which:]:
                    result_of(spool.remove(known))
                    del model[known]
        elif known:
            event = relayed(ANN) if step == "good" else Outcome(ANN, Result.DEFERRED, LATER)
            model[known] = result_of(spool.record(known, event)), model[known][1]
        assert {one.id: one for one in spool.items()} == {name: one for name, (one, _) in model.items()}
    assert restarted(spool) == model
    assert os.listdir(root / "tmp") == []
