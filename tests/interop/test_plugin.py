"""A package from elsewhere, installed, named in the configuration, at work in a running twistd."""

import pytest

from tests.interop.house import ROOT, House, Person, environment, folder, give_away, running
from tests.interop.talk import Talk, send, smtp
from tests.packaging.made import build, install

ANNA, BERT = Person("anna"), Person("bert")
SAMPLE = ROOT / "tests" / "plugins" / "sample_plugin"


@pytest.fixture(scope="module")
def site():
    """The folder into which the package is installed; everybody may read it."""
    with folder() as place:
        place.chmod(0o755)
        (wheel,) = build(SAMPLE, place / "dist", "--wheel")
        install(place / "site", wheel)
        give_away(place / "site" / "twisted" / "plugins")
        yield place / "site"


@pytest.fixture
def house(site):
    stages = "stages = limits unwelcome hello senders relaying recipients loops\n[unwelcome]\nsenders = spam@red.test"
    more = "[aliases]\nsource = config staff\n[staff]\nmembers = anna bert\n"
    path = f"{environment()['PYTHONPATH']}:{site}"
    with folder() as place, running(House(place, more_mx=stages, more=more, environ={"PYTHONPATH": path})) as house:
        house.add(ANNA, BERT)
        yield house


def test_its_alias_source_and_its_policy_stage_are_asked(house):
    with smtp(house.port("mx"), "eve@red.test", "staff@blue.test") as talk:
        assert send(talk, "Subject: meeting\n\nat ten\n").startswith("250 2.0.0")
    for person in (ANNA, BERT):
        (message,) = house.stored(person)
        assert b"\nSubject: meeting\n" in message
    with Talk(house.port("mx")) as talk:
        talk.reply()
        talk.ask("EHLO lab.test")
        assert talk.ask("MAIL FROM:<spam@red.test>") == "550 5.7.1 You are not welcome here"
