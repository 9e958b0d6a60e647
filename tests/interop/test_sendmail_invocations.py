"""Forty command lines as programs have written them for decades, against a server that runs: what each ends with, says and sends (R74)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.interop.house import environment
from tests.interop.test_sendmail import ALICE, DAEMON, opened

OK, USAGE, BAD_DATA, NO_USER, TRY_AGAIN = 0, 64, 65, 67, 75

#: One process for all of them: it forks for each, so that every one begins as a program does, with files for its three descriptors.
PROGRAM = """\
import json, os, sys, tempfile
from twistmail.cli import alias, mailq, sendmail, sendmail_smtp
from twistmail.cli.sendmail import run
for name, arguments, text in json.load(sys.stdin):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(text.encode()); files[0].seek(0)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.stdin = open(0)
        sys.argv = ["/usr/sbin/" + name, *arguments]
        try:
            run()
        except SystemExit as ended:
            sys.stdout and sys.stdout.flush()
            os._exit(int(ended.code or 0))
        os._exit(70)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = []
    for file in files[1:]:
        file.seek(0)
        said.append(file.read().decode())
    print(json.dumps([code, *said]), flush=True)
"""
TEXT = "Subject: hi\n\nhello\n"
TO = "To: alice\nBcc: daemon\nSubject: hi\n\nhello\n"
BATCH = "EHLO me\nMAIL FROM:<root>\nRCPT TO:<alice>\nDATA\nSubject: hi\n\nhello\n.\nQUIT\n"
EN_DASH, EM_DASH, MINUS = "\u2013", "\u2014", "\u2212"

#: name, words, standard input, what it ends with, what it says (on either output), how many get it: alice, daemon.
INVOCATIONS = {
    "plain": ("sendmail", "alice", TEXT, OK, "", 1, 0),
    "twistmail-sendmail": ("twistmail-sendmail", "alice", TEXT, OK, "", 1, 0),
    "two-recipients": ("sendmail", "alice daemon@blue.test", TEXT, OK, "", 1, 1),
    "twice-the-same": ("sendmail", "alice alice", TEXT, OK, "", 1, 0),
    "a-list-in-one-word": ("sendmail", "alice,daemon", TEXT, OK, "", 1, 1),
    "no-header": ("sendmail", "alice", "hello\n", OK, "", 1, 0),
    "empty": ("sendmail", "alice", "", OK, "", 1, 0),
    "without-a-last-line-end": ("sendmail", "alice", "Subject: x\n\nhello", OK, "", 1, 0),
    "bm": ("sendmail", "-bm alice", TEXT, OK, "", 1, 0),
    "t": ("sendmail", "-t", TO, OK, "", 1, 1),
    "t-and-words": ("sendmail", "-t daemon", "To: alice\n\nx\n", OK, "", 1, 1),
    "ti": ("sendmail", "-ti", TO, OK, "", 1, 1),
    "t-oi-oem": ("sendmail", "-t -oi -oem", TO, OK, "", 1, 1),
    "php": ("sendmail", "-t -i", "To: alice\r\nSubject: hi\r\nX-PHP-Originating-Script: 0:x.php\n\nhello\n", OK, "", 1, 0),
    "php-with-f": ("sendmail", "-t -i -fdaemon@blue.test", TO, OK, "", 1, 1),
    "cron": ("sendmail", "-FCronDaemon -i -B8BITMIME -oem alice", TEXT, OK, "", 1, 0),
    "mailx": ("sendmail", "-i -- alice", TEXT, OK, "", 1, 0),
    "git": ("sendmail", "-i -f daemon@blue.test alice@blue.test", TEXT, OK, "", 1, 0),
    "mutt": ("sendmail", "-oem -oi -f daemon -- alice", TEXT, OK, "", 1, 0),
    "emacs": ("sendmail", "-f daemon -oi -t -odb", TO, OK, "", 1, 1),
    "dsn": ("sendmail", "-N never -R hdrs -V batch+1 alice", TEXT, OK, "", 1, 0),
    "historic": ("sendmail", "-om -n -U -Am -L tag -h 3 -m -v -G -O DeliveryMode=b -oQ/tmp -p ESMTP -x -e m -c alice", TEXT, OK, "", 1, 0),
    "a-configuration-of-sendmail": ("sendmail", "-C/etc/mail/submit.cf alice", TEXT, OK, "", 1, 0),
    "nobody-as-sender": ("sendmail", "-f <> alice", TEXT, OK, "", 1, 0),
    "verp": ("sendmail", "-XV -f daemon alice", TEXT, OK, "", 1, 0),
    "progress": ("sendmail", "alice", "Subject: x\n\n1 %\r2 %\rdone\r\r\n", OK, "", 1, 0),
    "dot": ("sendmail", "alice", "Subject: x\n\nhello\n.\n:no more of this\n", OK, "", 1, 0),
    "unknown-recipient": ("sendmail", "alice nobody-here", TEXT, NO_USER, "nobody-here: There is no mailbox", 0, 0),
    "no-recipient": ("sendmail", "", TEXT, USAGE, "nobody is named", 0, 0),
    "t-without-recipients": ("sendmail", "-t", TEXT, USAGE, "neither To nor Cc nor Bcc", 0, 0),
    "no-address": ("sendmail", "@", TEXT, BAD_DATA, "@ is no address", 0, 0),
    "unknown-flag": ("sendmail", "-z alice", TEXT, USAGE, "there is no flag -z", 0, 0),
    "flag-without-argument": ("sendmail", "-f", TEXT, USAGE, "-f wants an argument", 0, 0),
    "wrong-dsn": ("sendmail", "-N always alice", TEXT, USAGE, "write never, or some of", 0, 0),
    "en-dash": ("sendmail", f"{EN_DASH}bp", "", USAGE, "did you mean -bp?", 0, 0),
    "em-dash": ("sendmail", f"{EM_DASH}t", TO, USAGE, "did you mean -t?", 0, 0),
    "minus": ("mailq", f"{MINUS}v", "", USAGE, "did you mean -v?", 0, 0),
    "daemon": ("sendmail", "-bd -q15m", "", USAGE, "twistd twistmail runs the server", 0, 0),
    "bt": ("sendmail", "-bt", "", USAGE, "twistmail policy check", 0, 0),
    "bp": ("sendmail", "-bp", "", OK, "Mail queue is empty", 0, 0),
    "mailq": ("mailq", "", "", OK, "Mail queue is empty", 0, 0),
    "q": ("sendmail", "-q", "", OK, "", 0, 0),
    "runq": ("runq", "", "", OK, "", 0, 0),
    "qR": ("sendmail", "-qRfar.test", "", OK, "", 0, 0),
    "q30m": ("sendmail", "-q30m", "", OK, "", 0, 0),
    "newaliases": ("newaliases", "", "", OK, "/aliases: 1 aliases, longest 5 bytes, ", 0, 0),
    "bi": ("sendmail", "-bi", "", OK, "/aliases: 1 aliases", 0, 0),
    "newaliases-with-words": ("newaliases", "alice", "", USAGE, "leave names out", 0, 0),
    "an-alias-of-the-file": ("sendmail", "flintstone", TEXT, OK, "", 1, 0),
    "bv": ("sendmail", "-bv staff", "", OK, "alice@blue.test", 0, 0),
    "bv-nobody": ("sendmail", "-bv alice nobody-here", "", NO_USER, "nobody-here", 0, 0),
    "bv-without-words": ("sendmail", "-bv", "", USAGE, "nobody is named", 0, 0),
    "bs": ("sendmail", "-bs", BATCH, OK, "250 2.0.0 Accepted as ", 1, 0),
    "bs-as-a-mail-program": ("sendmail", "-bs -odb -oem", BATCH.replace("\n", "\r\n"), OK, "250 2.0.0 Accepted as ", 1, 0),
    "bs-refused": ("sendmail", "-bs", BATCH.replace("<alice>", "<nobody-here>"), OK, "550 5.1.1", 0, 0),
    "bs-with-words": ("sendmail", "-bs alice", BATCH, USAGE, "told by SMTP", 0, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def said():
    """By name: (code, what was said, how many more messages alice and daemon have). All of one run."""
    with opened() as office:
        found = {}
        names = list(INVOCATIONS)
        work = json.dumps([[INVOCATIONS[name][0], INVOCATIONS[name][1].split(), INVOCATIONS[name][2]] for name in names])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], input=work.encode(), capture_output=True, timeout=60, check=False, cwd="/",
            env=environment() | {"TWISTMAIL_SUBMIT": office.socket, "TWISTMAIL_CONFIG": str(office.house.config),
                                 "TWISTMAIL_PICKUP": "/nowhere"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        for name, line in zip(names, done.stdout.decode().splitlines(), strict=True):
            found[name] = json.loads(line)
        counts = [len(office.house.stored(person)) for person in (ALICE, DAEMON)]
        yield found, counts


@pytest.mark.parametrize("name", INVOCATIONS)
def test_what_a_command_line_ends_with_and_says(said, name):
    code, out, err = said[0][name]
    wanted, words = INVOCATIONS[name][3], INVOCATIONS[name][4]
    assert code == wanted, (out, err)
    assert words in out + err
    assert words or not (out + err), "programs take a word for a failure"
    assert "Traceback" not in err


def test_they_have_sent_what_they_should(said):
    assert said[1] == [sum(row[5] for row in INVOCATIONS.values()), sum(row[6] for row in INVOCATIONS.values())]
