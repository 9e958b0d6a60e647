"""Tables of regular expressions as canonical tables."""

from __future__ import annotations

import time

import pytest

from tests.helpers import takes_linear_time
from twistmail.canonical.table import Found, Listed, parse_domains
from twistmail.canonical_tables import Expressions, table_at
from twistmail.mail.address import Address
from twistmail.mail.address import parse as address
from twistmail.watched import Broken

TEXT = """\
# who
/^ann@/            Ann.Smith
if /@lan$/
/^(.+)\\+(.+)@/    $2@$1.test
endif
!/@blue\\.test$/   rest@blue.test
"""


@pytest.mark.parametrize(("written", "line", "becomes"), [
    pytest.param("ANN@blue.test", 2, "Ann.Smith", id="case-does-not-count"),
    pytest.param("a+b@lan", 4, "b@a.test", id="groups"),
    pytest.param("a@lan", 6, "rest@blue.test", id="behind-the-if"),
    pytest.param("a+b@blue.test", None, "", id="nobody"),
    pytest.param("a..b+c@lan", None, "", id="what-makes-no-address"),
])  # fmt: skip
def test_what_an_address_becomes(written, line, becomes):
    found = Expressions(TEXT).find(Address("a..b+c", "lan") if ".." in written else address(written), ())
    assert found == (None if line is None else Found(line, address(becomes)))


@pytest.mark.parametrize(("text", "line", "words"), [
    pytest.param("/a/ b@c.test, d@e.test", 1, "wants one address", id="several"),
    pytest.param("/x/ y\n/a/ /var/mail/x", 2, "wants one address", id="a-file"),
    pytest.param("/a/ |rm", 1, "wants one address", id="a-program"),
    pytest.param("/a/ :fail: no", 1, "wants one address", id="an-answer"),
    pytest.param("/a(/ b", 1, "", id="no-expression"),
    pytest.param("/a/ $1@b.test", 1, "no group", id="no-group"),
    pytest.param("ann Ann.Smith", 1, "no expression", id="a-plain-line"),
])  # fmt: skip
def test_a_mistake_is_told_with_its_line(text, line, words):
    with pytest.raises(Broken) as broken:
        Expressions(text)
    assert broken.value.problems[0][0] == line
    assert words in broken.value.problems[0][1]


def test_which_reader_a_name_has():
    assert table_at("regexp:/x") == ("/x", Expressions)
    assert table_at("pcre:/x") == ("/x", Expressions)
    assert table_at("domaintable:/x") == ("/x", parse_domains)
    name, parse = table_at("/etc/canonical")
    assert (name, type(parse("a b\n"))) == ("/etc/canonical", Listed)


def test_an_expression_that_is_built_to_explode_does_not():
    def seconds(size):
        table, begun = Expressions("/^(a+)+(a|a)*b@/ x@y.test\n"), time.process_time()
        assert table.find(Address("a" * size, "blue.test"), ()) is None
        return time.process_time() - begun

    assert takes_linear_time(seconds, 500)
