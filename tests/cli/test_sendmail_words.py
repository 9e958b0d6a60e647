"""The command line of sendmail."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.cli.sendmail_words import Misused, Task, Wanted, read


@pytest.mark.parametrize(("line", "wanted"), [
    pytest.param("a b", Wanted(("a", "b")), id="recipients"),
    pytest.param("-t", Wanted(from_header=True), id="from-the-header"),
    pytest.param("-ti", Wanted(from_header=True, dots=False), id="flags-together"),
    pytest.param("-i a", Wanted(("a",), dots=False), id="i"),
    pytest.param("-oi a", Wanted(("a",), dots=False), id="oi"),
    pytest.param("-o i a", Wanted(("a",), dots=False), id="o-i"),
    pytest.param("-oem -odb -om a", Wanted(("a",)), id="other-options-are-harmless"),
    pytest.param("-f x@y a", Wanted(("a",), sender="x@y"), id="f"),
    pytest.param("-fx@y a", Wanted(("a",), sender="x@y"), id="f-attached"),
    pytest.param("-r x@y a", Wanted(("a",), sender="x@y"), id="r"),
    pytest.param("-f <> a", Wanted(("a",), sender=""), id="nobody"),
    pytest.param("-tif x@y", Wanted(sender="x@y", from_header=True, dots=False), id="an-argument-behind-several-flags"),
    pytest.param("-FFred a", Wanted(("a",), name="Fred"), id="a-name"),
    pytest.param("-bm -- -a", Wanted(("-a",)), id="recipients-behind-two-hyphens"),
    pytest.param("-XV -f news a", Wanted(("a",), sender="news", verp="default"), id="a-sender-for-each-recipient"),
    pytest.param("-XV-= a", Wanted(("a",), verp="-="), id="with-other-delimiters"),
    pytest.param("-XV@= a", None, id="with-no-delimiters"),
    pytest.param("-X log a", Wanted(("a",)), id="a-log-that-nobody-writes"),
    pytest.param("-N success,Delay -R hdrs -V id1 a", Wanted(("a",), notify="SUCCESS,DELAY", ret="HDRS", envid="id1"), id="reports"),
    pytest.param("-B8BITMIME -G -Ac -d0.1 -h 3 a", Wanted(("a",)), id="what-is-ignored-and-attached"),
    pytest.param("-B 8BITMIME -L tag -U -n -v a", Wanted(("a",)), id="what-is-ignored"),
    pytest.param("a -t", Wanted(("a",), from_header=True), id="flags-behind-recipients"),
    pytest.param("-bp", Wanted(task=Task.LIST), id="queue"),
    pytest.param("-bp --json", Wanted(task=Task.LIST, as_json=True), id="queue-as-json"),
    pytest.param("-bp -qRfar.test", Wanted(task=Task.LIST, parts=(("recipient", "far.test"),)), id="a-part-of-the-queue"),
    pytest.param("-qRfar.test -bp", Wanted(task=Task.LIST, parts=(("recipient", "far.test"),)), id="the-other-way-round"),
    pytest.param("-q", Wanted(task=Task.FLUSH), id="flush"),
    pytest.param("-v -q", Wanted(task=Task.FLUSH), id="flush-and-tell"),
    pytest.param("-qSann@ -qI6k3", Wanted(task=Task.FLUSH, parts=(("sender", "ann@"), ("id", "6k3"))), id="flush-by-sender-and-id"),
    pytest.param("-q15m", Wanted(task=Task.NOTHING), id="flush-now-and-then"),
    pytest.param("-qf", Wanted(task=Task.NOTHING), id="flush-here"),
    pytest.param("-qp1h30m", Wanted(task=Task.NOTHING), id="flush-now-and-then-by-one-process"),
    pytest.param("-q -q30m", Wanted(task=Task.FLUSH), id="flush-now-and-later"),
    pytest.param("-qR", None, id="flush-which-recipient"),
    pytest.param("-qXa", None, id="flush-by-what"),
    pytest.param("-q!Ra", None, id="flush-all-but"),
    pytest.param("-bs -odb -oem", Wanted(task=Task.SPEAK), id="smtp"),
    pytest.param("-bi", Wanted(task=Task.ALIASES), id="aliases"),
    pytest.param("-I", Wanted(task=Task.ALIASES), id="aliases-as-postfix-has-it"),
    pytest.param("-bv a b", Wanted(("a", "b"), task=Task.VERIFY), id="look-up"),
    pytest.param("-C /etc/x.ini a", Wanted(("a",), config="/etc/x.ini"), id="a-configuration"),
    pytest.param("-e m -c -x -D log a", Wanted(("a",)), id="what-is-ignored-as-postfix-ignores-it"),
    pytest.param("-bd", None, id="a-daemon"),
    pytest.param("-bt", None, id="a-test"),
    pytest.param("-bX", None, id="no-such-mode"),
    pytest.param("-f", None, id="a-flag-without-its-argument"),
    pytest.param("-z a", None, id="no-such-flag"),
    pytest.param("-N never,success a", None, id="never-and-something"),
    pytest.param("-R some a", None, id="no-such-return"),
])  # fmt: skip
def test_what_a_line_means(line: str, wanted: Wanted | None) -> None:
    if wanted is None:
        with pytest.raises(Misused):
            read(line.split())
    else:
        assert read(line.split()) == wanted


def test_an_empty_sender_is_nobody() -> None:
    assert read(["-f", "", "a"]).sender == ""


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_line_means_something_or_is_told_what_is_wrong(words: list[str]) -> None:
    with contextlib.suppress(Misused):
        assert len(read(words).recipients) <= len(words)


def test_whoever_only_sends_does_not_wait_for_the_server_s_modules(tmp_path: Path) -> None:
    """Programs call it for each message: what Twisted needs to be imported would be most of its time."""
    (tmp_path / "config.ini").write_text("[server]\nhostname = a.test\n[submission]\nlisten = unix:x.sock:mode=666\nrate = 1/1h\n")
    code = (
        "import sys; from twistmail.cli import sendmail; from twistmail.cli.sendmail_talk import place_of; "
        "print(place_of(sendmail.Terminal('config.ini')), [name for name in sys.modules if name.startswith(('twisted.', 'zope.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().endswith("x.sock []"), done.stdout
