"""The UID list as text, and two who hold it."""

from __future__ import annotations

import errno
import fcntl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.store import uidlist
from twistmail.store.uidlist import DamagedList, Header, UidList, format_header, format_lines, parse_header, parse_lines

NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: b"\n" not in name and b":2," not in name)


@given(st.lists(st.tuples(st.integers(1, 1000), NAMES), max_size=30))
def test_lines_come_back_as_they_were_written(steps):
    uids, last = [], 0
    for step, _ in steps:
        uids.append(last := last + step)
    bases = [base for _, base in steps]
    found, names = parse_lines(format_lines(uids, bases))
    assert (list(found), names) == (uids, bases)


@given(st.binary(max_size=200))
def test_no_octets_break_the_parsers(data):
    for parse in (parse_header, parse_lines):
        try:
            parse(data)
        except DamagedList:
            pass


def test_pop3_ids_are_found_wherever_they_stand_in_a_line(tmp_path):
    (tmp_path / uidlist.FILE).write_bytes(
        b"3 V1 N9 G00000000000000000000000000000000\n1 :a\n2 W5 Pold-2 S4 :b\n3 Pold.3 :c Pname\n4 :d Pname\n5 P :e\nx Py :f\n6 Pold"
    )
    assert uidlist.pop3_ids(tmp_path) == {2: b"old-2", 3: b"old.3"}


def test_a_mailbox_without_a_list_has_no_pop3_ids(tmp_path):
    assert uidlist.pop3_ids(tmp_path) == {}


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_headers_come_back_as_they_were_written(uidvalidity, nextuid):
    header = Header(uidvalidity, nextuid, b"ab" * 16)
    assert parse_header(format_header(header)[:-1]) == header


@pytest.mark.parametrize(
    ("line", "uid", "base"),
    [
        pytest.param(b"5 :name,S=1", 5, b"name,S=1", id="plain"),
        pytest.param(b"5 W123 P0:1 :name", 5, b"name", id="extensions"),
        pytest.param(b"5 :name:2,S", 5, b"name", id="flags-are-no-part-of-the-base"),
        pytest.param(b"5 :na:me", 5, b"na:me", id="colon"),
    ],
)
def test_lines_as_dovecot_writes_them(line, uid, base):
    uids, bases = parse_lines(line + b"\n")
    assert (list(uids), bases) == ([uid], [base])


def test_a_header_with_more_than_we_know_is_read():
    assert parse_header(b"3 V17 N4 G" + b"0" * 32 + b" Xfuture") == Header(17, 4, b"0" * 32, (b"Xfuture",))


@pytest.fixture
def lists(tmp_path):
    made = [UidList(tmp_path, lambda above: above + 1, lambda count: b"\x5a" * count) for _ in range(2)]
    yield made
    for uids in made:
        uids.close()


def test_who_locks_knows_what_others_have_appended(lists):
    one, two = lists
    for uids, base, expected in ((one, b"a", 1), (two, b"b", 2), (two, b"c", 3), (one, b"d", 4)):
        with uids.locked():
            assert list(uids.append([base])) == [expected]
    with two.locked():
        assert parse_lines(format_lines(*two.read())) == two.read()
        assert list(two.read()[0]) == [1, 2, 3, 4]


def test_a_rewrite_is_seen_by_others_and_keeps_the_next_uid(lists):
    one, two = lists
    with one.locked():
        one.append([b"a", b"b", b"c"])
    with two.locked():
        two.rewrite([2], [b"b"])
    with one.locked():
        assert list(one.append([b"d"])) == [4]
        assert list(one.read()[0]) == [2, 4]
        assert one.uidvalidity == 1


def test_of_a_long_list_the_end_tells_the_next_uid(lists):
    one, two = lists
    with one.locked():
        one.append([b"%d.%s" % (n, b"x" * 50) for n in range(10_000)])
    with two.locked():
        assert (two.nextuid, two.uidvalidity) == (10_001, 1)
        assert list(two.append([b"next"])) == [10_001]
        assert len(two.read()[0]) == 10_001
    with one.path.open("ab") as file:
        file.write(b"10002 :torn")
    three = UidList(one.path.parent, lambda above: above + 1, lambda count: b"\x5a" * count)
    with three.locked():
        assert list(three.append([b"whole"])) == [10_002]
        assert three.read()[1][-1] == b"whole"
    three.close()


def test_what_dovecot_has_noted_survives_a_rewrite(lists):
    one, two = lists
    one.path.write_bytes(b"3 V7 N4 G" + b"ab" * 16 + b" P%v.%u\n1 W12 Pid:1 :a\n2 :b\n3 O5 :c\n")
    with one.locked():
        one.rewrite([1, 3], [b"a", b"c"])
    assert one.path.read_bytes() == b"3 V7 N4 G" + b"ab" * 16 + b" P%v.%u\n1 W12 Pid:1 :a\n3 O5 :c\n"
    with two.locked():
        assert (two.uidvalidity, list(two.append([b"d"]))) == (7, [4])


def test_a_list_without_a_guid_gets_when_it_is_rewritten_the_one_that_it_was_known_by(lists):
    one, two = lists
    one.path.write_bytes(b"3 V7 N4\n1 :a\n")
    with one.locked():
        known = one.guid
        one.rewrite([1], [b"a"])
    assert len(known) == 32
    assert one.path.read_bytes() == b"3 V7 N4 G" + known.encode() + b"\n1 :a\n"
    with two.locked():
        assert two.guid == known


def test_a_directory_that_cannot_be_synced_after_a_rewrite_locks_nobody_out(tmp_path, monkeypatch):
    uids = UidList(tmp_path, lambda above: above + 7, lambda count: bytes(count))
    with uids.locked():
        uids.append([b"one"])
    broken = OSError(errno.EIO, "Input/output error")

    def sync(_):
        raise broken

    with monkeypatch.context() as patch:
        patch.setattr(uidlist, "sync_directory", sync)
        with pytest.raises(OSError, match="Input/output"), uids.locked():
            uids.rewrite([1], [b"one"])
    with (tmp_path / uidlist.FILE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with uids.locked():
        assert uids.append([b"two"]) == range(2, 3)
    uids.close()
