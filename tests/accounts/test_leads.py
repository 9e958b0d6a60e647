"""What a directory tells of an alias: addresses, all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail.accounts.asking import Asking
from twistmail.accounts.leads import MOST_TARGETS, DirectoryAliases, targets_of
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.tasks import Inline


@pytest.mark.parametrize(("told", "targets"), [
    pytest.param([], (), id="nothing"),
    pytest.param([None, ""], (), id="null"),
    pytest.param(["ann", "bob@x.example"], ("ann", "bob@x.example"), id="one-in-each"),
    pytest.param(["ann, bob@x.example\ncarl"], ("ann", "bob@x.example", "carl"), id="several-in-one"),
    pytest.param(["ann", "ann"], ("ann",), id="twice"),
])  # fmt: skip
def test_texts_are_addresses(told: list[Any], targets: tuple[str, ...]) -> None:
    assert targets_of(told) == tuple(map(parse, targets))


@pytest.mark.parametrize("told", [
    pytest.param(["ann", "|/bin/sh"], id="command"),
    pytest.param(['"|/bin/sh'], id="quoted-command"),
    pytest.param(["/etc/passwd"], id="file"),
    pytest.param([":include:/etc/passwd"], id="list-in-a-file"),
    pytest.param(["a@b@c"], id="no-address"),
    pytest.param([{"a": 1}], id="no-text"),
    pytest.param([" ".join(f"a{number}" for number in range(MOST_TARGETS + 1))], id="too-many"),
])  # fmt: skip
def test_a_part_of_an_answer_is_no_answer(told: list[Any]) -> None:
    async def ask(name: str) -> list[Any]:
        return told

    aliases = DirectoryAliases(ask, Asking("it", Clock(), Inline(), 5.0))
    with pytest.raises(Unavailable, match="cannot be understood"):
        result_of(aliases.lookup(Address("list", "here.example")))
