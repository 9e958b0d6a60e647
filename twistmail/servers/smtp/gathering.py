"""Content on its way in: in memory up to 256 KiB, beyond that in a draft on disk, written in a thread."""

from __future__ import annotations

from typing import Any

from twistmail.disk import status_of
from twistmail.drafts import Draft, Drafts
from twistmail.mail.content import Content, Memory
from twistmail.mail.status import Status
from twistmail.mail.unbinary import unbinary

#: Octets that are kept in memory; also how much is gathered before each write.
IN_MEMORY = 256 * 1024
#: Pieces that are kept as they came: each costs some 40 octets beside its own, and a peer may cut them as small as it likes.
MOST_PIECES = 1024


class Gathering:
    """One content. `trouble` is what the disk said; from then on everything is thrown away."""

    def __init__(self, drafts: Drafts, threads: Any) -> None:
        self.trouble: Status | None = None
        self._drafts = drafts
        self._threads = threads
        self._draft: Draft | None = None
        self._chunks: list[bytes] = []
        self._held = 0

    async def add(self, data: bytes) -> None:
        """Take the next piece."""
        if self.trouble is None:
            self._chunks.append(data)
            self._held += len(data)
            if self._held > IN_MEMORY:
                await self._spill()
            elif len(self._chunks) > MOST_PIECES:
                self._chunks = [b"".join(self._chunks)]

    async def finish(self, *, binary: bool = False) -> Content | None:
        """The whole content, *binary* parts encoded (RFC 3030); None where there was trouble. Readable until `discard`."""
        if binary:
            await self._encode()
        if self._draft is None:
            return None if self.trouble else Memory(b"".join(self._chunks))
        await self._spill()
        return None if self.trouble else self._draft.finish()

    def discard(self) -> None:
        """Forget it; also again."""
        self._chunks.clear()
        if self._draft is not None:
            self._draft.discard()

    async def _encode(self) -> None:
        """Begin anew with the same content as every store can take it."""
        whole = await self.finish()
        if whole is None:
            return
        first, self._draft, self._chunks, self._held = self._draft, None, [], 0
        try:
            await self._threads.run(self._write_encoded, whole)
        except OSError as error:
            self.trouble = status_of(error)
        finally:
            if first is not None:
                first.discard()

    def _write_encoded(self, whole: Content) -> None:
        pieces = unbinary(b"".join(whole.chunks()))
        if whole.size <= IN_MEMORY:
            self._chunks = list(pieces)
        else:
            for piece in pieces:
                self._write(piece)

    async def _spill(self) -> None:
        chunks, self._chunks, self._held = self._chunks, [], 0
        try:
            await self._threads.run(self._write, b"".join(chunks))
        except OSError as error:
            self.trouble = status_of(error)

    def _write(self, data: bytes) -> None:
        if self._draft is None:
            self._draft = self._drafts.open()
        self._draft.write(data)
