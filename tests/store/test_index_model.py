"""A random life of mailboxes whose index is written in small pieces, lost, damaged and left behind: it is never believed wrongly.

After each step a second server reads a copy of everything, as it would after a
crash at this moment, and again after its own orderly end: it must find what the
first one has promised.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from tests.contracts.mailstores import vanished_since
from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.flags import words
from twistmail.mail.mailbox import Column, Delivery, FlagChange, NewMessage
from twistmail.store import blocks, glance, loading, namebook, writing
from twistmail.store.database import FILE
from twistmail.store.indexed import differences, read_index
from twistmail.store.mailstore import MailStore

ALICE = "alice@blue.test"
FOLDERS = ("INBOX", "Sent")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "work", "idea")
DAMAGES = (
    "DELETE FROM block WHERE id % 2",
    "DELETE FROM flags WHERE id % 2",
    "UPDATE block SET entries = CAST(entries || x'0a' AS BLOB)",
    "UPDATE block SET sizes = substr(sizes, 2)",
    "UPDATE flags SET bits = bits || bits",
    "UPDATE block SET uids = zeroblob(length(uids))",
    "DELETE FROM mailbox",
    "DROP TABLE flags",
)


class Life:
    """One server, and what it has promised: {folder: {uid: (flags, number of the letter)}}."""

    def __init__(self, root, seed):
        self.random = random.Random(seed)
        self.root, self.copied = root / "first", root / "copy"
        self.ahead, self.letters, self.glances = 0.0, 0, 0
        self.told = {folder: {} for folder in FOLDERS}
        self.seen = {folder: [] for folder in FOLDERS}  # (modification sequence, what was told until then)
        self.begin()

    def now(self):
        return time.time() + self.ahead

    def made(self, root, reactor=None):
        return MailStore(root, reactor, disk.InlineCommitter(), tasks.Inline(), hostname="mx.blue.test", now=self.now, boot="same",
                         fulltext=False)  # fmt: skip

    def begin(self):
        self.clock = Clock()
        self.store = self.made(self.root, self.clock)
        self.mailboxes = result_of(self.store.mailboxes(ALICE))
        self.open = {folder: result_of(self.mailboxes.open(folder)) for folder in FOLDERS}

    @property
    def maildir(self):
        return self.root / "mail/blue.test/alice"

    def letter(self):
        self.letters += 1
        return Memory(b"Subject: %d\r\n\r\nText.\r\n" % self.letters)

    # ----- what happens

    def step(self):
        folder = self.random.choice(FOLDERS)
        verb = self.random.choices(
            [self.deliver, self.append, self.flag, self.expunge, self.copy, self.move, self.settle, self.look, self.save, self.restart,
             self.crash, self.damage, self.lose, self.fail, self.rename_outside],
            [3, 2, 6, 5, 2, 1, 2, 4, 3, 2, 1, 1, 1, 2, 2],
        )[0]  # fmt: skip
        verb(folder)
        return f"{verb.__name__} {folder}"

    def some(self, folder):
        uids = list(self.told[folder])
        if not uids:
            return []
        if self.random.random() < 0.3:
            first = self.random.randrange(len(uids))
            return uids[first : first + self.random.randrange(40)]
        return sorted(self.random.sample(uids, self.random.randrange(min(len(uids), 9) + 1)))

    def deliver(self, folder):
        letters = [self.letter() for _ in range(self.random.randrange(1, 9))]
        assert set(result_of(self.store.deliver([Delivery(ALICE, b"", letter, folder) for letter in letters]))) == {None}
        self.came(folder, len(letters), frozenset())

    def append(self, folder):
        flags = self.random.sample(FLAGS, 2)
        letters = [NewMessage(self.letter(), tuple(flags)) for _ in range(self.random.randrange(1, 30))]
        result_of(self.open[folder].append(letters))
        self.came(folder, len(letters), frozenset(flags))

    def came(self, folder, count, flags):
        first = self.open[folder].uidnext - count
        numbers = range(self.letters - count + 1, self.letters + 1)
        self.told[folder] |= {first + place: (flags, number) for place, number in enumerate(numbers)}

    def flag(self, folder):
        uids, change = self.some(folder), self.random.choice(list(FlagChange))
        flags = frozenset(self.random.sample(FLAGS, self.random.randrange(3)))
        result_of(self.open[folder].store(uids, change, sorted(flags)))
        for uid in uids:
            before, number = self.told[folder][uid]
            after = {FlagChange.SET: flags, FlagChange.ADD: before | flags, FlagChange.REMOVE: before - flags}[change]
            self.told[folder][uid] = after, number

    def expunge(self, folder):
        for uid in result_of(self.open[folder].expunge(self.some(folder))):
            del self.told[folder][uid]

    def copy(self, folder):
        self.transferred(folder, self.open[folder].copy)

    def move(self, folder):
        for uid in self.transferred(folder, self.open[folder].move):
            del self.told[folder][uid]

    def transferred(self, folder, verb):
        other = FOLDERS[folder == FOLDERS[0]]
        copied = result_of(verb(self.some(folder), other))
        self.told[other] |= {new: self.told[folder][old] for old, new in zip(copied.source, copied.target, strict=True)}
        return copied.source

    def settle(self, _):
        self.clock.advance(10)

    def look(self, folder):
        self.ahead += 3
        result_of(self.open[folder].refresh())

    def save(self, folder):
        assert result_of(self.open[folder].save())

    def restart(self, _):
        self.store.close()
        self.ahead += 3
        self.begin()

    def crash(self, _):
        """The server that is left behind does nothing any more: time stands still for it."""
        self.ahead += 1
        self.begin()

    def damage(self, _):
        self.store.close()
        damaged(self.maildir, self.random.choice(DAMAGES))
        self.begin()

    def lose(self, folder):
        """The index is thrown away because of another mailbox, while this one is open. Only the names have the flags then."""
        self.settle(folder)
        self.open[folder]._index.start_again()

    def fail(self, folder):
        """The disk is full for a while, from the second transaction on."""
        index, saves = self.open[folder]._index, []
        save = index.save

        def full(*news):
            saves.append(news)
            if len(saves) > 1:
                raise sqlite3.OperationalError("database or disk is full")
            save(*news)

        index.save = full
        result_of(self.open[folder].save())
        self.flag(folder)
        self.expunge(folder)
        del index.save

    def rename_outside(self, folder):
        """Somebody else changes flags."""
        self.settle(folder)
        self.look(folder)
        for uid in self.some(folder)[:3]:
            place = self.open[folder].uids.index(uid)
            path = self.open[folder]._path(place)
            there = self.open[folder].maildir.path
            (there / path.decode()).rename(there / f"cur/{path[4:].partition(b':2,')[0].decode()}:2,F")
            self.told[folder][uid] = frozenset({"\\Flagged"}), self.told[folder][uid][1]
        self.look(folder)

    # ----- what is then so

    def check(self):
        for folder in FOLDERS:
            self.compare(folder, self.open[folder])
            self.seen[folder].append((self.open[folder].highest_modseq, dict(self.told[folder])))
        shutil.rmtree(self.copied, ignore_errors=True)
        shutil.copytree(self.root, self.copied, symlinks=True)
        for _ in "after a crash", "after an orderly end":
            with suppress(ValueError, TypeError, sqlite3.OperationalError):  # damaged on purpose
                for found in read_index(self.copied / "mail/blue.test/alice"):
                    assert differences(self.copied / "mail/blue.test/alice", found) == []
            self.ahead += 2
            second = self.made(self.copied)
            mailboxes = result_of(second.mailboxes(ALICE))
            glanced = glance.statuses(mailboxes.root, mailboxes.index, FOLDERS, ("same", self.now()), deleted=True)
            for folder in FOLDERS:
                self.compare(folder, result_of(mailboxes.open(folder)))
            opened = {folder: result_of(mailboxes.status(folder, deleted=True)) for folder in glanced}
            assert {folder: replace(status, highest_modseq=0) for folder, status in glanced.items()} == {
                folder: replace(status, highest_modseq=0) for folder, status in opened.items()
            }
            assert all(self.seen[folder][-1][0] <= glanced[folder].highest_modseq <= opened[folder].highest_modseq for folder in glanced)
            self.glances += len(glanced)
            second.close()

    def compare(self, folder, mailbox):
        told = self.told[folder]
        assert list(mailbox.uids) == sorted(told)
        assert [flags_at(mailbox, place) for place in range(len(mailbox.uids))] == [told[uid][0] for uid in mailbox.uids]
        text = {uid: int(whole.split()[1]) for uid, whole in result_of(mailbox.load(list(mailbox.uids)))}
        assert text == {uid: number for uid, (_, number) in told.items()}
        rows = result_of(mailbox.rows(list(mailbox.uids), (Column.SIZE,)))
        assert [size for _, size in rows] == [20 + len(str(told[uid][1])) for uid in mailbox.uids]
        for modseq, then in self.seen[folder][-1:] + self.random.sample(self.seen[folder], min(2, len(self.seen[folder]))):
            assert mailbox.highest_modseq >= modseq
            changed = {uid for uid, what in told.items() if then.get(uid) != what}
            assert changed <= set(mailbox.changed_since(modseq))
            vanished = set(vanished_since(mailbox, modseq))
            assert then.keys() - told.keys() <= vanished
            assert vanished.isdisjoint(told)


def flags_at(mailbox, place):
    return frozenset(words(mailbox.bits[place], mailbox.keywords))


def damaged(maildir, statement):
    database = sqlite3.connect(maildir / FILE)
    with database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize("seed", range(10))
def test_the_index_is_never_believed_wrongly(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(blocks, "MOST", 12)
    monkeypatch.setattr(loading, "MOST", 12)
    monkeypatch.setattr(writing, "TOGETHER", 2)
    monkeypatch.setattr(namebook, "MOST_BLOCKS", 2)
    life, done = Life(tmp_path, seed), []
    for _ in range(25):
        done.append(life.step())
        try:
            life.check()
        except AssertionError as error:
            raise AssertionError("after " + ", ".join(done)) from error
    assert life.glances
    life.store.close()
