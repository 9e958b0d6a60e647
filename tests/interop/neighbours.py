"""Other mail servers that take mail from us: Debian's postfix, exim4 and opensmtpd, each with one mailbox, on loopback.

See `mtas.py` for where the programs come from. Reports about mail that they have taken they send back to our port.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.interop.house import eventually, free_port, listens, run
from tests.interop.mtas import MAIN_CF, MASTER_CF, UNPACKED, program

POSTFIX_CF = """\
mynetworks =
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = {place}/mail
virtual_mailbox_maps = inline:{{ {{bob@postfix.test=in/}}, {{grün@postfix.test=in/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_received_header = yes
"""
SERVICES = """\
127.0.0.1:{own} inet n - n - - smtpd
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
"""
EXIM = """\
exim_path = {exim}
spool_directory = {place}/spool
log_file_path = {place}/log-%s
primary_hostname = exim.test
qualify_domain = exim.test
daemon_smtp_ports = {own}
local_interfaces = 127.0.0.1
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
acl_smtp_rcpt = check
keep_environment =
begin acl
check:
  accept domains = exim.test
         local_parts = bob : grün
  deny message = There is nobody of that name
begin routers
here:
  driver = accept
  domains = exim.test
  transport = box
back:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1 byname
  self = send
begin transports
box:
  driver = appendfile
  directory = {place}/mail/in
  maildir_format
  user = Debian-exim
  return_path_add
  envelope_to_add
out:
  driver = smtp
  port = {port}
"""
SMTPD = """\
pki peer cert "{certificate}"
pki peer key "{key}"
listen on 127.0.0.1 port {own} tls pki peer hostname opensmtpd.test
table people {{ "bob@opensmtpd.test" = "nobody" }}
action "in" maildir "{place}/mail/in" virtual <people>
action "out" relay host "smtp://127.0.0.1:{port}" helo opensmtpd.test
match from any for domain "opensmtpd.test" action "in"
match from local for any action "out"
"""


def made_certificate(place: Path) -> tuple[Path, Path]:
    """A key and a certificate that nobody has signed, as root's own files."""
    key, certificate = place / "key.pem", place / "certificate.pem"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=peer", "-keyout", key, "-out", certificate)
    key.chmod(0o600)
    return key, certificate


class Neighbour:
    """One of them, which takes mail for bob@`domain` on `own` and has `port` for all that it sends itself."""

    name = ""
    users: tuple[str, ...] = ()

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.port, self.own = place, port, free_port()
        self.key, self.certificate = made_certificate(place)
        self.config = place / f"{self.name}.conf"
        (place / "mail").mkdir()

    @property
    def domain(self) -> str:
        return f"{self.name}.test"

    @property
    def got(self) -> list[bytes]:
        """The messages in its mailbox."""
        return [path.read_bytes() for path in (self.place / "mail" / "in" / "new").glob("*")]

    def message(self, subject: bytes) -> bytes:
        """The one with that subject, once it has come."""
        wanted = b"\nSubject: %b\n" % subject
        return eventually(lambda: next((one for one in self.got if wanted in one), None), f"{subject!r} at {self.name}:\n{self.log}", 20)

    @property
    def log(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self.place.glob("log*")))

    @contextlib.contextmanager
    def daemon(self, *command: object) -> Iterator[None]:
        with (self.place / "log-daemon").open("wb") as log:
            process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            eventually(lambda: listens(self.own) or process.poll() is not None, f"{self.name} listens")
            assert process.poll() is None, self.log
            yield
        finally:
            process.terminate()
            process.wait(10)


class Postfix(Neighbour):
    name = "postfix"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        place, etc = self.place, self.place / "etc"
        for folder in (etc, place / "queue", place / "data"):
            folder.mkdir()
        shutil.chown(place / "data", "postfix")
        shutil.chown(place / "mail", "nobody")
        usual = MAIN_CF.format(place=place, port=self.port, level="may", authority=self.certificate)
        (etc / "main.cf").write_text(usual + POSTFIX_CF.format(place=place, key=self.key, certificate=self.certificate))
        (etc / "master.cf").write_text(MASTER_CF + SERVICES.format(own=self.own))
        run("postfix", "-c", etc, "start")
        try:
            eventually(lambda: listens(self.own), f"postfix listens:\n{self.log}")
            yield
        finally:
            run("postfix", "-c", etc, "stop", expect=None)


class Exim(Neighbour):
    name = "exim"
    users = ("Debian-exim",)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        exim = program("exim4")
        self.config.write_text(EXIM.format(exim=exim, **self._values()))
        (self.place / "spool").mkdir()
        for path in (self.place, self.place / "spool", self.place / "mail", self.key, self.certificate):
            shutil.chown(path, "Debian-exim")
        self.config.chmod(0o644)
        with self.daemon(exim, "-C", self.config, "-bdf", "-q1m"):
            yield

    def _values(self) -> dict[str, object]:
        return {"place": self.place, "own": self.own, "port": self.port, "key": self.key, "certificate": self.certificate}


class OpenSmtpd(Neighbour):
    name = "opensmtpd"
    users = ("opensmtpd", "opensmtpq")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        values = {"place": self.place, "own": self.own, "port": self.port, "key": self.key, "certificate": self.certificate}
        self.config.write_text(SMTPD.format(**values))
        shutil.chown(self.place / "mail", "nobody")
        empty, spool, programs = "/var/lib/opensmtpd/empty", "/var/spool/smtpd", "/usr/libexec"
        script = (
            f"mount -t tmpfs none /var/lib && mkdir -p {empty} && chmod 711 /var/lib/opensmtpd {empty}"
            f" && mount -t tmpfs none /var/spool && mkdir -m 711 {spool}"
            f" && mount -t tmpfs none /run && mount --bind {UNPACKED}{programs} {programs}"
            f" && exec {program('smtpd')} -d -f {self.config}"
        )
        with self.daemon("unshare", "-m", "sh", "-c", script):
            yield
