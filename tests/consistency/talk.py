"""An IMAP client that hides nothing: what it says, and what the server answers, as values.

`parse` makes a response of its octets: atoms are str, strings and literals bytes, lists list, NIL None. `Talk` is one connection; every
untagged response goes to its `hear` as it comes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

TOKEN = re.compile(rb'\(|\)|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([A-Za-z0-9.\\*$+:,/=&_<>@!#%\'~|`;?^-]*\[[^\]]*\](?:<\d+>)?)|([^\s()"{]+)| ')
PATIENCE = 30.0


class Wrong(AssertionError):
    """The server has said what it must not say."""


def parse(data: bytes) -> list[Any]:
    """The tokens of one response line, its literals within, without "* " and the line's end."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(data):
        found = TOKEN.match(data, at)
        if found is None:
            raise Wrong(f"cannot be read at {at}: {data!r}")
        at = found.end()
        token = found[0]
        if token == b"(":
            stack.append([])
        elif token == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif found[1] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", found[1]))
        elif found[2] is not None:
            size = int(found[2])
            stack[-1].append(data[at : at + size])
            at += size
        elif token != b" ":
            text = token.decode("latin-1")
            stack[-1].append(None if text == "NIL" else text)
    if len(stack) != 1:
        raise Wrong(f"parentheses do not match: {data!r}")
    return stack[0]


class Talk:
    """One connection. *hear*(tokens) is told of every untagged response."""

    def __init__(self, hear: Callable[[list[Any], bytes], None]) -> None:
        self.hear = hear
        self.lines: list[bytes] = []  # the last ones, both ways, for who has to find out
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._number = 0

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
        await self._response()

    async def close(self) -> None:
        self._writer.close()

    async def say(self, *pieces: bytes) -> tuple[str, bytes]:
        """A command, without its tag; pieces after the first are literals and what follows them. (condition, the rest of the line)."""
        tag = await self.begin(*pieces)
        return await self.ended(tag)

    async def begin(self, *pieces: bytes) -> bytes:
        self._number += 1
        tag = b"t%d" % self._number
        self._note(b"C: " + tag + b" " + pieces[0][:200])
        self._writer.write(tag + b" " + b"".join(pieces) + b"\r\n")
        await self._writer.drain()
        return tag

    async def ended(self, tag: bytes) -> tuple[str, bytes]:
        """The answer to *tag*; whatever comes before it is heard."""
        while True:
            line = await self._response()
            if line.startswith(tag + b" "):
                condition, _, rest = line[len(tag) + 1 :].partition(b" ")
                return condition.decode(), rest
            if line.startswith(b"+"):
                raise Wrong(f"nobody waits for {line!r}")

    async def until_plus(self) -> None:
        while not (await self._response()).startswith(b"+"):
            pass

    async def line(self, data: bytes) -> None:
        """*data* as it is (DONE)."""
        self._note(b"C: " + data)
        self._writer.write(data + b"\r\n")
        await self._writer.drain()

    async def listen(self, seconds: float) -> None:
        """Hear what comes unasked."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(self._peeked(), left)
            except TimeoutError:
                return
            await self._response()

    async def _peeked(self) -> None:
        """Returns when something has come; nothing is taken."""
        while not self._reader._buffer and not self._reader.at_eof():  # type: ignore[attr-defined]
            await self._reader._wait_for_data("listen")  # type: ignore[attr-defined]

    async def _response(self) -> bytes:
        data = await asyncio.wait_for(self._reader.readline(), PATIENCE)
        while found := re.search(rb"\{(\d+)\}\r\n\Z", data):
            data += await self._reader.readexactly(int(found[1])) + await self._reader.readline()
        if not data:
            raise Wrong("the server has gone")
        self._note(b"S: " + data[:300].rstrip())
        if data.startswith(b"* "):
            text = data[2:-2]
            status = text.split(b" ", 1)[0] in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")
            self.hear([] if status else parse(text), text)
        return data[:-2]

    def _note(self, line: bytes) -> None:
        self.lines.append(line)
        del self.lines[:-60]
