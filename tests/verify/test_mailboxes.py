"""Every anomaly of a maildir, made by hand: it is found at its path, and the cure is named."""

import time

import pytest

from tests import walk
from tests.verify.boxes import ACCOUNT, HEADER, LATER, LINES, MAIL, REPAIR, drop, tree_at
from twistmail.anomalies import Severity
from twistmail.store.verify import verify_account


def test_a_sound_account_has_nothing_to_tell(box):
    report = verify_account(tree_at(box), ACCOUNT, time.time(), deep=True)
    assert report.anomalies == []
    assert report.is_sound
    assert report.counted == {"accounts": 1, "mailboxes": 1, "messages": 2, "expunged": 1}
    assert walk.anomalies(walk.walk(box)) == []


def _list(data):
    return lambda box: (box / "dovecot-uidlist").write_bytes(data)


def _file(name, data=MAIL):
    return lambda box: drop(box, name, data)


ROWS = [
    pytest.param(_file("cur/3.c,S=19,W=22:2,Sa", b""), "error", "empty", "cur/3.c,S=19,W=22:2,Sa", REPAIR, id="empty-file"),
    pytest.param(_file("new/1.a,S=19,W=22", MAIL[:-1]), "error", "short", "new/1.a,S=19,W=22", REPAIR, id="short-file"),
    pytest.param(_file("new/1.a,S=19,W=22", MAIL + b"x"), "warning", "long", "new/1.a,S=19,W=22", REPAIR, id="file-that-has-grown"),
    pytest.param(_file("new/4.d"), "note", "unlisted", "new/4.d", "when the mailbox is opened", id="file-without-uid"),
    pytest.param(_file("cur/3.c,S=19,W=22:2,S"), "warning", "file-twice", "cur/3.c,S=19,W=22:2,S", REPAIR, id="same-base-name"),
    pytest.param(_file("new/.hidden"), "warning", "name", "new/.hidden", REPAIR, id="hidden-file"),
    pytest.param(_file("cur/:2,S"), "warning", "name", "cur/:2,S", REPAIR, id="file-without-a-name"),
    pytest.param(_file("cur/two\nlines:2,S"), "warning", "name", "cur/two\nlines:2,S", REPAIR, id="line-feed-in-a-name"),
    pytest.param(lambda box: (box / "cur/sub").mkdir(), "warning", "name", "cur/sub", REPAIR, id="directory-among-messages"),
    pytest.param(lambda box: (box / "cur/link").symlink_to("/etc/passwd"), "warning", "name", "cur/link", REPAIR, id="symbolic-link"),
    pytest.param(
        lambda box: (box / "new/1.a,S=19,W=22").rename(box / "cur/1.a,S=19,W=22:2,Sz"),
        "warning",
        "letters",
        "cur/1.a,S=19,W=22:2,Sz",
        "add them to dovecot-keywords",
        id="letter-without-a-keyword",
    ),
    pytest.param(_list(HEADER + LINES + b"3 :4.d\n"), "error", "uid-twice", "dovecot-uidlist", REPAIR, id="uid-twice"),
    pytest.param(_list(HEADER + LINES + b"7 :8.h\n4 :4.d\n"), "error", "not-ascending", "dovecot-uidlist", REPAIR, id="not-ascending"),
    pytest.param(_list(HEADER + LINES + b"4 :1.a,S=19,W=22\n"), "error", "base-twice", "dovecot-uidlist", REPAIR, id="name-twice"),
    pytest.param(_list(HEADER + b"rubbish\n" + LINES), "error", "list-line", "dovecot-uidlist", REPAIR, id="line-without-uid"),
    pytest.param(_list(HEADER + LINES + b"4294967296 :9.i\n"), "error", "list-line", "dovecot-uidlist", REPAIR, id="uid-too-large"),
    pytest.param(_list(b"\0" * 4096), "error", "list-unreadable", "dovecot-uidlist", REPAIR, id="list-of-zeros"),
    pytest.param(_list(b""), "error", "list-unreadable", "dovecot-uidlist", REPAIR, id="empty-list"),
    pytest.param(_list(b"1 1700000000 4\n" + LINES), "error", "list-unreadable", "dovecot-uidlist", REPAIR, id="list-of-version-1"),
    pytest.param(
        _list(HEADER.replace(b"V1700000000", b"V0") + LINES), "error", "uidvalidity", "dovecot-uidlist", REPAIR, id="uidvalidity-0"
    ),
    pytest.param(
        _list(HEADER.replace(b"V1700000000 ", b"") + LINES), "error", "uidvalidity", "dovecot-uidlist", REPAIR, id="no-uidvalidity"
    ),
    pytest.param(_list(HEADER.replace(b"N4 ", b"") + LINES), "error", "uidnext", "dovecot-uidlist", REPAIR, id="no-next-uid"),
    pytest.param(_list(HEADER + LINES + b"4 :4."), "note", "list-torn", "dovecot-uidlist", "nothing to do", id="torn-last-line"),
    pytest.param(
        lambda box: (box / "dovecot-uidlist").unlink(), "warning", "list-missing", "dovecot-uidlist", "a new one is made", id="no-list"
    ),
    pytest.param(_file("tmp/9.z"), "note", "leftover", "tmp/9.z", "when the mailbox is opened", id="leftover-in-tmp"),
    pytest.param(_file("dovecot-uidlist.tmp4711"), "note", "leftover", "dovecot-uidlist.tmp4711", "delete it", id="leftover-of-a-rewrite"),
    pytest.param(lambda box: (box / "tmp").rmdir(), "warning", "directory-missing", "tmp", REPAIR, id="no-tmp"),
    pytest.param(lambda box: (box / "cur").rename(box / "gone"), "error", "directory-missing", "", REPAIR, id="no-cur"),
    pytest.param(
        _file("dovecot-keywords", b"0 $Forwarded\n0 Work\n"), "warning", "keywords", "dovecot-keywords", REPAIR, id="letter-twice"
    ),
    pytest.param(
        _file("dovecot-keywords", b"0 $Forwarded\n1 $forwarded\n"), "warning", "keywords", "dovecot-keywords", REPAIR, id="word-twice"
    ),
    pytest.param(
        _file("dovecot-keywords", b"0 $Forwarded\nWork\n"), "warning", "keywords", "dovecot-keywords", REPAIR, id="word-without-letter"
    ),
    pytest.param(
        _file("dovecot-keywords", b"0 $Forwarded\n26 Work\n"), "warning", "keywords", "dovecot-keywords", REPAIR, id="letter-after-z"
    ),
    pytest.param(
        _file("subscriptions", b"V\t2\n\nINBOX\nNowhere\n"), "note", "subscriptions", "subscriptions", "nothing to do", id="subscribed"
    ),
    pytest.param(
        _file("twistmail-special-use", b"\\Sent Sent\n"), "note", "special-use", "twistmail-special-use", "nothing to do", id="use"
    ),
    pytest.param(lambda box: (box / "new/1.a,S=19,W=22").chmod(0o644), "note", "owner", "new/1.a,S=19,W=22", "chmod 600", id="open-to-all"),
    pytest.param(lambda box: (box / ".a&b/cur").mkdir(parents=True), "warning", "folder-name", ".a&b", "rename it", id="no-folder-s-name"),
    pytest.param(
        lambda box: (box / "..twistmail-deleted-1").mkdir(), "note", "leftover", "..twistmail-deleted-1", "at the next start", id="deleted"
    ),
    pytest.param(
        _file("twistmail-annotations", b"{"), "warning", "annotations", "twistmail-annotations", "put aside", id="broken-annotations"
    ),
    pytest.param(
        _file("twistmail-annotations.broken", b"{"), "warning", "annotations", "twistmail-annotations.broken", "mend it", id="put-aside"
    ),
    pytest.param(
        _file("twistmail-annotations", b'{"Gone":{}}'), "note", "annotations", "twistmail-annotations", "nothing to do", id="annotated"
    ),
]


@pytest.mark.parametrize(("make", "severity", "kind", "path", "cure"), ROWS)
def test_an_anomaly_is_found_with_its_path_and_its_cure(box, make, severity, kind, path, cure):
    make(box)
    report = verify_account(tree_at(box), ACCOUNT, LATER)
    (found,) = [anomaly for anomaly in report.anomalies if anomaly.kind == kind]
    assert found.severity.value == severity
    assert found.path.startswith(str(box / path))
    assert cure in found.cure
    assert found.account == ACCOUNT
    assert report.is_sound == (severity != "error")


@pytest.mark.parametrize(
    ("name", "data", "severity", "kind"),
    [
        pytest.param("new/1.a,S=5000,W=5003", MAIL.ljust(5000, b"\0"), "error", "zeros", id="zeros-in-the-middle"),
        pytest.param("new/1.a,S=8,W=10", b"rubbish\n\n"[:8], "warning", "no-header", id="no-header"),
        pytest.param("new/1.a,S=19,W=99", MAIL, "warning", "wire-size", id="wrong-size-on-the-wire"),
    ],
)
def test_what_only_reading_finds(box, name, data, severity, kind):
    drop(box, name, data)
    assert kind not in verify_account(tree_at(box), ACCOUNT, time.time()).kinds()
    report = verify_account(tree_at(box), ACCOUNT, time.time(), deep=True)
    (found,) = [anomaly for anomaly in report.anomalies if anomaly.kind == kind]
    assert (found.severity.value, found.path) == (severity, str(box / name))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"From ann@away.test Mon Nov 16 10:00:00 2026\nSubject: x\n\nx\n", id="mbox-s-from-line"),
        pytest.param(b"\nno header, only text\n", id="empty-header"),
        pytest.param(b"Subject: x\r\n\r\nwith CRLF\r\n", id="crlf"),
        pytest.param(b"Subject: nul \0 inside\n\n\0\0\n", id="a-few-zeros"),
    ],
)
def test_reading_finds_nothing_in_odd_but_whole_mail(box, data):
    drop(box, "cur/4.d:2,", data)
    assert verify_account(tree_at(box), ACCOUNT, time.time(), deep=True).kinds() == {"unlisted"}


def test_the_folders_of_an_account_are_looked_at_too(box):
    for name in ("new", "cur", "tmp"):
        (box / ".Archive.2026" / name).mkdir(parents=True)
    drop(box, ".Archive.2026/cur/5.e:2,S", b"")
    (found,) = verify_account(tree_at(box), ACCOUNT, time.time()).of(Severity.ERROR)
    assert (found.folder, found.kind) == ("Archive/2026", "empty")
    assert found.as_json() == {
        "severity": "error",
        "kind": "empty",
        "path": str(box / ".Archive.2026/cur/5.e:2,S"),
        "what": "is empty",
        "cure": REPAIR,
        "account": ACCOUNT,
        "folder": "Archive/2026",
    }


def test_an_account_without_a_directory_is_an_error(tmp_path):
    (found,) = verify_account(tree_at(tmp_path / "nobody"), ACCOUNT, time.time()).anomalies
    assert (found.severity, found.kind) == (Severity.ERROR, "account-missing")


def test_what_goes_while_we_look_is_no_anomaly(box, monkeypatch):
    """A message is expunged, and the list compacted, between our look at the directory and our look at the list."""
    from twistmail.store import verify

    drop(box, "cur/3.c,S=19,W=22:2,Sa", b"")
    real = verify.look

    def look(folder):
        found = real(folder)
        (box / "cur/3.c,S=19,W=22:2,Sa").unlink()
        (box / "dovecot-uidlist").write_bytes(HEADER + LINES.split(b"\n")[0] + b"\n")
        return found

    monkeypatch.setattr(verify, "look", look)
    assert verify_account(tree_at(box), ACCOUNT, time.time()).anomalies == []


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(_file("cur/3.c,S=19,W=22:2,Sa", b""), "cur/3.c,S=19,W=22:2,Sa: empty", id="empty"),
        pytest.param(_file("new/1.a,S=19,W=22", MAIL[:-1]), "18 octets, S=19", id="short"),
        pytest.param(_list(HEADER + LINES + b"3 :4.d\n"), "UID 3 after 3", id="uid-twice"),
        pytest.param(_list(HEADER + LINES + b"4 :1.a,S=19,W=22\n"), "listed twice", id="name-twice"),
        pytest.param(_list(HEADER.replace(b"V1700000000", b"V0")), "UIDVALIDITY 0", id="uidvalidity-0"),
        pytest.param(_list(b""), "header", id="empty-list"),
        pytest.param(_file("cur/1.a,S=19,W=22:2,"), "a second file", id="file-twice"),
        pytest.param(_file("cur/4.d:2,", b"Subject: x\n\n" + bytes(600)), "block of zeros", id="zeros"),
    ],
)
def test_the_second_pair_of_eyes_sees_it_too(box, make, told):
    make(box)
    assert any(told in found for found in walk.anomalies(walk.walk(box)))


def test_the_second_pair_of_eyes_sees_which_uids_have_changed(box):
    before = walk.walk(box)
    (box / "dovecot-uidlist").write_bytes(HEADER + b"1 :2.b,S=19,W=22\n2 :1.a,S=19,W=22\n3 :3.c,S=19,W=22\n")
    changed = walk.changed_uids(before, walk.walk(box))
    assert ".: UID 1 was 1.a,S=19,W=22 and is 2.b,S=19,W=22" in changed
    assert walk.changed_uids(before, before) == []
