"""mbsync keeps a maildir and our store alike, both ways, and finds nothing to do the second time, whatever happened on both."""

import imaplib
import mailbox
import shutil
import ssl

import imapclient
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

#: Messages of the big run.
MANY = 2000
#: As a maildir spells our flags.
LETTERS = {rb"\Seen": "S", rb"\Flagged": "F", rb"\Answered": "R", rb"\Draft": "D", rb"\Deleted": "T"}


@pytest.fixture
def mbsync(house, client, place, guest):
    (place / "near").mkdir()
    rc = place / "mbsyncrc"
    rc.write_text(
        RC.format(port=house.port("imap", tls=True), user=guest.address, password=guest.password, authority=house.authority, place=place)
    )

    def sync():
        return client("mbsync", "-V", "-c", rc, "-a", timeout=120)

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


def test_many_messages_up_and_down_and_then_nothing(house, mbsync, near, place, guest, other):
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


@pytest.fixture
def far(house, guest):
    """Another client of the same mailbox."""
    trust = ssl.create_default_context(cafile=house.authority)
    with imapclient.IMAPClient("localhost", house.port("imap", tls=True), ssl_context=trust) as client:
        client.login(guest.address, guest.password)
        yield client


@pytest.fixture
def both(far, near, place):
    """What both sides hold, which must be the same: {folder: {subject: flags}}."""

    def look():
        here = {box.name: near_flags(near(box.name)) for box in (place / "near").iterdir() if (box / "cur").is_dir()}
        there = {name: far_flags(far, name) for _, _, name in far.list_folders()}
        assert here == there
        return here

    return look


@pytest.fixture
def alike(mbsync, both):
    """Synchronise, and once more, which must change nothing; what both sides hold then."""

    def settle():
        mbsync()
        found = both()
        mbsync()
        assert both() == found
        return found

    return settle


@pytest.fixture
def letters(near, alike):
    """Nine messages in the INBOX, on both sides."""
    fill(near("INBOX"), 9, "letter")
    assert alike()["INBOX"] == {f"letter {number}": "" for number in range(9)}


def near_flags(box):
    found = [(message["Subject"], message.get_flags()) for message in box]
    assert len(dict(found)) == len(found)
    return dict(found)


def far_flags(client, name):
    client.select_folder(name, readonly=True)
    uids = client.search()
    found = client.fetch(uids, ["FLAGS", "ENVELOPE"]) if uids else {}
    flags = {parts[b"ENVELOPE"].subject.decode(): letters_of(parts[b"FLAGS"]) for parts in found.values()}
    assert len(flags) == len(uids)
    return flags


def letters_of(flags):
    return "".join(sorted(LETTERS[flag] for flag in flags if flag in LETTERS))


def near_change(box, subject, flags):
    """Set *flags* of the message of *subject*, or remove it (None)."""
    (key,) = [key for key, message in box.iteritems() if message["Subject"] == subject]
    if flags is None:
        box.remove(key)
        return
    message = box[key]
    message.set_subdir("cur")
    message.set_flags(flags)
    box[key] = message


def far_change(client, subject, flags):
    """As near_change, on the server's side."""
    client.select_folder("INBOX")
    uids = client.search(["SUBJECT", subject])
    assert len(uids) == 1
    if flags is None:
        client.delete_messages(uids)
        client.uid_expunge(uids)
    else:
        client.set_flags(uids, [name for name, letter in LETTERS.items() if letter in flags])


#: What happens to a message here and there between two runs (flags, or None: removed), and what it is then on both sides.
CONFLICTS = {
    "letter 0": ("F", None, None),
    "letter 1": (None, "F", None),
    "letter 2": (None, None, None),
    "letter 3": ("S", "F", "FS"),
    "letter 4": ("RS", "FS", "FRS"),
    "letter 5": ("FRS", "FRS", "FRS"),
    "letter 6": ("", "", ""),
}


@pytest.mark.usefixtures("letters")
def test_changes_of_the_same_messages_on_both_sides_end_alike(far, near, alike):
    for subject, (here, there, _) in CONFLICTS.items():
        near_change(near("INBOX"), subject, here)
        far_change(far, subject, there)
    then = {subject: flags for subject, (_, _, flags) in CONFLICTS.items() if flags is not None}
    assert alike()["INBOX"] == then | {"letter 7": "", "letter 8": ""}
    near_change(near("INBOX"), "letter 3", "F")  # each side takes a flag away
    far_change(far, "letter 3", "S")
    near_change(near("INBOX"), "letter 4", "FRSD")  # one adds, the other takes away
    far_change(far, "letter 4", "F")
    assert alike()["INBOX"] == then | {"letter 3": "", "letter 4": "DF", "letter 7": "", "letter 8": ""}


@pytest.mark.usefixtures("letters")
def test_new_messages_on_both_sides_at_once_are_all_kept(far, near, alike):
    for number in range(20):
        far.append("INBOX", f"Subject: far {number}\r\n\r\nof the other client\r\n".encode(), [rb"\Flagged"])
    fill(near("INBOX"), 20, "near")
    near_change(near("INBOX"), "letter 8", None)
    new = {f"{side} {number}": flags for side, flags in (("far", "F"), ("near", "")) for number in range(20)}
    assert alike()["INBOX"] == {f"letter {number}": "" for number in range(8)} | new


@pytest.fixture
def gone(near, alike):
    """A folder with three messages on both sides, of which one side shall go, beside another that must stay."""
    for name in ("Kept", "Gone"):
        fill(near(name), 3, name)
    assert len(alike()["Gone"]) == 3
    return near("Gone")


@pytest.mark.usefixtures("letters", "gone")
def test_a_lost_copy_of_a_folder_comes_back_whole(place, alike):
    before = alike()
    shutil.rmtree(place / "near" / "Gone")  # with the state that mbsync keeps in it: not deleted, but never seen
    assert alike() == before


@pytest.mark.usefixtures("letters")
def test_an_empty_folder_deleted_here_goes_there_and_nothing_else(gone, place, alike):
    gone.clear()
    before = alike()
    assert before["Gone"] == {}
    shutil.rmtree(place / "near" / "Gone" / "cur")  # mbsync(1): this is how a maildir is marked as deleted
    assert alike() == {name: found for name, found in before.items() if name != "Gone"}


@pytest.mark.usefixtures("letters")
def test_a_folder_deleted_there_goes_here_when_its_messages_may(gone, far, mbsync, both, alike):
    before = both()
    far.select_folder("INBOX")
    far.delete_folder("Gone")
    assert "box Gone is not empty" in mbsync().stderr  # mbsync(1): non-empty mailboxes are never deleted
    assert len(gone) == 3
    gone.clear()
    assert alike() == {name: found for name, found in before.items() if name != "Gone"}
