"""Mailing lists of the configuration: what can be wrong with them, and where they stand beside aliases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twistmail.config.load import load
from twistmail.plugins import discover
from twistmail.sections import checks, everything

HOUSE = """\
[server]
hostname = mail.blue.example
[mx]
listen = tcp:2525:interface=127.0.0.1
[domains]
local = blue.example
[users]
source = sqlite
"""


@pytest.fixture(scope="module")
def discovery() -> Any:
    return discover()


@pytest.fixture
def told(tmp_path: Path, discovery: Any) -> Callable[[str], list[str]]:
    """A function: the problems of a text, as lines without the folder."""

    def run(text: str) -> list[str]:
        (tmp_path / "c.ini").write_text(HOUSE + text)
        loaded = load(everything(discovery), tmp_path / "c.ini", (), {}, checks(discovery))
        return [str(problem).replace(f"{tmp_path}/", "") for problem in loaded.problems]

    return run


@pytest.mark.parametrize("text", [
    pytest.param("[list:news@blue.example]\n", id="nothing-said"),
    pytest.param("[list:news]\nmembers = anna b@far.example book file:/x group:a\n[group:a]\nmembers = anna\n", id="all-kinds"),
    pytest.param("[list:news]\nreply_to = list\n[list:more]\nreply_to = anna@blue.example\nposters = @far.example\n", id="two"),
    pytest.param("[lists]\nurl = https://lists.blue.example/u/\n[list:news]\narchive = http://blue.example\n", id="pages"),
])  # fmt: skip
def test_what_is_in_order(told: Callable[[str], list[str]], text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("[list:a b]\n", "c.ini:9:1: error: 'a b' is not an address", id="no-address"),
    pytest.param("[list:a+b]\n", "the name of a list has no +", id="a-plus"),
    pytest.param("[list:news@red.example]\n", "warning: red.example is no domain of ours", id="somebody-else-s-domain"),
    pytest.param("[list:news]\nmembers = group:nobody\n", "c.ini:10:1: error: there is no group nobody", id="no-group"),
    pytest.param("[list:news]\nmembers = file:\n", "file: is no source of members", id="no-file"),
    pytest.param("[list:news]\nowners =\n", "a list needs somebody whom people can ask", id="nobody-to-ask"),
    pytest.param("[list:news]\nowners = @blue.example\n", "a list needs somebody whom people can ask", id="not-everybody"),
    pytest.param("[list:news]\nsubject_tag = [\u00e9]\n", "the tag of a subject is plain ASCII", id="a-tag-with-an-accent"),
    pytest.param("[list:news]\nreply_to = a@b@c\n", "is not a domain name", id="no-address-for-answers"),
    pytest.param("[list:news]\narchive = javascript:x\n", "is no address of a page", id="no-page"),
    pytest.param("[lists]\nurl = http://lists.blue.example/\n", "one click is for pages by https only", id="without-tls"),
    pytest.param("[lists]\nurl = https://x.example/<b>\n", "is no address of a page", id="an-odd-page"),
    pytest.param("[list:news]\n[list:news-owner]\n", "news-owner is one of the addresses of the list news", id="a-name-of-another-list"),
    pytest.param("[list:news]\n[list:News]\n", "news is a list already: [list:news]", id="twice"),
])  # fmt: skip
def test_what_can_be_wrong(told: Callable[[str], list[str]], text: str, problem: str) -> None:
    found = told(text)
    assert any(problem in one for one in found), found
