"""`twistmail tls` while the server is down: what the book says, and forgetting. With a server: tests/test_tls_desk.py."""

import io
import json
import os
import time
from pathlib import Path

import pytest

from twistmail.cli.main import status
from twistmail.relay.mtasts import parse
from twistmail.relay.route import Host
from twistmail.relay.terms import Finding, Level, Policy
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory

BOOK = Path("data/tls.sqlite")
STS = parse(b"version: STSv1\nmode: enforce\nmx: *.far.test\nmax_age: 604800\n")


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one, and data of a server that does not run."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text("[server]\nhostname = mail.blue.example\ndata_dir = data\n")
    Path("data").mkdir()


@pytest.fixture
def known():
    """Something has happened."""
    from twistmail.relay.tlsbook import KeptPolicy

    now = time.time()
    memory = TlsMemory(TlsBook(BOOK), lambda: now)
    memory.saw("far.test", "mx1.far.test", Level.VERIFIED)
    memory.saw("far.test", "mx2.far.test", Level.ENCRYPTED)
    memory.saw("other.test", "mx.other.test", Level.ENCRYPTED)
    memory.keep(KeptPolicy("far.test", "1", STS, now, now))
    host = Host("mx2.far.test", "192.0.2.2", 25)
    told = Policy("far.test", "sts", STS.lines, STS.patterns)
    for _ in range(3):
        memory.count(told, host, Finding("TLSv1.3", "MTA-STS"), "")
    memory.count(told, host, Finding("TLSv1.3", fault="its certificate has expired", source="192.0.2.9"), "certificate-expired")
    memory.close()


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        monkeypatch.setattr("sys.stdin", io.StringIO())
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_what_is_known_is_listed_by_domain(run, known):
    code, out, err = run("tls")
    assert code == 0
    assert "does not run" in err
    rows = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["DOMAIN", "BEST", "LAST", "MTA-STS", "GOOD", "BAD"]
    assert cells[1] == ["far.test", "certificate in order", "0s ago", "enforce, holds 6d", "3", "1"]
    assert cells[2] == ["other.test", "encrypted", "0s ago", "-", "0", "0"]
    (row,) = map(json.loads, run("tls list FAR.test --json")[1].splitlines())
    assert [(one["name"], one["level"]) for one in row["servers"]] == [("mx1.far.test", "verified"), ("mx2.far.test", "encrypted")]
    assert row["mta_sts"]["mx"] == ["*.far.test"]


def test_a_domain_is_forgotten(run, known):
    assert run("tls forget Far.Test")[:2] == (0, "1 domain forgotten\n")
    assert [one.domain for one in TlsBook(BOOK).seen()] == ["other.test"]
    assert TlsBook(BOOK).policies() == ()
    assert run("tls forget far.test")[:2] == (1, "0 domains forgotten\n")
    assert run("tls list gone.test --quiet")[0] == 1


def test_results_are_told_and_make_the_policies_of_a_report(run, known):
    """RFC 8460 §4.4."""
    code, out, _ = run("tls results")
    assert code == 0
    assert [line.split()[1:5] for line in out.splitlines()[1:]] == [
        ["far.test", "sts", "successful", "3"], ["far.test", "sts", "certificate-expired", "1"]]
    (policy,) = json.loads(run("tls results far.test --report")[1])
    assert policy == {
        "policy": {"policy-type": "sts", "policy-string": list(STS.lines), "policy-domain": "far.test", "mx-host": ["*.far.test"]},
        "summary": {"total-successful-session-count": 3, "total-failure-session-count": 1},
        "failure-details": [{
            "result-type": "certificate-expired", "sending-mta-ip": "192.0.2.9", "receiving-mx-hostname": "mx2.far.test",
            "receiving-ip": "192.0.2.2", "failure-reason-code": "its certificate has expired", "failed-session-count": 1}],
    }
    assert json.loads(run("tls results other.test --report")[1]) == []


@pytest.mark.parametrize(("line", "code", "words"), [
    pytest.param("tls list far..test", 64, "far..test", id="no-domain"),
    pytest.param("tls forget", 64, "Missing argument", id="nothing-to-forget"),
    pytest.param("tls results --report", 64, "one domain", id="a-report-about-all"),
    pytest.param("tls results --days 4000", 64, "4000", id="too-many-days"),
    pytest.param("tls show far.test", 69, "does not run", id="to-look-up-needs-the-server"),
    pytest.param("tls frget far.test", 64, "forget", id="a-slip-of-the-pen"),
])
def test_what_is_wrong_is_said(run, line, code, words):
    found, _, err = run(line)
    assert (found, words in err) == (code, True), err


def test_before_any_mail_has_left_nothing_is_known(run):
    assert run("tls --json")[:2] == (0, "")
    assert "nothing is known yet" in run("tls")[2]
    assert run("tls forget far.test")[0] == 1
    assert not BOOK.exists()
