"""What is not as it should be on the disk, as values: which path, what is wrong there, and what cures it.

Found by `store.verify` and `queue.verify`, shown by `twistmail verify`, asked for by every test that kills something.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from twistmail.mail.values import frozen

#: What `Anomaly.cure` says where nothing has to be done.
BY_ITSELF = "nothing to do"


class Severity(Enum):
    """How bad it is. Only errors make a check fail."""

    ERROR = "error"  # mail, or what was promised about it, is lost or in danger
    WARNING = "warning"  # not as anybody would have made it; no mail is in danger
    NOTE = "note"  # may be so, and goes by itself


@frozen
class Anomaly:
    """One thing that is not as it should be. `kind` is a word for programs, such as "empty" or "uid-twice"; it never changes."""

    severity: Severity
    kind: str
    path: str
    what: str
    cure: str = BY_ITSELF
    account: str = ""
    folder: str = ""

    def as_json(self) -> dict[str, Any]:
        where = {"account": self.account, "folder": self.folder} if self.account else {}
        return {"severity": self.severity.value, "kind": self.kind, "path": self.path, "what": self.what, "cure": self.cure, **where}


@dataclass(slots=True)
class Report:
    """All that a check has found, and how much it has looked at (`counted`: messages, mailboxes, items, expunged ...)."""

    anomalies: list[Anomaly] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, *anomalies: Anomaly) -> None:
        self.anomalies.extend(anomalies)

    def join(self, other: Report) -> None:
        self.anomalies.extend(other.anomalies)
        self.counted.update(other.counted)

    def of(self, severity: Severity) -> list[Anomaly]:
        return [anomaly for anomaly in self.anomalies if anomaly.severity is severity]

    @property
    def is_sound(self) -> bool:
        """No errors: notes and warnings do not count."""
        return not self.of(Severity.ERROR)

    def kinds(self) -> set[str]:
        return {anomaly.kind for anomaly in self.anomalies}


def text_of(path: str | bytes | os.PathLike[str], *below: bytes) -> str:
    """A path for people and for JSON: octets that are no UTF-8 are shown as `\\xNN`."""
    return os.path.join(os.fsencode(path), *below).decode("utf-8", "backslashreplace")


def first_and_count(paths: Iterable[str]) -> tuple[str, int]:
    """The first of *paths* (empty where there is none) and how many there are."""
    found = list(paths)
    return (found[0] if found else ""), len(found)
