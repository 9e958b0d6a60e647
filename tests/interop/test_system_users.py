"""R21: users of the machine have mailboxes without further ado, and their mail belongs to them, though the server is not root."""

import imaplib
import os
import poplib
import shutil
import stat
import subprocess

import pytest

from tests.interop.house import IS_ROOT, NOBODY, House, Person, eventually, folder, run, running
from tests.interop.talk import send, smtp

ANN, UID, PASSWORD = Person("ann"), 54_321, "quay-heron-42"
USERS = f"ann:x:{UID}:{UID}:Ann Other:/home/ann:/bin/sh\nbob:x:{UID + 1}:{UID + 1}::/home/bob:/usr/sbin/nologin\n"
NOTHING, CHOWN, SETGID_SETUID = "0000000000000000", "0000000000000001", "00000000000000c0"
LETTER = "Subject: herons\n\nA line about herons.\n"


def can_mount():
    if not IS_ROOT or shutil.which("unshare") is None:
        return False
    return run("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt", expect=None).returncode == 0


def hashed(password):
    made = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True, timeout=20)
    return made.stdout.strip()


@pytest.fixture
def house():
    """A server with a passwd file of its own, in a name space of its own."""
    if not can_mount():
        pytest.skip("another passwd file takes root and mount namespaces")
    with folder() as place:
        with open("/etc/passwd", encoding="utf-8") as passwd:
            (place / "passwd").write_text(passwd.read() + USERS)
        (place / "shadow").write_text(f"ann:{hashed(PASSWORD)}:19000:0:99999:7:::\n")
        (place / "shadow").chmod(0o600)
        os.chown(place / "shadow", NOBODY, NOBODY)
        mount = f'mount --bind "{place}/passwd" /etc/passwd && exec "$@"'
        more = f"[users]\nsource = system\nshadow = {place}/shadow\n[aliases]\nsource = config\n[alias:root]\nto = ann\n"
        house = House(place, more=more, inside=("unshare", "-m", "sh", "-c", mount, "sh"))
        with running(house):
            yield house


def ask(house, recipient):
    with smtp(house.port("mx"), "eve@red.test") as talk:
        return talk.ask(f"RCPT TO:<{recipient}>")


def deliver(house, recipient="ann@blue.test"):
    with smtp(house.port("mx"), "eve@red.test", recipient) as talk:
        assert send(talk, LETTER).startswith("250")


def files(house):
    return sorted(path for place in ("new", "cur") for path in house.maildir(ANN).joinpath(place).iterdir())


def test_a_user_of_the_machine_gets_mail_that_is_his(house):
    deliver(house)
    deliver(house, "root@blue.test")  # an alias, as every house has it
    for path in files(house):
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (UID, NOBODY, 0o660)
    assert len(files(house)) == 2
    for name in ("new", "cur", "tmp"):
        assert house.maildir(ANN).joinpath(name).stat().st_uid == UID


@pytest.mark.parametrize("recipient", ["daemon@blue.test", "bob@blue.test", "nobody@blue.test", "carol@blue.test"])
def test_the_users_of_the_machine_itself_get_none(house, recipient):
    assert ask(house, recipient).startswith("550 5.1.1")


def test_he_reads_it_with_the_password_of_the_machine_and_changes_it(house):
    deliver(house)
    reader = poplib.POP3("127.0.0.1", house.port("pop3"))
    reader.user("ann")
    reader.pass_(PASSWORD)
    assert b"A line about herons." in reader.retr(1)[1]
    reader.quit()
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        imap.login("ann@blue.test", PASSWORD)
        imap.select("INBOX")
        imap.store("1", "+FLAGS", "\\Flagged")
        assert imap.append("Sent", None, '"01-Jan-2020 10:00:00 +0000"', LETTER.replace("\n", "\r\n").encode())[0] == "OK"
        assert imap.copy("1", "Archive")[0] == "OK"
    eventually(lambda: any("F" in path.name.rpartition(",")[2] for path in files(house)), "the flag is in the name")
    owners = {path.stat().st_uid for path in house.maildir(ANN).glob(".*/cur/*")}
    assert owners == {UID}


def test_nothing_but_the_helper_has_kept_a_right_of_root(house):
    deliver(house)
    children = house.process.pid, *_descendants(house.process.pid)
    rights = {pid: _status(pid) for pid in children}
    helpers = {pid: (one["CapEff"], one["NoNewPrivs"]) for pid, one in rights.items() if one["CapEff"] != NOTHING}
    assert sorted(helpers.values()) == [(CHOWN, "1"), *[(SETGID_SETUID, "1")] * 4]  # who gives files away, and who read ~/.forward
    house.stop()
    for helper in helpers:
        eventually(lambda: not os.path.exists(f"/proc/{helper}/status") or "Z" in _status(helper)["State"], "they end with the server")  # noqa: B023
    house.start()


def _descendants(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        found = [int(word) for word in file.read().split()]
    return [*found, *(deeper for child in found for deeper in _descendants(child))]


def _status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t") for line in file if ":\t" in line)
