"""Logins without sending the password, by programs that people have, and by daemons that ask us for their own clients."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import smtplib
import socket
import subprocess
from base64 import b64encode

import pytest

from tests.interop.house import House, Person, eventually, folder, free_port, listens, run, running
from tests.interop.mtas import program

ALICE = Person("alice")
CONFIG = """\
[users]
source = sqlite
[auth_socket]
listen = unix:{socket}:mode=666
"""


@pytest.fixture(scope="module")
def house():
    """A server all of whose people have keys for SCRAM."""
    with folder() as place, running(House(place, tls="offered", more=CONFIG.format(socket=place / "auth"))) as house:
        place.chmod(0o711)  # other daemons open the socket
        house.add(ALICE)
        house.auth = place / "auth"
        house.mark()
        yield house
        house.check_log()


def mechanisms_of_logins(house):
    """Which mechanisms let somebody in, in order."""
    lines = [json.loads(line) for path in sorted((house.data / "journal").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [line["mechanism"] for line in lines if line["what"] == "LoggedIn"]


def last_login(house, number):
    """The mechanism of login *number*, which comes to the journal within a second or two."""
    return eventually(lambda: mechanisms_of_logins(house)[number:], "a login in the journal")[0]


@pytest.mark.client("gsasl")
@pytest.mark.parametrize(("mechanism", "wishes"), [
    pytest.param("SCRAM-SHA-256", ["--no-cb"], id="scram"),
    pytest.param("SCRAM-SHA-256-PLUS", [], id="bound-to-tls-1.3"),
    pytest.param("SCRAM-SHA-256-PLUS", ["--priority=NORMAL:-VERS-TLS1.3"], id="bound-to-tls-1.2"),
    pytest.param("PLAIN", [], id="plain"),
    pytest.param("LOGIN", [], id="login"),
])
def test_gsasl(house, mechanism, wishes):
    before = len(mechanisms_of_logins(house))
    said = run("gsasl", "--imap", "--starttls", "--x509-ca-file=", "-m", mechanism, "-a", ALICE.address, "-p", ALICE.password, *wishes,
               f"--connect=127.0.0.1:{house.ports['imap', False]}", stdin=".\n", expect=None)
    assert last_login(house, before) == mechanism, said


@pytest.mark.client("curl")
@pytest.mark.parametrize("scheme", ["imap", "smtp", "pop3"])
def test_curl_chooses_scram(house, scheme):
    """Where it was built with libgsasl; else it logs in otherwise."""
    knows = "gsasl" in run("curl", "-V").stdout
    before = len(mechanisms_of_logins(house))
    port = house.ports["submission" if scheme == "smtp" else scheme, False]
    run("curl", "-sk", "--ssl-reqd", "--user", f"{ALICE.address}:{ALICE.password}", f"{scheme}://127.0.0.1:{port}/",
        *(("-X", "NOOP") if scheme == "smtp" else ()))
    assert last_login(house, before).startswith("SCRAM" if knows else "PLAIN")


@pytest.mark.client("msmtp")
def test_msmtp_sends_by_scram(house, tmp_path):
    before = len(mechanisms_of_logins(house))
    run("msmtp", "--host=127.0.0.1", f"--port={house.ports['submission', False]}", "--tls=on", "--tls-certcheck=off",
        "--auth=scram-sha-256",
        f"--user={ALICE.address}", f"--passwordeval=echo {ALICE.password}", f"--from={ALICE.address}", ALICE.address,
        stdin="Subject: by scram\n\nhello\n")
    assert last_login(house, before) == "SCRAM-SHA-256"


# ----- other daemons

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {place}
maillog_file = {place}/log
myhostname = postfix.test
mydestination = blue.test
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {socket}
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated reject
"""
MASTER_CF = """\
127.0.0.1:{own} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
proxymap  unix - - n - - proxymap
anvil     unix - - n - 1 anvil
error     unix - - n - - error
local     unix - n n - - error
postlog   unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix(socket_path):
    with folder() as place:
        place.chmod(0o755)
        own = free_port()
        for name in ("etc", "queue", "data"):
            (place / name).mkdir()
        shutil.chown(place / "data", "postfix")
        (place / "etc" / "main.cf").write_text(MAIN_CF.format(place=place, socket=socket_path))
        (place / "etc" / "master.cf").write_text(MASTER_CF.format(own=own))
        run("postfix", "-c", place / "etc", "start")
        try:
            eventually(lambda: listens(own), "postfix listens")
            yield own
        finally:
            run("postfix", "-c", place / "etc", "stop", expect=None)


EXIM = """\
exim_path = {exim}
keep_environment =
primary_hostname = exim.test
daemon_smtp_ports = {own}
local_interfaces = 127.0.0.1
spool_directory = {place}/spool
log_file_path = {place}/log-%s
pid_file_path = {place}/pid
acl_smtp_auth = accept
begin authenticators
plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = {socket}
  server_set_id = $auth1
login:
  driver = dovecot
  public_name = LOGIN
  server_socket = {socket}
  server_set_id = $auth1
"""


@contextlib.contextmanager
def exim(socket_path):
    with folder() as place:
        place.chmod(0o755)
        own = free_port()
        (place / "spool").mkdir()
        config = place / "exim.conf"
        config.write_text(EXIM.format(exim=program("exim4"), own=own, place=place, socket=socket_path))
        for path in (place, place / "spool"):
            shutil.chown(path, "Debian-exim")
        config.chmod(0o644)
        daemon = subprocess.Popen([program("exim4"), "-C", str(config), "-bdf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: listens(own), "exim listens")
            yield own
        finally:
            daemon.terminate()
            daemon.wait(10)


def logs_in(port, mechanism, password):
    """The code with which the daemon on *port* answers."""
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.ehlo("client.test")
        assert mechanism in client.esmtp_features["auth"].split()
        if mechanism == "PLAIN":
            return client.docmd("AUTH", "PLAIN " + b64encode(f"\0{ALICE.address}\0{password}".encode()).decode())[0]
        client.docmd("AUTH", "LOGIN")
        client.docmd(b64encode(ALICE.address.encode()).decode())
        return client.docmd(b64encode(password.encode()).decode())[0]


@pytest.mark.parametrize("daemon", [
    pytest.param(postfix, id="postfix", marks=pytest.mark.client("postfix")),
    pytest.param(exim, id="exim", marks=pytest.mark.client("exim4")),
])
@pytest.mark.skipif(os.geteuid() != 0, reason="they are started as root")
def test_other_daemons_ask_us(house, daemon):
    if daemon is exim:
        from tests.interop.mtas import users_exist

        if not users_exist("Debian-exim"):
            pytest.skip("there is no user of exim's")
    with daemon(house.auth) as port:
        assert logs_in(port, "PLAIN", ALICE.password) == 235
        assert logs_in(port, "LOGIN", ALICE.password) == 235
        assert logs_in(port, "PLAIN", "wrong") == 535
        assert logs_in(port, "LOGIN", "wrong") == 535


def test_the_socket_speaks_first(house):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(house.auth))
        said = b""
        while b"DONE\n" not in said:
            said += line.recv(4096)
    assert said.startswith(b"VERSION\t1\t2\n")
    assert b"MECH\tPLAIN\tplaintext\n" in said

