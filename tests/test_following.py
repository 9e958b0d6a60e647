"""How far addresses are followed, as the configuration says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from twistmail.config.load import load
from twistmail.following import limits, spelled
from twistmail.mail.address import parse
from twistmail.sections import BUILT_IN

HEAD = "[server]\nhostname = mx.blue.test\n"


def read(tmp_path: Path, text: str) -> Any:
    (tmp_path / "c.ini").write_text(HEAD + text)
    return load(BUILT_IN, tmp_path / "c.ini", (), {})


def test_separators_are_of_all_domains_or_of_one(tmp_path: Path) -> None:
    text = "[aliases]\nsubaddress = +=\n[domain:red.test]\nsubaddress = -\n[domain:exact.test]\nsubaddress = none\n[domain:blue.test]\n"
    config = read(tmp_path, text).config
    names = spelled(config)
    assert {name: [one.local for one in names(parse(name))[1:]] for name in ("a+b=c@blue.test", "a+b-c@red.test", "a+b-c@exact.test")} == {
        "a+b=c@blue.test": ["a+b", "a"], "a+b-c@red.test": ["a+b"], "a+b-c@exact.test": []}  # fmt: skip
    assert limits(config, Clock())["separators_of"] == {"red.test": "-", "exact.test": ""}


@pytest.mark.parametrize("text", ["+ -", "a", "@", ".", "+,-", '"'])
def test_what_cannot_divide_a_name_is_told(tmp_path: Path, text: str) -> None:
    loaded = read(tmp_path, f"[aliases]\nsubaddress = {text}\n")
    assert any("cannot divide a name from a suffix" in str(problem) for problem in loaded.problems)


def test_without_settings_the_postmaster_gets_what_is_for_root(tmp_path: Path) -> None:
    found = limits(read(tmp_path, "").config, Clock())
    assert (found["separators"], found["to_postmaster"], found["depth_limit"], found["limit"]) == (
        "+", frozenset({"root", "mailer-daemon"}), 10, 1000)  # fmt: skip
