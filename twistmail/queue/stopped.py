"""The spool of a server that does not run: looked at, and changed by an operator's hand.

The rules are those of `spool`: an order is one more record at the end of an
envelope, durable when its function returns; a message goes by its envelope
first. Whoever changes anything must have seen to it that no server runs, by
taking its data folder (`tenancy.occupy`). Blocking, stdlib only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from twistmail.mail.item import Item
from twistmail.mail.outcome import Event, Outcome, Postponed, Result
from twistmail.mail.status import Status
from twistmail.queue import express, records
from twistmail.queue.ends import with_last_answer
from twistmail.queue.folders import CONTENT, ENVELOPE, Folders

CHUNK = 64 * 1024


class StoppedSpool:
    """The queue below *root*. *complain*(text) hears of envelopes that cannot be read."""

    def __init__(self, root: Path, complain: Callable[[str], None] = lambda text: None) -> None:
        self._root, self._ready = root, root / "ready"
        self._complain = complain
        self._logged: dict[str, express.Logged] = {}

    def take(self) -> None:
        """Give files to what a crash has left in the log, before anything is changed. OSError."""
        if self._ready.is_dir() and (log := express.begin(Folders(self._root))) is not None:
            log.close()

    def items(self) -> list[Item]:
        """All that waits, oldest first. Empty where there is no queue."""
        return sorted(self._read(), key=lambda item: (item.arrived, item.id))

    def _read(self) -> Iterator[Item]:
        for path in self._ready.glob("*" + ENVELOPE):
            try:
                yield records.read(path.read_bytes())[0]
            except FileNotFoundError:
                continue
            except records.Damaged as trouble:
                self._complain(f"{path}: {trouble}")
        self._logged = express.pending(self._root)
        for identifier, logged in self._logged.items():
            if not (self._ready / (identifier + ENVELOPE)).exists():
                yield records.read(logged.envelope)[0]

    def pieces(self, item: Item) -> Iterator[bytes]:
        """The message, as it would be sent but for what the relay changes. OSError where it has gone."""
        yield item.prefix
        if item.id in self._logged and not (self._ready / (item.id + CONTENT)).exists():
            yield self._logged[item.id].content
            return
        with open(self._ready / (item.id + CONTENT), "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    # ----- orders; KeyError where there is no such item, OSError where the disk will not

    def hold(self, identifier: str, held: bool, why: str = "") -> None:
        """Set or clear the operator's hold."""
        self._append(identifier, records.hold_written(held, why))

    def record(self, identifier: str, event: Event) -> None:
        """Write *event* down."""
        self._append(identifier, records.event_written(event))

    def give_up(self, item: Item, status: Status, now: float) -> None:
        """What still waits has failed by *status*; the server writes the report when it starts, whatever held the message."""
        if item.held:
            self.hold(item.id, held=False)
        for errand in item.pending:
            self.record(item.id, Outcome(errand.target, Result.FAILED, with_last_answer(status, errand)))
        self.record(item.id, Postponed(now))

    def remove(self, identifier: str) -> None:
        """Forget the message."""
        envelope = self._ready / (identifier + ENVELOPE)
        try:
            envelope.unlink()
        except FileNotFoundError:
            raise KeyError(identifier) from None
        (self._ready / (identifier + CONTENT)).unlink(missing_ok=True)
        _sync(self._ready, os.O_DIRECTORY)

    def _append(self, identifier: str, line: bytes) -> None:
        """*line* behind the sound part of the envelope, over what a crash may have left there."""
        path = self._ready / (identifier + ENVELOPE)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise KeyError(identifier) from None
        try:
            with open(descriptor, "rb", closefd=False) as file:
                _, sound = records.read(file.read())
            os.ftruncate(descriptor, sound)
            if os.pwrite(descriptor, line, sound) != len(line):
                os.ftruncate(descriptor, sound)
                raise OSError("the record was written in part only")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync(path: Path, more: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | more)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
