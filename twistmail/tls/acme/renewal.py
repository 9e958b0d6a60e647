"""Certificates that the server gets and renews by itself: whether it is time, one try at a time, what became of the last.

`service` calls `look` every hour, and once after the start; `renew` is what the
operator asks for. The work is done by `issue` in a thread, which is imported
only where ACME is switched on. The certificate lies among our own, where
`Certificates` finds it as any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from twistmail.tls.acme.answers import Answers
from twistmail.tls.acme.due import Past, renewal_time
from twistmail.tls.acme.settings import Failed, Wish
from twistmail.tls.bringing import bring, name_of_file
from twistmail.tls.certificates import Certificate
from twistmail.tls.files import UNREADABLE, read, write_secret

log = Logger()

#: Seconds between two questions when the authority would have a certificate renewed.
ASK_EVERY = 6 * 3600.0
STATE = "state.json"


class Renewal:
    """Keeps what `wish` asks for up to date. *folder*: of ours; *own*: where certificates of ours lie. *now*() in POSIX seconds."""

    def __init__(self, folder: Path, own: Path, threads: Any, now: Callable[[], float]) -> None:
        self.answers = Answers()
        self.wish: Wish | None = None
        self._folder = folder
        self._own = own
        self._threads = threads
        self._now = now
        self._stopping = threading.Event()
        self._busy = False
        self._suggested: float | None = None
        self._asked = 0.0
        self._past: Past | None = None

    @property
    def past(self) -> Past:
        """How the last tries went, those of an earlier process too. Blocking the first time."""
        if self._past is None:
            self._past = _read_past(self._folder / STATE)
        return self._past

    @property
    def path(self) -> Path | None:
        """Where the certificate lies that is kept up to date."""
        return self._own / name_of_file(self.wish.names[0]) if self.wish else None

    def adopt(self, wish: Wish | None) -> None:
        """From now on keep up what *wish* says. Who changes it does not wait for the end of a time after failures."""
        if wish != self.wish and self.wish is not None:
            self._past = Past()
        self.wish = wish

    async def look(self) -> bool:
        """Get a certificate where it is time; whether there is a new one. What goes wrong is logged."""
        if self.wish is None or self._busy:
            return False
        try:
            return await self._run(self.wish)
        except Failed as failure:
            log.error("acme: no certificate for {names}: {why}", names=" ".join(self.wish.names), why=str(failure))
            return False

    async def renew(self, *, force: bool) -> bool:
        """As `look`, however lately it has failed; with *force* even if it is not time. Failed."""
        if self.wish is None:
            raise Failed("[acme] is switched off")
        if self._busy:
            raise Failed("a renewal is under way")
        return await self._run(self.wish, asked=True, force=force)

    async def _run(self, wish: Wish, *, asked: bool = False, force: bool = False) -> bool:
        self._busy = True
        try:
            return await self._threads.run(self._renewed_if_due, wish, asked=asked, force=force)  # type: ignore[no-any-return]
        finally:
            self._busy = False

    def stop(self) -> None:
        """End what waits, and the thread. Blocking, for as long as one request takes; at shutdown only."""
        self._stopping.set()
        self._threads.stop()

    # ----- in the thread

    def _renewed_if_due(self, wish: Wish, *, asked: bool, force: bool) -> bool:
        if not force and not self._is_due(wish):
            return False
        if not asked and self._now() < self.past.not_before:
            return False
        self._issue(wish)
        return True

    def _is_due(self, wish: Wish) -> bool:
        certificate = self._current(wish)
        if certificate is None or not set(wish.names) <= set(certificate.names):
            return True
        self._ask(wish, certificate)
        return self._now() >= renewal_time(certificate.begins, certificate.expires, self._suggested)

    def _current(self, wish: Wish) -> Certificate | None:
        """What we have for *wish*, None where that is nothing that can be used."""
        try:
            return bring([self._own / name_of_file(wish.names[0])])
        except UNREADABLE:
            return None

    def _ask(self, wish: Wish, certificate: Certificate) -> None:
        """When would the authority have it renewed? It need not say, and may be away."""
        if self._now() < self._asked + ASK_EVERY:
            return
        self._asked = self._now()
        try:
            self._suggested = self._issuing(wish).suggestion(certificate)
        except Failed as failure:
            log.info("acme: {directory} does not say when to renew: {why}", directory=wish.directory, why=str(failure))

    def _issue(self, wish: Wish) -> None:
        try:
            certificate = self._issuing(wish).certificate(self._own)
        except Failed as failure:
            if not self._stopping.is_set():
                self._note(self.past.failed(self._now(), str(failure)))
            raise
        self._suggested, self._asked = None, 0.0
        self._note(Past())
        log.info("acme: a certificate for {names}", names=" ".join(certificate.names))

    def _issuing(self, wish: Wish) -> Any:
        """One try. It needs a package that only those have who use it."""
        try:
            from twistmail.tls.acme.issue import Issuing
        except ImportError as missing:
            raise Failed(f"{missing.name} is not installed: pip install twistmail[acme]") from None
        return Issuing(wish, self._folder, self.answers, self._stopping)

    def _note(self, past: Past) -> None:
        self._past = past
        try:
            write_secret(self._folder / STATE, json.dumps(asdict(past)).encode())
        except OSError as error:
            log.warn("acme: {path} cannot be written: {why}", path=str(self._folder / STATE), why=str(error))


def _read_past(path: Path) -> Past:
    try:
        return Past(**json.loads(read(path)))
    except (OSError, ValueError, TypeError):
        return Past()
