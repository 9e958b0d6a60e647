"""What stands in the units for systemd. What systemd thinks of them is in tests/interop/test_units.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from twistmail.endpoints import parse
from twistmail.units import Installation, units

USUAL = Installation(Path("/opt/twistmail/bin/twistd"), Path("/etc/twistmail/config.ini"), "twistmail", Path("/var/lib/twistmail"))

START = "ExecStart=/opt/twistmail/bin/twistd -n --pidfile= --umask=077 twistmail --config"


def service(installation: Installation, *listens: str) -> list[str]:
    return units(installation, [("mx", parse(listen)) for listen in listens])["twistmail.service"].splitlines()


def test_the_usual_service_never_is_root() -> None:
    lines = service(USUAL)
    assert {"User=twistmail", "Group=twistmail", "CapabilityBoundingSet=", "StateDirectory=twistmail", "ProtectHome=yes"} <= set(lines)
    assert f"{START} /etc/twistmail/config.ini" in lines


def test_where_mail_belongs_to_users_of_the_machine_it_begins_as_root_with_few_rights() -> None:
    lines = service(replace(USUAL, gives_files=True))
    assert not any(line.startswith(("User=", "StateDirectory=", "RestrictSUIDSGID=", "SystemCallFilter=~")) for line in lines)
    (rights,) = (line for line in lines if line.startswith("CapabilityBoundingSet="))
    assert rights.partition("=")[2].split() == ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID"]
    assert any("--uid twistmail --gid twistmail twistmail --config" in line for line in lines)
    assert "NoNewPrivileges=yes" in lines


@pytest.mark.parametrize(("change", "line"), [
    pytest.param({"data_dir": Path("/srv/mail")}, "ReadWritePaths=/srv/mail", id="another-place"),
    pytest.param({"pickup": Path("/var/spool/twistmail")}, "ReadWritePaths=-/var/spool/twistmail", id="mail-left-elsewhere"),
    pytest.param({"data_dir": Path('/srv/our "mail" 100%')}, 'ReadWritePaths="/srv/our \\"mail\\" 100%%"', id="an-odd-place"),
    pytest.param({"data_dir": Path("/home/anna/mail")}, "ProtectHome=read-only", id="data-at-home"),
    pytest.param({"program": Path("/home/anna/venv/bin/twistd")}, "ProtectHome=read-only", id="program-at-home"),
    pytest.param({"config": Path("/root/config.ini")}, "ProtectHome=read-only", id="configuration-of-roots"),
    pytest.param({"config": Path("/etc/$HOME/a b;c.ini")}, f'{START} "/etc/$$HOME/a b;c.ini"', id="odd-names"),
])
def test_places_are_written_as_systemd_reads_them(change: dict[str, Path], line: str) -> None:
    assert line in service(replace(USUAL, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("listen", "socket"), [
    pytest.param("tcp:25", "ListenStream=0.0.0.0:25", id="everywhere"),
    pytest.param("tls:port=993:interface=192.0.2.1", "ListenStream=192.0.2.1:993", id="one-address"),
    pytest.param("tcp:25:interface=\\:\\:", "ListenStream=[::]:25", id="ipv6"),
    pytest.param("tcp:2525", None, id="high-port"),
    pytest.param("tcp:0", None, id="any-port"),
    pytest.param("unix:lmtp.sock", None, id="a-path"),
    pytest.param("systemd:domain=INET:name=mx", None, id="one-of-somebody-elses"),
])
def test_systemd_opens_the_low_ports(listen: str, socket: str | None) -> None:
    made = {name: text for name, text in units(USUAL, [("mx", parse(listen))]).items() if name.endswith(".socket")}
    if socket is None:
        assert made == {}
        return
    ((name, text),) = made.items()
    assert socket in text.splitlines()
    assert {f"Sockets={name}", "NonBlocking=yes", f"Also={name}"} <= set(service(USUAL, listen))


def test_two_addresses_of_one_port_are_two_sockets() -> None:
    made = units(USUAL, [("mx", parse("tcp:25:interface=192.0.2.1")), ("mx", parse("tcp:25:interface=192.0.2.2"))])
    assert len(made) == 3
