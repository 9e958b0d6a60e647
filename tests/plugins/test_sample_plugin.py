"""A package from elsewhere, built and installed as its users would, is found; that it works is `tests/journeys`' business."""

import json
import sys
from pathlib import Path

import pytest

from tests.helpers import result_of
from tests.packaging.made import ROOT, build, install, run

SAMPLE = Path(__file__).parent / "sample_plugin"
LIST = (sys.executable, "-c", "from twistmail.cli.main import run; run()", "plugin", "list", "--json")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which the sample package is installed."""
    folder = tmp_path_factory.mktemp("sample")
    (wheel,) = build(SAMPLE, folder / "dist", "--wheel")
    install(folder / "site", wheel)
    return folder / "site"


def test_the_parts_of_an_installed_package_are_listed(installed, tmp_path):
    listed = [json.loads(line) for line in run(*LIST, cwd=tmp_path, PYTHONPATH=f"{ROOT}:{installed}").splitlines()]
    assert {"kind": "alias source", "name": "staff", "from": "twisted.plugins.sample_plugin"} in listed
    assert {"kind": "accounts", "name": "club", "from": "twisted.plugins.sample_plugin"} in listed
    assert {"kind": "policy stage", "name": "unwelcome", "from": "twisted.plugins.sample_plugin"} in listed


def test_its_sections_belong_to_the_configuration(installed, tmp_path):
    (tmp_path / "config.ini").write_text("[server]\nhostname = mail.blue.example\n[staff]\nmember = anna\n")
    check = (*LIST[:3], "config", "check")
    said = run(*check, cwd=tmp_path, expect=78, PYTHONPATH=f"{ROOT}:{installed}")
    assert 'config.ini:4:1: error: unknown key "member" in [staff]\n    did you mean "members"?' in said


def test_a_broken_package_beside_it_is_named_and_nothing_else_suffers(installed, tmp_path):
    (tmp_path / "twisted" / "plugins").mkdir(parents=True)
    (tmp_path / "twisted" / "plugins" / "torn_plugin.py").write_text("raise RuntimeError('torn')\n")
    said = run(*LIST, cwd=tmp_path, expect=1, PYTHONPATH=f"{ROOT}:{installed}:{tmp_path}")
    assert "warning: plugin twisted.plugins.torn_plugin does not work: RuntimeError: torn" in said
    assert '"name":"staff"' in said
    assert "Traceback" not in said


def test_the_sample_parts_do_what_they_say(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    import twistmail_sample

    from twistmail.mail.address import parse

    source = twistmail_sample.WholeStaffSource()
    resolver = source.build(source.options.defaults(members=("anna", "bert@x.example")), None)
    assert result_of(resolver.lookup(parse("staff@blue.example"))).goals == (parse("anna"), parse("bert@x.example"))
    assert result_of(resolver.lookup(parse("other@blue.example"))) is None
