"""The redo log with the committer's thread and its own: batches, back pressure, the checkpoint when nothing comes any more."""

from __future__ import annotations

import threading

import pytest

from tests.helpers import result_of
from tests.store.conftest import ALICE
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.store import redolog
from twistmail.store.mailstore import MailStore

MESSAGES = 60


class Here:
    """A reactor whose thread is whoever calls."""

    def callFromThread(self, function, *arguments):
        function(*arguments)

    def callLater(self, _, function, *arguments):
        function(*arguments)


@pytest.fixture
def committer():
    made = disk.Committer(Here())
    yield made
    made.stop()


@pytest.fixture
def store(tmp_path, committer, monkeypatch):
    monkeypatch.setattr(redolog, "SEGMENT_SIZE", 256 * 1024)
    monkeypatch.setattr(redolog, "IDLE", 0.05)
    made = MailStore(tmp_path, None, committer, tasks.Inline(), hostname="mx.blue.test")
    made._redo._size = redolog.SEGMENT_SIZE
    yield made
    made.close()


def wait_until(true):
    """No sleep of a fixed time: the other threads decide."""
    for _ in range(2000):
        if true():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


def deliver(store, count, size=100):
    done = threading.Semaphore(0)
    errors = []

    async def one(number):
        body = b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * size)
        errors.extend(await store.deliver([Delivery(ALICE, b"", Memory(body))]))
        done.release()

    for number in range(count):
        tasks.start(one(number), "test")
    for _ in range(count):
        assert done.acquire(timeout=20)
    return errors


def ready(store):
    assert deliver(store, 1) == [None]
    wait_until(lambda: store._redo._ready)


def test_the_log_is_made_meanwhile_and_emptied_when_nothing_comes(store):
    ready(store)
    assert deliver(store, MESSAGES) == [None] * MESSAGES
    wait_until(lambda: store._redo._current.is_empty and store._redo._other.is_empty)
    inbox = result_of(result_of(store.mailboxes(ALICE)).open("INBOX"))
    assert list(inbox.uids) == list(range(1, MESSAGES + 2))


def test_when_both_segments_are_full_the_committer_waits_and_nothing_is_lost(store):
    ready(store)
    assert deliver(store, MESSAGES, 40_000) == [None] * MESSAGES
    inbox = result_of(result_of(store.mailboxes(ALICE)).open("INBOX"))
    assert list(inbox.uids) == list(range(1, MESSAGES + 2))
    assert {len(content) > 40_000 for _, content in result_of(inbox.load(inbox.uids[1:]))} == {True}


def test_a_checkpoint_in_the_middle_of_the_load_harms_nobody(store):
    ready(store)
    checkpoints = threading.Thread(target=lambda: [store._redo.checkpoint() for _ in range(20)])
    checkpoints.start()
    assert deliver(store, MESSAGES, 1000) == [None] * MESSAGES
    checkpoints.join()
    with store._redo.at_rest():
        assert store._redo._current.is_empty
        assert store._redo._other.is_empty


def test_the_thread_goes_on_after_a_checkpoint_has_failed(store, monkeypatch):
    monkeypatch.setattr(redolog, "RETRY", 0.05)
    ready(store)
    failures = [ValueError("a bug"), OSError("broken")]
    sync = store._redo._syncer.sync

    def fails_twice(mailboxes):
        if failures:
            raise failures.pop()
        sync(mailboxes)

    monkeypatch.setattr(store._redo._syncer, "sync", fails_twice)
    assert deliver(store, 3) == [None] * 3
    wait_until(lambda: not failures and store._redo._current.is_empty and store._redo._other.is_empty)
    assert deliver(store, 3) == [None] * 3
