"""Other programs work on the directory while a client waits in IDLE: it hears of everything within two seconds (R62, R64)."""

from __future__ import annotations

import mailbox
import os
import time

import imapclient
import pytest

from tests.interop.dovecot import LIBRARY, Dovecot
from tests.interop.house import as_ordinary_user, eventually, folder, give_away, run

SOON = 2.0
LETTER = b"From: eve@red.test\nSubject: %s\n\nText.\n"


class Waiting:
    """A client in IDLE, the directory it looks at, and programs that run as the directory's owner."""

    def __init__(self, house, person, place):
        self.maildir = house.maildir(person)
        self.place = place
        self.imap = imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False, timeout=20)
        self.imap.login(person.address, person.password)
        self.imap.select_folder("INBOX")
        self.imap.idle()

    def write(self, name, subject):
        """A file for cp and mv, which came from elsewhere."""
        path = self.place / name
        path.write_bytes(LETTER % subject)
        give_away(path)
        return path

    def run(self, *command, stdin=b""):
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if as_ordinary_user() else ()
        run(*prefix, *command, stdin=stdin, cwd=self.place, HOME=str(self.place), TERM="xterm")

    def hear(self, *news):
        """*news* come, in any order, within two seconds of now."""
        heard = []
        eventually(lambda: heard.extend(self.imap.idle_check(0.05)) or set(news) <= set(heard), f"{news}", SOON)

    def files(self):
        return sorted(path for folder in ("new", "cur") for path in (self.maildir / folder).iterdir())


@pytest.fixture
def waiting(house, guest):
    with folder() as place:
        made = Waiting(house, guest, place)
        yield made
        made.imap.idle_done()
        made.imap.logout()


def by_cp(waiting):
    waiting.run("cp", waiting.write("letter", b"copied"), waiting.maildir / "cur" / "1700000000.copied.host:2,S")


def by_mv(waiting):
    waiting.run("mv", waiting.write("1700000001.moved.host", b"moved"), waiting.maildir / "new")


def by_procmail(waiting):
    rc = waiting.place / "procmailrc"
    rc.write_text(f"DEFAULT={waiting.maildir}/\nSHELL=/bin/sh\n")
    rc.chmod(0o644)
    waiting.run("procmail", "-m", rc, stdin=LETTER % b"procmail")


def by_dovecot(waiting):
    Dovecot(waiting.place, waiting.maildir).deliver(LETTER % b"agent")


def by_python(waiting):
    maildir = mailbox.Maildir(waiting.maildir, create=False)
    maildir.add(LETTER % b"python")
    for path in waiting.files():
        give_away(path)


def by_mutt(waiting):
    waiting.write("message", b"mutt")
    waiting.run("mutt", "-n", "-F", "/dev/null", "-e", f"set record={waiting.maildir} copy=yes sendmail=/bin/true confirmappend=no "
                "mbox_type=Maildir", "-s", "mutt", "--", "bob@blue.test", stdin=b"Text.\n")  # fmt: skip


@pytest.mark.parametrize(
    "deliver",
    [
        pytest.param(by_cp, id="cp"),
        pytest.param(by_mv, id="mv"),
        pytest.param(by_procmail, id="procmail", marks=pytest.mark.client("procmail")),
        pytest.param(by_dovecot, id="dovecot-lda", marks=pytest.mark.client(str(LIBRARY / "dovecot-lda"))),
        pytest.param(by_python, id="python"),
        pytest.param(by_mutt, id="mutt", marks=pytest.mark.client("mutt")),
    ],
)
def test_what_another_program_delivers_is_told(waiting, deliver):
    deliver(waiting)
    waiting.hear((1, b"EXISTS"))
    deliver_again = time.monotonic()
    waiting.run("cp", waiting.write("second", b"second"), waiting.maildir / "new" / "1700000009.second.host")
    waiting.hear((2, b"EXISTS"))
    assert time.monotonic() - deliver_again < SOON


def test_what_rm_removes_is_told(waiting):
    for number in range(3):
        waiting.run("cp", waiting.write("letter", b"%d" % number), waiting.maildir / "cur" / f"170000000{number}.host:2,S")
    waiting.hear((3, b"EXISTS"))
    waiting.run("rm", waiting.files()[1])
    waiting.hear((2, b"EXPUNGE"))


def test_flags_that_mv_writes_are_told(waiting):
    waiting.run("cp", waiting.write("letter", b"flagged"), waiting.maildir / "cur" / "1700000000.host:2,")
    waiting.hear((1, b"EXISTS"))
    waiting.run("mv", waiting.files()[0], waiting.maildir / "cur" / "1700000000.host:2,FS")
    heard = []
    eventually(lambda: heard.extend(waiting.imap.idle_check(0.05)) or [one for one in heard if one[1] == b"FETCH"], "flags", SOON)
    (told,) = [one for one in heard if one[1] == b"FETCH"]
    flags = told[2][told[2].index(b"FLAGS") + 1]
    assert {b"\\Flagged", b"\\Seen"} <= set(flags)


def test_what_changes_is_told_at_once_not_by_the_next_poll(waiting):
    """The kernel tells: most changes are heard long before a poll each second would have seen them."""
    took = []
    for number in range(10):
        path = waiting.write("letter", b"%d" % number)
        began = time.monotonic()
        os.rename(path, waiting.maildir / "new" / f"17000000{number:02}.host")
        waiting.hear((number + 1, b"EXISTS"))
        took.append(time.monotonic() - began)
    assert sorted(took)[5] < 0.4, took
