"""What others do to the directory is noticed: nothing is lost, no UID changes."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.mail.mailbox import Change, Column, Flag, FlagChange
from twistmail.store import jobs, scan, view
from twistmail.store import maildir as maildir_module
from twistmail.store.maildir import Maildir


def watched(house, store):
    inbox = house.open(store)
    heard = []
    inbox.watch(heard.append)
    return inbox, heard


@pytest.mark.parametrize(("folder", "name"), [("new", "1234.someone.else"), ("cur", "1234.someone.else:2,S"), ("cur", "without-a-suffix")])
def test_a_file_that_is_dropped_gets_the_next_uid(house, folder, name):
    store = house.store()
    house.deliver(store)
    inbox, heard = watched(house, store)
    house.drop(name, folder=folder)
    result_of(inbox.refresh())
    assert heard == [Change(arrived=[2])]
    assert list(inbox.bits) == [0, 1 if name.endswith("S") else 0]
    assert result_of(inbox.load([2])) == [(2, b"Subject: dropped\r\n\r\nBy hand.\r\n")]


def test_files_that_are_dropped_together_come_in_order_of_their_names(house):
    inbox, _ = watched(house, house.store())
    for name in ("30.b", "200.a", "30.a"):
        house.drop(name, b"Subject: %s\n\n" % name.encode())
    result_of(inbox.refresh())
    assert [header for _, header in result_of(inbox.rows([1, 2, 3], (Column.HEADER,)))] == [
        b"Subject: 30.a\r\n\r\n", b"Subject: 30.b\r\n\r\n", b"Subject: 200.a\r\n\r\n"]  # fmt: skip


@pytest.fixture
def in_pieces(monkeypatch):
    monkeypatch.setattr(view, "ADOPTED_TOGETHER", 3)
    monkeypatch.setattr(view, "TAKEN_TOGETHER", 2)


@pytest.mark.usefixtures("in_pieces")
def test_very_many_that_are_dropped_together_come_in_pieces_and_in_order(house):
    inbox, heard = watched(house, house.store())
    for number in (70, 10, 50, 20, 60, 30, 40, 80):
        house.drop(f"{number}.x", b"Subject: %d\n\n" % number)
    result_of(inbox.refresh())
    assert [uid for change in heard for uid in change.arrived] == list(inbox.uids) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [header for _, header in result_of(inbox.rows(range(1, 9), (Column.HEADER,)))] == [
        b"Subject: %d0\r\n\r\n" % number for number in range(1, 9)]


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_where_another_server_gives_the_uids_of_pieces_to_come_its_uids_count(house, monkeypatch, pieces):
    one, two = house.store(), house.store()
    inbox, heard = watched(house, one)
    for number in range(10, 18):
        house.drop(f"{number}.x", b"Subject: %d\n\n" % number)
    other, publish, done = house.open(two), jobs.AdoptionJob.publish, []

    def overtaken(self):
        done.append(self)
        if len(done) == pieces + 1:
            result_of(other.refresh())
        return publish(self)

    monkeypatch.setattr(jobs.AdoptionJob, "publish", overtaken)
    result_of(inbox.refresh())
    house.later()
    result_of(other.refresh())
    assert not inbox.gone
    assert list(inbox.uids) == list(other.uids) == [1, 2, 3, 4, 5, 6, 7, 8] == [uid for change in heard for uid in change.arrived]
    assert result_of(inbox.load(list(inbox.uids))) == result_of(other.load(list(inbox.uids)))


def test_a_file_with_crlf_line_ends_is_served_right(house):
    inbox, _ = watched(house, house.store())
    house.drop("1.crlf", b"Subject: crlf\r\n\r\nmixed\nends\r\n")
    result_of(inbox.refresh())
    wanted = b"Subject: crlf\r\n\r\nmixed\r\nends\r\n"
    assert result_of(inbox.load([1])) == [(1, wanted)]
    assert result_of(inbox.rows([1], (Column.SIZE,))) == [(1, len(wanted))]
    ((_, content),) = result_of(inbox.read([1]))
    assert b"".join(content.chunks()) == wanted


@pytest.mark.parametrize(("said", "wanted"), [(5, b"a: b\r"), (20, b"a: b\r\n\r\ntext\r\n" + b" " * 6)])
def test_a_name_that_lies_about_the_size_cannot_break_what_was_announced(house, said, wanted):
    inbox, _ = watched(house, house.store())
    house.drop(f"1.lie,W={said}", b"a: b\n\ntext\n")
    result_of(inbox.refresh())
    ((_, content),) = result_of(inbox.read([1]))
    assert (content.size, b"".join(content.chunks())) == (said, wanted)


def test_a_file_that_is_removed_is_expunged(house):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    inbox, heard = watched(house, store)
    (house.maildir / house.files()[0]).unlink()
    house.later()
    result_of(inbox.refresh())
    assert heard == [Change(expunged=[1])]
    assert list(inbox.uids) == [2]


def test_flags_that_others_change_are_told_and_keep_the_uid(house):
    store = house.store()
    house.deliver(store)
    inbox, heard = watched(house, store)
    (name,) = house.files()
    (house.maildir / name).rename(house.maildir / "cur" / (name[4:] + ":2,FS"))
    house.later()
    result_of(inbox.refresh())
    assert heard == [Change(flagged=[1])]
    assert (list(inbox.uids), list(inbox.bits)) == ([1], [5])


def test_letters_that_mean_nothing_to_us_stay(house):
    store = house.store()
    house.deliver(store)
    (name,) = house.files()
    (house.maildir / name).rename(house.maildir / "cur" / (name[4:] + ":2,PSz"))
    house.later()
    inbox = house.open(store)
    result_of(inbox.store([1], FlagChange.ADD, ["\\Flagged"]))
    assert house.files()[0].endswith(":2,FPSz")


def test_a_message_is_found_while_others_rename_it(house):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    (name,) = house.files()
    (house.maildir / name).rename(house.maildir / "cur" / (name[4:] + ":2,S"))
    assert len(result_of(inbox.load([1]))) == 1
    assert result_of(inbox.store([1], FlagChange.ADD, ["\\Flagged"])) == ([1], [])
    assert house.files()[0].endswith(":2,F")


def test_a_message_that_has_gone_is_left_out_of_what_is_read(house):
    store = house.store()
    house.deliver(store)
    inbox = house.open(store)
    (house.maildir / house.files()[0]).unlink()
    assert result_of(inbox.load([1])) == []
    assert result_of(inbox.rows([1], (Column.ENVELOPE,))) == []


def test_a_message_that_comes_back_after_its_expunge_was_told_gets_a_new_uid(house, tmp_path):
    store = house.store()
    house.deliver(store)
    house.deliver(store)
    inbox, heard = watched(house, store)
    name = house.files()[0]
    shutil.move(house.maildir / name, tmp_path / "aside")
    house.later()
    result_of(inbox.refresh())
    shutil.move(tmp_path / "aside", house.maildir / name)
    house.later()
    result_of(inbox.refresh())
    assert heard == [Change(expunged=[1]), Change(arrived=[3])]


@pytest.mark.parametrize("name", [".hidden", ":2,S", "line\nfeed"])
def test_names_that_could_hurt_the_list_are_left_alone(house, name):
    inbox, heard = watched(house, house.store())
    house.drop(name)
    result_of(inbox.refresh())
    assert heard == []
    assert len(house.lines()) == 2


def test_a_directory_among_the_messages_is_no_message(house):
    inbox, heard = watched(house, house.store())
    (house.maildir / "cur" / "folder").mkdir()
    (house.maildir / "new" / "link").symlink_to("/etc/passwd")
    house.later()
    result_of(inbox.refresh())
    assert heard == []


def test_changes_that_were_made_while_nobody_looked_are_merged_at_the_next_start(house):
    store = house.store()
    for _ in range(3):
        house.deliver(store)
    house.open(store)
    store.close()
    first, second, _ = house.files()
    (house.maildir / first).unlink()
    (house.maildir / second).rename(house.maildir / "cur" / (second[4:] + ":2,S"))
    house.drop("9999.dropped")
    inbox = house.open(house.store())
    assert (list(inbox.uids), list(inbox.bits)) == ([2, 3, 4], [1, 0, 0])


def test_poll_looks_at_what_is_open(house):
    store = house.store()
    _, heard = watched(house, store)
    house.drop("1.dropped")
    result_of(store.poll())
    assert heard == [Change(arrived=[1])]


def test_a_mailbox_whose_directory_goes_is_gone(house):
    store = house.store()
    trash = house.open(store, "Trash")
    heard = []
    trash.watch(heard.append)
    shutil.rmtree(house.maildir / ".Trash")
    result_of(trash.refresh())
    assert heard == [Change(gone=True)]
    house.deliver(store, folder="Trash")
    assert len(house.files(".Trash")) == 1


# ----- two processes on one store


def test_two_processes_never_give_one_uid_twice(house):
    one, two = house.store(), house.store()
    inboxes = [house.open(one), house.open(two)]
    for store in (one, two, two, one, one, two):
        house.deliver(store)
    house.later()
    for inbox in inboxes:
        result_of(inbox.refresh())
    assert list(inboxes[0].uids) == list(inboxes[1].uids) == [1, 2, 3, 4, 5, 6]
    told = [result_of(inbox.rows(range(1, 7), (Column.INTERNALDATE,))) for inbox in inboxes]
    assert told[0] == told[1]
    assert [int(line.partition(b" ")[0]) for line in house.lines()[1:-1]] == [1, 2, 3, 4, 5, 6]


def test_uids_ascend_for_watchers_of_both_processes(house):
    one, two = house.store(), house.store()
    heard = [watched(house, one)[1], watched(house, two)[1]]
    for store in (one, two, one, two):
        house.deliver(store)
    house.later()
    for store in (one, two):
        result_of(store.poll())
    for changes in heard:
        assert [uid for change in changes for uid in change.arrived] == [1, 2, 3, 4]


def test_flags_and_expunges_of_another_process_are_told(house):
    one, two = house.store(), house.store()
    house.deliver(one)
    house.deliver(one)
    mine, (_, heard) = house.open(one), watched(house, two)
    result_of(mine.store([1], FlagChange.ADD, ["\\Seen", "work"]))
    result_of(mine.expunge([2]))
    house.later()
    result_of(two.poll())
    assert heard == [Change(flagged=[1]), Change(expunged=[2])]
    assert house.open(two).keywords == ["work"]


class Overlapping(tasks.Inline):
    """Threads in which something else happens at the end of a scan, before its findings are known."""

    meanwhile = staticmethod(lambda: None)

    async def run(self, function, *args, **keywords):
        result = await super().run(function, *args, **keywords)
        if function is scan.scan:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return result


@pytest.mark.parametrize("who", [0, 1], ids=["ourselves", "another-process"])
def test_a_delivery_during_a_scan_gets_one_uid(house, who):
    threads = Overlapping()
    stores = [house.store(threads), house.store()]
    inbox, heard = watched(house, stores[0])
    house.drop("1.dropped")
    threads.meanwhile = lambda: house.deliver(stores[who])
    result_of(inbox.refresh())
    house.later()
    result_of(inbox.refresh())
    assert [uid for change in heard for uid in change.arrived] == list(inbox.uids) == [1, 2]
    assert len(house.lines()) == 4
    assert list(house.open(stores[1]).uids) == [1, 2]


def test_flags_that_change_during_a_scan_win(house):
    threads = Overlapping()
    store = house.store(threads)
    house.deliver(store)
    inbox = house.open(store)
    (name,) = house.files()
    (house.maildir / name).rename(house.maildir / "cur" / (name[4:] + ":2,S"))
    house.later()
    threads.meanwhile = lambda: tasks.start(inbox.store([1], FlagChange.ADD, ["\\Flagged"]), "test")
    result_of(inbox.refresh())
    house.later()
    result_of(inbox.refresh())
    assert [int(bits) & 4 for bits in inbox.bits] == [4]
    assert "F" in house.files()[0].partition(":2,")[2]


def test_a_uid_that_can_no_longer_be_told_in_order_makes_sessions_open_again(house):
    one, two = house.store(), house.store()
    inbox, heard = watched(house, one)
    house.deliver(two)
    inbox.uidnext = 2  # as if a scan had missed the file while another process renamed it
    house.deliver(one)
    house.later()
    result_of(inbox.refresh())
    assert heard[-1] == Change(gone=True)
    assert list(house.open(one).uids) == [1, 2]
    assert len(house.lines()) == 4


def test_a_file_that_an_expunge_has_missed_is_a_message_of_its_own_when_it_is_found(house, monkeypatch):
    """Somebody renames it again and again while it is looked for; it was told to be gone, so its UID is not given again."""
    store = house.store()
    house.deliver(store)
    inbox, heard = watched(house, store)
    result_of(inbox.refresh())
    (path,) = house.files()
    moved = house.maildir / "cur" / (path.partition("/")[2].partition(":")[0] + ":2,F")
    (house.maildir / path).rename(moved)
    with monkeypatch.context() as patch:
        patch.setattr(Maildir, "listing", lambda self, folders=(): [])
        assert result_of(inbox.expunge([1])) == [1]
    house.later()
    result_of(inbox.refresh())
    assert heard == [Change(expunged=[1]), Change(arrived=[2])]
    assert list(inbox.uids) == [2]


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_file_that_is_renamed_before_it_is_adopted_keeps_its_uid(house, monkeypatch, looks):
    """A message of which we have not heard yet: were it passed over, the next would get its number, and it could never be told."""
    one, two = house.store(), house.store()
    house.deliver(one)
    inbox, heard = watched(house, one)
    before = set(house.files())
    house.deliver(two)
    (path,) = set(house.files()) - before
    flags = iter("FRST")
    listing, renamed = Maildir.listing, [house.maildir / path]

    def disturbed(self, folders=("new", "cur")):
        """Each look finds it, and before it can be opened it is called otherwise."""
        found = listing(self, folders)
        if len(renamed) <= looks:
            renamed.append(house.maildir / "cur" / f"{renamed[0].name}:2,{next(flags)}")
            renamed[-2].rename(renamed[-1])
        return found

    monkeypatch.setattr(Maildir, "listing", disturbed)
    result_of(inbox.refresh())
    assert (list(inbox.uids), heard) == ([1, 2], [Change(arrived=[2])])


@pytest.fixture
def disturbed(house, monkeypatch):
    """(mailbox, what it tells, what another program does in the midst of our next change)."""
    store = house.store()
    for _ in range(3):
        house.deliver(store)
    inbox, heard = watched(house, store)
    house.later()
    result_of(inbox.refresh())
    deeds = []
    rename = Maildir.rename

    def renamed(self, path, wanted):
        done = rename(self, path, wanted)
        while deeds:
            deeds.pop()()
        return done

    monkeypatch.setattr(Maildir, "rename", renamed)
    return inbox, heard, deeds


def other_flags(house, number, flags):
    """Another program gives a message other flags."""
    (path,) = [path for path in house.files() if path.partition("/")[2].partition(":")[0] == sorted_bases(house)[number - 1]]
    (house.maildir / path).rename(house.maildir / "cur" / f"{sorted_bases(house)[number - 1]}:2,{flags}")


def sorted_bases(house):
    return sorted(path.partition("/")[2].partition(":")[0] for path in house.files())


def test_what_others_do_in_the_midst_of_a_change_of_ours_is_seen_where_they_have_been_at_work(house, disturbed):
    """The time of the directory does not tell it: our mark has come after it."""
    inbox, heard, deeds = disturbed
    other_flags(house, 3, "F")
    result_of(inbox.refresh())
    assert heard[-1] == Change(flagged=[3])
    deeds.append(lambda: other_flags(house, 2, "S"))
    result_of(inbox.store([1], FlagChange.ADD, ["\\Answered"]))
    house.later()
    result_of(inbox.refresh())
    assert heard[-1] == Change(flagged=[2])
    assert list(inbox.bits) == [Flag.ANSWERED, Flag.SEEN, Flag.FLAGGED]


def test_or_where_ours_took_long(house, disturbed, monkeypatch):
    inbox, heard, deeds = disturbed
    monkeypatch.setattr(maildir_module, "LONG_CHANGE", 0.0)
    deeds.append(lambda: other_flags(house, 2, "S"))
    result_of(inbox.store([1], FlagChange.ADD, ["\\Answered"]))
    house.later()
    result_of(inbox.refresh())
    assert heard[-1] == Change(flagged=[2])


def test_where_nobody_else_is_at_work_our_changes_cost_no_look(house, disturbed, monkeypatch):
    inbox, _, _ = disturbed
    result_of(inbox.store([1], FlagChange.ADD, ["\\Answered"]))
    monkeypatch.setattr("twistmail.store.scan.scan", lambda *_: pytest.fail("looked"))
    house.later()
    result_of(inbox.refresh())
