"""F069: certificates from an authority: Debian's pebble, Let's Encrypt's own server for tests, looks at a server of ours."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.interop.house import House, eventually, folder, free_port, listens, running
from tests.interop.nameserver import SECRET, NameServer, name_server
from tests.tls.authority import Authority, pem

pytestmark = pytest.mark.client("pebble")
pytest.importorskip("acme")

HOST = "mail.blue.test"


@dataclass
class Pebble:
    """The authority. `http` and `tls` are the ports of loopback at which it looks; `url` its directory."""

    url: str
    http: int
    tls: int
    certificate: Path
    names: NameServer
    log: Path

    @property
    def orders(self) -> int:
        """How many it was given until now."""
        return self.log.read_bytes().count(b"POST /order-plz")


#: The account that `strict_pebble` wants: its identifier and its key, as authorities write it.
EXTERNAL = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: Any) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble")) as pebble:
        yield pebble


@pytest.fixture
def strict_pebble(tmp_path: Path) -> Iterator[Pebble]:
    """One that knows whom it serves (external account binding, RFC 8555 §7.3.4)."""
    with running_pebble(tmp_path, externalAccountBindingRequired=True, externalAccountMACKeys=dict([EXTERNAL])) as pebble:
        yield pebble


@contextlib.contextmanager
def running_pebble(place: Path, **more: Any) -> Iterator[Pebble]:
    authority = Authority("Pebble's own", time.time())
    (place / "authority.pem").write_bytes(pem(authority.certificate))
    for name, octets in zip(("cert.pem", "key.pem"), authority.issue("localhost"), strict=True):
        (place / name).write_bytes(octets)
    port, management, http, tls = (free_port() for _ in range(4))
    told = {
        "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}", "certificate": str(place / "cert.pem"),
        "privateKey": str(place / "key.pem"), "httpPort": http, "tlsPort": tls, "ocspResponderURL": "",
        "externalAccountBindingRequired": False, **more,
    }  # fmt: skip
    (place / "config.json").write_text(json.dumps({"pebble": told}))
    environ = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
    with name_server("blue.test") as names, (place / "log").open("wb") as log:
        command = ["pebble", "-config", str(place / "config.json"), "-dnsserver", f"127.0.0.1:{names.port}"]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            eventually(lambda: listens(port), "pebble listens")
            yield Pebble(f"https://localhost:{port}/dir", http, tls, place / "authority.pem", names, place / "log")
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def house_with(pebble: Pebble, *more: str) -> Iterator[House]:
    """A server that asks *pebble*."""
    with folder() as place:
        (place / "authority.pem").write_bytes(pebble.certificate.read_bytes())
        whom = f"directory = {pebble.url}", f"authorities = {place}/authority.pem"
        acme = ["[acme]", "enabled = yes", "email = anna@blue.test", *whom, *more]
        with running(House(place, more="\n".join(acme))) as house:
            yield house


def shown(house: House, name: str = HOST) -> x509.Certificate:
    """The certificate that a client of IMAP over TLS gets to see."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", house.port("imap", tls=True)), 10) as plain, context.wrap_socket(
        plain, server_hostname=name
    ) as private:
        octets = private.getpeercert(binary_form=True)
    assert octets is not None
    return x509.load_der_x509_certificate(octets)


def got(house: House, name: str = HOST) -> x509.Certificate:
    """What is shown as soon as it is pebble's."""
    with_issuer = lambda: (one := shown(house, name)) and "Pebble" in one.issuer.rfc4514_string() and one  # noqa: E731
    return eventually(with_issuer, "a certificate came", 30.0)  # type: ignore[no-any-return]


def names_of(certificate: x509.Certificate) -> list[str]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_by_a_page_and_again_when_the_operator_asks(pebble: Pebble) -> None:
    with house_with(pebble, f"listen = tcp:{pebble.http}:interface=127.0.0.1", f"names = {HOST} imap.blue.test") as house:
        first = got(house)
        assert sorted(names_of(first)) == ["imap.blue.test", HOST]
        path = house.data / "tls" / f"{HOST}.pem"
        assert path.stat().st_mode & 0o777 == 0o600
        assert "not time yet" in house.twistmail("cert", "renew")
        assert ": new, holds until" in house.twistmail("cert", "renew", "--force")
        second = shown(house)
        assert (second.serial_number != first.serial_number, second.public_key() != first.public_key()) == (True, True)
        rows = [json.loads(line) for line in house.twistmail("cert", "list", "--json").splitlines()]
        assert [row["used_for"] for row in rows if row["path"] == str(path)] == [[HOST, "imap.blue.test"]]
        assert "warning:" not in house.twistmail("status")


def test_by_a_handshake(pebble: Pebble) -> None:
    more = f"listen = tls:port={pebble.tls}:interface=127.0.0.1", "challenge = tls-alpn-01"
    with house_with(pebble, *more) as house:
        assert names_of(got(house)) == [HOST]


def test_by_a_record_a_wildcard_too(pebble: Pebble) -> None:
    more = ("challenge = dns-01", f"names = {HOST} *.blue.test", f"dns_server = 127.0.0.1:{pebble.names.port}", "dns_wait = 0s",
            "dns_key = acme", f"dns_secret = {SECRET}")  # fmt: skip
    with house_with(pebble, *more) as house:
        assert sorted(names_of(got(house))) == ["*.blue.test", HOST]
        assert set(pebble.names.seen) == {f"_acme-challenge.{HOST}.", "_acme-challenge.blue.test."}
        assert not any(pebble.names.texts.values())
        assert SECRET not in house.log


def test_beside_a_web_server_out_of_its_folder(pebble: Pebble) -> None:
    with folder() as root:
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", pebble.http), functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with house_with(pebble, f"webroot = {root}") as house:
                got(house)
        finally:
            server.shutdown()
            server.server_close()
        assert list((root / ".well-known" / "acme-challenge").iterdir()) == []


def test_what_went_wrong_is_told_and_the_old_certificate_stays(pebble: Pebble) -> None:
    with house_with(pebble, f"listen = tcp:{free_port()}:interface=127.0.0.1") as house:  # not where pebble looks
        eventually(lambda: "acme: no certificate for mail.blue.test" in house.log, "the failure is told", 30.0)
        assert "CN=mail.blue.test" in shown(house).issuer.rfc4514_string()
        assert "warning: acme: no certificate for mail.blue.test: mail.blue.test: " in house.twistmail("status")
        house.stop()
        orders = pebble.orders
        house.start()
        assert "warning: acme: " in house.twistmail("status")
        assert pebble.orders == orders  # a restart is no reason to try again at once


def test_an_authority_that_nobody_vouches_for_is_not_believed(pebble: Pebble) -> None:
    with folder() as place:
        acme = f"[acme]\nenabled = yes\ndirectory = {pebble.url}\nwebroot = {place}\n"
        with running(House(place, more=acme)) as house:
            eventually(lambda: "nobody whom this machine trusts vouches for the authority" in house.log, "the failure is told", 30.0)


def test_an_authority_that_wants_to_know_its_customers_is_told(strict_pebble: Pebble) -> None:
    listen = f"listen = tcp:{strict_pebble.http}:interface=127.0.0.1"
    with house_with(strict_pebble, listen) as house:
        eventually(lambda: "acme: no certificate for" in house.log, "the failure is told", 30.0)
        assert "external account" in house.log.lower() or "externalaccount" in house.log.lower()
    identifier, key = EXTERNAL
    with house_with(strict_pebble, listen, f"external_account = {identifier}", f"external_key = {key}", "key = rsa") as house:
        assert got(house).public_key().key_size == 2048  # type: ignore[union-attr]
        assert key not in house.log
