"""What `nc` sends to a town that really runs: lines with LF alone, and no CR anywhere, in all three protocols."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace

import pytest
import pytest_twisted

from tests.lab.living import living, wait_for
from twistmail.config.load import load
from twistmail.lab.offices import PASSWORD
from twistmail.plugins import discover
from twistmail.sections import checks, everything

LETTER = "From: Eve <eve@red.test>\nTo: carol@green.test\nSubject: By hand\nMessage-ID: <{name}@pc>\n\nHi\n..a dot\n.\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        yield SimpleNamespace(town=town, guest=guest)


def talk(port, *turns):
    """All that a server says to somebody who types *turns* (text, how the last line of the answer begins), one after the other."""
    heard = ""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for text, wanted in turns:
            connection.sendall(text.encode())
            begun = len(heard)
            while not re.search(rf"(?m)^{re.escape(wanted)}.*\n\Z", heard[begun:]):
                octets = connection.recv(65_536)
                assert octets, f"closed: {heard}"
                heard += octets.decode()
    return heard


def mail(town, name, newline="\n"):
    return talk(town.ports["green", "mx"], *((text.replace("\n", newline), wanted) for text, wanted in (
        ("", "220 "), ("EHLO pc.test\n", "250 "), ("MAIL FROM:<eve@red.test>\n", "250 "), ("RCPT TO:<carol@green.test>\n", "250 "),
        ("DATA\n", "354 "), (LETTER.format(name=name), "250 "), ("QUIT\n", "221 "))))


@pytest_twisted.ensureDeferred
async def test_a_letter_is_typed_and_fetched_and_the_journey_says_how(place):
    town, began = place.town, place.town.ring.last
    await place.guest.do(mail, town, "typed")
    said = await wait_for(town, "line", "green", after=began, text="EHLO pc.test")
    assert said.what["lone_lf"] is True
    fetched = await place.guest.do(talk, town.ports["green", "pop3"], ("", "+OK"), ("USER carol@green.test\n", "+OK"),
                                   (f"PASS {PASSWORD}\n", "+OK"), ("RETR 1\n", "."), ("QUIT\n", "+OK"))
    assert "Subject: By hand\r\n" in fetched
    assert "\r\nHi\r\n..a dot\r\n.\r\n" in fetched
    assert "\n" not in fetched.replace("\r\n", "")
    await wait_for(town, "read", "green", after=began)
    shown = await place.guest.do(talk, town.ports["green", "imap"], ("", "* OK"), (f"a LOGIN carol@green.test {PASSWORD}\n", "a OK"),
                                 ("b SELECT INBOX\n", "b OK"), ("c FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\n", "c OK"),
                                 ("d LOGOUT\n", "d OK"))
    assert "Subject: By hand\r\n" in shown
    journey = next(one for one in town.journeys.latest(50) if one.message_id == "<typed@pc>")
    assert {one.kind: one.lone_lf for one in journey.dialogues} == {"in": True, "reading": True}


@pytest_twisted.ensureDeferred
async def test_crlf_is_understood_as_ever_and_has_no_mark(place):
    town, began = place.town, place.town.ring.last
    await place.guest.do(mail, town, "proper", "\r\n")
    said = await wait_for(town, "line", "green", after=began, text="EHLO pc.test")
    assert "lone_lf" not in said.what
    journey = next(one for one in town.journeys.latest(50) if one.message_id == "<proper@pc>")
    assert not any(one.lone_lf for one in journey.dialogues)


@pytest_twisted.ensureDeferred
async def test_no_second_letter_is_smuggled_into_a_dialogue_with_crlf(place):
    """What another server would send: commands with CRLF, and in the content an end that only some would take for one."""
    town = place.town
    smuggled = "MAIL FROM:<boss@red.test>\nRCPT TO:<carol@green.test>\nDATA\n" + LETTER.format(name="smuggled")
    heard = await place.guest.do(talk, town.ports["green", "mx"], ("", "220 "), ("EHLO pc.test\r\n", "250 "),
                                 ("MAIL FROM:<eve@red.test>\r\n", "250 "), ("RCPT TO:<carol@green.test>\r\n", "250 "),
                                 ("DATA\r\n", "354 "), (LETTER.format(name="outer") + smuggled + "\r\n.\r\n", "550 5.6.11 "),
                                 ("QUIT\r\n", "221 "))
    assert heard.count("354 ") == 1
    assert not {one.message_id for one in town.journeys.latest(50)} & {"<outer@pc>", "<smuggled@pc>"}


def test_the_offices_may_have_the_setting_and_a_server_with_a_name_of_the_world_may_not(place, tmp_path):
    discovery = discover()
    text = place.town.config_file("green").read_text()
    assert text.count("lone_lf = yes\n") == 4

    def errors(path):
        loaded = load(everything(discovery), path, (), {}, checks(discovery))
        return [str(problem) for problem in loaded.problems if problem.is_error]

    assert errors(place.town.config_file("green")) == []
    (tmp_path / "config.ini").write_text(text.replace("hostname = mx.green.test", "hostname = mx.green.example"))
    assert [re.sub(r".*/(config.ini:)\d+:1: ", r"\1", one)[:60] for one in errors(tmp_path / "config.ini")] == [
        "config.ini:error: lines that end with LF alone are for the cl"[:60]] * 4
