from pathlib import Path

import pytest

from tests.config.declared import IMAP, SECTIONS
from twistmail.config.cross import CHECKS
from twistmail.config.load import Loaded, find_file, load, peek
from twistmail.config.problem import summary
from twistmail.options import Reload

HOST = "[server]\nhostname = mail.blue.example\n"


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """A function that loads a text as `bad.ini` in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *overrides: str, environ=None, checks=()) -> Loaded:
        Path("bad.ini").write_text(text)
        Path("bad.ini").chmod(0o644)
        return load(SECTIONS, Path("bad.ini"), overrides, environ or {}, checks)

    return run


def shown(result: Loaded) -> str:
    return "".join(f"{problem}\n" for problem in result.problems)


BAD = """\
[server]
hostname = mail.blue.example
[imapp]
[imap]
listen = tcp:143
         tls:993
idle_timout = 5m
timeout = 5m
[submission]
listen = off
max_message = 3M
[pop3]
timeout = 300
timeout = 5m
[relay]
smarthost_password = hunter2
"""
TOLD = """\
bad.ini:3:1: error: unknown section [imapp]
    did you mean [imap]?
bad.ini:6:10: error: listen = tls:993: Twisted reads "993" as a certificate directory, port 443
    did you mean "tls:port=993"?
bad.ini:7:1: error: unknown key "idle_timout" in [imap]
    did you mean "idle_timeout"?
bad.ini:8:1: error: unknown key "timeout" in [imap]
    did you mean "idle_timeout"?
bad.ini:11:1: error: unknown key "max_message" in [submission]
    "max_message" belongs in [mx]
bad.ini:13:11: error: timeout = 300 is not a length of time
    write 300s for seconds or 300m for minutes
bad.ini:14:1: warning: "timeout" is set twice (first on line 13); this one wins
    remove one of them
bad.ini:16:22: warning: smarthost_password: secret written in a file that everybody can read
    use env:NAME or file:/path, or chmod 600 this file
"""


def test_all_problems_are_told_at_once_with_line_and_column(loaded):
    result = loaded(BAD)
    assert shown(result) == TOLD
    assert summary(result.problems) == "6 errors, 2 warnings"
    assert result.config is None


def test_two_lines_are_a_whole_configuration(loaded):
    config = loaded(HOST).config
    assert config is not None
    assert (config["server"].hostname, config["imap"].idle_timeout, config["imap"].listen) == ("mail.blue.example", 1800.0, ())
    assert [(s.section, s.option.key) for s in config.changed()] == [("server", "hostname")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(HOST + "[IMAP]\n", "bad.ini:3:1: error: unknown section [IMAP]\n    did you mean [imap]?", id="upper-case"),
        pytest.param(
            HOST + "[route:a.example]\nwords = x\n",
            "bad.ini:3:1: error: [route:a.example] via is missing\n    write via = smtp://mx.example:25",
            id="required-key-of-a-pattern-section",
        ),
        pytest.param(
            HOST + "[route]\nvia = x\n", "bad.ini:3:1: error: [route] needs a name\n    write [route:NAME]", id="pattern-without-name"
        ),
        pytest.param(HOST + "[imap:x]\n", "bad.ini:3:1: error: [imap] takes no name\n    write [imap]", id="name-where-none-belongs"),
        pytest.param(
            HOST + "[rout:a.example]\n",
            "bad.ini:3:1: error: unknown section [rout:a.example]\n    did you mean [route:a.example]?",
            id="misspelled-pattern",
        ),
        pytest.param(
            HOST + "[imap\nidle_timeout = 1m\n",
            "bad.ini:3:1: error: [imap is not a section\n    write [name] and nothing else on the line",
            id="open-bracket-told-once",
        ),
        pytest.param(
            "hostname = x.y\n" + HOST,
            'bad.ini:1:1: error: "hostname" stands before the first section\n    write [server] above it',
            id="key-before-any-section",
        ),
        pytest.param(
            HOST + "[imap]\nidle_timeout 5m\n",
            'bad.ini:4:1: error: "idle_timeout 5m" is not a setting\n    write key = value; lines that go on are indented',
            id="no-equals-sign",
        ),
        pytest.param(
            HOST + "[pop3]\nkeep = yes\n  timeout = 5m\n",
            'bad.ini:5:3: warning: "timeout" is indented, so it belongs to the value of "keep"\n'
            "    begin the line where the other keys begin",
            id="indented-key",
        ),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(loaded, text, told):
    assert told in shown(loaded(text))


def test_what_was_told_of_a_section_is_not_told_again_of_its_keys(loaded):
    assert len(loaded(HOST + "[imap\nidle_timeout = 1m\n").problems) == 1


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path):
    result = load(SECTIONS, tmp_path / "none.ini", (), {})
    assert "twistmail config example > config.ini" in shown(result)
    assert result.config is None


def test_a_file_that_is_not_utf8_names_the_line(tmp_path):
    (tmp_path / "c.ini").write_bytes(b"[server]\nhostname = m\xfcll.example\n")
    assert "c.ini:2:1: error: this line is not UTF-8" in shown(load(SECTIONS, tmp_path / "c.ini", (), {}))


def test_the_last_source_wins_and_each_value_knows_its_own(loaded, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.ini").write_text("[imap]\nidle_timeout = 3m\n[mx]\nmax_message = 3M\n[pop3]\ntimeout = 3m\n")
    (tmp_path / "conf.d" / "a.ini").write_text("[imap]\nidle_timeout = 2m\n")
    text = HOST + "[imap]\nidle_timeout = 1m\n[mx]\nmax_message = 1M\n[pop3]\ntimeout = 1m\nkeep = no\n"
    environ = {"TWISTMAIL_MX__MAX_MESSAGE": "4M", "TWISTMAIL_POP3__TIMEOUT": "4m", "TWISTMAIL_CONFIG": "ignored"}
    config = loaded(text, "pop3.timeout=5m", environ=environ).config
    assert (config["imap"].idle_timeout, config["mx"].max_message, config["pop3"].timeout, config["pop3"].keep) == (
        180,
        4 * 1024**2,
        300,
        False,
    )
    assert [
        config.origin(*where)
        for where in [("imap", "idle_timeout"), ("mx", "max_message"), ("pop3", "timeout"), ("pop3", "keep"), ("mx", "listen")]
    ] == ["conf.d/b.ini:2", "environment TWISTMAIL_MX__MAX_MESSAGE", "--set pop3.timeout", "bad.ini:9", "default"]


def test_overrides_reach_pattern_sections_and_are_checked_like_the_file(loaded):
    assert loaded(HOST, "route:partner.example.via=smtp://x").config.named("route")["partner.example"].via == "smtp://x"
    assert "--set imap.idle_timeout: error: idle_timeout = 5 is not" in shown(loaded(HOST, "imap.idle_timeout=5"))
    assert "environment TWISTMAIL_POP__X: error: unknown section [pop]" in shown(loaded(HOST, environ={"TWISTMAIL_POP__X": "1"}))
    assert "error: this sets nothing" in shown(loaded(HOST, "nonsense"))


def test_pattern_sections_come_by_name(loaded):
    config = loaded(HOST + "[route:b.example]\nvia = one\n[route:a.example]\nvia = two\nwords = x, y\n").config
    assert {name: (route.via, route.words) for name, route in config.named("route").items()} == {
        "b.example": ("one", ("a", "b")),
        "a.example": ("two", ("x", "y")),
    }


@pytest.mark.parametrize("written", ["env:SECRET", "file:secret.txt", "cred:secret"])
def test_a_secret_is_taken_from_where_the_value_points_to(loaded, tmp_path, written):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret.txt").write_text("hun ter#2\n")
    (tmp_path / "secret").write_text("hun ter#2\n")
    environ = {"SECRET": "hun ter#2", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    result = loaded(HOST + f"data_dir = data\n[relay]\nsmarthost_password = {written}\n", environ=environ)
    assert result.problems == ()
    assert result.config["relay"].smarthost_password == "hun ter#2"
    assert result.config.text("relay", "smarthost_password") == written


@pytest.mark.parametrize("written", ["env:NONE", "file:none.txt", "cred:none", "cred:../secret"])
def test_a_secret_that_is_not_there_is_an_error(loaded, written):
    assert "bad.ini:4:22: error: smarthost_password: " in shown(loaded(HOST + f"[relay]\nsmarthost_password = {written}\n"))


def test_a_secret_in_a_private_file_is_no_problem_and_never_shown(loaded, tmp_path):
    (tmp_path / "p.ini").write_text(HOST + "[relay]\nsmarthost_password = hunter2\n")
    (tmp_path / "p.ini").chmod(0o600)
    result = load(SECTIONS, tmp_path / "p.ini", (), {})
    assert result.problems == ()
    assert result.config.text("relay", "smarthost_password") == "(secret)"
    assert result.config["relay"].smarthost_password == "hunter2"


@pytest.mark.parametrize(
    ("imap", "pop3", "clash"),
    [
        pytest.param("tcp:143", "tcp:143", True, id="same-port"),
        pytest.param("tcp:143", "tls:port=143", True, id="tls-does-not-make-it-another-port"),
        pytest.param("tcp:143", "tcp:143:interface=127.0.0.1", True, id="all-interfaces-include-one"),
        pytest.param("tcp:143:interface=127.0.0.1", "tcp:143", True, id="all-interfaces-include-one-the-other-way-round"),
        pytest.param("tcp:143:interface=127.0.0.1", "tcp:143:interface=127.0.0.2", False, id="two-interfaces"),
        pytest.param("tcp:0", "tcp:0", False, id="any-free-port"),
        pytest.param("unix:a", "unix:a", True, id="same-socket"),
    ],
)
def test_two_services_on_one_port_are_an_error(loaded, imap, pop3, clash):
    result = loaded(HOST + f"[imap]\nlisten = {imap}\n[pop3]\nlisten = {pop3}\n", checks=CHECKS)
    assert ("is taken by [" in shown(result)) is clash
    assert (result.config is None) is clash


def test_a_server_that_listens_nowhere_is_a_warning(loaded):
    result = loaded(HOST, checks=CHECKS)
    assert "warning: no service listens anywhere" in shown(result)
    assert result.config is not None


def test_a_server_with_one_bad_listen_is_not_told_that_it_listens_nowhere(loaded):
    assert "listens anywhere" not in shown(loaded(HOST + "[imap]\nlisten = tls:993\n", checks=CHECKS))


def test_the_difference_of_two_configurations_names_what_needs_a_restart(loaded):
    old = loaded(HOST + "[imap]\nidle_timeout = 1m\n[relay]\nsmarthost_password = env:A\n", environ={"A": "x"}).config
    new = loaded(
        HOST + "[imap]\nidle_timeout = 2m\n[mx]\nlisten = tcp:25\n[relay]\nsmarthost_password = hunter2\n[route:x.example]\nvia = y\n"
    ).config
    found = {(d.section, d.key): (d.texts, d.reload) for d in old.differences(new)}
    assert found[("imap", "idle_timeout")] == (("1m", "2m"), Reload.NEW)
    assert found[("mx", "listen")] == (("off", "tcp:25"), Reload.RESTART)
    assert found[("relay", "smarthost_password")] == (("env:A", "(secret)"), Reload.LIVE)
    assert found[("route:x.example", "via")][0] == ("", "y")
    assert ("server", "hostname") not in found
    assert old.differences(old) == ()


def test_relative_paths_start_at_data_dir_which_starts_at_the_file(loaded, tmp_path):
    config = loaded(HOST + "data_dir = here\n").config
    assert config.file("run/x.sock") == tmp_path.resolve() / "here/run/x.sock"
    assert config.file("/abs") == Path("/abs")


def test_a_peek_reads_a_file_with_mistakes(tmp_path):
    (tmp_path / "c.ini").write_text("[server]\ndata_dir = d\n[nonsense]\nx = y\n[imap]\nidle_timeout = 7m\n")
    config = peek(IMAP, tmp_path / "c.ini", (), {})
    assert config["imap"].idle_timeout == 420
    assert config.file(config["server"].control) == tmp_path.resolve() / "d/run/control.sock"


def test_the_file_is_found_where_it_is_expected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("given.ini", {"TWISTMAIL_CONFIG": "other.ini"}) == Path("given.ini")
    assert find_file(None, {"TWISTMAIL_CONFIG": "other.ini"}) == Path("other.ini")
    (tmp_path / "config.ini").write_text("")
    assert find_file(None, {}) == Path("config.ini")
