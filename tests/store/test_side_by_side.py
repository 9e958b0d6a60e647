"""Mailboxes that are made in one thread while others open them: nobody waits for a guard whose holder waits for him."""

from __future__ import annotations

import threading

import pytest

from twistmail.store import uidlist
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.maildir import Maildir
from twistmail.store.uidlist import UidList

#: Seconds; long enough for one that is not stuck.
PATIENCE = 5


@pytest.fixture
def tree(tmp_path):
    names = iter(range(1_000_000))
    around = Surroundings(lambda: 1_700_000_000.0, lambda count: b"\x07" * count, lambda: b"name%d" % next(names))
    made = FolderTree(tmp_path / "alice", ["Junk"], around)
    made.begin()
    yield made
    made.close()


def elsewhere(action):
    """*action* in another thread, to its end; an AssertionError where it waits for what we hold."""
    errors = []

    def run():
        try:
            action()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for us"
    assert not errors


def meanwhile(patch, owner, name, action, *, first):
    """*action* happens elsewhere once, before or after the first call of a method."""
    usual = getattr(owner, name)
    left = [action]

    def method(*arguments):
        if left and first:
            elsewhere(left.pop())
        done = usual(*arguments)
        if left:
            elsewhere(left.pop())
        return done

    patch.setattr(owner, name, method)


def header(tree, name):
    return uidlist.peek(str(tree.maildir(name).path))


def counted(tree):
    """The largest UIDVALIDITY that the account says it has given."""
    files = [path.name for path in tree.root.glob("dovecot-uidvalidity.*")]
    assert len(files) == 1
    return int(files[0].rpartition(".")[2], 16)


MOMENTS = [pytest.param(Maildir, False, id="after its folders"), pytest.param(UidList, True, id="before its list")]


@pytest.mark.parametrize(("owner", "first"), MOMENTS)
def test_a_mailbox_can_be_opened_while_it_is_made(tree, monkeypatch, owner, first):
    uids = tree.maildir("Work").uids

    def one_arrives():
        with uids.locked():
            uids.append([b"first"])

    meanwhile(monkeypatch, owner, "make", one_arrives, first=first)
    tree.create("Work")
    told, following = header(tree, "Work")
    assert following == 2
    with uids.locked():
        assert (uids.uidvalidity, uids.nextuid, uids.guid.encode()) == (told.uidvalidity, 2, told.guid)
        assert list(uids.append([b"second"])) == [2]
    assert counted(tree) >= told.uidvalidity
    assert [path.name for path in tree.maildir("Work").path.glob("*.tmp*")] == []


@pytest.mark.parametrize(("owner", "first"), MOMENTS)
def test_a_mailbox_that_another_process_opens_while_it_is_made_has_one_uidvalidity(tree, monkeypatch, owner, first):
    theirs = FolderTree(tree.root, [], tree._around)

    def one_arrives():
        with theirs.maildir("Work").uids.locked():
            theirs.maildir("Work").uids.append([b"first"])

    meanwhile(monkeypatch, owner, "make", one_arrives, first=first)
    tree.create("Work")
    told, following = header(tree, "Work")
    with tree.maildir("Work").uids.locked():
        assert (tree.maildir("Work").uids.uidvalidity, tree.maildir("Work").uids.nextuid) == (told.uidvalidity, following)
    assert following == 2
    assert counted(tree) >= told.uidvalidity
    theirs.close()


def test_a_mailbox_is_there_for_others_only_when_all_that_must_be_synced_is_noted(tree, monkeypatch):
    work = tree.maildir("Work")
    seen = []
    usual = tree.unsynced.add
    monkeypatch.setattr(tree.unsynced, "add", lambda *paths: seen.append(work.exists) or usual(*paths))
    tree.make("Work")
    assert seen
    assert not any(seen)
    assert work.exists


def test_who_reads_a_list_gets_the_folders_while_another_lets_go_of_them(tree, monkeypatch):
    work = tree.maildir("Work")
    tree.make("Work")
    is_closing, usual = threading.Event(), work.uids.close
    monkeypatch.setattr(work.uids, "close", lambda: is_closing.set() or usual())
    forgetting = threading.Thread(target=work.forget, daemon=True)
    with work.uids.locked():
        forgetting.start()
        assert is_closing.wait(PATIENCE)
        elsewhere(lambda: work.descriptor("cur"))
    forgetting.join(PATIENCE)
    assert not forgetting.is_alive()


def test_a_larger_mark_of_another_process_stays(tree, monkeypatch):
    monkeypatch.setattr(FolderTree, "_fresh_uidvalidity", lambda self, above: 0x70000007)
    (tree.root / "dovecot-uidvalidity.70000009").touch()
    assert tree.next_uidvalidity() == 0x70000007
    assert sorted(path.suffix for path in tree.root.glob("dovecot-uidvalidity.*")) == [".70000007", ".70000009"]
