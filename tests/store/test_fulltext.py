"""The full-text index: what it says is what reading says, however little of a mailbox it has, and whatever happens to its file."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.store.conftest import ALICE
from twistmail import disk, tasks
from twistmail.mail.content import Memory
from twistmail.mail.folding import folded
from twistmail.mail.mailbox import NewMessage
from twistmail.store import fulltext, searching, textsearch
from twistmail.store.fulltext import FILE, FullText, Place
from twistmail.store.mailstore import MailStore
from twistmail.store.searching import holds, sought, texts_of

PLACE = Place("", 7)
#: Few letters, so that needles are found; and all that is odd about SQLite, FTS5, UTF-8 and case.
LETTERS = "abAB\"*%_' \0\ufffd\ufdd0\uffff\ufffe\u00df\u0130\u01f0\ufb01\u03a3\u03c2\U0001f600\U00010400\u0301\ud800\u65e5"
WORDS = st.text(LETTERS, max_size=12) | st.sampled_from(
    ["stra\u00dfe", "STRASSE", "na\u00efve", "\U0001f600\U0001f601\U0001f602", "a" * 40]
)
BODIES = st.lists(WORDS, min_size=1, max_size=3)


def mail(subject: str, *parts: str, charset: str = "utf-8") -> bytes:
    """A message with these texts."""
    header = f"Subject: {subject}\r\n".encode("utf-8", "surrogatepass")
    encoded = [part.encode("utf-7" if "\ud800" in part else charset, "surrogatepass") for part in parts]
    charsets = ["utf-7" if "\ud800" in part else charset for part in parts]
    if len(parts) == 1:
        return header + f"Content-Type: text/plain; charset={charsets[0]}\r\n\r\n".encode() + encoded[0]
    inside = [f"--=b\r\nContent-Type: text/x; charset={name}\r\n\r\n".encode() + text for name, text in zip(charsets, encoded, strict=True)]
    return header + b'Content-Type: multipart/mixed; boundary="=b"\r\n\r\n' + b"\r\n".join([*inside, b"--=b--\r\n"])


def answered(index: FullText, messages: dict[int, bytes], needle: str, *, headers: bool) -> set[int]:
    """What a search finds that reads what the index does not know."""
    what = sought(needle, headers=headers)
    answer = index.search(PLACE, min(messages), max(messages), what)
    read = answer.unsure | {uid for uid in messages if uid > answer.complete}
    return answer.hits | {uid for uid in read if holds(messages[uid], what.needle, headers=headers)}


def brute(messages: dict[int, bytes], needle: str, *, headers: bool) -> set[int]:
    wanted = folded(needle)
    return {uid for uid, message in messages.items() if holds(message, wanted, headers=headers)}


@pytest.fixture
def index(tmp_path: Path):
    made = FullText(tmp_path)
    yield made
    made.close()


def fill(index: FullText, messages: dict[int, bytes], place: Place = PLACE, after: int = 0) -> int:
    return index.add(place, after, max(messages), [(uid, texts_of(message)) for uid, message in sorted(messages.items())])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.tuples(WORDS, BODIES), min_size=1, max_size=6),
    needles=st.lists(WORDS, min_size=1, max_size=5),
    indexed=st.integers(0, 6),
    longest=st.sampled_from([5, 1000]),
)
@example(contents=[("", ["ab", "AB"])], needles=["abab", "b", "", "\ufdd0", "b\ufdd0a"], indexed=1, longest=1000)
@example(contents=[("x", ['say "no"'])], needles=['"no"', '"', '""', 'y "n'], indexed=1, longest=1000)
@example(contents=[("x", ["a\0bcd", "a\ufffdbcd"])], needles=["a\0bc", "bcd", "a\ufffdbc"], indexed=1, longest=1000)
@example(contents=[("x", ["\u0130stanbul", "STRASSE"])], needles=["i\u0307st", "stra\u00dfe", "\u0130"], indexed=1, longest=1000)
def test_the_index_finds_what_reading_finds(monkeypatch, tmp_path_factory, contents, needles, indexed, longest) -> None:
    monkeypatch.setattr(searching, "MOST_KEPT", longest)
    messages = {3 * number + 1: mail(subject, *body) for number, (subject, body) in enumerate(contents)}
    index = FullText(tmp_path_factory.mktemp("index"))
    try:
        if some := dict(list(messages.items())[:indexed]):
            fill(index, some)
        pieces = [text[at : at + 4] for _, body in contents for text in body for at in (0, 1)]
        for needle in [*needles, *pieces]:
            for headers in (True, False):
                assert answered(index, messages, needle, headers=headers) == brute(messages, needle, headers=headers), needle
    finally:
        index.close()


def test_a_long_needle_is_asked_by_some_of_its_trigrams(index: FullText) -> None:
    text = " ".join(map(str, range(10_000, 10_400)))
    messages = {1: mail("x", text), 2: mail("x", text.replace("10399", "10398")), 3: mail("x", text[:-1])}
    fill(index, messages)
    assert fulltext._trigrams(text).count(" AND ") == fulltext.MOST_TRIGRAMS - 1
    assert index.search(PLACE, 1, 3, sought(text, headers=False)).hits == {1}


def test_only_the_messages_asked_for_are_searched(index: FullText) -> None:
    fill(index, {uid: mail("x", "needle") for uid in range(1, 10)})
    assert index.search(PLACE, 3, 5, sought("needle", headers=False)) == (9, {3, 4, 5}, set())
    assert index.search(PLACE, 3, 5, sought("ne", headers=False)).hits == {3, 4, 5}
    assert index.search(PLACE, 10, 12, sought("needle", headers=False)) == (9, set(), set())


def test_nothing_is_added_that_leaves_a_gap_or_is_there_already(index: FullText) -> None:
    two = {1: mail("x", "one"), 5: mail("x", "five")}
    assert fill(index, two) == 5
    assert fill(index, {9: mail("x", "nine")}, after=7) == 5
    assert fill(index, two) == 5
    assert fill(index, two | {6: mail("x", "six")}) == 6
    assert index.search(PLACE, 1, 9, sought("x", headers=True)) == (6, {1, 5, 6}, set())


def test_what_was_known_of_another_uidvalidity_is_not_believed(index: FullText) -> None:
    fill(index, {1: mail("x", "needle")})
    other = Place("", 8)
    assert index.complete(other) is None
    assert index.search(other, 1, 1, sought("needle", headers=False)) == (0, set(), set())
    assert index.complete(other) == 0
    assert index.complete(PLACE) is None


def test_a_renamed_mailbox_keeps_its_rows_and_a_deleted_one_leaves_none(index: FullText) -> None:
    folder, moved = Place(".a", 1), Place(".b", 1)
    fill(index, {1: mail("x", "needle")}, folder)
    fill(index, {1: mail("x", "other")}, moved)
    index.rename([(".a", ".b")])
    assert index.search(moved, 1, 1, sought("needle", headers=False)).hits == {1}
    assert index.complete(folder) is None
    assert index.sweep_strays()
    assert not index.sweep_strays()
    index.forget(".b")
    assert index.complete(moved) is None
    assert index.sweep_strays()
    assert rows(index) == 0


def test_what_has_gone_is_swept_a_few_at_a_time(index: FullText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "SWEEP_OVER", 5)
    monkeypatch.setattr(fulltext, "SWEEP_AWAY", 2)
    fill(index, {uid: mail("x", "needle") for uid in range(1, 21)})
    fill(index, {3: mail("x", "elsewhere")}, Place(".other", 1))
    left, above, steps = [4, 9, 20], 0, 0
    while above is not None:
        above, steps = index.sweep(PLACE, above, left), steps + 1
    assert steps > 5
    assert rows(index) == 4
    assert index.search(PLACE, 1, 20, sought("needle", headers=False)).hits == set(left)
    checked(index)


def rows(index: FullText) -> int:
    with index._transaction() as database:
        return database.execute("SELECT count(*) FROM text").fetchone()[0]


def checked(index: FullText) -> None:
    """FTS5 compares its index with the texts."""
    with index._transaction() as database:
        database.execute("INSERT INTO trigram (trigram, rank) VALUES ('integrity-check', 1)")


def test_what_should_be_there_and_is_not_is_told(index: FullText) -> None:
    index.add(PLACE, 0, 9, [(uid, texts_of(mail("x", "y"))) for uid in (1, 2, 8)])
    assert index.lacking(PLACE, [1, 2, 5, 8, 9, 12]) == {5, 9}
    assert index.lacking(Place(".nowhere", 1), [1, 2]) == set()


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100])
def test_a_damaged_file_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    index = FullText(tmp_path)
    fill(index, {1: mail("x", "needle")})
    index.close()
    (tmp_path / FILE).write_bytes(damage)
    assert index.complete(PLACE) is None
    assert fill(index, {1: mail("x", "needle")}) == 1
    index.close()


def test_a_database_whose_pages_are_damaged_is_thrown_away(tmp_path: Path) -> None:
    index = FullText(tmp_path)
    fill(index, {uid: mail("x", "needle " * 300) for uid in range(1, 40)})
    index.close()
    whole = bytearray((tmp_path / FILE).read_bytes())
    whole[8192:] = b"\x55" * len(whole[8192:])
    (tmp_path / FILE).write_bytes(whole)
    with pytest.raises(sqlite3.DatabaseError):
        index.search(PLACE, 1, 40, sought("needle", headers=True))
    assert index.complete(PLACE) is None
    assert fill(index, {1: mail("x", "needle")}) == 1
    index.close()


def test_another_version_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = FullText(tmp_path)
    fill(index, {1: mail("x", "needle")})
    index.close()
    monkeypatch.setattr(fulltext, "SCHEMA_VERSION", 99)
    assert index.complete(PLACE) is None
    index.close()


# ----- in a mailbox


def searched(mailbox, needle: str, uids=None, *, headers: bool = False) -> set[int]:
    return result_of(mailbox.text_search(list(mailbox.uids) if uids is None else uids, needle, headers))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The UIDs of the messages that are read to search them."""
    told: list[int] = []

    def telling(read):
        def reading(messages, *rest):
            told.extend(uid for uid, _ in messages)
            return read(messages, *rest)

        return reading

    for name in ("matching", "matching_and_texts", "all_texts"):
        monkeypatch.setattr(searching, name, telling(getattr(searching, name)))
    return told


def look(_) -> None:
    """A watcher."""


def deliver(house, store, *bodies: str, folder: str = "INBOX") -> None:
    house.deliver(store, *[mail("x", body) for body in bodies], folder=folder)


def test_what_a_search_has_read_is_not_read_again(house, reads) -> None:
    store = house.store()
    deliver(house, store, "one needle", "two", "three NEEDLES")
    inbox = house.open(store)
    assert searched(inbox, "needle") == {1, 3}
    assert reads == [1, 2, 3]
    assert searched(inbox, "two") == {2}
    assert searched(inbox, "needle", [1, 2]) == {1}
    assert reads == [1, 2, 3]


def test_messages_that_come_are_found_at_once_and_indexed_while_somebody_looks(house, reads) -> None:
    store = house.store()
    deliver(house, store, "one")
    inbox = house.open(store)
    assert searched(inbox, "one") == {1}
    deliver(house, store, "one again")
    assert searched(inbox, "one") == {1, 2}
    assert reads == [1, 2]
    inbox.watch(look)
    deliver(house, store, "one more")
    assert reads == [1, 2, 3]
    inbox.unwatch(look)
    deliver(house, store, "one and nobody looks")
    assert reads == [1, 2, 3]
    inbox.watch(look)
    assert reads == [1, 2, 3, 4]
    assert searched(inbox, "one") == {1, 2, 3, 4}
    assert reads == [1, 2, 3, 4]


def test_an_account_that_never_searches_has_no_index(house, reads) -> None:
    store = house.store()
    deliver(house, store, "one")
    inbox = house.open(store)
    inbox.watch(look)
    deliver(house, store, "two")
    assert reads == []
    assert not (house.maildir / FILE).exists()


def test_without_an_index_all_is_read_each_time(house, reads) -> None:
    store = MailStore(house.root, None, house.committer, tasks.Inline(), hostname="mx", now=house.now, fulltext=False)
    house.stores.append(store)
    deliver(house, store, "one", "two")
    inbox = house.open(store)
    inbox.watch(look)
    assert searched(inbox, "one") == searched(inbox, "one") == {1}
    assert reads == [1, 2, 1, 2]
    assert not (house.maildir / FILE).exists()


def test_some_messages_searched_leave_no_gap(house, reads) -> None:
    store = house.store()
    deliver(house, store, *["needle"] * 5)
    inbox = house.open(store)
    assert searched(inbox, "needle", [4, 5]) == {4, 5}
    assert searched(inbox, "needle", [1, 3]) == {1, 3}
    assert reads == [4, 5, 1, 3]
    inbox.watch(look)
    assert sorted(reads[4:]) == [1, 2, 3, 4, 5]
    assert searched(inbox, "needle") == {1, 2, 3, 4, 5}
    assert len(reads) == 9


def test_the_index_is_used_by_the_next_process(house, reads) -> None:
    store = house.store()
    deliver(house, store, "needle", "none")
    assert searched(house.open(store), "needle") == {1}
    store.close()
    assert searched(house.open(house.store()), "needle") == {1}
    assert reads == [1, 2]


def test_the_index_may_be_deleted_while_it_is_used(house) -> None:
    store = house.store()
    deliver(house, store, "needle", "none")
    inbox = house.open(store)
    assert searched(inbox, "needle") == {1}
    for path in house.maildir.glob(FILE + "*"):
        path.unlink()
    deliver(house, store, "needle")
    assert searched(inbox, "needle") == {1, 3}
    assert searched(inbox, "none") == {2}
    assert (house.maildir / FILE).exists()


def test_an_index_that_is_damaged_costs_only_time(house, reads) -> None:
    store = house.store()
    deliver(house, store, *["needle " * 500] * 30)
    inbox = house.open(store)
    assert len(searched(inbox, "needle")) == 30
    inbox._texts._texts.index.close()
    path = house.maildir / FILE
    path.write_bytes(path.read_bytes()[:4096] + b"\x55" * 100_000)
    for _ in range(4):
        assert len(searched(inbox, "needle")) == 30
        house.ahead += textsearch.LEFT_ALONE
    del reads[:]
    assert len(searched(inbox, "needle")) == 30
    assert reads == []


def test_a_full_disk_costs_only_time(house, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    store = house.store()
    deliver(house, store, "needle" + " more " * 50_000, "none")
    inbox = house.open(store)
    opened = fulltext.prepared

    def on_a_small_disk(*what):
        database = opened(*what)
        database.execute("PRAGMA max_page_count = 30")
        return database

    with monkeypatch.context() as patched:
        patched.setattr(fulltext, "prepared", on_a_small_disk)
        for _ in range(3):
            assert searched(inbox, "needle") == {1}
            house.ahead += textsearch.LEFT_ALONE
    assert reads == [1, 2] * 3
    inbox._texts._texts.index.close()
    assert searched(inbox, "needle") == searched(inbox, "needle") == {1}
    assert reads == [1, 2] * 4


def test_folders_renamed_deleted_and_made_anew(house, reads) -> None:
    store = house.store()
    home = result_of(store.mailboxes(ALICE))
    result_of(home.create("a"))
    deliver(house, store, "needle", folder="a")
    assert searched(house.open(store, "a"), "needle") == {1}
    result_of(home.rename("a", "b"))
    assert searched(house.open(store, "b"), "needle") == {1}
    assert reads == [1]
    result_of(home.delete("b"))
    house.later()
    result_of(home.create("b"))
    deliver(house, store, "other", folder="b")
    assert searched(house.open(store, "b"), "needle") == set()
    assert searched(house.open(store, "b"), "other") == {1}


def test_expunged_messages_are_not_found_and_go_from_the_index(house) -> None:
    store = house.store()
    deliver(house, store, "needle", "needle", "needle")
    inbox = house.open(store)
    inbox.watch(look)
    assert searched(inbox, "needle") == {1, 2, 3}
    result_of(inbox.expunge([2]))
    assert searched(inbox, "needle", [1, 2, 3]) == {1, 3}
    store.close()
    store = house.store()
    house.open(store).watch(look)
    index = FullText(house.maildir)
    assert rows(index) == 2
    checked(index)
    index.close()


def test_a_message_that_was_away_when_others_were_indexed_is_found(house) -> None:
    store = house.store()
    deliver(house, store, "needle", "needle", "needle")
    (second,) = [house.maildir / path for path in house.files() if b"needle" in (house.maildir / path).read_bytes()][1:2]
    store.close()
    second.rename(house.root / "away")
    house.later()
    store = house.store()
    assert len(searched(house.open(store), "needle")) == 2
    store.close()
    (house.root / "away").rename(second)
    house.later()
    inbox = house.open(house.store())
    assert len(inbox.uids) == 3
    assert searched(inbox, "needle") == set(inbox.uids)


def test_characters_that_the_index_replaces_are_told_apart(house, reads) -> None:
    store = house.store()
    deliver(house, store, "a\0b", "a\ufffdb", "a\uffffb", "ab")
    inbox = house.open(store)
    for needle, found in (("a\0", {1}), ("A\ufffdB", {2}), ("\uffffb", {3}), ("\uffff", {3}), ("\ufdd0", set())):
        assert searched(inbox, needle) == found
    assert reads[:4] == [1, 2, 3, 4]


def test_long_texts_are_read_where_the_index_does_not_say(house, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_KEPT", 10)
    store = house.store()
    deliver(house, store, "short", "a needle and a long tail", "none")
    inbox = house.open(store)
    assert searched(inbox, "needle") == {2}
    del reads[:]
    assert searched(inbox, "needle") == {2}
    assert reads == []
    assert searched(inbox, "tail") == {2}
    assert searched(inbox, "absent") == set()
    assert reads == [2, 2]


def test_mail_comes_while_the_mailbox_is_indexed(tmp_path: Path) -> None:
    """With real threads: search, delivery, appending and expunging side by side, and all ends in agreement."""
    store = MailStore(tmp_path, None, disk.InlineCommitter(), Pool(), hostname="mx")
    home = result_of(store.mailboxes(ALICE))
    inbox = result_of(home.open("INBOX"))
    inbox.watch(look)
    for number in range(20):
        bodies = [f"number {at} {'needle' * (at % 3 == 0)}" for at in range(number, number + 9)]
        result_of(inbox.append([NewMessage(Memory(mail("x", body))) for body in bodies]))
        found = searched(inbox, "needle")
        assert found == {uid for uid, message in result_of(inbox.load(list(inbox.uids))) if b"needle" in message}
        result_of(inbox.expunge([number * 5 + 1]))
    index = FullText(tmp_path / "mail/blue.test/alice")
    assert index.complete(Place("", inbox.uidvalidity)) == inbox.uids[-1]
    checked(index)
    index.close()
    store.close()


class Pool:
    """`tasks.Threads` without a reactor: another thread works while this one waits."""

    async def run(self, function, *args, **keywords):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, *args, **keywords).result()


def test_two_threads_may_ask_one_index(index: FullText) -> None:
    messages = {uid: mail("x", f"needle {uid}") for uid in range(1, 301)}
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                assert answered(index, messages, "needle 17", headers=False) == brute(messages, "needle 17", headers=False)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(1, 301, 20):
        fill(index, {uid: messages[uid] for uid in range(start, start + 20)}, after=start - 1)
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_is_read_together_is_bounded_in_messages_and_octets(house, monkeypatch: pytest.MonkeyPatch) -> None:
    store = house.store()
    deliver(house, store, "a", "b" * 500, "c", "d" * 5000, "e", "f", "g")
    inbox = house.open(store)
    monkeypatch.setattr(textsearch, "READ_TOGETHER", 3)
    monkeypatch.setattr(textsearch, "OCTETS_TOGETHER", 1500)
    read, together = searching.matching_and_texts, []

    def reading(messages, what):
        together.append([uid for uid, _ in messages])
        return read(messages, what)

    monkeypatch.setattr(searching, "matching_and_texts", reading)
    assert searched(inbox, "f") == {6}
    assert together == [[1, 2, 3], [4], [5, 6, 7]]
