"""A directory that somebody writes to is looked at soon, once more when it is quiet, and from time to time in any case."""

from __future__ import annotations

import shutil
import sys

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail.store import hints
from twistmail.store.hints import GATHER, QUIET, TRUTH_EVERY, Hints

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


class Reactor(Clock):
    """A clock that can wait for descriptors."""

    def __init__(self):
        super().__init__()
        self.readers = []

    def addReader(self, reader):
        self.readers.append(reader)

    def removeReader(self, reader):
        self.readers.remove(reader)

    def turn(self):
        """The kernel has written down what we did; the reactor reads it."""
        for reader in list(self.readers):
            reader.doRead()

    def pass_seconds(self, seconds):
        self.turn()
        self.advance(seconds)


class Look:
    """Counts how often it was called."""

    def __init__(self):
        self.times = 0

    async def __call__(self):
        self.times += 1


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def watching(reactor):
    made = Hints(reactor)
    yield made
    made.close()
    assert reactor.readers == []
    assert reactor.getDelayedCalls() == []


@pytest.fixture
def maildir(tmp_path):
    for folder in ("tmp", "new", "cur"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def look(watching, maildir, reactor):
    """Watched, and quiet."""
    made = Look()
    watching.watch(maildir, made)
    reactor.pass_seconds(QUIET)
    made.times = 0
    return made


CHANGES = [
    pytest.param(lambda maildir: (maildir / "new" / "1").touch(), id="dropped-into-new"),
    pytest.param(lambda maildir: (maildir / "cur" / "1:2,S").touch(), id="copied-into-cur"),
    pytest.param(lambda maildir: (maildir / "cur" / "old:2,").rename(maildir / "cur" / "old:2,S"), id="flagged"),
    pytest.param(lambda maildir: (maildir / "cur" / "old:2,").unlink(), id="removed"),
    pytest.param(lambda maildir: shutil.rmtree(maildir / "cur"), id="directory-removed"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_looked_at_within_a_blink_and_once_more_when_quiet(change, reactor, watching, maildir):
    (maildir / "cur" / "old:2,").touch()
    look = Look()
    watching.watch(maildir, look)
    reactor.pass_seconds(QUIET)
    look.times = 0
    change(maildir)
    reactor.pass_seconds(GATHER)
    assert look.times == 1
    reactor.pass_seconds(QUIET)
    assert look.times == 2
    reactor.pass_seconds(60)
    assert look.times == 2


def test_what_came_while_the_mailbox_was_opened_is_looked_for(reactor, watching, maildir):
    look = Look()
    watching.watch(maildir, look)
    reactor.pass_seconds(QUIET)
    assert look.times == 1


def test_many_changes_together_are_one_look(reactor, maildir, look):
    for number in range(1000):
        (maildir / "new" / str(number)).touch()
    reactor.pass_seconds(GATHER)
    assert look.times == 1


def test_the_last_look_comes_after_the_last_change(reactor, maildir, look):
    for number in range(10):
        (maildir / "new" / str(number)).touch()
        reactor.pass_seconds(QUIET / 2)
    before = look.times
    reactor.pass_seconds(QUIET)
    assert look.times == before + 1


def test_a_poll_looks_at_once_at_what_the_kernel_has_told(watching, maildir, look):
    (maildir / "new" / "1").touch()
    result_of(watching.poll())
    assert look.times == 1


def test_writing_into_tmp_is_no_change(reactor, maildir, look):
    (maildir / "tmp" / "1").touch()
    reactor.pass_seconds(10)
    assert look.times == 0


def test_while_a_look_takes_its_time_no_other_begins(reactor, watching, maildir):
    begun, ends = [], Deferred()

    async def slow():
        begun.append(1)
        await ends

    watching.watch(maildir, slow)
    for number in range(20):
        (maildir / "new" / str(number)).touch()
        reactor.pass_seconds(QUIET)
    assert len(begun) == 1
    ends.callback(None)
    (maildir / "new" / "last").touch()
    reactor.pass_seconds(GATHER)
    assert len(begun) == 2


def test_who_does_not_watch_any_more_is_left_alone(reactor, watching, maildir, look):
    watching.unwatch(look)
    watching.unwatch(look)
    (maildir / "new" / "1").touch()
    reactor.pass_seconds(10)
    result_of(watching.poll())
    assert look.times == 0


def test_two_may_watch_one_directory(reactor, watching, maildir, look):
    other = Look()
    watching.watch(maildir, other)
    watching.unwatch(other)
    (maildir / "new" / "1").touch()
    reactor.pass_seconds(GATHER)
    assert (look.times, other.times) == (1, 0)


def test_nothing_is_done_while_nothing_happens_but_a_look_from_time_to_time(reactor, watching, tmp_path):
    looks = [Look() for _ in range(TRUTH_EVERY * 2)]
    for number, look in enumerate(looks):
        for folder in ("new", "cur"):
            (tmp_path / str(number) / folder).mkdir(parents=True)
        watching.watch(tmp_path / str(number), look)
    reactor.pass_seconds(QUIET)
    assert {look.times for look in looks} == {1}
    result_of(watching.poll())
    assert sum(look.times for look in looks) == len(looks) + 2
    for _ in range(TRUTH_EVERY - 1):
        result_of(watching.poll())
    assert {look.times for look in looks} == {2}


@pytest.mark.parametrize("trouble", ["no inotify", "no watches left", "too many", "no directory"])
def test_what_cannot_be_watched_is_looked_at_by_every_poll(trouble, reactor, maildir, monkeypatch):
    def exhausted(*_):
        raise OSError(28, "No space left on device")

    if trouble == "no watches left":
        monkeypatch.setattr(hints._Inotify, "add", exhausted)
    if trouble == "no directory":
        (maildir / "cur").rmdir()
    watching = Hints(Clock() if trouble == "no inotify" else reactor, most=0 if trouble == "too many" else 10)
    look = Look()
    watching.watch(maildir, look)
    for _ in range(3):
        result_of(watching.poll())
    assert look.times == 3
    watching.close()


def test_after_an_overflow_everything_is_looked_at(reactor, watching, look, monkeypatch):
    monkeypatch.setattr(hints._Inotify, "read", lambda self: [(-1, 0x4000)])
    reactor.pass_seconds(GATHER)
    assert look.times == 1


def test_a_directory_that_comes_back_is_looked_at_by_every_poll(reactor, watching, maildir, look):
    shutil.rmtree(maildir / "new")
    (maildir / "new").mkdir()
    reactor.pass_seconds(QUIET * 2)
    before = look.times
    for _ in range(3):
        result_of(watching.poll())
    assert look.times == before + 3


def test_a_look_that_fails_spoils_nothing_for_others(reactor, watching, maildir, look):
    async def failing():
        raise OSError("the disk is tired")

    watching.watch(maildir, failing)
    (maildir / "new" / "1").touch()
    reactor.pass_seconds(GATHER)
    for _ in range(TRUTH_EVERY):
        result_of(watching.poll())
    assert look.times == 2
