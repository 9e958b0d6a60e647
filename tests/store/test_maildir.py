"""One maildir and what its owner may put into it, where that is a user of this machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from twistmail.store.jobs import details_of
from twistmail.store.maildir import Maildir

NAME = "1000.M1P1.here"
PATIENCE = 10.0


def test_a_pipe_in_the_place_of_a_message_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    os.mkfifo(tmp_path / "new" / NAME)
    maildir = Maildir(tmp_path, lambda: b"", None)  # type: ignore[arg-type]
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(details_of(maildir, f"new/{NAME}".encode())), daemon=True)
    reader.start()
    reader.join(PATIENCE)
    if reader.is_alive():  # let it go
        os.close(os.open(tmp_path / "new" / NAME, os.O_WRONLY | os.O_NONBLOCK))
        raise AssertionError("whoever reads the maildir waits for somebody to write into the pipe")
    os.close(maildir.descriptor("new"))
    assert found == [None]
