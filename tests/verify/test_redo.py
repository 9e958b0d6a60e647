"""What the redo log speaks of and no mailbox has, until the next start completes it."""

import pytest

from twistmail.segments import HEADER_SIZE, Header
from twistmail.store.redo_check import LOOKS, PAUSE, verify_redo
from twistmail.store.redolog import FILES
from twistmail.store.redorecords import Removed, Stored, format_header, format_records

MAIL = b"Subject: one\n\nOne.\n"
FOLDER = b"mail/blue.test/alice"


def stored(base):
    return Stored(FOLDER, 1_700_000_000, 1, base, None, 1_700_000_000.0, MAIL)


@pytest.fixture
def root(tmp_path):
    """A store whose log speaks of two messages, one of which was removed; both segments are there."""
    folder = tmp_path / FOLDER.decode()
    for place in ("new", "cur", "tmp"):
        (folder / place).mkdir(parents=True)
    write(tmp_path, [stored(b"1.a"), stored(b"2.b"), Removed(FOLDER, b"2.b")])
    (tmp_path / FILES[1]).write_bytes(bytes(8192))
    return tmp_path


def write(root, records):
    data = format_header(Header(3)).ljust(HEADER_SIZE, b"\0") + format_records(records, 3, 0)
    (root / FILES[0]).write_bytes(data + bytes(4096))


def test_messages_that_are_there_need_no_log(root):
    (root / FOLDER.decode() / "cur/1.a:2,S").write_bytes(MAIL)
    report = verify_redo(root)
    assert report.anomalies == []
    assert report.counted == {"logged": 1}


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="not-there"), pytest.param(b"", id="empty"), pytest.param(MAIL[:5], id="cut-short")]
)
def test_messages_that_are_only_in_the_log_wait_for_a_start(root, content):
    if content is not None:
        (root / FOLDER.decode() / "new/1.a").write_bytes(content)
    waits = []
    (found,) = verify_redo(root, waits.append).anomalies
    assert waits == [PAUSE] * LOOKS
    assert (found.severity.value, found.kind, found.path) == ("warning", "redo-pending", str(root / FOLDER.decode()))
    assert found.what == "messages that are whole only in the redo log: 1"
    assert "start the server" in found.cure


def test_a_server_that_is_about_to_give_a_message_its_name_is_waited_for(root):
    waits = []

    def pause(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            (root / FOLDER.decode() / "new/1.a").write_bytes(MAIL)

    assert verify_redo(root, pause).anomalies == []
    assert len(waits) == 3


def test_a_log_that_cannot_be_read_is_an_error(root):
    (root / FILES[1]).write_bytes(b"rubbish" * 1000)
    (root / FOLDER.decode() / "new/1.a").write_bytes(MAIL)
    (found,) = verify_redo(root).anomalies
    assert (found.severity.value, found.kind, found.path) == ("error", "redo-unreadable", str(root / FILES[1]))


def test_a_store_without_a_log_has_nothing_to_tell(tmp_path):
    assert verify_redo(tmp_path).anomalies == []
