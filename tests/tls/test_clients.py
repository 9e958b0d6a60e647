"""Clients that show certificates: who is believed, who is not and why, and that nobody is turned away for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from tests.tls.authority import SERVER, Authority, pem
from tests.tls.shaking import client, server_of, shake
from twistmail.tls.certificates import Certificates
from twistmail.tls.clients import LONGEST_NAME, Authorities, Served, Shown, name_of
from twistmail.tls.contexts import Contexts

ANN = "ann@blue.example"
#: OpenSSL looks at the clock itself.
NOW = time.time()


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority("Ours", NOW)


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority("Somebody else's", NOW)


class Door:
    """A server in *folder* with certificates for two names, and a file of authorities for clients."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        for name in ("mail.blue.example", "mail.green.example"):
            chain, key = authority.issue(name)
            (folder / f"{name}.pem").write_bytes(key + chain)
        self.file = folder / "clients"
        self.file.write_bytes(pem(authority.certificate))
        self.authorities = Authorities(self.file)
        self.contexts = Contexts(Certificates(folder, "mail.blue.example", lambda: NOW), clients=self.authorities)

    def shown(self, identity: Any, name: str = "", most: int | None = None) -> Shown:
        """What we think of a client with *identity* whose handshake has succeeded."""
        server = server_of(self.contexts)
        shake(client(name, identity=identity, most=most), server)
        assert isinstance(server, Served)
        return server.shown


@pytest.fixture
def door(tmp_path: Path, ours: Authority) -> Door:
    return Door(tmp_path, ours)


@pytest.mark.parametrize("name", [
    pytest.param("", id="of-the-default"),
    pytest.param("mail.blue.example", id="by-name"),
    pytest.param("mail.green.example", id="by-another-name"),
])
@pytest.mark.parametrize("most", [pytest.param(SSL.TLS1_2_VERSION, id="1.2"), pytest.param(SSL.TLS1_3_VERSION, id="1.3")])
def test_whom_an_authority_of_ours_vouches_for_is_believed(door: Door, ours: Authority, name: str, most: int) -> None:
    assert door.shown(ours.person("Ann", ANN), name, most) == Shown(ANN)


def test_who_shows_nothing_is_served_and_nobody_in_particular(door: Door) -> None:
    assert door.shown(None) == Shown()


def by_another(door: Door, ours: Authority, stranger: Authority) -> Any:
    return stranger.person("Ann", ANN)


def by_a_namesake(door: Door, ours: Authority, stranger: Authority) -> Any:
    return Authority("Ours", NOW).person("Ann", ANN)


def by_itself(door: Door, ours: Authority, stranger: Authority) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    alone = Authority("Ann", NOW)
    alone.key = key
    return alone.sign(key, "Ann", x509.RFC822Name(ANN)), key


def expired(door: Door, ours: Authority, stranger: Authority) -> Any:
    return ours.person("Ann", ANN, begins=-20, days=-10)


def too_early(door: Door, ours: Authority, stranger: Authority) -> Any:
    return ours.person("Ann", ANN, begins=10)


def for_servers(door: Door, ours: Authority, stranger: Authority) -> Any:
    return ours.person("Ann", ANN, usage=SERVER)


def by_another_user(door: Door, ours: Authority, stranger: Authority) -> Any:
    """Bob's certificate is no authority, but he may try."""
    bob, key = ours.person("Bob", "bob@blue.example")
    authority = Authority("Bob", NOW)
    authority.key, authority.name = key, bob.subject
    return authority.person("Ann", ANN)


def nameless(door: Door, ours: Authority, stranger: Authority) -> Any:
    return ours.person("")


@pytest.mark.parametrize(("make", "fault"), [
    pytest.param(by_another, "its authority is not one of ours", id="another-authority"),
    pytest.param(by_a_namesake, "", id="another-authority-of-the-same-name"),
    pytest.param(by_itself, "it vouches for itself", id="no-authority"),
    pytest.param(by_another_user, "its authority is not one of ours", id="somebody-who-is-no-authority"),
    pytest.param(expired, "it has expired", id="expired"),
    pytest.param(too_early, "its time has not come", id="too-early"),
    pytest.param(for_servers, "it is not meant for clients", id="for-servers"),
    pytest.param(nameless, "it names nobody", id="nameless"),
])
@pytest.mark.parametrize("most", [pytest.param(SSL.TLS1_2_VERSION, id="1.2"), pytest.param(SSL.TLS1_3_VERSION, id="1.3")])
def test_what_does_not_check_out_counts_for_nothing_and_the_handshake_goes_on(
    door: Door, ours: Authority, stranger: Authority, make: Callable[..., Any], fault: str, most: int
) -> None:
    shown = door.shown(make(door, ours, stranger), most=most)
    assert shown.client == ""
    assert shown.fault
    assert fault in shown.fault


def test_an_authority_for_one_domain_does_not_vouch_for_another(door: Door) -> None:
    """RFC 5280 §4.2.1.10. OpenSSL looks at constraints of names last, when it has called the client's certificate fine."""
    narrow = Authority("Blue", NOW, only="blue.example")
    door.file.write_bytes(pem(narrow.certificate))
    door.contexts.look()
    assert door.shown(narrow.person("Ann", ANN)) == Shown(ANN)
    shown = door.shown(narrow.person("Eve", "eve@red.example"))
    assert shown.client == ""
    assert shown.fault


def test_revoked_certificates_count_for_nothing_and_the_others_do(door: Door, ours: Authority) -> None:
    ann, bob = ours.person("Ann", ANN), ours.person("Bob", "bob@blue.example")
    door.file.write_bytes(pem(ours.certificate) + ours.revoke(bob[0]))
    door.contexts.look()
    assert door.shown(ann) == Shown(ANN)
    assert door.shown(bob) == Shown("", "it has been revoked")


def test_where_there_are_lists_an_authority_without_one_is_not_believed(door: Door, ours: Authority, stranger: Authority) -> None:
    door.file.write_bytes(pem(ours.certificate) + pem(stranger.certificate) + ours.revoke())
    door.contexts.look()
    assert door.shown(ours.person("Ann", ANN)) == Shown(ANN)
    assert door.shown(stranger.person("Ann", ANN)) == Shown("", "its authority has no revocation list here")


def test_an_authority_need_not_be_a_root(tmp_path: Path, ours: Authority, stranger: Authority) -> None:
    """A department's, that somebody has signed whom we do not trust for anything else."""
    door = Door(tmp_path, ours)
    department = Authority("Department", NOW)
    signed = x509.CertificateBuilder(
        stranger.name, department.name, department.key.public_key(), 7, department.certificate.not_valid_before_utc,
        department.certificate.not_valid_after_utc, [department.certificate.extensions[0]],
    ).sign(stranger.key, department.certificate.signature_hash_algorithm)  # fmt: skip
    door.file.write_bytes(pem(signed))
    door.contexts.look()
    assert door.shown(department.person("Ann", ANN)) == Shown(ANN)
    assert door.shown(stranger.person("Ann", ANN)).client == ""


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda file: file.unlink(), id="gone"),
    pytest.param(lambda file: file.write_bytes(b""), id="empty"),
    pytest.param(lambda file: file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA"), id="half-written"),
    pytest.param(lambda file: file.write_bytes(file.read_bytes() + b"-----BEGIN X509 CRL-----\nAAAA\n"), id="half-a-list"),
])
def test_a_spoiled_file_of_authorities_leaves_the_old_ones_in_use(door: Door, ours: Authority, spoil: Callable[[Path], Any]) -> None:
    spoil(door.file)
    door.contexts.look()
    assert door.authorities.version == 1
    assert door.shown(ours.person("Ann", ANN)) == Shown(ANN)


def test_without_a_file_nobody_is_believed_until_there_is_one(tmp_path: Path, ours: Authority, stranger: Authority) -> None:
    door = Door(tmp_path, ours)
    door.authorities = Authorities(tmp_path / "later")
    door.contexts = Contexts(door.contexts.certificates, clients=door.authorities)
    assert door.shown(ours.person("Ann", ANN)).client == ""
    (tmp_path / "later").write_bytes(pem(ours.certificate))
    door.contexts.look()
    assert door.shown(ours.person("Ann", ANN)) == Shown(ANN)


def test_clients_are_told_which_authorities_count(door: Door, ours: Authority) -> None:
    """So that a mail program with several certificates can take the right one."""
    peer, server = client(), server_of(door.contexts)
    shake(peer, server)
    assert [name.CN for name in peer.get_client_ca_list()] == ["Ours"]


@pytest.mark.parametrize(("common_name", "addresses", "name"), [
    pytest.param("Ann", [ANN], ANN, id="mail-address"),
    pytest.param("Ann", [ANN, "a@blue.example"], ANN, id="the-first-of-several"),
    pytest.param("ann", [], "ann", id="common-name-where-there-is-no-address"),
    pytest.param(ANN, [], ANN, id="an-address-as-common-name"),
    pytest.param("Jörg", [], "Jörg", id="not-ascii"),
    pytest.param("", [], "", id="no-name"),
    pytest.param("a\nb", [], "", id="controls"),
    pytest.param("Ann", ["ann@blue.example\0.red.example"], "", id="nul"),
    pytest.param("Ann", ["a" * LONGEST_NAME + "@blue.example"], "", id="too-long"),
])
def test_how_a_client_is_called(ours: Authority, common_name: str, addresses: list[str], name: str) -> None:
    assert name_of(ours.person(common_name, *addresses)[0]) == name


def test_of_two_common_names_none_counts(ours: Authority) -> None:
    authority, key = Authority("x", NOW), ec.generate_private_key(ec.SECP256R1())
    authority.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("ann", "bob")])
    authority.key = key
    assert name_of(authority.certificate) == ""
