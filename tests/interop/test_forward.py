"""R32 to R34 with a real server that is not root: ~/.forward in closed homes, `twistmail forward`, a circle between two hosts."""

import os
import re
import shutil
import smtplib
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.house import IS_ROOT, NOBODY, House, Person, environment, eventually, folder, free_port, run, running
from tests.interop.talk import send, smtp

LETTER = "Subject: herons\n\nA line about herons.\n"
#: Becoming that user only when all is imported: the tests' Python may lie where he cannot read.
PROGRAM = """
import contextlib, io, os
import twistmail.cli.main, twistmail.cli.control, twistmail.cli.own, twistmail.config.load, twistmail.accounts.domains
with contextlib.redirect_stdout(io.StringIO()):
    twistmail.cli.main.status(["forward", "set", "--help"])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({0})
    os.setuid({0})
twistmail.cli.main.run()
"""
STRANGER = 54_999


# ----- users of the machine

ANN, BEA = Person("ann"), Person("bea")
UIDS = {"ann": 54_321, "bea": 54_322}


def can_mount():
    if not IS_ROOT or shutil.which("unshare") is None:
        return False
    return run("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt", expect=None).returncode == 0


@pytest.fixture(scope="module")
def machine():
    """A server on a machine with two users, whose homes nobody else can enter."""
    if not can_mount():
        pytest.skip("another passwd file takes root and mount namespaces")
    with folder() as place:
        place.chmod(0o755)
        with open("/etc/passwd", encoding="utf-8") as passwd:
            users = "".join(f"{name}:x:{uid}:{uid}::{place}/{name}:/bin/sh\n" for name, uid in UIDS.items())
            (place / "passwd").write_text(passwd.read() + users)
        for name, uid in UIDS.items():
            (place / name).mkdir(mode=0o700)
            os.chown(place / name, uid, uid)
        mount = f'mount --bind "{place}/passwd" /etc/passwd && exec "$@"'
        inside = ("unshare", "-m", "sh", "-c", mount, "sh")
        os.chown(place, 0, 0)  # nobody but root may move the homes
        (place / "bin").mkdir(mode=0o755)
        (place / "bin" / "keep").write_text(f'#!/bin/sh\n(id -u; echo "$@"; cat) > {place}/ann/kept\n')
        (place / "bin" / "keep").chmod(0o755)
        more = f"""
[users]
source = system
[forward]
files = yes
programs = yes
[delivery]
file_dirs = {place}
program_dir = {place}/bin
[relay]
retry = 1h
"""
        house = House(place, more=more, inside=inside)
        with running(house):
            yield house


@pytest.fixture
def house(machine):
    machine.mark()
    yield machine
    machine.check_log()
    for name in UIDS:
        (machine.folder / name / ".forward").unlink(missing_ok=True)
        for place in ("new", "cur"):
            for path in machine.maildir(Person(name)).glob(f"{place}/*"):
                path.unlink()


def write(house, name, text, mode=0o600, owner=0):
    """~/.forward of *name*, as an editor would leave it."""
    path = house.folder / name / ".forward"
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner or UIDS[name], UIDS[name])


def deliver(house, recipient):
    with smtp(house.port("mx"), "eve@red.test", f"{recipient}@blue.test") as talk:
        assert send(talk, LETTER).startswith("250")


def mail(house, person):
    return len(house.stored(person)) if house.maildir(person).exists() else 0


def goes_to(house, recipient):
    """Whose mailboxes have more mail after one for *recipient*."""
    before = {name: mail(house, Person(name)) for name in UIDS}
    deliver(house, recipient)
    return {name for name, count in before.items() if mail(house, Person(name)) > count}


def as_user(house, name, *command, expect=0):
    """What *name* does in his own shell, in the name space of the server."""
    mount = f'mount --bind "{house.folder}/passwd" /etc/passwd && exec "$@"'
    program = (sys.executable, "-c", PROGRAM.format(UIDS[name]))
    return run("unshare", "-m", "sh", "-c", mount, "sh", *program, *command, expect=expect, cwd=Path("/"))


def test_a_closed_home_says_where_its_user_s_mail_goes(house):
    write(house, "ann", "\\ann, bea@blue.test\n")
    deliver(house, "ann")
    assert (mail(house, ANN), mail(house, BEA)) == (1, 1)
    write(house, "ann", "bea\n")
    eventually(lambda: goes_to(house, "ann") == {"bea"}, "the edited file counts")


@pytest.mark.parametrize(("mode", "owner", "said"), [
    pytest.param(0o666, 0, "others may write to it (mode 666)", id="world-writable"),
    pytest.param(0o620, 0, "others may write to it (mode 620)", id="group-writable"),
    pytest.param(0o644, NOBODY, "belongs to user 65534", id="somebody-else-s"),
])  # fmt: skip
def test_an_unsafe_file_is_passed_over_with_a_line_in_the_log(house, mode, owner, said):
    write(house, "bea", "ann@blue.test\n", mode, owner)
    eventually(lambda: goes_to(house, "bea") == {"bea"} and said in house.news and "it is passed over" in house.news, "the log says why")
    assert mail(house, ANN) == 0


def test_the_book_s_example_appends_once_and_sends_one_copy(house):
    """R32: nothing lies in the inbox; the archive is his, and is written as him."""
    archive = house.folder / "ann" / "archive"
    write(house, "ann", f'"{archive}", james@far.test\n')
    eventually(lambda: (deliver(house, "ann"), archive.exists() and archive.stat().st_size)[1], "it is appended to")
    content = archive.read_text()
    assert content.startswith("From eve@red.test "), repr(content)
    assert "A line about herons." in content
    assert (archive.stat().st_uid, stat.S_IMODE(archive.stat().st_mode)) == (UIDS["ann"], 0o600)
    waiting = house.twistmail("queue", "list", "--json")
    assert waiting.count('"james@far.test"') >= 1
    house.twistmail("queue", "delete", "--all", "--yes")


def test_a_program_is_run_as_its_user_and_gets_the_mail(house):
    write(house, "ann", '\\ann, "|keep this, please"\n')
    kept = house.folder / "ann" / "kept"
    eventually(lambda: (deliver(house, "ann"), kept.exists() and "herons" in kept.read_text())[1], "it has run")
    lines = kept.read_text().splitlines()
    assert lines[:2] == [str(UIDS["ann"]), "this, please"]
    assert (kept.stat().st_uid, mail(house, ANN) > 0) == (UIDS["ann"], True)


def test_what_the_house_does_not_allow_waits_and_nothing_is_run(house):
    write(house, "ann", f'"|/bin/sh -c \'touch {house.folder}/ann/owned; id\'"\n:include:{house.folder}/ann/box\n')

    def refused():
        with smtp(house.port("mx"), "eve@red.test") as talk:
            return talk.ask("RCPT TO:<ann@blue.test>").startswith("451")

    eventually(refused, "mail for her waits outside")
    eventually(lambda: "/.forward:1: ; would mean something to a shell" in house.news and "/.forward:2: " in house.news, "the log says why")
    assert not {"owned", "box"} & set(os.listdir(house.folder / "ann"))


def test_he_changes_it_without_a_server_and_for_nobody_else(house):
    said = as_user(house, "ann", "forward", "set", "ann", "bea@blue.test", "--no-keep").stdout
    assert said == f"bea@blue.test                        {house.folder}/ann/.forward\n"
    status = (house.folder / "ann/.forward").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (UIDS["ann"], 0o644)
    eventually(lambda: goes_to(house, "ann") == {"bea"}, "it counts")
    as_user(house, "ann", "forward", "set", "ann", "a b", expect=64)
    as_user(house, "ann", "forward", "set", "bea", "ann@blue.test", expect=77)
    as_user(house, "ann", "forward", "clear")
    assert not (house.folder / "ann/.forward").exists()


# ----- everybody else, by his own password


def test_a_user_without_a_home_changes_his_own_by_his_password():
    bob = Person("bob")
    with folder() as place:
        house = House(place, more=f"[users]\npassword_socket = {place}/own.sock\n")
        place.chmod(0o711)  # anybody may reach the socket
        house.add(bob, Person("alice"))
        with running(house):
            known = environment() | {"TWISTMAIL_PASSWORD": str(place / "own.sock"), "HOME": "/"}

            def forward(*words, password=bob.password, expect=0):
                program = [sys.executable, "-c", PROGRAM.format(STRANGER), "forward", *words, "--password-stdin"]
                done = subprocess.run(
                    program, input=password + "\n", text=True, capture_output=True, env=known, cwd="/", timeout=25, check=False)
                assert done.returncode == expect, done
                return done.stdout + done.stderr

            assert "a copy stays here" in forward("set", bob.address, "alice@blue.test")
            assert "alice@blue.test" in forward("show", bob.address)
            assert "wrong" in forward("set", bob.address, "eve@red.test", password="guess", expect=77)
            deliver(house, "bob")
            assert (mail(house, bob), mail(house, Person("alice"))) == (1, 1)
            assert "goes on to nobody" in forward("clear", bob.address)


# ----- a circle between two hosts


@pytest.fixture
def towns():
    """blue.test and green.test, each of which knows the way to the other."""
    with folder() as here, folder() as there:
        ports = {"blue.test": free_port(), "green.test": free_port()}
        houses = []
        for place, domain, other in ((here, "blue.test", "green.test"), (there, "green.test", "blue.test")):
            houses.append(House(place, domain=domain, mx=ports[domain], more=f"[route:{other}]\nvia = [127.0.0.1]:{ports[other]}\n"))
            houses[-1].add(Person("carl", domain))
        houses[0].add(Person("alice"))
        with running(houses[0]), running(houses[1]):
            yield houses


def test_two_who_forward_to_each_other_bring_the_sender_one_report(towns):
    """R33: the circle ends after few hops, and alice hears of it once."""
    blue, green = towns
    blue.twistmail("forward", "set", "carl@blue.test", "carl@green.test", "--no-keep")
    green.twistmail("forward", "set", "carl@green.test", "carl@blue.test", "--no-keep")
    alice = Person("alice")
    with smtplib.SMTP("localhost", blue.port("submission")) as client:
        client.starttls(context=ssl.create_default_context(cafile=blue.authority))
        client.login(alice.address, alice.password)
        client.sendmail(alice.address, ["carl@blue.test"], LETTER)
    eventually(lambda: mail(blue, alice) > 0, "alice hears of it", 20)
    eventually(lambda: all("queue is empty" in house.twistmail("queue", "list") + "queue is empty" for house in towns), "nothing is left")
    (report,) = blue.stored(alice)
    assert b"5.4.6" in report
    assert len(re.findall(rb"(?m)^Received:", report)) <= 8
    assert (mail(blue, Person("carl")), mail(green, Person("carl", "green.test"))) == (0, 0)
