"""The disk is really full: mail is told to come back later, nothing half is seen, and once there is room it goes on."""

import imaplib
import shutil

import pytest

from tests.interop.house import IS_ROOT, NOBODY, PASSWORD, House, Person, folder, run, running
from tests.interop.talk import send, smtp

ALICE = Person("alice")
ROOM = "8m"
LETTER = "Subject: big\n\n" + ("x" * 76 + "\n") * 12_000  # 0.9 MB


def can_mount():
    if not IS_ROOT or shutil.which("unshare") is None:
        return False
    return run("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt", expect=None).returncode == 0


@pytest.fixture
def small():
    """A server whose data lie on a disk of a few megabytes, which only it sees; the test looks through /proc."""
    if not can_mount():
        pytest.skip("mounting a small disk needs root and mount namespaces")
    with folder() as place:
        mount = f'mount -t tmpfs -o size={ROOM},mode=700,uid={NOBODY},gid={NOBODY} tmpfs "{place}/data" && exec "$@"'
        people = f"[users]\nsource = config\n[user:{ALICE.address}]\npassword = {PASSWORD}\n[aliases]\nsource = config\n"
        aliases = "[alias:out@blue.test]\nto = carol@green.test\n"
        house = House(place, more_mx="disk_reserve = 1K\n", more_queue="reserve = 1K\nmax_bytes = unlimited\n",
                      more=people + aliases, inside=("unshare", "-m", "sh", "-c", mount, "sh"))
        with running(house):
            house.data = type(place)(f"/proc/{house.process.pid}/root{place}/data")
            yield house


def fill(house, recipient):
    """Send until there is no room; how many were taken, and the refusal."""
    with smtp(house.port("mx"), "eve@red.test", recipient) as talk:
        for count in range(100):
            answer = send(talk, LETTER)
            if not answer.startswith("250"):
                return count, answer
            talk.ask("MAIL FROM:<eve@red.test>")
            assert talk.ask(f"RCPT TO:<{recipient}>").startswith("250")
    raise AssertionError("the disk was never full")


def test_a_mailbox_without_room(small):
    taken, refusal = fill(small, ALICE.address)
    assert refusal.startswith("452 4.3.1")
    assert taken > 3
    assert {len(message) > len(LETTER) for message in small.stored(ALICE)} == {True}
    assert len(small.stored(ALICE)) == taken
    assert list(small.maildir(ALICE).glob("tmp/*")) == []
    with imaplib.IMAP4("127.0.0.1", small.port("imap")) as imap:
        imap.login(ALICE.address, PASSWORD)
        assert imap.select("INBOX")[1] == [str(taken).encode()]
        whole = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
        assert len(whole) > len(LETTER)
        imap.store("1:3", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        with smtp(small.port("mx"), "eve@red.test", ALICE.address) as talk:
            assert send(talk, LETTER).startswith("250 2.0.0")
        imap.noop()
        assert imap.uid("SEARCH", "ALL")[1][0].split()[-1] == str(taken + 1).encode()


def test_a_queue_without_room(small):
    taken, refusal = fill(small, "out@blue.test")
    assert refusal.startswith("452 4.3.1")
    files = [path.name for path in small.data.glob("queue/*/*") if path.is_file()]
    assert sorted(name.partition(".")[2] for name in files) == ["content"] * taken + ["envelope"] * taken
    assert list(small.data.glob("drafts/*")) == []
