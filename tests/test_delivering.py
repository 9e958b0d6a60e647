"""Final delivery, as the configuration says it: who keeps whose mailbox, what the helper may do, and what can be wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import build
from tests.journeys.house import House, identifier
from tests.relay.peers import Peer
from twistmail import assembly, routing
from twistmail.config.load import load
from twistmail.mail.outcome import Result
from twistmail.plugins import discover
from twistmail.sections import checks, everything

__all__ = ["build"]

MESSAGE = b"From: eve@red.example\r\nSubject: x\r\n\r\nhello\r\n"
USER = "games" if os.geteuid() == 0 else ""
PROBLEMS = [
    ("[mda]\ncommand = procmail -d %u\n", "no path"),
    ("[mda]\ncommand = /usr/bin/procmail -d {password}\n", "there is no {password}"),
    ("[mda]\ncommand = /usr/bin/procmail -d %u\n", "set user, such as vmail"),
    ("[mda]\ncommand = /bin/cat\nuser = root\n", "no program is run as root"),
    ("[mda]\ncommand = /bin/cat\nuser = games\nlmtp = unix:/x\n", "remove one of lmtp and command"),
    ("[mda]\nfile = ~/Maildir/\nuser = games\n", "remove user, or write a path"),
    ("[mda]\nfile = /var/mail/%n\n", "set user, such as vmail"),
    ("[mda]\nfile = Maildir/\n", "~/Maildir/ in the home of each"),
    ("[mda]\nlmtp = unix:dovecot\n", "write unix:/path or [name]:port"),
    ("[mda_for:Blue.Test]\nlmtp = unix:/x\n", "write a domain, or user@domain"),
    ("[delivery]\nfile_dirs = archive\n", "whole path"),
    ("[delivery]\nfile_dirs = /\n", "name a folder below it"),
    ("[delivery]\nprogram_dir = /a /b\n", "name one"),
    ("[delivery]\nprogram_user = root\n", "no program is run as root"),
    ("[delivery]\nfile_user = root\n", "not written to files as root"),
    ("[delivery]\nfile_user = games\n", "warning: no folder is named"),
    ("[delivery]\nfile_dirs = /var/archive\nfile_user = no-such-user\n", "warning: there is no user no-such-user"),
    ("[delivery]\nprogram_dir = /tmp\n", "warning: others than its owner may put programs into /tmp"),
    ("[delivery]\nprogram_dir = /missing\n", "warning: /missing: No such file"),
    ("[mda]\ncommand = /usr/bin/missing\nuser = games\n", "warning: /usr/bin/missing is no program here"),
    ("[mda]\nfile = /srv/mail/%n\nuser = games\ngroups = no-such-group\n", "warning: there is no group no-such-group"),
]


@pytest.mark.parametrize(("more", "words"), PROBLEMS)
def test_the_checker_says_what_is_wrong_and_what_would_be_right(tmp_path: Path, more: str, words: str) -> None:
    discovery = discover()
    (tmp_path / "c.ini").write_text("[server]\nhostname = mx.blue.test\n[mx]\nlisten = tcp:0\n[domains]\nlocal = blue.test\n" + more)
    loaded = load(everything(discovery), tmp_path / "c.ini", (), {}, checks(discovery))
    assert words in "\n".join(map(str, loaded.problems))


def with_helper(build: Any, more: str) -> House:
    """A house as a server that has just been started, with the helper that its configuration asks for."""
    house: House = build(more)
    piper = routing.piper_of(house.config, None)
    if piper is not None:
        house.foundation.ground = replace(house.foundation.ground, piper=piper)
    house.parts = assembly.build(house.config, house.foundation)
    house.parts.hand_over()
    return house


def results(house: House) -> list[tuple[Result, str]]:
    return [(fact.result, fact.status.enhanced) for fact in house.told() if getattr(fact, "result", None) is not None]


def test_what_an_agent_keeps_waits_for_it_and_the_rest_is_there_at_once(build: Any, tmp_path: Path) -> None:
    agent = f'[mda_for:bob@blue.test]\ncommand = /bin/sh -c "exit 75"\nuser = {USER}\n' if USER else ""
    if not agent:
        pytest.skip("only root's helper runs as another user")
    house = with_helper(build, agent)
    identifier(house.send(MESSAGE, "ann@blue.test", "bob@blue.test"))
    assert len(house.files("ann")) == 1
    house.settle()
    assert results(house) == [(Result.DELIVERED, "2.0.0"), (Result.DEFERRED, "4.3.0")]
    assert house.files("bob") == []


def test_what_a_server_keeps_is_brought_by_lmtp(build: Any) -> None:
    house = with_helper(build, "[mda]\nlmtp = [192.0.2.77]:24\n")
    peer = house.net.peers["192.0.2.77"] = Peer({b"LHLO": b"250 store"})
    identifier(house.send(MESSAGE, "ann@blue.test"))
    house.settle()
    assert results(house) == [(Result.DELIVERED, "2.0.0")]
    assert b"RCPT TO:<ann@blue.test>" in peer.said
    assert peer.contents[0].endswith(MESSAGE)
    assert house.files("ann") == []


def test_aliases_lead_into_files(build: Any, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    more = f"[delivery]\nfile_dirs = {tmp_path}/files\n[aliases]\nfiles = yes\n[alias:archive]\nto = {tmp_path}/files/box ann\n"
    house = with_helper(build, more)
    identifier(house.send(MESSAGE, "archive@blue.test"))
    house.settle()
    assert results(house) == [(Result.DELIVERED, "2.0.0")] * 2
    assert (tmp_path / "files" / "box").read_bytes().startswith(b"From eve@")
    assert len(house.files("ann")) == 1


def test_the_postmaster_hears_of_a_file_that_is_not_fit(build: Any, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "box").symlink_to("/etc/motd")
    more = f"[delivery]\nfile_dirs = {tmp_path}/files\n[aliases]\nfiles = yes\n[alias:archive]\nto = {tmp_path}/files/box\n"
    house = with_helper(build, more)
    for _ in range(2):
        identifier(house.send(MESSAGE, "archive@blue.test"))
        house.settle()
    (letter,) = house.files("ann")
    assert b"Subject: Mail waits for something to be set up" in letter
    assert f"file {tmp_path}/files/box".encode() in letter
