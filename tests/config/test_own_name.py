"""What a machine is called where the configuration does not say it (R58)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail import sections
from twistmail.config import own_name
from twistmail.config.load import load
from twistmail.config.own_name import LAST_RESORT, guess
from twistmail.mail.address import canonical_domain
from twistmail.plugins import Discovery

LOOP = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


@pytest.mark.parametrize(
    ("own", "hosts", "name"),
    [
        pytest.param("mac", LOOP + "127.0.0.1 MyHostname.local\n", "myhostname.local", id="a bogus name for loopback"),
        pytest.param("mail", LOOP + "127.0.1.1 mail.blue.example mail\n", "mail.blue.example", id="as Debian writes it"),
        pytest.param("mail", LOOP + "192.0.2.7 mail mail.blue.example # the LAN\n", "mail.blue.example", id="at its address in the LAN"),
        pytest.param("mail", LOOP + "192.0.2.8 www.other.example www\n", LAST_RESORT, id="the name of another machine"),
        pytest.param("Mail.Blue.example", LOOP, "mail.blue.example", id="the system has a full name"),
        pytest.param("mail.a.example", "127.0.0.1 docker.internal\n", "mail.a.example", id="the system's full name before one of loopback"),
        pytest.param("mail", "127.0.0.1 localhost.localdomain localhost\n", LAST_RESORT, id="only localhost"),
        pytest.param("mail", "# 127.0.0.1 a.example\n", LAST_RESORT, id="a comment"),
        pytest.param("mail", "", LAST_RESORT, id="nothing"),
        pytest.param("10.0.0.5", "", LAST_RESORT, id="a number is no name"),
        pytest.param("mail", "127.0.0.1 -bad-.example ok.example\n", "ok.example", id="what cannot be a name is passed over"),
        pytest.param("mail", "127.0.0.1\t" + "x" * 70 + ".example\n", LAST_RESORT, id="a label that is too long"),
        pytest.param("mail", "no address a.example\r\n127.0.0.1 b.example\r\n", "b.example", id="line ends of Windows, and nonsense"),
    ],
)
def test_the_name_is_what_the_machine_knows_itself(own: str, hosts: str, name: str) -> None:
    assert guess(own, hosts) == name


@given(st.text(max_size=50), st.text(max_size=300))
@settings(max_examples=200)
def test_whatever_stands_there_it_is_a_name(own: str, hosts: str) -> None:
    assert canonical_domain(guess(own, hosts))


def loaded(folder: Path, text: str) -> Any:
    (folder / "c.ini").write_text(text + "[mx]\nlisten = tcp:0:interface=127.0.0.1\n")
    discovery = Discovery((), ())
    return load(sections.everything(discovery), folder / "c.ini", (), {}, sections.CHECKS)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Called "box" by the system; whoever asks the DNS fails. Its hosts file."""

    def ask(*arguments: Any) -> Any:
        raise AssertionError(f"somebody asks: {arguments}")

    for name in ("getfqdn", "getaddrinfo", "gethostbyname", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, ask)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(own_name, "HOSTS", tmp_path / "hosts")
    return tmp_path / "hosts"


def test_without_a_word_in_the_configuration_the_hosts_file_counts(tmp_path: Path, machine: Path) -> None:
    machine.write_text("127.0.0.1 localhost MyHostname.local\n")
    found = loaded(tmp_path, "")
    assert found.config["server"].hostname == "myhostname.local"
    assert found.problems == ()


def test_what_stands_in_the_configuration_counts_before_all(tmp_path: Path, machine: Path) -> None:
    machine.write_text("127.0.0.1 MyHostname.local\n")
    assert loaded(tmp_path, "[server]\nhostname = mx.far.example\n").config["server"].hostname == "mx.far.example"


def test_who_has_no_name_is_warned_and_serves(tmp_path: Path, machine: Path) -> None:
    found = loaded(tmp_path, "")
    assert found.config["server"].hostname == LAST_RESORT
    (problem,) = found.problems
    assert not problem.is_error
    assert "hostname = mail.blue.example" in str(problem)
