"""A book that is only being made has nothing in it yet, whichever it is."""

from __future__ import annotations

import pytest

from twistmail.doorbook import Doorbook
from twistmail.relay.tlsbook import TlsBook


@pytest.mark.parametrize("read", [
    pytest.param(lambda path: Doorbook(path).bans(), id="bans"),
    pytest.param(lambda path: Doorbook(path).last_logins(), id="logins"),
    pytest.param(lambda path: TlsBook(path).seen(), id="levels"),
])
def test_between_its_file_and_its_tables_it_is_empty(tmp_path, read):
    (tmp_path / "book.sqlite").touch()
    assert read(tmp_path / "book.sqlite") == ()
