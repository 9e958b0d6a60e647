"""Where mail goes through a whole house: long lists that lie on the disk once, copies by rule, separators of a domain, names for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.journeys.house import FAR, House
from twistmail.store.courier import LIST_FROM

MESSAGE = b"From: eve@far.test\r\nTo: everybody@blue.test\r\nSubject: news\r\n\r\nall of it\r\n"


def crowd(build: Any) -> House:
    """As many users as make a list, `everybody`."""
    names = [f"user{number}" for number in range(LIST_FROM)]
    users = "".join(f"[user:{name}@blue.test]\npassword = sesame street\n" for name in names)
    house: House = build(f"[alias:everybody]\nto = {' '.join(names)}\n{users}")
    return house


def test_a_list_of_many_here_is_written_once_and_everybody_has_it(build: Any) -> None:
    house = crowd(build)
    assert house.send(MESSAGE, "everybody@blue.test").startswith("250")
    for number in (0, LIST_FROM - 1):
        (message,) = house.mail(f"user{number}")
        assert (message["Delivered-To"], message["Return-Path"]) == ("everybody@blue.test", "<eve@far.test>")
    root = Path(house.config.data_dir)
    files = {path.stat().st_ino for path in root.glob("mail/blue.test/user*/new/*")}
    assert len(files) == 1


def test_an_archive_and_a_colleague_get_copies_that_nobody_hears_of(build: Any, tmp_path: Path) -> None:
    (tmp_path / "boss").write_text("ann   fred\n")
    house = build(f"[copies]\nalways = archive@far.test\nof_senders = {tmp_path}/boss\n")
    peer = house.town("far.test", FAR)
    house.submit(b"From: ann@blue.test\r\nTo: bob@blue.test\r\nSubject: x\r\n\r\ny\r\n", "bob@blue.test")
    assert [len(house.mail(name)) for name in ("bob", "fred", "ann")] == [1, 1, 0]
    assert any(line.upper().startswith(b"RCPT TO:<ARCHIVE@FAR.TEST>") for line in peer.said)
    assert all("archive" not in str(value) for value in house.mail("bob")[0].values())


def test_separators_of_a_domain_and_names_that_every_house_has(build: Any) -> None:
    house = build("[domain:red.test]\nsubaddress = -\n[user:bob@red.test]\npassword = sesame street\n")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob-list@red.test>")[-1].startswith("250")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob+list@red.test>")[-1].startswith("550 5.1.1")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<MAILER-DAEMON@blue.test>")[-1].startswith("250")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<root@red.test>")[-1].startswith("250")
