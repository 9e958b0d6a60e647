"""Real directories for tests: PostgreSQL, MariaDB and OpenLDAP, each started as an ordinary user, in a folder of its own, on loopback.

What a test needs is made by the test; here is only the server and how to reach it. Nothing is kept and nothing is synced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from tests.interop.house import as_ordinary_user, environment, folder, free_port, give_away
from tests.tls.authority import Authority, pem

PATIENCE = 90.0  # where many tests run at once
PASSWORD = "directory-secret-9"
#: Where Debian puts what is not for everybody's PATH.
PLACES = ":".join([os.environ.get("PATH", ""), "/usr/sbin", *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)])


def program(name: str) -> str | None:
    """Where *name* is, or None."""
    return shutil.which(name, path=PLACES)


@dataclass
class Daemon:
    """A server that can be stopped and started again at the same place. `authority` has signed its certificate for localhost."""

    command: Sequence[str]
    place: Path
    port: int
    ready: Callable[[Daemon], bool]
    authority: Path
    stop_signal: int = 15
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), **as_ordinary_user()
            )
        end = time.monotonic() + PATIENCE
        while not self.ready(self):
            assert self.process.poll() is None, f"{self.command[0]} has ended:\n{self.said}"
            assert time.monotonic() < end, f"{self.command[0]} does not answer:\n{self.said}"
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """It is not there for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @property
    def said(self) -> str:
        return (self.place / "log").read_text("utf-8", "replace")[-3000:]

    def ask(self, *command: str, stdin: str = "") -> str:
        """What a program says that must succeed."""
        done = subprocess.run([program(command[0]) or command[0], *command[1:]], input=stdin, text=True, capture_output=True,
                              cwd=self.place, env=environment(), timeout=PATIENCE, check=False, **as_ordinary_user())
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def _running(daemon: Daemon) -> Iterator[Daemon]:
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def _certificate(place: Path) -> None:
    """A key and a certificate for localhost, and the authority that has signed it."""
    authority = Authority(now=time.time())
    certificate, key = authority.issue("localhost")
    ours = pem(authority.certificate)
    for name, octets, mode in (("server.crt", certificate, 0o644), ("server.key", key, 0o600), ("ca.crt", ours, 0o644)):
        path = place / name
        path.write_bytes(octets)
        path.chmod(mode)
        give_away(path)


def _prepare(place: Path, *command: str) -> None:
    done = subprocess.run([program(command[0]) or command[0], *command[1:]], cwd=place, env=environment(), capture_output=True,
                          text=True, timeout=PATIENCE, check=False, **as_ordinary_user())
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"


# ----- PostgreSQL


@contextlib.contextmanager
def postgresql() -> Iterator[Daemon]:
    """A cluster whose superuser is postgres, with PASSWORD, over TCP; over its socket (the folder) without."""
    with folder("twistmail-postgresql-") as place:
        (place / "password").write_text(PASSWORD)
        (place / "password").chmod(0o644)
        _certificate(place)
        _prepare(place, "initdb", "-D", "data", "-U", "postgres", "--pwfile=password", "--auth-host=scram-sha-256", "--auth-local=trust",
                 "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8")
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": place, "fsync": "off", "shared_buffers": "8MB",
            "max_connections": 20, "ssl": "on", "ssl_cert_file": place / "server.crt", "ssl_key_file": place / "server.key",
            "autovacuum": "off",
        }  # fmt: skip
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = [program("postgres") or "postgres", "-D", str(place / "data"), *options]
        with _running(Daemon(command, place, port, _postgresql_answers, place / "ca.crt", stop_signal=2)) as daemon:
            yield daemon


def _postgresql_answers(daemon: Daemon) -> bool:
    words = [program("pg_isready") or "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(daemon.port)]
    return subprocess.run(words, env=environment(), check=False).returncode == 0


def psql(daemon: Daemon, statements: str) -> str:
    """Run *statements* as the superuser."""
    words = ("psql", "-h", str(daemon.place), "-p", str(daemon.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAtX", "-f", "-")
    return daemon.ask(*words, stdin=statements)


# ----- MariaDB

_SMALL = ("--innodb-use-native-aio=0", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M")


@contextlib.contextmanager
def mariadb() -> Iterator[Daemon]:
    """A server with the database `mail`; the user twistmail, with PASSWORD, may read it over TCP and over the socket `socket`."""
    with folder("twistmail-mariadb-") as place:
        _certificate(place)
        _prepare(place, "mariadb-install-db", "--no-defaults", f"--datadir={place}/data", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve", *_SMALL)
        start = place / "start.sql"
        start.write_text(
            "DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n"  # those without a name would be preferred
            "CREATE DATABASE IF NOT EXISTS mail CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS twistmail@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT SELECT ON mail.* TO twistmail@'%';\n"
        )
        port = free_port()
        command = [
            program("mariadbd") or "mariadbd", "--no-defaults", f"--datadir={place}/data", f"--socket={place}/socket", f"--port={port}",
            "--bind-address=127.0.0.1", "--skip-name-resolve", f"--pid-file={place}/pid", f"--init-file={start}",
            "--innodb-flush-log-at-trx-commit=0", "--max-connections=20", *_SMALL,
            f"--ssl-cert={place}/server.crt", f"--ssl-key={place}/server.key", f"--ssl-ca={place}/ca.crt",
        ]  # fmt: skip
        with _running(Daemon(command, place, port, _mariadb_answers, place / "ca.crt")) as daemon:
            yield daemon


def _mariadb_answers(daemon: Daemon) -> bool:
    client = program("mariadb") or "mariadb"
    words = [client, "--no-defaults", f"--socket={daemon.place}/socket", "-u", "twistmail", f"-p{PASSWORD}", "mail", "-e", "SELECT 1"]
    return subprocess.run(words, env=environment(), check=False, capture_output=True).returncode == 0


def mariadb_client(daemon: Daemon, statements: str) -> str:
    """Run *statements* as root, in the database `mail`."""
    return daemon.ask("mariadb", "--no-defaults", f"--socket={daemon.place}/socket", "-u", "root", "-N", "-B", "mail", stdin=statements)


# ----- OpenLDAP

SUFFIX = "dc=here,dc=example"
MANAGER = f"cn=manager,{SUFFIX}"
_SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {place}/pid
TLSCertificateFile {place}/server.crt
TLSCertificateKeyFile {place}/server.key
TLSCACertificateFile {place}/ca.crt
database mdb
suffix "{suffix}"
rootdn "{manager}"
rootpw {password}
directory {place}/data
dbnosync
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=reader,{suffix}" read by anonymous auth by * none
"""


@contextlib.contextmanager
def openldap() -> Iterator[Daemon]:
    """A directory with SUFFIX; cn=reader,SUFFIX (PASSWORD) may read all but passwords, nobody anonymous may. `ldaps` is its other port."""
    with folder("twistmail-openldap-") as place:
        _certificate(place)
        (place / "data").mkdir()
        give_away(place / "data")
        configuration = place / "slapd.conf"
        configuration.write_text(_SLAPD.format(place=place, suffix=SUFFIX, manager=MANAGER, password=PASSWORD))
        port, ldaps = free_port(), free_port()
        socket = str(place / "socket").replace("/", "%2F")
        urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{ldaps}/ ldapi://{socket}/"
        command = [program("slapd") or "slapd", "-d", "0", "-f", str(configuration), "-h", urls]
        with _running(Daemon(command, place, port, _openldap_answers, place / "ca.crt")) as daemon:
            (place / "ldaps").write_text(str(ldaps))
            ldapadd(daemon, f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: here
dc: here

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people

dn: cn=reader,{SUFFIX}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {PASSWORD}
""")
            yield daemon


def _openldap_answers(daemon: Daemon) -> bool:
    words = [program("ldapsearch") or "ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{daemon.port}", "-b", "", "-s", "base"]
    return subprocess.run(words, env=environment(), check=False, capture_output=True).returncode == 0


def ldapadd(daemon: Daemon, ldif: str) -> None:
    """Add entries as the manager."""
    daemon.ask("ldapadd", "-x", "-H", f"ldap://127.0.0.1:{daemon.port}", "-D", MANAGER, "-w", PASSWORD, stdin=ldif)


def ldapsearch(daemon: Daemon, search: str) -> str:
    """The DNs that the manager finds."""
    place = ("-H", f"ldap://127.0.0.1:{daemon.port}", "-D", MANAGER, "-w", PASSWORD, "-b", SUFFIX)
    return daemon.ask("ldapsearch", "-x", "-LLL", *place, search, "dn")
