"""What is put into an mbox comes out to the octet, whatever its lines look like and whoever rewrites the file."""

from __future__ import annotations

import mailbox

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.mbox.house import House
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column, Flag, FlagChange, NewMessage, SortKey

LINES = st.sampled_from(
    [b"", b"From ", b">From me", b">>From a@b Thu Nov 24 18:22:48 1986", b"From a@b.test Thu Nov 24 18:22:48 1986", b"from", b"text", b" x",
     b"\tFrom ", b"Status: RO", b"Subject: S", b"Lines", b".", b"\r", b"a\rb", b"\x01\x01\x01\x01", b"\xff\x00",
     b"From", b">" * 70 + b"From x"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(LINES, max_size=6), st.booleans()), min_size=1, max_size=4))
def test_messages_come_out_as_they_were_put_in(tmp_path_factory, bodies):
    contents = [b"Subject: x\r\n\r\n" + b"\r\n".join(lines) + b"\r\n" * ended for lines, ended in bodies]
    contents = [content for content in contents if b"\r\r\n" not in content]
    house = House(tmp_path_factory.mktemp("box"))
    inbox = house.open()
    result_of(inbox.append([NewMessage(Memory(content), ("\\Seen",) * (number % 2), 1e9) for number, content in enumerate(contents)]))
    expected = list(enumerate(contents, 1))
    assert result_of(inbox.load(inbox.uids)) == expected
    sizes = result_of(inbox.rows(inbox.uids, (Column.SIZE,)))
    assert [size for _, size in sizes] == [len(content) for content in contents]
    result_of(inbox.store(inbox.uids, FlagChange.SET, ["\\Answered", "work"]))
    assert result_of(inbox.load(inbox.uids)) == expected
    assert result_of(house.open().load(inbox.uids)) == expected
    for store in house.stores:
        store.close()


def test_the_quoting_is_that_which_others_know(house):
    body = b"Subject: x\r\n\r\nFrom here\r\n>From there\r\n"
    house.deliver(body)
    assert b"\n\n>From here\n>>From there\n\n" in house.inbox.read_bytes()


SENT_WITH_BOOKKEEPING = b"Status: RO\r\nX-Status: FD\r\nX-Keywords: work\r\nX-UID: 7\r\nContent-Length: 3\r\nSubject: x\r\n\r\ntext\r\n"


def test_who_sends_mail_sets_no_flags(house):
    house.deliver(SENT_WITH_BOOKKEEPING)
    inbox = house.open()
    assert (list(inbox.bits), inbox.keywords) == ([0], [])
    assert result_of(inbox.load([1])) == [(1, b"Subject: x\r\n\r\ntext\r\n")]


def test_an_id_and_a_size_are_the_same_before_and_after_another_program_s_rewrite(house):
    house.deliver(b"Subject: x\r\n\r\ntext\r\n", b"Subject: y\r\n\r\ntext\r\n")
    before = result_of(house.open().rows([1, 2], (Column.SIZE, Column.EMAILID)))
    text = house.inbox.read_bytes()
    house.inbox.write_bytes(text.replace(b"Subject: x\n", b"Subject: x\nStatus: RO\nContent-Length: 5\nLines: 1\nX-UID: 12\n"))
    inbox = house.open()
    assert result_of(inbox.rows([1, 2], (Column.SIZE, Column.EMAILID))) == before
    assert list(inbox.bits) == [Flag.SEEN, 0]


def test_what_another_library_writes_is_read_and_what_we_write_it_reads(house):
    house.inbox.parent.mkdir(parents=True)
    box = mailbox.mbox(house.inbox)
    message = mailbox.mboxMessage(b"Subject: theirs\n\nFrom me\n")
    message.set_flags("RF")
    box.add(message)
    box.close()
    inbox = house.open()
    assert result_of(inbox.load([1])) == [(1, b"Subject: theirs\r\n\r\nFrom me\r\n")]
    assert inbox.bits[0] == Flag.SEEN | Flag.FLAGGED
    result_of(inbox.store([1], FlagChange.SET, ["\\Answered", "\\Deleted"]))
    (theirs,) = mailbox.mbox(house.inbox, create=False)
    assert set(theirs.get_flags()) == {"O", "A", "D"}


@pytest.mark.parametrize("size", [100, 300_000, 3_000_000])
def test_small_and_big_messages_are_read_in_the_same_way(house, size):
    content = b"Subject: big\r\n\r\n" + b"From the beginning\r\n" * (size // 20)
    house.deliver(content)
    inbox = house.open()
    [(_, read)] = result_of(inbox.read([1]))
    result_of(inbox.store([1], FlagChange.ADD, ["\\Seen"]))
    result_of(inbox.expunge([1]))
    assert b"".join(read.chunks()) == content  # it stays what it was
    assert (read.size, read.beginning(20)) == (len(content), content[:20])


def test_a_huge_message_is_searched_and_described_without_being_in_memory(house, monkeypatch):
    monkeypatch.setattr("twistmail.mbox.mailbox.MOST_OCTETS_AT_ONCE", 20_000)
    monkeypatch.setattr("twistmail.mail.paged.BIG", 20_000)
    house.deliver(b"Subject: small\r\n\r\nthe needle\r\n", b"Subject: huge\r\n\r\n" + b"hay\r\n" * 100_000 + b"the needle\r\n")
    inbox = house.open()
    taken, loaded = [], inbox.file.loaded
    monkeypatch.setattr(inbox.file, "loaded", lambda held, uids: taken.extend(uids) or loaded(held, uids))
    assert result_of(inbox.text_search([1, 2], "the needle", headers=False)) == {1, 2}
    assert result_of(inbox.text_search([1, 2], "two needles", headers=True)) == set()
    assert result_of(inbox.header_search([1, 2], "subject", "huge")) == {2}
    assert result_of(inbox.sort([1, 2], [(SortKey.SUBJECT, False)])) == [2, 1]
    assert set(taken) == {1}
