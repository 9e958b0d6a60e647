"""mbsync keeps a maildir and our store alike, both ways, and finds nothing to do the second time."""

import imaplib
import mailbox

import pytest

pytestmark = pytest.mark.client("mbsync")

RC = """\
IMAPAccount ours
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {authority}

IMAPStore far
Account ours

MaildirStore near
Path {place}/near/
Inbox {place}/near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""

MANY = 500


@pytest.fixture
def mbsync(house, client, place, guest):
    (place / "near").mkdir()
    rc = place / "mbsyncrc"
    rc.write_text(
        RC.format(port=house.port("imap", tls=True), user=guest.address, password=guest.password, authority=house.authority, place=place)
    )

    def sync():
        return client("mbsync", "-V", "-c", rc, "-a", timeout=60)

    return sync


@pytest.fixture
def near(place):
    """The folders on the client's side."""

    def open_(name):
        return mailbox.Maildir(place / "near" / name)

    return open_


def fill(box, count, where):
    for number in range(count):
        box.add(f"Subject: {where} {number}\nX-Where: {where}\n\ntext {number} of {where}\n".encode())


def tree(folder):
    """What is in *folder*: paths, times and content of every message."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.parent.name in ("cur", "new")}


def test_five_hundred_messages_up_and_down_and_then_nothing(house, mbsync, near, place, guest, other):
    mbsync()  # makes the folders
    fill(near("INBOX"), MANY // 2, "near")
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login(guest.address, guest.password)
        for number in range(MANY // 2):
            imap.append("Archive", None, None, f"Subject: far {number}\r\n\r\ntext {number} of far\r\n".encode())
    mbsync()
    assert sorted(message["Subject"] for message in near("Archive")) == sorted(f"far {number}" for number in range(MANY // 2))
    stored = house.stored(guest)
    assert len(stored) == MANY // 2
    assert all(b"X-Where: near" in message for message in stored)
    before = tree(place / "near"), tree(house.maildir(guest))
    mbsync()
    assert (tree(place / "near"), tree(house.maildir(guest))) == before


def test_flags_deletions_and_new_folders_travel_both_ways(house, mbsync, near, guest):
    mbsync()
    fill(near("INBOX"), 4, "near")
    near("Projects")
    fill(near("Projects"), 1, "projects")
    mbsync()
    assert len(house.stored(guest, ".Projects")) == 1
    box = near("INBOX")
    (seen,) = [key for key, message in box.iteritems() if message["Subject"] == "near 0"]
    message = box[seen]
    message.set_subdir("cur")
    message.set_flags("S")
    box[seen] = message
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login(guest.address, guest.password)
        imap.select("INBOX")
        (gone,) = imap.search(None, "SUBJECT", '"near 3"')[1][0].split()
        imap.store(gone, "+FLAGS", r"(\Deleted)")
        imap.expunge()
        mbsync()
        imap.noop()
        assert imap.search(None, "SEEN")[1] == imap.search(None, "SUBJECT", '"near 0"')[1]
    assert sorted(message["Subject"] for message in near("INBOX")) == ["near 0", "near 1", "near 2"]
