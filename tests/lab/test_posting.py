"""What is written in the browser or sent over the API goes the whole way: real offices, real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_twisted

from tests.lab.living import Guest, living, wait_for
from twistmail.lab import postbox
from twistmail.lab.drafts import LONGEST_TEXT, Draft, Enclosure, Mistake, persons, written
from twistmail.lab.inboxes import Inboxes
from twistmail.lab.pages.inbox import postbox_of
from twistmail.lab.samples import SAMPLES, with_sample
from twistmail.lab.town import Town
from twistmail.web import letters
from twistmail.web.letters import Person


@pytest.fixture(scope="module")
def town(tmp_path_factory: Any) -> Iterator[Town]:
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        assert isinstance(guest, Guest)
        yield town


def draft(sender: str, *to: str, subject: str = "Lunch?") -> Draft:
    return Draft(Person("", sender), persons(to), subject=subject, text="Soup.")


@pytest_twisted.ensureDeferred
async def test_somebody_of_an_office_logs_in_and_sends_by_his_office(town: Town) -> None:
    began = town.ring.last
    posted = await postbox_of(town).post(draft("alice@blue.test", "carol@green.test", "bob@blue.test"), "alice@blue.test")
    accepted = await wait_for(town, "mail", "blue", after=began, state="accepted")
    assert (accepted.about, accepted.what["service"], accepted.what["account"]) == (posted.ids[0], "submission", "alice@blue.test")
    await wait_for(town, "store", "green", after=began)
    await wait_for(town, "store", "blue", after=began)
    inboxes = Inboxes(lambda: town.offices, town.service)
    rows = (await inboxes.listing(query="subject:lunch")).rows
    assert {row.account for row in rows} == {"bob@blue.test", "carol@green.test"}
    for row in rows:
        content = await inboxes.content(row.place)
        assert content is not None
        assert letters.view(content).message_id == posted.message_id
        assert f"id {posted.ids[0]}".encode() in content


@pytest_twisted.ensureDeferred
async def test_a_stranger_goes_to_the_mx_of_each_office(town: Town) -> None:
    began = town.ring.last
    posted = await postbox_of(town).post(draft("eve@elsewhere.test", "carol@green.test", "bob@blue.test", "nobody@blue.test"))
    assert len(posted.ids) == 2
    assert [(str(address), status.code) for address, status in posted.refused] == [("nobody@blue.test", 550)]
    accepted = [event for event in town.ring.since(began) if event.kind == "mail" and event.what["state"] == "accepted"]
    assert {(event.office, event.what["service"]) for event in accepted} == {("blue", "mx"), ("green", "mx")}


@pytest_twisted.ensureDeferred
async def test_nobody_sends_to_an_office_that_is_off(town: Town) -> None:
    await town.switch_off("red")
    with pytest.raises(Mistake, match="The office red does not take it now"):
        await postbox_of(town).post(draft("mallory@red.test", "bob@blue.test"), "mallory@red.test")
    await town.switch_on("red")


@pytest_twisted.ensureDeferred
async def test_every_sample_arrives_and_can_be_looked_at(town: Town) -> None:
    inboxes = Inboxes(lambda: town.offices, town.service)
    for name, _ in SAMPLES:
        began = town.ring.last
        await postbox_of(town).post(with_sample(draft("alice@blue.test", "bob@blue.test", subject=f"S {name}"), name), "alice@blue.test")
        await wait_for(town, "store", "blue", after=began)
        row = (await inboxes.listing("bob@blue.test", limit=1)).rows[0]
        content = await inboxes.content(row.place)
        assert content is not None
        letter = letters.view(content)
        assert (letter.subject, bool(letter.html), bool(letter.files)) == (
            f"S {name}".strip(), name in ("html", "harm"), name in ("file", "picture", "html"))  # fmt: skip


LINES = "Soup of the day, with bread.\n"


@pytest.mark.parametrize(
    ("more", "is_beside"),
    [
        pytest.param({"text": LINES * 200}, False, id="small"),
        pytest.param({"text": LINES * 30_000, "html": f"<p>{LINES}" * 20_000}, True, id="text-and-html"),
        pytest.param({"html": f"<p>{LINES}" * 20_000}, True, id="html"),
        pytest.param({"enclosures": (Enclosure("soup.png", "image/png", b"\x89PNG" * 10_000),)}, True, id="a-file"),
        pytest.param({"fields": tuple((f"X-Soup-{number}", "ä" * 900) for number in range(10))}, True, id="fields"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_only_a_small_letter_is_written_on_the_reactor_thread(
    town: Town, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], is_beside: bool
) -> None:
    threads: list[threading.Thread] = []

    def noted(*arguments: Any) -> bytes:
        threads.append(threading.current_thread())
        return written(*arguments)

    monkeypatch.setattr(postbox, "written", noted)
    began = town.ring.last
    long = replace(draft("alice@blue.test", "carol@green.test", subject="Long"), **more)
    posted = await postbox_of(town).post(long, "alice@blue.test")
    assert [thread is not threading.main_thread() for thread in threads] == [is_beside]
    await wait_for(town, "store", "green", after=began)
    assert posted.ids
    assert not posted.refused


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_written_is_a_mistake_from_a_thread_too(town: Town) -> None:
    long = replace(draft("alice@blue.test", "carol@green.test"), text="x" * (LONGEST_TEXT + 1))
    with pytest.raises(Mistake, match="The text is longer"):
        await postbox_of(town).post(long, "alice@blue.test")
