"""Three offices in one process: mail really goes from one to the other, and all of it is told."""

from __future__ import annotations

import imaplib
import os
import shutil
import smtplib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.living import Guest, living, wait_for
from twistmail import tasks, tenancy
from twistmail.lab.town import Town, Trouble

LETTER = b"Subject: Lunch?\r\nFrom: alice@blue.test\r\nTo: carol@green.test\r\n\r\nSoup.\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: Any) -> Iterator[tuple[Town, Guest]]:
    with living(tmp_path_factory.mktemp("town")) as here:
        yield here


def submit(port: int, sender: str, recipient: str, letter: bytes = LETTER) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.login(sender, "demo")
        client.sendmail(sender, [recipient], letter)


def newest(port: int, who: str) -> bytes:
    """The last message in somebody's INBOX."""
    client = imaplib.IMAP4("127.0.0.1", port, timeout=10)
    client.login(who, "demo")
    client.select("INBOX")
    _, data = client.fetch("*", "(BODY[])")
    client.logout()
    return data[0][1]


@pytest_twisted.ensureDeferred
async def test_alice_writes_to_carol_and_every_step_is_told(place: tuple[Town, Guest]) -> None:
    town, guest = place
    began = town.ring.last
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "carol@green.test")
    stored = await wait_for(town, "store", "green", after=began, recipient="carol@green.test")
    removed = await wait_for(town, "mail", "blue", after=began, state="removed")
    events = [event for event in town.ring.since(began) if event.number <= max(stored.number, removed.number)]
    item = removed.about
    accepted = next(event for event in events if event.kind == "mail" and event.office == "blue")
    assert (accepted.about, accepted.what["state"], accepted.what["subject"]) == (item, "accepted", "Lunch?")
    assert [event.what["answer"] for event in events if event.kind == "dns" and event.what["type"] == "MX"] == [("MX 10 mx.green.test.",)]
    said = [event.what["text"] for event in events if event.kind == "line" and event.about == item]
    assert said[0].startswith("220 mx.green.test")
    assert [text for text in said if text in ("STARTTLS", "DATA", ".")] == ["STARTTLS", "DATA", "."]
    assert "(" in next(text for text in said if "octets of mail" in text), "content is counted, not told"
    assert not any("Soup" in str(event.what) for event in events)
    assert not any("demo" in str(event.what) for event in events), "nobody's password is told"


@pytest_twisted.ensureDeferred
async def test_both_sides_of_a_connection_can_be_paired(place: tuple[Town, Guest]) -> None:
    town, guest = place
    began = town.ring.last
    await guest.do(submit, town.ports["blue", "submission"], "bob@blue.test", "dave@green.test")
    item = (await wait_for(town, "mail", "blue", after=began, state="removed")).about
    ours = next(event for event in town.ring.since(began) if event.kind == "line" and event.about == item)
    theirs = [event for event in town.ring.since(0) if event.kind == "connection" and event.what.get("from") == "blue"][-1]
    assert ours.connection == f"blue>green:{theirs.what['port']}"
    assert theirs.what["peer"].startswith("192.0.2.10:"), "the other office sees the pretend address"


@pytest_twisted.ensureDeferred
async def test_a_letter_shows_the_way_it_came(place: tuple[Town, Guest]) -> None:
    town, guest = place
    began = town.ring.last
    await guest.do(submit, town.ports["red", "submission"], "mallory@red.test", "bob@blue.test")
    await wait_for(town, "store", "blue", after=began)
    letter = await guest.do(newest, town.ports["blue", "imap"], "bob@blue.test")
    assert b"192.0.2.30" in letter
    assert letter.count(b"\r\nReceived: ") + letter.startswith(b"Received: ") == 2
    assert (await wait_for(town, "read", "blue", after=began)).what["account"] == "bob@blue.test"


@pytest_twisted.ensureDeferred
async def test_an_office_that_is_off_refuses_and_mail_waits_until_it_is_on_again(place: tuple[Town, Guest]) -> None:
    town, guest = place
    await town.switch_off("green")
    assert town.service("green") is None
    began = town.ring.last
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "carol@green.test")
    waiting = await wait_for(town, "queue", "blue", after=began, state="waiting")
    assert (await wait_for(town, "net", "blue", after=began, what="refused")).about == waiting.about
    await town.switch_on("green")
    town.jump(60)
    await wait_for(town, "mail", "blue", after=began, about=waiting.about, state="relayed")


@pytest_twisted.ensureDeferred
async def test_a_crash_cuts_everybody_off_and_loses_nothing_that_was_promised(place: tuple[Town, Guest]) -> None:
    town, guest = place
    await town.switch_off("green")
    began = town.ring.last
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "carol@green.test")
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "bob@blue.test")
    waiting = await wait_for(town, "queue", "blue", after=began, state="waiting")
    listener = await guest.do(imaplib.IMAP4, "127.0.0.1", town.ports["blue", "imap"])
    disk = town.service("blue").config.data_dir
    await town.crash("blue")
    with pytest.raises((OSError, imaplib.IMAP4.abort)):
        await guest.do(listener.noop)
    listener.shutdown()
    assert town.service("blue").config.data_dir != disk
    assert not disk.exists()
    assert [event.what["state"] for event in town.ring.since(began) if event.kind == "switch"] == ["crashed", "on"]
    assert b"Soup." in await guest.do(newest, town.ports["blue", "imap"], "bob@blue.test")
    await town.switch_on("green")
    town.jump(30)
    await wait_for(town, "mail", "blue", after=began, about=waiting.about, state="relayed")
    await wait_for(town, "store", "green", after=began)
    assert len([event for event in town.ring.since(began) if event.kind == "store" and event.office == "green"]) == 1


@pytest_twisted.ensureDeferred
async def test_after_a_reset_there_is_no_mail_and_nothing_is_broken(place: tuple[Town, Guest]) -> None:
    town, guest = place
    town.network.set_link("blue", "green", "slow")
    town.zones.set("white.test", "A", ["192.0.2.99"])
    town.jump(86400)
    await town.reset()
    assert town.clock.ahead == 0
    assert town.network.link("blue", "green").state == "whole"
    assert not town.zones.exists("white.test")
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "bob@blue.test")
    await wait_for(town, "store", "blue")
    assert len([event for event in town.ring.since(0) if event.kind == "store"]) == 1


@pytest_twisted.ensureDeferred
async def test_an_office_that_does_not_start_after_a_reset_is_told_and_the_others_are_on(place: tuple[Town, Guest]) -> None:
    town, _ = place
    await town.switch_off("blue")
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a moment ago may still be closing
        somebody.bind(("127.0.0.1", town.ports["blue", "imap"]))
        somebody.listen()
        with pytest.raises(Trouble, match="blue is off: error"):
            await town.reset()
    assert [office.name for office in town.offices if town.service(office.name) is None] == ["blue"]
    await town.reset()
    assert all(town.service(office.name) for office in town.offices)


@pytest_twisted.ensureDeferred
async def test_a_reset_that_is_asked_for_twice_at_once_is_made_one_after_the_other(place: tuple[Town, Guest]) -> None:
    town, guest = place
    await tasks.gather(town.reset(), town.crash("green"), town.reset(), town.switch_off("red"), town.switch_on("red"))
    for office in town.offices:
        assert town.service(office.name) is not None
        assert town.service(office.name).config.data_dir.is_dir()
        assert town.config_file(office.name).exists()
    began = town.ring.last
    await guest.do(submit, town.ports["blue", "submission"], "alice@blue.test", "carol@green.test")
    await wait_for(town, "store", "green", after=began)


@pytest_twisted.ensureDeferred
async def test_who_stops_an_office_that_is_being_stopped_waits_for_its_end(place: tuple[Town, Guest]) -> None:
    town, _ = place
    running = town._running["red"]
    disk = running.data
    first = tasks.start(running.stop(), "the first")
    await running.stop()
    os.close(tenancy.occupy(disk))  # nobody lives there any more
    await first
    await town.switch_on("red")


@pytest_twisted.ensureDeferred
async def test_a_start_that_is_under_way_ends_before_everything_is_stopped_and_writes_nothing_after_it(tmp_path: Any) -> None:
    town = Town(tmp_path / "town", reactor, any_ports=True)
    starting = tasks.shielded(town.start())
    await town.stop()
    with pytest.raises(Trouble, match="is being stopped"):
        await starting
    assert not any(town.service(office.name) for office in town.offices)
    shutil.rmtree(town.folder)
    with pytest.raises(Trouble, match="is being stopped"):
        await town.reset()
    await tasks.sleep(reactor, 0)
    assert not town.folder.exists()
