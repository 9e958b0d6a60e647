"""Other mail servers that send through us: Debian's postfix, exim4 and opensmtpd, each with a spool of its own on loopback.

The three exclude each other as packages. `postfix` is installed; of the others the files are enough, which `.ci/run`
unpacks below build/peers. They are started as root, because they change users by themselves.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.interop.house import ROOT, eventually, free_port, listens, run

UNPACKED = ROOT / "build" / "peers"
PLACES = ["/usr/sbin", "/sbin", f"{UNPACKED}/usr/sbin", f"{UNPACKED}/usr/bin"]

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
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtputf8_enable = yes
relayhost = [127.0.0.1]:{port}
smtp_tls_security_level = {level}
smtp_tls_CAfile = {authority}
"""
MASTER_CF = """\
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
EXIM = """\
exim_path = {exim}
spool_directory = {place}/spool
log_file_path = {place}/log-%s
primary_hostname = exim.test
qualify_domain = exim.test
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
pipelining_advertise_hosts =
smtp_enforce_sync = false
keep_environment =
log_selector = +tls_certificate_verified
begin routers
out:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1 byname
  self = send
begin transports
out:
  driver = smtp
  port = {port}
  hosts_require_tls = {level}
  hosts_avoid_tls = {avoid}
  tls_verify_certificates = {authority}
  tls_verify_hosts = {level}
  tls_verify_cert_hostnames =
  hosts_try_chunking = *
"""
SMTPD = """\
listen on 127.0.0.1 port {own} hostname opensmtpd.test
action "out" relay host "{scheme}://127.0.0.1:{port}" helo opensmtpd.test{more}
match from any for any action "out"
"""


def program(name: str) -> str:
    """Where *name* is; AssertionError where it is not (the `client` mark has looked before)."""
    found = shutil.which(name, path=":".join([os.environ.get("PATH", ""), *PLACES]))
    assert found, f"there is no {name}"
    return found


class Postfix:
    """A postfix whose sendmail takes messages for everybody, and whose relay host is *port*."""

    name = "postfix"
    hello = "postfix.test"

    def __init__(self, place: Path, port: int, authority: Path, *, tls: bool) -> None:
        self.place = place
        self.etc = place / "etc"
        self.etc.mkdir()
        (place / "queue").mkdir()
        (place / "data").mkdir()
        shutil.chown(place / "data", "postfix")
        (self.etc / "main.cf").write_text(MAIN_CF.format(place=place, port=port, authority=authority, level="verify" if tls else "none"))
        (self.etc / "master.cf").write_text(MASTER_CF)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        run("postfix", "-c", self.etc, "start")
        try:
            yield
        finally:
            run("postfix", "-c", self.etc, "stop", expect=None)

    def send(self, message: bytes, sender: str, *recipients: str, report: bool = False) -> None:
        wishes = ["-N", "success,failure", "-R", "hdrs", "-V", "QQ314"] if report else []
        run("sendmail", "-C", self.etc, "-i", *wishes, "-f", sender, *recipients, stdin=message.replace(b"\r\n", b"\n"))

    @property
    def log(self) -> str:
        path = self.place / "log"
        return path.read_text() if path.exists() else ""


class Exim:
    """An exim that is started for each message and brings it to *port* at once."""

    name = "exim"
    hello = "exim.test"

    def __init__(self, place: Path, port: int, authority: Path, *, tls: bool) -> None:
        self.place = place
        self.config = place / "exim.conf"
        trusted = place / "authority.pem"  # exim reads it as its own user
        trusted.write_bytes(authority.read_bytes())
        trusted.chmod(0o644)
        level, avoid = ("*", "") if tls else ("", "*")
        self.config.write_text(EXIM.format(exim=program("exim4"), place=place, port=port, authority=trusted, level=level, avoid=avoid))
        (place / "spool").mkdir()
        for path in (place, place / "spool"):
            shutil.chown(path, "Debian-exim")
        self.config.chmod(0o644)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        yield

    def send(self, message: bytes, sender: str, *recipients: str, report: bool = False) -> None:
        if not report:
            run(program("exim4"), "-C", self.config, "-odi", "-i", "-f", sender, *recipients, stdin=message.replace(b"\r\n", b"\n"))
            return
        lines = [b"EHLO us", b"MAIL FROM:<%b> RET=HDRS ENVID=QQ314" % sender.encode()]
        lines += [b"RCPT TO:<%b> NOTIFY=SUCCESS,FAILURE" % recipient.encode() for recipient in recipients]
        dialogue = b"\r\n".join([*lines, b"DATA", message + b".", b"QUIT", b""])
        run(program("exim4"), "-C", self.config, "-odi", "-bs", stdin=dialogue)

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.place.glob("log-*")))


class OpenSmtpd:
    """An opensmtpd that takes messages on a port of its own; it keeps to fixed folders, so it gets a mount namespace."""

    name = "opensmtpd"
    hello = "opensmtpd.test"

    def __init__(self, place: Path, port: int, authority: Path, *, tls: bool) -> None:
        self.place = place
        self.port = free_port()
        self.config = place / "smtpd.conf"
        scheme = "smtp+tls" if tls else "smtp"
        self.config.write_text(SMTPD.format(own=self.port, port=port, scheme=scheme, more=" tls no-verify" if tls else ""))
        self.said = place / "log"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        empty, spool, run_dir, programs = "/var/lib/opensmtpd/empty", "/var/spool/smtpd", "/run", "/usr/libexec"
        script = (
            f"mount -t tmpfs none /var/lib && mkdir -p {empty} && chmod 711 /var/lib/opensmtpd {empty}"
            f" && mount -t tmpfs none /var/spool && mkdir -m 711 {spool}"
            f" && mount -t tmpfs none {run_dir} && mount --bind {UNPACKED}{programs} {programs}"
            f" && exec {program('smtpd')} -d -f {self.config}"
        )
        with self.said.open("wb") as log:
            process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            eventually(lambda: listens(self.port) or process.poll() is not None, "opensmtpd listens")
            assert process.poll() is None, self.log
            yield
        finally:
            process.terminate()
            process.wait(10)

    def send(self, message: bytes, sender: str, *recipients: str, report: bool = False) -> None:
        wishes = ["RET=HDRS", "ENVID=QQ314"] if report else []
        with smtplib.SMTP("127.0.0.1", self.port) as smtp:
            smtp.sendmail(sender, recipients, message, wishes, ["NOTIFY=SUCCESS,FAILURE"] if report else [])

    @property
    def log(self) -> str:
        return self.said.read_text("utf-8", "replace") if self.said.exists() else ""


def users_exist(*names: str) -> bool:
    """Whether the system has the users that the programs change to."""
    return all(any(entry.pw_name == name for entry in pwd.getpwall()) for name in names)
