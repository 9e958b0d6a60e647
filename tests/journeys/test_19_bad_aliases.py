"""What can be wrong with aliases and addresses: the sender hears something sensible, the operator where it is; nothing else suffers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher

from tests.journeys.house import House
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Outcome, Result

MESSAGE = b"From: eve@far.test\r\nSubject: x\r\n\r\nhello\r\n"


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What the operator reads."""
    found: list[str] = []

    def note(event: dict[str, Any]) -> None:
        found.append(str(formatEvent(event)))

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)


@dataclass(frozen=True)
class Bad:
    """Files (by name, in a folder `{0}`), lines of the configuration, who is written to, what the sender hears, what the log says."""

    recipient: str
    answer: str
    files: dict[str, str]
    config: str = "[aliases]\nsource = config file:{0}/one\n"
    log: str = ""


IN_A_CIRCLE = "550 5.4.6 The aliases of that name lead in a circle"
LATER = "451 4.3.0 "
CASES = {
    "loop-across-files": Bad("a", IN_A_CIRCLE, {"one": "a: b\n", "two": "b: c\n", "three": "c: a\n"},
                             "[aliases]\nsource = file:{0}/one file:{0}/two file:{0}/three\n"),
    "loop-of-one": Bad("a", IN_A_CIRCLE, {"one": "a: a\n"}),
    "list-that-contains-itself": Bad("team", "250 2.1.5", {"one": "team: team, fred, team\n"}),
    "list-of-lists-that-contains-itself": Bad("team", "250 2.1.5", {"one": "team: some, fred\nsome: team\n"}),
    "include-of-itself": Bad("a", LATER, {"one": "a: :include:{0}/in\n", "in": "fred\n:include:{0}/in\n"}, log="includes itself"),
    "includes-of-each-other": Bad("a", LATER, {"one": "a: :include:{0}/in\n", "in": ":include:{0}/out\n", "out": ":include:{0}/in\n"},
                                  log="includes itself"),
    "missing-include": Bad("a", LATER, {"one": "a: fred, :include:{0}/nowhere\n"}, log="nowhere"),
    "include-of-a-device": Bad("a", LATER, {"one": "a: :include:/dev/zero\n"}, log="no regular file"),
    "include-of-a-folder": Bad("a", LATER, {"one": "a: :include:{0}\n"}, log="no regular file"),
    "missing-file": Bad("a", LATER, {}, log="one"),
    "unreadable-file": Bad("a", LATER, {"one/in": ""}, log="one"),
    "line-of-10-MB": Bad("a", LATER, {"one": "a: fred\nb: " + "x" * 10_000_000 + "\n"}, log="one:2"),
    "continuation-of-10-MB": Bad("a", LATER, {"one": "a: fred\nb: y\n" + " ,x" * 3_300_000 + "\n"}, log="one"),
    "nul": Bad("a", LATER, {"one": "a: fred\nb: x\0y\n"}, log="one:2"),
    "not-UTF-8": Bad("a", LATER, {"one": "a: fred\nb: \udcff\n"}, log="one:2"),
    "file-that-is-not-allowed": Bad("a", LATER, {"one": "a: /etc/passwd\n"}, log="one:1"),
    "program-that-is-not-allowed": Bad("a", LATER, {"one": "a: |/bin/sh -c id\n"}, log="one:1"),
    "program-in-an-included-list": Bad("a", LATER, {"one": "a: :include:{0}/in\n", "in": "|/bin/sh\n"},
                                       "[aliases]\nsource = file:{0}/one\nprograms = yes\n", log="in:1"),
    "database-that-is-down": Bad("a", LATER, {}, "[aliases]\nsource = config sql\n[sql]\nhost = 127.0.0.1\nport = 1\n"
                                 "alias_query = SELECT goal FROM aliases WHERE name = '%u'\n"),
    "directory-service-that-is-down": Bad("a", LATER, {}, "[aliases]\nsource = config http\n[http]\nurl = http://127.0.0.1:1/%u\n"),
    "expression-that-explodes": Bad("a" * 40 + "-x", "550 5.1.1", {"one": "/^(a+)+$/ fred\n/^((a|a)*)*b@/ fred\n/^(.*a){25}$/ fred\n"},
                                    "[aliases]\nsource = config regexp:{0}/one\n"),
    "expression-that-is-none": Bad("a", LATER, {"one": "/^(a/ fred\n"}, "[aliases]\nsource = config regexp:{0}/one\n", log="one:1"),
    "expression-that-looks-back": Bad("a", LATER, {"one": "/^(a)\\1/ fred\n"}, "[aliases]\nsource = config regexp:{0}/one\n", log="one:1"),
    "virtual-table-with-a-nul": Bad("a", LATER, {"one": "x@blue.test fred\nb\0@blue.test fred\n"},
                                    "[aliases]\nsource = config virtual:{0}/one\n", log="one:2"),
}  # fmt: skip


def _built(build: Any, folder: Path, bad: Bad) -> House:
    folder.mkdir()
    for name, text in bad.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.replace("{0}", str(folder)), "utf-8", "surrogateescape")
    house: House = build(bad.config.format(folder))
    return house


@pytest.mark.parametrize("name", CASES)
def test_the_sender_hears_what_is_sensible_and_the_operator_where_it_is(build: Any, tmp_path: Path, log: list[str], name: str) -> None:
    bad = CASES[name]
    house = _built(build, tmp_path / "files", bad)
    heard = house.smtp("MAIL FROM:<eve@far.test>", f"RCPT TO:<{bad.recipient}@blue.test>")[-1]
    assert heard.startswith(bad.answer), log
    assert any(bad.log in line for line in log), log


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("list-")])
def test_a_list_that_contains_itself_brings_one_copy(build: Any, tmp_path: Path, name: str) -> None:
    house = _built(build, tmp_path / "files", CASES[name])
    assert house.send(MESSAGE, "team@blue.test").startswith("250")
    assert len(house.mail("fred")) == 1
    assert house.waiting == []


@pytest.mark.parametrize("name", ["include-of-itself", "missing-include", "program-that-is-not-allowed", "loop-across-files"])
def test_what_is_wrong_with_one_alias_hinders_no_other(build: Any, tmp_path: Path, name: str) -> None:
    house = _built(build, tmp_path / "files", CASES[name])
    (tmp_path / "files" / "one").write_text((tmp_path / "files" / "one").read_text() + "good: fred\n")
    house.pass_time(10)
    assert house.send(MESSAGE, "good@blue.test").startswith("250")
    assert len(house.mail("fred")) == 1


@pytest.mark.parametrize("trouble", ["a: fred\nb: x\0y\n", "a: fred\nb\n", "a: fred\nb: " + "x" * 10_000_000])
def test_a_file_that_becomes_bad_leaves_the_old_table(build: Any, tmp_path: Path, log: list[str], trouble: str) -> None:
    house = _built(build, tmp_path / "files", Bad("", "", {"one": "good: fred\n"}))
    assert house.send(MESSAGE, "good@blue.test").startswith("250")
    (tmp_path / "files" / "one").write_text(trouble)
    house.pass_time(10)
    assert house.send(MESSAGE, "good@blue.test").startswith("250")
    assert len(house.mail("fred")) == 2
    assert any(f"{tmp_path}/files/one:2" in line for line in log), log


@pytest.mark.parametrize(
    "path",
    [
        b"RCPT TO:<a\0b@blue.test>",
        b"RCPT TO:<ann\0@blue.test>",
        b'RCPT TO:<"ann\0"@blue.test>',
        b"RCPT TO:<ann@blue.test\0>",
        b"RCPT TO:<" + b"a" * 10_000_000 + b"@blue.test>",
        b'RCPT TO:<"' + b"\\" * 10_000_000 + b'"@blue.test>',
    ],
    ids=["in-the-name", "behind-the-name", "in-quotes", "in-the-domain", "a-line-of-10-MB", "quotes-of-10-MB"],
)
def test_a_path_that_is_none_is_refused_and_the_next_is_taken(build: Any, path: bytes) -> None:
    house = build()
    client = house.client("mx")
    client.say("EHLO peer.far.test")
    client.say("MAIL FROM:<eve@far.test>")
    client.say(path)
    assert client.said[-1][0] == "5" or (client.said[-1].startswith("421") and client.transport.closed), client.said
    if not client.transport.closed:
        client.say("RCPT TO:<ann@blue.test>")
        assert client.said[-1].startswith("250")
    assert house.send(MESSAGE, "ann@blue.test").startswith("250")


@pytest.mark.parametrize("kind", ["symbolic-link", "hard-link", "link-on-the-way", "writable-parent", "folder", "pipe"])
def test_a_file_that_is_not_fit_is_left_alone_and_mail_waits(build: Any, tmp_path: Path, log: list[str], kind: str) -> None:
    boxes, other = tmp_path / "boxes", tmp_path / "other"
    boxes.mkdir(mode=0o700)
    other.mkdir(mode=0o700)
    (other / "box").write_text("precious\n")
    name = _spoiled(boxes, other, kind)
    house = _built(build, tmp_path / "files", Bad("", "", {"one": f"a: {boxes}/{name}\n"}, "[aliases]\nsource = file:{0}/one\nfiles = yes\n"
                   f"[delivery]\nfile_dirs = {boxes}\n"))  # fmt: skip
    assert house.send(MESSAGE, "a@blue.test").startswith("250")
    house.settle()
    results = [fact.result for fact in house.told(Outcome) if fact.target.kind is Kind.FILE]  # and a letter to the postmaster
    assert results == [Result.DEFERRED]
    assert (other / "box").read_text() == "precious\n"
    assert any(str(boxes / name) in line for line in log), log


def _spoiled(boxes: Path, other: Path, kind: str) -> str:
    """The name, below *boxes*, of something that mail must not be written to; *other* has a file `box`."""
    match kind:
        case "symbolic-link":
            (boxes / "box").symlink_to(other / "box")
        case "hard-link":
            os.link(other / "box", boxes / "box")
        case "link-on-the-way":
            (boxes / "in").symlink_to(other)
            return "in/box"
        case "writable-parent":
            (boxes / "in").mkdir()
            (boxes / "in").chmod(0o777)
            return "in/box"
        case "folder":
            (boxes / "box").mkdir()
        case "pipe":
            os.mkfifo(boxes / "box")
    return "box"


def test_a_forward_that_everybody_may_write_is_passed_over(build: Any, log: list[str]) -> None:
    house = build()
    assert house.send(MESSAGE, "ann@blue.test").startswith("250")
    forward = house.config.data_dir / "mail" / "blue.test" / "ann" / "forward"
    forward.write_text("x@far.test\n")
    forward.chmod(0o666)
    house.pass_time(20)
    assert house.send(MESSAGE, "ann@blue.test").startswith("250")
    assert (len(house.mail("ann")), house.waiting) == (2, [])
    assert any("forward" in line for line in log), log


@pytest.mark.parametrize("suffix", ["$(id)", ";id", "|id", "`id`", "&&id", "'id'", "{id}", "*", "~", "../x", "-x"])
def test_what_means_something_to_a_shell_is_part_of_a_name(build: Any, suffix: str) -> None:
    house = build()
    local = f'"ann+{suffix}"'
    assert house.send(MESSAGE, f"{local}@blue.test").startswith("250")
    (letter,) = house.mail("ann")
    assert letter["Delivered-To"] in (f"{local}@blue.test", f"ann+{suffix}@blue.test")
