"""Passwords that Dovecot's own program has hashed, users of this machine who change theirs, and app passwords, against a real server."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import poplib
import smtplib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.interop.house import House, Person, environment, folder, give_away, run, running

ANNA = Person("anna")
SECRET = "se cret=42ä"  # a passwd-file divides its fields by colons
#: Dovecot takes what has no scheme in a passwd-file for one of crypt(3).
CRYPTS = ("CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "DES-CRYPT", "BLF-CRYPT")
#: A user of the machine who is not the one that the server runs as.
ORDINARY = 65533
NEW = "a new one that is long"


@pytest.fixture(scope="module")
def schemes() -> list[str]:
    return run("doveadm", "pw", "-l").stdout.split()


@pytest.fixture(scope="module")
def migrated(schemes: list[str]) -> Iterator[House]:
    """A server with the passwd-file of a Dovecot: a user for each of its schemes."""
    with folder() as place:
        lines = [f"u{number}@blue.test:{hashed(scheme, f'u{number}@blue.test')}:5000:5000::/var/vmail::userdb_quota_rule=*:bytes=1G"
                 for number, scheme in enumerate(schemes)]  # fmt: skip
        lines += [f"bare{number}@blue.test:{hashed(scheme, '').partition('}')[2]}" for number, scheme in enumerate(CRYPTS)]
        house = House(place, more="[users]\nsource = passwd:users sqlite\n")
        users = house.data / "users"
        users.write_text("\n".join(lines) + "\n", "utf-8")
        give_away(users)
        with running(house):
            yield house
        house.check_log()


def hashed(scheme: str, name: str) -> str:
    return run("doveadm", "pw", "-s", scheme, "-u", name, "-p", SECRET).stdout.strip()


@pytest.mark.client("doveadm")
def test_a_user_file_of_dovecot_logs_in_unchanged_whatever_the_scheme(migrated: House, schemes: list[str]) -> None:
    assert len(schemes) > 25
    for number, scheme in enumerate(schemes):
        assert logs_in(migrated, f"u{number}@blue.test", SECRET), scheme
    assert not logs_in(migrated, "u0@blue.test", SECRET + "x")


@pytest.mark.client("doveadm")
def test_a_hash_without_a_scheme_is_one_of_crypt_as_with_dovecot(migrated: House) -> None:
    for number, scheme in enumerate(CRYPTS):
        assert logs_in(migrated, f"bare{number}@blue.test", SECRET), scheme


@pytest.mark.client("doveadm")
def test_dovecot_compares_with_what_we_make(migrated: House) -> None:
    told = migrated.twistmail("user", "hash", "--scheme", "ROT13", "--password-stdin", stdin=f"{SECRET}\n", expect=64)
    assert told == ""
    for scheme in ("ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "PBKDF2", "SCRAM-SHA-256", "SCRAM-SHA-1",
                   "SSHA512", "SSHA256", "SSHA", "SMD5", "SHA512", "CRAM-MD5", "DIGEST-MD5", "PLAIN-MD5", "LDAP-MD5"):  # fmt: skip
        made = migrated.twistmail("user", "hash", "--scheme", scheme, "--login", ANNA.address, "--password-stdin", stdin=f"{SECRET}\n")
        said = run("doveadm", "pw", "-t", made.strip(), "-u", ANNA.address, "-p", SECRET)
        assert "(verified)" in said.stdout, scheme


def logs_in(house: House, name: str, password: str) -> bool:
    """By IMAP's LOGIN, with whatever it is; UTF-8 goes by PLAIN."""
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as imap:
        try:
            return imap.authenticate("PLAIN", lambda _: f"\0{name}\0{password}".encode())[0] == "OK"
        except imaplib.IMAP4.error:
            return False


def logs_in_by_pop3(house: House, name: str, password: str) -> bool:
    pop3 = poplib.POP3("127.0.0.1", house.port("pop3"))
    pop3.encoding = "utf-8"
    try:
        pop3.user(name)
        pop3.pass_(password)
    except poplib.error_proto:
        return False
    finally:
        with contextlib.suppress(OSError, poplib.error_proto):
            pop3.quit()
    return True


def logs_in_by_submission(house: House, name: str, password: str) -> bool:
    with smtplib.SMTP("127.0.0.1", house.port("submission")) as smtp:
        try:
            smtp.login(name, password)
        except smtplib.SMTPAuthenticationError:
            return False
    return True


# ----- one's own


@pytest.fixture
def public() -> Iterator[House]:
    """A server at whose socket everybody may change his own password."""
    with folder() as place:
        os.chmod(place, 0o755)
        house = House(place, more=f"[users]\npassword_socket = {place}/public/password.sock\n")
        door = place / "public"
        door.mkdir(mode=0o755)
        give_away(door)
        with running(house):
            house.add(ANNA)
            yield house
        house.check_log()


#: Becoming that user only when all is imported: the tests' Python may lie where he cannot read.
PROGRAM = """
import contextlib, io, os
import twistmail.cli.main
with contextlib.redirect_stdout(io.StringIO()):
    twistmail.cli.main.status(["password", "--help"])
    twistmail.cli.main.status(["app-password", "list", "--help"])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({0})
    os.setuid({0})
twistmail.cli.main.run()
"""


def change(house: House, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
    """`twistmail password`, said by an ordinary user who may read nothing of ours."""
    return say(house, "password", *arguments, "--password-stdin", stdin=stdin)


def say(house: House, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", PROGRAM.format(ORDINARY), *arguments]
    known = environment() | {"TWISTMAIL_PASSWORD": str(house.folder / "public" / "password.sock"), "HOME": "/"}
    return subprocess.run(words, input=stdin, cwd="/", env=known, text=True, capture_output=True, timeout=30, check=False)


def test_an_ordinary_user_of_the_machine_changes_his_own_password(public: House) -> None:
    assert logs_in(public, ANNA.address, ANNA.password)
    refused = change(public, ANNA.address, stdin=f"wrong\n{NEW}\n")
    assert (refused.returncode, refused.stdout) == (77, "")
    assert "the old password is wrong" in refused.stderr
    done = change(public, ANNA.address, stdin=f"{ANNA.password}\n{NEW}\n")
    assert (done.returncode, done.stdout) == (0, f"{ANNA.address} has a new password\n")
    assert logs_in(public, ANNA.address, NEW)
    assert not logs_in(public, ANNA.address, ANNA.password), "the server remembered the old one"


def test_with_the_files_at_hand_no_server_is_needed(public: House) -> None:
    public.stop()
    public.write(public.config.read_text().replace("password_socket", "#password_socket"))
    told = public.twistmail("password", ANNA.address, "--password-stdin", stdin=f"wrong\n{NEW}\n", expect=77)
    assert told == ""
    public.twistmail("password", ANNA.address, "--password-stdin", stdin=f"{ANNA.password}\n{NEW}\n")
    public.start()
    assert logs_in(public, ANNA.address, NEW)


def test_an_app_password_opens_its_services_until_it_is_taken_away(public: House) -> None:
    shown = public.twistmail("app-password", "add", ANNA.address, "telephone", "--service", "imap", "--service", "submission")
    password = shown.split("password: ")[1].split()[0]
    assert logs_in(public, ANNA.address, password)
    assert logs_in_by_submission(public, ANNA.address, password)
    assert not logs_in_by_pop3(public, ANNA.address, password)
    refused = change(public, ANNA.address, stdin=f"{password}\n{NEW}\n")
    assert refused.returncode == 77
    public.twistmail("app-password", "remove", ANNA.address, "telephone")
    assert not logs_in(public, ANNA.address, password)
    assert logs_in(public, ANNA.address, ANNA.password)
    assert password not in public.log


def test_an_ordinary_user_makes_his_own_app_passwords(public: House) -> None:
    proof = f"{ANNA.password}\n"
    made = say(public, "app-password", "add", ANNA.address, "telephone", "--expires", "90d", "--password-stdin", "--json", stdin=proof)
    password = json.loads(made.stdout)["password"]
    assert logs_in_by_pop3(public, ANNA.address, password)
    listed = say(public, "app-password", "list", ANNA.address, "--password-stdin", "--json", stdin=proof).stdout
    assert [json.loads(line)["label"] for line in listed.splitlines()] == ["telephone"]
    refused = say(public, "app-password", "remove", ANNA.address, "telephone", "--password-stdin", stdin=f"{password}\n")
    assert refused.returncode == 77, "an app password opens nothing here"
    removed = say(public, "app-password", "remove", ANNA.address, "telephone", "--password-stdin", stdin=proof)
    assert removed.returncode == 0
    assert not logs_in_by_pop3(public, ANNA.address, password)
