"""Under which domain a house writes, who is left out, and which domains no answer can reach."""

from __future__ import annotations

import pytest

from twistmail.mail.address import Address, parse
from twistmail.mail.masquerade import Masquerade, is_private

HOUSE = Masquerade("dom1.test", frozenset({".lan", "pc9.far.test"}), frozenset({Address("root"), Address("eve", "pc7.lan")}))


@pytest.mark.parametrize(("address", "seen"), [
    pytest.param("fred@pc7.lan", "fred@dom1.test", id="below-the-domain"),
    pytest.param("Fred@a.b.lan", "Fred@dom1.test", id="far-below-it-and-in-capitals"),
    pytest.param("fred@pc9.far.test", "fred@dom1.test", id="that-very-name"),
    pytest.param("fred@x.pc9.far.test", None, id="not-below-that-name"),
    pytest.param("fred@lan", None, id="not-the-domain-itself"),
    pytest.param("fred@vlan", None, id="only-the-same-end"),
    pytest.param("fred@far.test", None, id="somebody-else"),
    pytest.param("fred@dom1.test", None, id="already-so"),
    pytest.param("root@pc7.lan", None, id="an-exception-by-name"),
    pytest.param("Root@pc8.lan", None, id="an-exception-in-capitals"),
    pytest.param("eve@pc7.lan", None, id="an-exception-by-address"),
    pytest.param("eve@pc8.lan", "eve@dom1.test", id="the-same-name-elsewhere"),
])  # fmt: skip
def test_what_the_world_sees(address: str, seen: str | None) -> None:
    assert HOUSE.of(parse(address)) == (None if seen is None else parse(seen))


@pytest.mark.parametrize(("domain", "private"), [
    ("pc7", True), ("pc7.lan", True), ("localhost", True), ("localhost.localdomain", True), ("x.home.arpa", True), ("home.arpa", True),
    ("mail.internal", True), ("far.test", False), ("far.example", False), ("lan.test", False), ("[192.0.2.1]", False), ("in.arpa", False),
])  # fmt: skip
def test_domains_that_nobody_outside_can_look_up(domain: str, private: bool) -> None:
    assert is_private(domain) is private
