"""Programs that send by calling sendmail, each as it does that: cron, PHP, git, bsd-mailx, s-nail, mutt; and who speaks SMTP to it."""

from __future__ import annotations

import os
import re
import sys
import threading
from email.parser import BytesParser

import pytest

from tests.interop.house import ROOT, eventually, run
from tests.interop.test_sendmail import ALICE, DAEMON, DAEMONS, as_daemon, opened

#: Under the name sendmail it is called by programs that have cleaned their environment, so all it needs stands in it.
SCRIPT = """\
#!{python}
import os, sys
sys.path.insert(0, {root!r})
os.environ.update(TWISTMAIL_SUBMIT={socket!r}, TWISTMAIL_PICKUP={pickup!r})
from twistmail.cli.sendmail import run
run()
"""


@pytest.fixture(scope="module")
def shared():
    with opened() as office:
        office.program = office.place / "sendmail"
        office.program.write_text(SCRIPT.format(python=sys.executable, root=str(ROOT), socket=office.socket, pickup=str(office.pickup)))
        office.program.chmod(0o755)
        yield office


@pytest.fixture
def office(shared):
    shared.mark()
    yield shared
    shared.house.check_log()


@pytest.mark.client("bsd-mailx")
def test_bsd_mailx(office, client, place):
    (place / "mailrc").write_text(f"set sendmail={office.program}\n")
    client("bsd-mailx", "-s", "from mailx", "alice", "daemon", stdin="hello\n.\n", MAILRC=str(place / "mailrc"))
    message = office.latest(ALICE)
    assert (message["Subject"], message["To"], message.get_payload()) == (
        "from mailx", "alice@blue.test, daemon@blue.test", "hello\n.\n")  # fmt: skip
    assert office.latest(DAEMON)["Subject"] == "from mailx"


@pytest.mark.client("s-nail")
def test_s_nail(office, client):
    client("s-nail", "-:/", "-S", f"mta={office.program}", "-S", "sendwait", "-s", "from s-nail", "-b", "daemon@blue.test",
           "alice@blue.test", stdin="caf\u00e9\n")  # fmt: skip
    message = office.latest(ALICE)
    assert (message["Subject"], message["Bcc"]) == ("from s-nail", None)
    assert message.get_payload(decode=True).decode() == "caf\u00e9\n"
    assert office.latest(DAEMON)["Bcc"] is None, "nobody sees who has got it in secret"


@pytest.mark.client("s-nail")
def test_s_nail_hears_that_nothing_was_sent(office, client):
    command = ["s-nail", "-:/", "-S", f"mta={office.program}", "-S", "sendwait", "-s", "x"]
    done = client(*command, "nobody-here@blue.test", stdin="x\n", expect=None)
    assert done.returncode != 0
    assert "There is no mailbox of that name here" in done.stderr


@pytest.mark.client("mutt")
def test_mutt(office, client):
    client("mutt", "-n", "-F", "/dev/null", "-e", f'set sendmail="{office.program} -oem -oi"', "-e", "set sendmail_wait=0", "-e",
           "set copy=no", "-e", 'set from="root@blue.test"', "-e", "set use_envelope_from=yes", "-s", "from mutt", "alice@blue.test",
           stdin=".\nhello\n")  # fmt: skip
    message = office.latest(ALICE)
    assert (message["Subject"], message["Return-Path"], message.get_payload()) == ("from mutt", "<root@blue.test>", ".\nhello\n")


@pytest.mark.client("php")
@pytest.mark.parametrize(("more", "sender"), [
    pytest.param("", None, id="whoever-runs-the-web-server"),
    pytest.param(', "-fdaemon@blue.test"', "<daemon@blue.test>", id="with-an-address-of-the-application"),
])  # fmt: skip
def test_php_mail(office, client, more, sender):
    words = '"alice@blue.test, daemon@blue.test", "from php", "hello\\n.\\nrest\\n", "From: daemon@blue.test\\r\\nX-A: b"'
    client("php", "-n", "-d", f"sendmail_path={office.program} -t -i", "-r", f"exit(mail({words}{more}) ? 0 : 3);")
    message = office.latest(ALICE)
    assert (message["Subject"], message["X-A"], message["From"]) == ("from php", "b", "daemon@blue.test")
    assert message.get_payload() == "hello\n.\nrest\n\n", "-i: a dot is a dot"
    assert sender is None or message["Return-Path"] == sender
    assert office.latest(DAEMON)["To"] == "alice@blue.test, daemon@blue.test"


@pytest.mark.client("php")
def test_php_hears_that_nothing_was_sent(office, client):
    code = 'exit(mail("nobody-here@blue.test", "x", "x") ? 0 : 3);'
    done = client("php", "-n", "-d", f"sendmail_path={office.program} -t -i", "-r", code, expect=3)
    assert "There is no mailbox of that name here" in done.stderr


@pytest.fixture
def patch(client, place):
    """A commit as git sends it."""
    if run("git", "send-email", "--dump-aliases", expect=None).returncode:
        assert os.environ.get("REQUIRE_CLIENTS") != "1", "git send-email is not installed"
        pytest.skip("git send-email: not installed")
    (place / ".gitconfig").write_text("[user]\n\tname = D\u00e4mon\n\temail = daemon@blue.test\n[sendemail]\n\tconfirm = never\n")
    client("git", "init", "-q", "repo")
    client("git", "-C", "repo", "commit", "-q", "--allow-empty", "-m", "begin")
    (place / "repo" / "menu").write_text("tea\n.\ncaf\u00e9\n")
    client("git", "-C", "repo", "add", "menu")
    client("git", "-C", "repo", "commit", "-q", "-m", "docs: a caf\u00e9 is mentioned\n\nFrom here on it is better.")
    return place / client("git", "-C", "repo", "format-patch", "-1", "-o", place).stdout.strip()


@pytest.mark.client("git")
def test_git_send_email(office, client, patch):
    command = ["git", "send-email", f"--sendmail-cmd={office.program}", "--8bit-encoding=UTF-8", "--envelope-sender=auto",
               "--quiet"]  # fmt: skip
    client(*command, "--to=alice@blue.test", "--cc=daemon@blue.test", patch)
    message = office.latest(ALICE)
    assert message["Return-Path"] == "<daemon@blue.test>"
    assert message["X-Mailer"].startswith("git-send-email")
    assert "+tea\n+.\n+caf\u00e9\n" in message.get_payload(decode=True).decode()
    assert office.latest(DAEMON)["Cc"] == "daemon@blue.test"
    done = client(*command, "--to=nobody-here@blue.test", patch, expect=None)
    assert done.returncode != 0
    assert "There is no mailbox of that name here" in done.stderr


CRON = """\
set -e
mount --bind {program} /usr/sbin/sendmail
mount -t tmpfs none /run
mount -t tmpfs none /var/spool/cron
mkdir /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d
printf 'MAILTO=alice\\n@reboot root echo hello; echo oops >&2\\n' > {place}/crontab
chmod 644 {place}/crontab
mount --bind {place}/crontab /etc/crontab
cron -f & cron=$!
for i in $(seq 100); do [ -e {place}/stop ] && break; sleep 0.1; done
kill $cron
wait $cron || true
"""


@as_daemon
@pytest.mark.client("cron", "unshare")
def test_cron_sends_what_a_job_has_said(office, client, place):
    """Debian's cron itself, in a world where /usr/sbin/sendmail is ours and one job is to run when it starts."""
    def wait():
        try:
            eventually(lambda: office.new(ALICE), "mail from cron")
        finally:
            (place / "stop").touch()

    waiting = threading.Thread(target=wait)
    waiting.start()
    place.chmod(0o755)
    done = client("unshare", "-m", "sh", "-c", CRON.format(program=office.program, place=place), expect=None)
    waiting.join()
    assert office.new(ALICE), done.stderr
    message = office.latest(ALICE)
    assert re.fullmatch(r"Cron <root@.*> echo hello; echo oops >&2", message["Subject"]), message["Subject"]
    assert (message["To"], message["X-Cron-Env"], message.get_payload()) == ("alice@blue.test", "<MAILTO=alice>", "hello\noops\n")
    assert (message["From"], message["Return-Path"]) == ("root@blue.test (Cron Daemon)", "<root@blue.test>")


@pytest.mark.parametrize(("words", "code"), [
    pytest.param("alice <&-", 0, id="no-input"), pytest.param("-bp >&-", 0, id="no-output"), pytest.param("-bs <&-", 0, id="no-dialogue"),
    pytest.param("nobody-here <&- >&- 2>&-", 67, id="nothing-at-all"),
])  # fmt: skip
def test_whoever_starts_it_may_have_closed_its_descriptors(office, words, code):
    assert run("sh", "-c", f"TWISTMAIL_CONFIG={office.house.config} {office.program} {words}", expect=code).stderr == ""


# ----- SMTP on standard input


BATCH = "EHLO me{end}MAIL FROM:<{sender}>{end}RCPT TO:<alice>{end}DATA{end}Subject: spoken{end}{end}..{end}hello{end}.{end}QUIT{end}"


@as_daemon
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["as-people-type", "as-the-net-has-it"])
def test_a_user_speaks_smtp_and_is_known(office, end):
    code, said = office.sendmail("-bs", message=BATCH.format(end=end, sender="daemon"), user=DAEMONS)
    assert (code, said) == (0, "")
    message = office.latest(ALICE)
    assert (message["Return-Path"], message["Subject"], message.get_payload()) == ("<daemon@blue.test>", "spoken", ".\nhello\n")
    refused = office.sendmail("-bs", message=BATCH.format(end=end, sender="boss"), user=DAEMONS)
    assert refused == (0, ""), "what was refused is said by SMTP"
    assert len(office.new(ALICE)) == 1


@as_daemon
def test_a_user_has_addresses_looked_up(office):
    """The tree is the operator's; others hear whether there is somebody."""
    assert office.sendmail("-bv", "alice", user=DAEMONS) == (0, "")
    assert office.sendmail("-bv", "nobody-here", user=DAEMONS)[0] == 67


@as_daemon
def test_without_a_server_what_is_said_by_smtp_waits_for_it():
    with opened() as office:
        office.house.stop()
        long = "x" * 100_000 + "\n"
        message = BATCH.format(end="\n", sender="daemon").replace("hello\n", f"hello\n{long}")
        assert office.sendmail("-bs", message=message, user=DAEMONS, pickup=office.pickup) == (0, "")
        assert office.sendmail("-bv", "alice", user=DAEMONS)[0] == 69
        assert office.sendmail("-bs", message=message.replace("..\n", "").replace("QUIT", "RSET"), pickup="/nowhere")[0] == 0
        office.house.start()
        eventually(lambda: office.new(ALICE), "it is picked up")
        (mine,) = map(BytesParser().parsebytes, office.new(ALICE))
        assert (mine["Return-Path"], mine["Subject"]) == ("<daemon@blue.test>", "spoken")
        assert mine.get_payload().startswith(".\nhello\nxxx")
        office.house.check_log()


def test_the_end_of_a_message_that_cannot_be_kept_says_so():
    with opened() as office:
        office.house.stop()
        program = "import sys; sys.argv[1:] = ['-bs']; from twistmail.cli.sendmail import run; run()"
        done = run(sys.executable, "-c", program, stdin=BATCH.format(end="\n", sender="daemon"), TWISTMAIL_SUBMIT=office.socket,
                   TWISTMAIL_PICKUP="/nowhere")  # fmt: skip
        assert "451 4.3.0 the server does not run" in done.stdout
        assert done.stdout.endswith("221 2.0.0 Bye\r\n")
