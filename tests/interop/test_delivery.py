"""Final delivery as operators set it up: files and programs of aliases, procmail, maildrop and Dovecot instead of our own store."""

from __future__ import annotations

import contextlib
import grp
import mailbox
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.dovecot import LIBRARY
from tests.interop.house import IS_ROOT, NOBODY, House, Person, eventually, folder, run, running
from tests.interop.talk import send, smtp

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="as somebody else writes and runs only root's helper")
ANN, BOB = Person("ann"), Person("bob")
UID = 54_321
LETTER = "Subject: herons\n\nFrom the quay.\n"
#: One of every kind that aliases(5) knows.
ALIASES = """\
archive: {files}/box
daily: {files}/2026/all/, ann
mh: {files}/mh/.
trash: /dev/null
both: ann, {files}/box
tickets: "|tickets --queue 'all of them'"
path: |/usr/ucb/tickets
unknown-ticket: |answers 67
busy: |answers 75
closed: |answers 69
escape: "|/bin/sh -c 'id > {files}/owned; id'"
elsewhere: |../../bin/sh
forbidden: /etc/aliases.mine
link: {files}/link
named: |archive
"""
TICKETS = """#!/bin/sh
{ echo "$0 $*"; id -un; env | sort; cat; } > %s/ticket.$$ && mv %s/ticket.$$ %s/ticket
"""


def deliver(house, recipient, sender="eve@red.test"):
    """The answers to RCPT and to the content."""
    with smtp(house.port("mx"), sender) as talk:
        answer = talk.ask(f"RCPT TO:<{recipient}>")
        return answer, send(talk, LETTER) if answer.startswith("250") else ""


def _size(path: Path) -> int:
    """Octets of what is there, and whole: its lock has gone."""
    is_there = path.exists() and not path.with_name(path.name + ".lock").exists()
    return path.stat().st_size if is_there else 0


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@contextlib.contextmanager
def town():
    """A folder that everybody may enter, with `files` (the server's), `out` (games's) and `programs` in it."""
    with folder() as place:
        place.chmod(0o755)
        for name, owner in (("files", NOBODY), ("files/2026", NOBODY), ("out", pwd.getpwnam("games").pw_uid), ("programs", 0)):
            (place / name).mkdir(mode=0o755)
            os.chown(place / name, owner, -1)
        yield place


@pytest.fixture(scope="module")
def aliased():
    """A server with all of ALIASES."""
    with town() as place:
        out = place / "out"
        program(place / "programs" / "tickets", TICKETS % (out, out, out))
        program(place / "programs" / "answers", "#!/bin/sh\necho such is life; exit $1\n")
        (place / "files" / "link").symlink_to("/etc/motd")
        (place / "aliases").write_text(ALIASES.format(files=place / "files"))
        more = (
            f"[aliases]\nsource = file:{place}/aliases\nfiles = yes\nprograms = yes\n"
            f"[delivery]\nfile_dirs = {place}/files\nprogram_dir = {place}/programs\nprogram_user = games\n"
            f"[pipe:archive]\ncommand = /bin/sh -c \"cat > {out}/$1\" sh {{user}}\nuser = games\n"
            "[relay]\nretry = 1h\n"
        )
        house = House(place, more=more)
        with running(house):
            house.add(ANN)
            yield house


def test_aliases_lead_to_files_of_every_shape(aliased):
    files = aliased.folder / "files"
    for name in ("archive", "daily", "mh", "trash"):
        assert deliver(aliased, f"{name}@blue.test")[1].startswith("250")
    eventually(lambda: (files / "mh" / ".mh_sequences").exists() and _size(files / "box"), "files are written")
    eventually(lambda: list(files.glob("2026/all/new/*")), "the maildir, too")
    (letter,) = mailbox.mbox(str(files / "box"))
    assert (letter["Return-Path"], letter["Delivered-To"], letter["Subject"]) == ("<eve@red.test>", "archive@blue.test", "herons")
    assert ">From the quay." in (files / "box").read_text()
    assert "From the quay.\n" in (files / "mh" / "1").read_text()
    assert {path.stat().st_uid for path in files.rglob("*") if not path.is_symlink()} == {NOBODY}
    assert len(aliased.stored(ANN)) == 1


def test_a_program_is_run_as_its_own_user_and_told_who_it_is_for(aliased):
    out = aliased.folder / "out" / "ticket"
    assert deliver(aliased, "tickets@blue.test")[1].startswith("250")
    said = eventually(lambda: out.exists() and (text := out.read_text()).endswith("From the quay.\n") and text, "the program has run")
    assert said.startswith(f"{aliased.folder}/programs/tickets --queue all of them\ngames\n")
    for line in ("SENDER=eve@red.test", "RECIPIENT=tickets@blue.test", "LOCAL=tickets", "DOMAIN=blue.test", "EXTENSION="):
        assert f"\n{line}\n" in said
    assert said.endswith("Subject: herons\n\nFrom the quay.\n")
    out.unlink()
    assert deliver(aliased, "path@blue.test")[1].startswith("250")  # whatever path stands before the name
    eventually(out.exists, "the program of that name has run")


def test_a_name_of_a_section_is_its_program(aliased):
    assert deliver(aliased, "named@blue.test")[1].startswith("250")
    eventually((aliased.folder / "out" / "named").exists, "the section's program has run")


@pytest.mark.parametrize(("name", "status"), [
    pytest.param("busy", "4.3.0", id="75-is-tried-again"), pytest.param("escape", "4.3.5", id="a-shell-s-words"),
    pytest.param("elsewhere", "4.3.5", id="a-program-from-elsewhere"), pytest.param("forbidden", "4.3.5", id="a-file-elsewhere"),
    pytest.param("link", "4.3.5", id="a-symbolic-link"),
])  # fmt: skip
def test_what_waits(aliased, name, status):
    answer = deliver(aliased, f"{name}@blue.test")[1]
    assert answer.startswith("250")
    item = answer.split()[-1]
    eventually(lambda: status in aliased.twistmail("queue", "show", item), "it has been tried")
    assert not (aliased.folder / "files" / "owned").exists()
    assert not Path("/etc/aliases.mine").exists()


@pytest.mark.parametrize(("name", "status"), [("unknown-ticket", "5.1.1"), ("closed", "5.3.0")])
def test_what_goes_back_to_the_sender(aliased, name, status):
    before = len(aliased.stored(ANN))
    assert deliver(aliased, f"{name}@blue.test", "ann@blue.test")[1].startswith("250")
    eventually(lambda: len(aliased.stored(ANN)) > before, "the report has come")
    report = aliased.stored(ANN)[-1]
    assert f"Status: {status}".encode() in report
    assert b"such is life" in report


# ----- agents

PASSWD = "{name}:x:{uid}:{uid}::{home}:/bin/sh\n"
PROCMAILRC = """MAILDIR=$HOME
LOCKSLEEP=1
DEFAULT=$HOME/Mailbox
:0
* ^Subject:.*list
lists/
"""


@contextlib.contextmanager
def machine(more: str):
    """A server on a machine where ann and bob have homes, with [mda] lines of its own."""
    if run("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt", expect=None).returncode:
        pytest.skip("another passwd file takes mount namespaces")
    with town() as place:
        lines = []
        for number, person in enumerate((ANN, BOB)):
            home = place / person.name
            home.mkdir(mode=0o700)
            os.chown(home, UID + number, UID + number)
            lines.append(PASSWD.format(name=person.name, uid=UID + number, home=home))
        (place / "passwd").write_text(Path("/etc/passwd").read_text() + "".join(lines))
        mount = f'mount --bind "{place}/passwd" /etc/passwd && exec "$@"'
        inside = ("unshare", "-m", "sh", "-c", mount, "sh")
        house = House(place, more="[users]\nsource = system\n" + more.format(place=place), inside=inside)
        with running(house):
            yield house


@pytest.mark.client("procmail", "unshare")
def test_procmail_keeps_the_mailboxes_as_the_users_whose_they_are():
    with machine("[mda]\ncommand = /usr/bin/procmail -a {{extension}} -d %u\n") as house:
        home = house.folder / "ann"
        (home / ".procmailrc").write_text(PROCMAILRC)
        os.chown(home / ".procmailrc", UID, UID)
        assert deliver(house, "ann@blue.test")[1].startswith("250")
        assert deliver(house, "ann+lists@blue.test")[1].startswith("250")
        eventually(lambda: (home / "Mailbox").exists() and len(mailbox.mbox(str(home / "Mailbox"))) == 2, "procmail has both")
        first = (home / "Mailbox").read_text()
        assert "Delivered-To: ann@blue.test\n" in first
        assert ">From the quay." in first
        assert (home / "Mailbox").stat().st_uid == UID
        assert not house.stored(ANN)


@pytest.mark.client("procmail", "unshare")
def test_an_exit_code_of_an_agent_is_the_end_of_the_delivery():
    """The recipe ends with what stands behind the + of the recipient. bob's mailbox is in our own store."""
    with machine("[mda]\ncommand = /usr/bin/procmail -a {{extension}} -d %u\n[relay]\nretry = 1h\n[mda_for:bob@blue.test]\n") as house:
        (house.folder / "ann" / ".procmailrc").write_text("EXITCODE=$1\nHOST\n")
        os.chown(house.folder / "ann" / ".procmailrc", UID, UID)
        for code, status in ((67, "5.1.1"), (69, "5.3.0"), (73, "5.2.0"), (77, "5.7.0"), (1, "5.3.0")):
            known = set(house.stored(BOB))
            deliver(house, f"ann+{code}@blue.test", "bob@blue.test")
            (report,) = eventually(lambda known=known: set(house.stored(BOB)) - known, f"the report about {code}")
            assert f"Status: {status}".encode() in report
        answer = deliver(house, "ann+75@blue.test", "bob@blue.test")[1]
        eventually(lambda: "4.3.0" in house.twistmail("queue", "show", answer.split()[-1]), "it has been tried")
        deliver(house, "ann+0@blue.test", "bob@blue.test")
        eventually(lambda: len(house.twistmail("queue", "list", "--json").split('"id"')) == 2, "only what is tried again waits")


@pytest.mark.client("maildrop", "unshare")
def test_maildrop_keeps_them_too():
    with machine("[mda]\ncommand = /usr/bin/maildrop -d %u\n") as house:
        home = house.folder / "ann"
        run("maildirmake.maildrop" if shutil.which("maildirmake.maildrop") else "maildirmake", home / "Maildir")
        (home / ".mailfilter").write_text('to "$HOME/Maildir"\n')
        (home / ".mailfilter").chmod(0o600)
        run("chown", "-R", f"{UID}:{UID}", home)
        assert deliver(house, "ann@blue.test")[1].startswith("250")
        eventually(lambda: list(home.glob("Maildir/new/*")), "maildrop has it")
        assert "From the quay.\n" in next(iter(home.glob("Maildir/new/*"))).read_text()


@pytest.mark.client("unshare")
def test_mail_lies_in_the_homes_of_those_whose_it_is_and_in_the_place_of_old():
    """ann's in a maildir in her home, bob's in an mbox below a folder of the group mail, as Debian's /var/mail is."""
    more = "[mda]\nfile = ~/Maildir/\n[mda_for:bob@blue.test]\nfile = {place}/spool/%n\ngroups = mail\n[relay]\nretry = 1h\n"
    with machine(more) as house:
        spool = house.folder / "spool"
        spool.mkdir()
        os.chown(spool, 0, grp.getgrnam("mail").gr_gid)
        spool.chmod(0o2775)
        assert deliver(house, "ann@blue.test")[1].startswith("250")
        assert deliver(house, "bob@blue.test")[1].startswith("250")
        eventually(lambda: list((house.folder / "ann").glob("Maildir/new/*")) and _size(spool / "bob"), "both have theirs")
        (letter,) = (house.folder / "ann").glob("Maildir/new/*")
        assert (letter.stat().st_uid, (spool / "bob").stat().st_uid) == (UID, UID + 1)
        assert "Delivered-To: ann@blue.test\n" in letter.read_text()
        assert len(mailbox.mbox(str(spool / "bob"))) == 1
        (house.folder / "ann" / "Maildir").rename(house.folder / "ann" / "other")
        (house.folder / "ann" / "Maildir").symlink_to(house.folder / "bob")
        answer = deliver(house, "ann@blue.test")[1]
        eventually(lambda: "4.3.5" in house.twistmail("queue", "show", answer.split()[-1]), "it waits")


DOVECOT = """\
base_dir = {place}/dovecot/run
state_dir = {place}/dovecot/state
log_path = {place}/dovecot/log
protocols = lmtp
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{place}/dovecot/mail/%d/%n
first_valid_uid = 1
postmaster_address = postmaster@blue.test
lda_mailbox_autocreate = yes
passdb {{
  driver = passwd-file
  args = {place}/dovecot/users
}}
userdb {{
  driver = passwd-file
  args = {place}/dovecot/users
}}
service lmtp {{
  unix_listener {place}/dovecot/lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


@contextlib.contextmanager
def dovecot(place: Path, *people: Person):
    """The whole Dovecot of Debian, with mailboxes for *people* that belong to games."""
    games = pwd.getpwnam("games")
    (place / "dovecot").mkdir(mode=0o755)
    (place / "dovecot" / "mail").mkdir()
    os.chown(place / "dovecot" / "mail", games.pw_uid, games.pw_gid)
    users = "".join(f"{one.address}:{{PLAIN}}x:{games.pw_uid}:{games.pw_gid}::{place}/dovecot/mail/{one.name}::\n" for one in people)
    (place / "dovecot" / "users").write_text(users)
    (place / "dovecot" / "log").touch()
    (place / "dovecot" / "log").chmod(0o666)  # the agent writes into it as games
    (place / "dovecot.conf").write_text(DOVECOT.format(place=place))
    process = subprocess.Popen(["dovecot", "-F", "-c", str(place / "dovecot.conf")], stdin=subprocess.DEVNULL)
    try:
        eventually((place / "dovecot" / "lmtp").exists, "Dovecot listens")
        yield place / "dovecot" / "mail"
    finally:
        process.terminate()
        process.wait(20)
        print((place / "dovecot" / "log").read_text())  # noqa: T201 - pytest shows it where the test has failed


def kept(mail: Path, person: Person) -> list[str]:
    return [path.read_text() for path in mail.glob(f"{person.domain}/{person.name}/new/*")]


@pytest.mark.client("dovecot", str(LIBRARY / "lmtp"), str(LIBRARY / "dovecot-lda"))
def test_dovecot_keeps_them_by_lmtp_and_by_its_agent():
    """ann's by LMTP, bob's by the agent, as the user to whom all of Dovecot's mail belongs."""
    with town() as place:
        agent = f"[mda_for:bob@blue.test]\ncommand = {LIBRARY}/dovecot-lda -c {place}/dovecot.conf -d %u -f {{sender}}\nuser = games\n"
        more = f"[mda]\nlmtp = unix:{place}/dovecot/lmtp\n{agent}[relay]\nretry = 1h\n"
        house = House(place, more=more)
        with dovecot(place, ANN, BOB) as mail, running(house):
            carl = Person("carl")
            house.add(ANN, BOB, carl)
            for person in (ANN, BOB):
                assert deliver(house, f"{person.name}+x@blue.test")[1].startswith("250")
                eventually(lambda person=person: kept(mail, person), f"Dovecot has {person.name}'s")
                (letter,) = kept(mail, person)
                assert letter.startswith("Return-Path: <eve@red.test>\n")
                assert letter.endswith("From the quay.\n")
            assert deliver(house, "carl@blue.test", "ann@blue.test")[1].startswith("250")  # whom Dovecot does not know
            eventually(lambda: len(kept(mail, ANN)) == 2, "the report")
            assert any("5.1.1" in letter for letter in kept(mail, ANN))
            assert not house.stored(ANN)


@pytest.mark.client(str(LIBRARY / "lmtp"))
def test_mail_waits_while_the_other_server_is_down():
    with town() as place, running(House(place, more=f"[mda]\nlmtp = unix:{place}/lmtp\n[relay]\nretry = 1s\n")) as house:
        house.add(ANN)
        answer = deliver(house, "ann@blue.test")[1]
        eventually(lambda: "4.4" in house.twistmail("queue", "show", answer.split()[-1]), "it has been tried")

