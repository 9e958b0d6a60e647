"""`plugins.discover` over small packages made for the test."""

import importlib
import sys

import pytest
from twisted.python.log import theLogPublisher

from twistmail.plugins import discover

SOUND = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from twistmail.interfaces import IPart
from twistmail.options import Section

@implementer(IPlugin, IPart)
class Source:
    kind = "alias source"
    options = Section("NAME", "A section.")
    name = "NAME"
    def build(self, settings, house):
        return None

source = Source()
"""


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A function that makes a plugin package of modules {name: text} and imports it."""
    name = f"plugins_of_{abs(hash(request.node.name))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    said = []
    theLogPublisher.addObserver(said.append)

    def make(**modules):
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield make
    theLogPublisher.removeObserver(said.append)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_parts_are_found_by_kind_and_name_with_their_sections(package):
    found = discover(package(one=SOUND.replace("NAME", "one"), two=SOUND.replace("NAME", "two")))
    assert [(part.kind, part.name, part.origin.rpartition(".")[2]) for part in found.parts] == [
        ("alias source", "one", "one"),
        ("alias source", "two", "two"),
    ]
    assert [section.name for section in found.sections()] == ["one", "two"]
    assert found.find("alias source", "two").factory.name == "two"
    assert found.find("policy stage", "two") is None
    assert found.broken == ()


def test_a_plugin_that_cannot_be_imported_is_named_and_harms_no_other(package):
    found = discover(package(bad="import surely_not_there", worse="1/0", good=SOUND.replace("NAME", "good")))
    assert [part.name for part in found.parts] == ["good"]
    assert [broken.name.rpartition(".")[2] for broken in found.broken] == ["bad", "worse"]
    assert "No module named 'surely_not_there'" in str(found.broken[0])
    assert "ZeroDivisionError" in str(found.broken[1])


def test_a_part_that_breaks_the_contract_is_named(package):
    text = SOUND.replace('options = Section("NAME", "A section.")', "options = 5")
    found = discover(package(odd=text))
    assert found.parts == ()
    assert "its options are 5" in str(found.broken[0])


def test_the_first_of_two_parts_of_one_name_is_taken_and_the_other_named(package):
    found = discover(package(one=SOUND.replace("NAME", "same"), two=SOUND.replace("NAME", "same")))
    assert len(found.parts) == len(found.broken) == 1
    assert "one offers alias source same already" in str(found.broken[0])


def test_other_plugins_of_twisted_do_not_matter(package):
    assert discover(package(other="from twisted.plugins.twisted_trial import *")).parts == ()
