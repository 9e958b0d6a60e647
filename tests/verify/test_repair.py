"""What `repair` does to each anomaly: the mailbox is sound afterwards, no file is lost, and every UID that can be kept is kept."""

import secrets
import time

import pytest

from tests import walk
from tests.verify.boxes import ACCOUNT, HEADER, LATER, LINES, MAIL, drop, tree_at
from tests.verify.test_mailboxes import ROWS
from twistmail.store.repair import repair
from twistmail.store.verify import verify_account

#: What nobody but the administrator can cure, or what is cured by opening the mailbox.
LEFT = {"letters", "folder-name", "list-missing", "annotations"}


def files(root):
    return sorted(path.read_bytes() for place in ("new", "cur", "damaged") for path in (root / place).glob("*") if path.is_file())


def uids(root):
    """{UID: content} of the messages that are there."""
    found = walk.look(root)
    return {
        uid: (root / m.place / (m.base + (f":2,{m.flags}" if m.place == "cur" else ""))).read_bytes() for uid, m in found.listed.items()
    }


@pytest.mark.parametrize(("make", "severity", "kind", "path", "cure"), ROWS)
def test_after_a_repair_the_mailbox_is_sound(box, make, severity, kind, path, cure):
    make(box)
    content = files(box)
    dry = repair(tree_at(box), "INBOX", secrets.token_bytes, dry_run=True)
    assert files(box) == content
    done = repair(tree_at(box), "INBOX", secrets.token_bytes)
    after = verify_account(tree_at(box), ACCOUNT, LATER)
    assert after.is_sound
    left = {anomaly.kind for anomaly in after.anomalies if anomaly.severity.value != "note"}
    assert left <= LEFT
    assert files(box) == content, "no file is lost"
    assert [cure.path for cure in dry] == [cure.path for cure in done] or kind == "directory-missing"
    if severity == "note" or kind in LEFT:
        assert done == []
    assert repair(tree_at(box), "INBOX", secrets.token_bytes) == [], "a second time there is nothing to do"


@pytest.mark.parametrize(
    ("lines", "kept", "nextuid"),
    [
        pytest.param(LINES + b"3 :4.d\n", {1: "1.a,S=19,W=22", 2: "2.b,S=19,W=22", 3: "3.c,S=19,W=22"}, 4, id="uid-twice-first-keeps-it"),
        pytest.param(LINES + b"9 :1.a,S=19,W=22\n", {2: "2.b,S=19,W=22", 3: "3.c,S=19,W=22", 9: "1.a,S=19,W=22"}, 10, id="name-twice-last"),
        pytest.param(b"7 :3.c,S=19,W=22\n5 :1.a,S=19,W=22\n", {5: "1.a,S=19,W=22", 7: "3.c,S=19,W=22"}, 8, id="put-in-order"),
        pytest.param(
            LINES + b"\0\0\0\n\0\n", {1: "1.a,S=19,W=22", 2: "2.b,S=19,W=22", 3: "3.c,S=19,W=22"}, 6, id="what-is-unread-told-a-uid"
        ),
    ],
)
def test_every_uid_that_can_be_kept_is_kept(box, lines, kept, nextuid):
    (box / "dovecot-uidlist").write_bytes(HEADER + lines)
    repair(tree_at(box), "INBOX", secrets.token_bytes)
    after = walk.look(box)
    assert (after.uidvalidity, after.uids, after.uidnext) == (1_700_000_000, kept, nextuid)
    assert after.anomalies == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(4096), id="zeros"),
        pytest.param(HEADER.replace(b"V1700000000", b"V0") + LINES, id="no-uidvalidity"),
        pytest.param(HEADER.replace(b"N4 ", b"") + LINES, id="nobody-knows-which-uids-were-given"),
    ],
)
def test_a_list_that_cannot_be_believed_gives_way_to_a_larger_uidvalidity(box, data):
    (box / "dovecot-uidlist").write_bytes(data)
    (box / "dovecot-uidvalidity").write_text("7fffffff")
    repair(tree_at(box), "INBOX", secrets.token_bytes)
    after = walk.look(box)
    assert (after.uidvalidity, after.uids, after.uidnext) == (0x80000000, {}, 1)


def test_a_message_that_has_grown_keeps_its_uid_under_a_name_with_the_right_sizes(box):
    drop(box, "new/1.a,S=19,W=22", MAIL + b"More.\n")
    repair(tree_at(box), "INBOX", secrets.token_bytes)
    assert uids(box)[1] == MAIL + b"More.\n"
    assert (box / "new/1.a,S=25,W=29").exists()


def test_damaged_files_of_one_name_are_both_kept(box):
    for _ in range(2):
        drop(box, "new/1.a,S=19,W=22", b"")
        repair(tree_at(box), "INBOX", secrets.token_bytes)
    assert sorted(path.name for path in (box / "damaged").iterdir()) == ["1.a,S=19,W=22", "1.a,S=19,W=22.1"]


def test_a_second_name_of_one_file_goes(box):
    (box / "cur/1.a,S=19,W=22:2,S").hardlink_to(box / "new/1.a,S=19,W=22")
    (done,) = repair(tree_at(box), "INBOX", secrets.token_bytes)
    assert done.did.startswith("removed: is a second name")
    assert uids(box)[1] == MAIL


def test_the_words_of_the_letters_that_are_used_stay(box):
    (box / "dovecot-keywords").write_text("0 $Forwarded\nrubbish\n2 Work\n3 work\n")
    repair(tree_at(box), "INBOX", secrets.token_bytes)
    assert (box / "dovecot-keywords").read_text() == "0 $Forwarded\n1 unknown-1\n2 Work\n"


def test_a_sound_mailbox_is_left_alone(box):
    before = {path: path.stat().st_mtime_ns for path in box.rglob("*")}
    assert repair(tree_at(box), "INBOX", secrets.token_bytes) == []
    assert {path: path.stat().st_mtime_ns for path in box.rglob("*")} == before
    assert verify_account(tree_at(box), ACCOUNT, time.time()).anomalies == []
