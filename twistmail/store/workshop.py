"""What all mailboxes of a store work with, handed down in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twistmail.mail.mime import Description
from twistmail.store.hints import Hints


@dataclass(frozen=True, slots=True)
class Workshop:
    """`threads`: tasks.Threads; `committer`: disk.Committer; `now`: POSIX seconds; `describe`: mail.mime.describe; `hints`: of changes."""

    threads: Any
    committer: Any
    now: Callable[[], float]
    describe: Callable[[bytes], Description]
    hints: Hints
