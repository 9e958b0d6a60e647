from __future__ import annotations

import pytest

from twistmail.relay.dane import Tlsa
from twistmail.relay.route import Tls
from twistmail.relay.tlstable import Line, parse
from twistmail.watched import Broken

DIGEST = "ab" * 32


def test_what_a_table_means():
    found = parse(
        "# who                 how much\n"
        "bank.example          dane   # by contract\n"
        ".bank.example         verified\n\n"
        "Bücher.example        required\n"
        "[Relay.example]:587   required\n"
        "[192.0.2.7]           off\n"
        f"plant.example         verified key={DIGEST} key={'AB:' * 31}ab\n"
        "partner.example       verified match=mx.partner.example,.hosting.example match=192.0.2.1\n"
    )
    assert found == {
        "bank.example": Line(2, Tls.DANE), ".bank.example": Line(3, Tls.VERIFIED), "xn--bcher-kva.example": Line(5, Tls.REQUIRED),
        "[relay.example]:587": Line(6, Tls.REQUIRED), "[192.0.2.7]": Line(7, Tls.OFF),
        "plant.example": Line(8, Tls.VERIFIED, (), (Tlsa(3, 1, 1, bytes.fromhex(DIGEST)),) * 2),
        "partner.example": Line(9, Tls.VERIFIED, ("mx.partner.example", ".hosting.example", "192.0.2.1")),
    }
    assert [line.is_final for line in found.values()] == [False, False, False, False, True, True, True]


@pytest.mark.parametrize(("line", "words"), [
    pytest.param("far.example", "how much encryption", id="no-level"),
    pytest.param("far.example may", "may is no level; write opportunistic", id="as-postfix-says"),
    pytest.param("far.example dane-only", "write dane", id="as-postfix-says-dane-only"),
    pytest.param("far.example strong", "write one of off, opportunistic", id="no-such-level"),
    pytest.param("far..example required", "far..example", id="no-domain"),
    pytest.param("[far.example]:99999 required", "99999 is no port", id="no-port"),
    pytest.param("far.example verified colour=blue", "colour=blue is not understood", id="an-unknown-option"),
    pytest.param("far.example required match=a.example", "write verified in place of required", id="match-without-checking"),
    pytest.param("far.example verified key=1234", "64 hexadecimal digits", id="a-short-key"),
    pytest.param("far.example verified key=" + "xy" * 32, "64 hexadecimal digits", id="not-a-key"),
])
def test_a_mistake_is_told_with_its_line(line, words):
    with pytest.raises(Broken) as broken:
        parse(f"# first\nok.example off\n{line}\n")
    ((number, text),) = broken.value.problems
    assert number == 3
    assert words in text


def test_a_domain_stands_once():
    with pytest.raises(Broken, match=r"line 2: far\.example stands in line 1 already"):
        parse("far.example off\nFAR.example required\n")
