import re
from pathlib import Path

import pytest

from tests.config.declared import SECTIONS
from twistmail.config.explain import WIDTH, example, explain
from twistmail.config.load import load
from twistmail.endpoints import ENDPOINTS
from twistmail.plugins import discover
from twistmail.sections import BUILT_IN, checks

EXAMPLE = Path(__file__).parents[2] / "config.example.ini"


def test_the_example_file_is_what_the_declarations_say():
    assert EXAMPLE.read_text() == example(BUILT_IN), "write it again: twistmail config example > config.example.ini"


def test_the_example_file_has_no_problem():
    result = load(BUILT_IN, EXAMPLE, (), {}, checks(discover()))
    assert [str(problem) for problem in result.problems] == []
    assert result.config is not None


def test_the_example_listens_on_loopback_without_privileges():
    config = load(BUILT_IN, EXAMPLE, (), {}).config
    listens = [
        listen for setting in config if setting.option.kind is ENDPOINTS for listen in getattr(config[setting.section], setting.option.key)
    ]
    assert all(listen.interface == "127.0.0.1" and listen.port > 1023 for listen in listens)


@pytest.mark.parametrize("section", BUILT_IN, ids=lambda section: section.name)
def test_every_default_can_be_read_and_every_option_says_what_it_is(section):
    for option in section.options:
        if not (option.required and not option.default):
            option.kind.read(option.default)
        if option.starter:
            option.kind.read(option.starter)
        if option.example:
            option.kind.read(option.example)
        assert option.help.strip(), f"[{section.name}] {option.key} has no help"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", option.key)


def test_with_all_comment_signs_taken_away_the_example_is_still_right(tmp_path):
    text = re.sub(r"(?m)^#(?=\S)", "", example(SECTIONS)).replace(":NAME]", ":name.example]")
    (tmp_path / "c.ini").write_text(text)
    assert [str(p) for p in load(SECTIONS, tmp_path / "c.ini", (), {}).problems] == []


def test_the_example_fits_a_terminal():
    assert [line for line in example(SECTIONS).split("\n") if len(line) > WIDTH + 10] == []


def test_a_key_is_explained_with_its_value_of_now(tmp_path):
    (tmp_path / "c.ini").write_text("[server]\nhostname = a.example\n[imap]\nidle_timeout = 5m\n")
    config = load(SECTIONS, tmp_path / "c.ini", (), {}).config
    text = explain(SECTIONS, "imap.idle_timeout", config)
    assert "default  30m" in text
    assert "c.ini:4)" in text
    assert "new connections" in text


@pytest.mark.parametrize(
    ("word", "first"), [("keep", "pop3.keep"), ("route.via", "route.via"), ("imap", "[imap]"), ("relay.smarthost", "relay.smarthost")]
)
def test_a_short_name_is_enough(word, first):
    assert explain(SECTIONS, word).split("\n")[0] == first


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("listen", "several sections: mx.listen"),
        ("nope", "nothing is called"),
        ("imap.nope", 'no "nope" in [imap]'),
        ("x.y", "no section [x]"),
    ],
)
def test_an_unknown_name_says_so(word, why):
    with pytest.raises(KeyError, match=re.escape(why)):
        explain(SECTIONS, word)
