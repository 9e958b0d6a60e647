"""Mail that is left while the server is down: what the server could not take is refused at once, while somebody listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from twistmail.cli.dropping import leave
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal
from twistmail.mail.dropped import MOST_RECIPIENTS, Dropped, read

CONFIG = "[server]\nhostname = mail.blue.example\n[submission]\nmax_message = 1K\n"


@pytest.fixture
def pickup(tmp_path: Path) -> Path:
    (tmp_path / "pickup" / "new").mkdir(parents=True)
    (tmp_path / "config.ini").write_text(CONFIG)
    return tmp_path / "pickup"


def terminal(pickup: Path, config: str = "config.ini") -> Terminal:
    return Terminal(str(pickup.parent / config), environ={"TWISTMAIL_PICKUP": str(pickup)})


def test_a_message_is_left_whole(pickup):
    message = Dropped("ann", ("bob",), b"Subject: x\r\n\r\nx\r\n")
    assert leave(terminal(pickup), message, "down") == pickup
    (left,) = (pickup / "new").iterdir()
    assert read(left.read_bytes()) == message


@pytest.mark.parametrize(("message", "words"), [
    pytest.param(Dropped(None, ("bob",), b"x" * 1025), "max_message = 1024", id="too-large"),
    pytest.param(Dropped("a\x01b", ("bob",), b"x"), "cannot wait for it", id="no-sender"),
    pytest.param(Dropped(None, ("b" * 500,), b"x"), "cannot wait for it", id="no-recipient"),
    pytest.param(Dropped(None, ("b",) * (MOST_RECIPIENTS + 1), b"x"), "cannot wait for it", id="too-many"),
    pytest.param(Dropped(None, ("b",), b"x", envid="a b"), "cannot wait for it", id="no-parameter"),
])  # fmt: skip
def test_what_the_server_would_put_aside_is_not_left(pickup, message, words):
    with pytest.raises(Failure) as failure:
        leave(terminal(pickup), message, "down")
    assert failure.value.exit_code == Exit.DATAERR
    assert words in failure.value.format_message()
    assert list((pickup / "new").iterdir()) == []


def test_who_may_not_read_the_configuration_goes_by_the_usual_limit(pickup):
    assert leave(terminal(pickup, "none.ini"), Dropped(None, ("bob",), b"x" * 1025), "down") == pickup
    with pytest.raises(Failure):
        leave(terminal(pickup, "none.ini"), Dropped(None, ("bob",), bytes(36_700_161)), "down")
