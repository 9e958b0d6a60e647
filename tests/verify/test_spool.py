"""Every anomaly of a queue, made by hand: it is found at its path, and the cure is named."""

import pytest

from tests import walk
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.status import Status
from twistmail.queue.records import event_written, written
from twistmail.queue.verify import verify_drafts, verify_spool

BERT = Target(Kind.REMOTE, parse("bert@green.test"), parse("bert@green.test"))
CONTENT = b"Subject: one\r\n\r\nOne.\r\n"
ITEM = Item("6k3fa2-9akq", parse("ann@blue.test"), (Errand(BERT),), 1_700_000_000.0, len(CONTENT) + 12, b"Received: x\n")
SENT = event_written(Outcome(BERT, Result.DELIVERED, Status(250, "2.0.0", "ok"), "mx.green.test"))
STEM = f"ready/{ITEM.id}"


@pytest.fixture
def spool(tmp_path):
    """A queue with one sound item."""
    for name in ("ready", "tmp", "corrupt"):
        (tmp_path / name).mkdir()
    (tmp_path / f"{STEM}.content").write_bytes(CONTENT)
    (tmp_path / f"{STEM}.envelope").write_bytes(written(ITEM))
    return tmp_path


def test_a_sound_queue_has_nothing_to_tell(spool):
    report = verify_spool(spool)
    assert report.anomalies == []
    assert report.counted == {"items": 1}
    assert walk.walk_spool(spool) == ({ITEM.id: len(CONTENT)}, [])


def test_a_queue_that_is_not_there_is_empty(tmp_path):
    assert verify_spool(tmp_path / "none").anomalies == []


def _write(name, data):
    return lambda spool: (spool / name).write_bytes(data)


def _flipped(data):
    return bytes((data[0] ^ 1,)) + data[1:]


@pytest.mark.parametrize(
    ("make", "severity", "kind", "path", "cure"),
    [
        pytest.param(_write(f"{STEM}.envelope", b""), "error", "queue-damaged", f"{STEM}.envelope", "corrupt/", id="empty-envelope"),
        pytest.param(_write(f"{STEM}.envelope", bytes(400)), "error", "queue-damaged", f"{STEM}.envelope", "corrupt/", id="zeros"),
        pytest.param(
            _write(f"{STEM}.envelope", _flipped(written(ITEM)) + SENT),
            "error",
            "queue-damaged",
            f"{STEM}.envelope",
            "corrupt/",
            id="bad-checksum",
        ),
        pytest.param(
            _write(f"{STEM}.envelope", written(ITEM).replace(b"6k3fa2", b"7k3fa2")),
            "error",
            "queue-damaged",
            f"{STEM}.envelope",
            "corrupt/",
            id="changed-record",
        ),
        pytest.param(
            _write("ready/other.envelope", written(ITEM)), "error", "queue-name", "ready/other.envelope", "corrupt/", id="other-name"
        ),
        pytest.param(
            lambda spool: (spool / f"{STEM}.content").unlink(),
            "error",
            "queue-content-missing",
            f"{STEM}.content",
            "corrupt/",
            id="no-content",
        ),
        pytest.param(_write(f"{STEM}.content", CONTENT[:-1]), "error", "queue-size", f"{STEM}.content", "corrupt/", id="short-content"),
        pytest.param(_write(f"{STEM}.envelope", written(ITEM) + SENT[:20]), "note", "queue-torn", f"{STEM}.envelope", "nothing", id="torn"),
        pytest.param(
            _write(f"{STEM}.envelope", written(ITEM) + SENT), "note", "queue-settled", f"{STEM}.envelope", "next start", id="settled"
        ),
        pytest.param(_write("ready/abc.content", b"x"), "note", "queue-content", "ready/abc.content", "next start", id="content-alone"),
        pytest.param(_write("ready/notes.txt", b"x"), "warning", "queue-stranger", "ready/notes.txt", "move it", id="stranger"),
        pytest.param(_write("tmp/abc.content", b"x"), "note", "queue-leftover", "tmp/abc.content", "next start", id="being-received"),
        pytest.param(_write("corrupt/abc.envelope", b"x"), "warning", "queue-corrupt", "corrupt/abc.envelope", "read it", id="put-aside"),
    ],
)
def test_an_anomaly_is_found_with_its_path_and_its_cure(spool, make, severity, kind, path, cure):
    make(spool)
    report = verify_spool(spool)
    (found,) = [anomaly for anomaly in report.anomalies if anomaly.kind == kind]
    assert (found.severity.value, found.path) == (severity, str(spool / path))
    assert cure in found.cure
    assert report.is_sound == (severity != "error")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(_write(f"{STEM}.envelope", bytes(400)), "not whole", id="zeros"),
        pytest.param(_write(f"{STEM}.envelope", written(ITEM) + SENT[:20]), "not whole", id="torn"),
        pytest.param(lambda spool: (spool / f"{STEM}.content").unlink(), "no content", id="no-content"),
        pytest.param(_write("ready/abc.content", b"x"), "no envelope", id="content-alone"),
        pytest.param(_write("corrupt/abc.envelope", b"x"), "corrupt/abc.envelope", id="put-aside"),
    ],
)
def test_the_second_pair_of_eyes_sees_it_too(spool, make, told):
    make(spool)
    (wrong,) = walk.walk_spool(spool)[1]
    assert told in wrong


def test_content_that_was_being_received_is_a_note(tmp_path):
    (tmp_path / "x.draft").write_bytes(b"x")
    (found,) = verify_drafts(tmp_path).anomalies
    assert (found.kind, found.severity.value) == ("draft", "note")
    assert verify_drafts(tmp_path / "none").anomalies == []
