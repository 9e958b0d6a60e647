"""Tickets of a real KDC, which is started on loopback: curl reads and sends without a password."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess

import pytest

from tests.conftest import must_be_there
from tests.interop.house import House, Person, eventually, folder, free_port, run, running

pytestmark = pytest.mark.client("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "curl")
HOST = "mail.blue.test"
ALICE = Person("alice")
KRB5 = """\
[libdefaults]
default_realm = BLUE.TEST
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
BLUE.TEST = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
.blue.test = BLUE.TEST
"""
KDC = """\
[realms]
BLUE.TEST = {{
  database_name = {place}/principal
  key_stash_file = {place}/stash
  acl_file = {place}/acl
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
}}
"""
CONFIG = """\
[users]
source = sqlite
[kerberos]
keytab = {keytab}
realm = BLUE.TEST
"""


@contextlib.contextmanager
def realm():
    """A KDC that knows alice, bob and our services; the folder with krb5.conf and the keytab."""
    with folder() as place:
        place.chmod(0o755)
        port = free_port()
        (place / "krb5.conf").write_text(KRB5.format(port=port))
        (place / "kdc.conf").write_text(KDC.format(place=place, port=port))
        environ = {"KRB5_CONFIG": str(place / "krb5.conf"), "KRB5_KDC_PROFILE": str(place / "kdc.conf")}
        run("kdb5_util", "create", "-s", "-r", "BLUE.TEST", "-P", "master", **environ)
        for query in ("addprinc -pw alices alice", "addprinc -pw bobs bob", "addprinc -pw admins alice/admin",
                      *(f"addprinc -randkey {service}/{HOST}" for service in ("imap", "pop", "smtp")),
                      f"ktadd -k {place}/keytab imap/{HOST} pop/{HOST} smtp/{HOST}"):  # fmt: skip
            run("kadmin.local", "-r", "BLUE.TEST", "-q", query, **environ)
        (place / "keytab").chmod(0o644)
        process = subprocess.Popen(["krb5kdc", "-n", "-r", "BLUE.TEST"], env=os.environ | environ,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the KDC listens")
            yield place, environ
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def tickets():
    """tickets(principal, password): the environment of a program that has one of hers; and the server."""
    must_be_there((), "gssapi")
    with realm() as (place, environ), folder() as home:
        house = House(home, more=CONFIG.format(keytab=place / "keytab"), environ=environ)
        house.write(house.config.read_text().replace("[auth]\n", "[auth]\nmechanisms = GSSAPI PLAIN\n"))
        with running(house):
            house.add(ALICE)

            def of(principal, password):
                cache = place / f"cache-{principal.replace('/', '-')}"
                run("kinit", "-c", cache, principal, stdin=f"{password}\n", **environ)
                return environ | {"KRB5CCNAME": f"FILE:{cache}"}

            yield house, of


def curl(house, service, environ, login):
    """What curl comes to who reads, or greets, with a ticket."""
    port = house.ports["submission" if service == "smtp" else service, False]
    command = ("-X", "NOOP") if service == "smtp" else ()
    return run("curl", "-sSkv", "--max-time", "15", "--ssl-reqd", "--connect-to", f"::127.0.0.1:{port}", "--user", f"{login}@BLUE.TEST:",
               "--login-options", "AUTH=GSSAPI", f"{service}://{HOST}:{port}/", *command, expect=None, **environ)


@pytest.mark.parametrize("service", ["imap", "pop3", "smtp"])
def test_a_ticket_opens_every_service(tickets, service):
    house, of = tickets
    said = curl(house, service, of("alice", "alices"), "alice")
    assert said.returncode == 0, said.stderr
    assert "GSSAPI" in said.stderr


@pytest.mark.parametrize(("principal", "password"), [("bob", "bobs"), ("alice/admin", "admins")])
def test_a_principal_without_account_is_nobody(tickets, principal, password):
    house, of = tickets
    assert curl(house, "imap", of(principal, password), principal).returncode == 67  # CURLE_LOGIN_DENIED
