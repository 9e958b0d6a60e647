"""A connection from one office to another that tells what is said on it, both sides, as events of the office that has made it.

The relay's own connection in all it does. Lines of content are counted, not told, and secrets are masked, as in transcripts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from cryptography.x509.oid import NameOID

from twistmail.lab.cutting import Cuttable
from twistmail.lab.links import Link
from twistmail.lab.offices import Office
from twistmail.lab.ring import Ring
from twistmail.wire.smtp.client import Chunk, Command, ContentEnd, Reply

#: Of a line, what is told of it.
LONGEST_LINE = 1000


class LabConnection(Cuttable):
    """`between`: the office that connects, and the other one. `item`: on whose behalf it speaks now (an item's id).

    Several messages may be on their way at a time (RFC 2920): who has said a line is who hears the reply to it.
    """

    def __init__(self, clock: Any, ring: Ring, link: Link, between: tuple[Office, Office], item: str) -> None:
        super().__init__(clock, link)
        self.item = item
        self.name = ""
        self._ring = ring
        self._here, self._there = between
        self._asked: deque[str] = deque([item])  # who waits for replies, in their order; the greeting is the first
        self._octets = 0

    def connectionMade(self) -> None:
        port = self.transport.getHost().port
        self.name = f"{self._here.name}>{self._there.name}:{port}"
        header = f"PROXY TCP4 {self._here.address} {self._there.address} {port} 25\r\n"
        self.transport.write(header.encode())
        super().connectionMade()
        self.own_address = self._here.address
        self.link.connections.add(self)
        self._tell("net", {"from": self._here.name, "to": self._there.name, "what": "connected", "port": port})

    def said(self, commands: tuple[Any, ...]) -> None:
        for command in commands:
            self._told(command)

    def _told(self, command: Any) -> None:
        if isinstance(command, Command):
            self._line("C", command.said or command.line, self.item)
            self._asked.extend([self.item] * command.replies)
            if command.octets:  # of BDAT; nothing else can be said before they have gone
                self._line("C", b"(%d octets of mail)" % command.octets, self.item)
        elif isinstance(command, Chunk):
            self._octets += len(command.data)
        elif isinstance(command, ContentEnd):
            self._line("C", b"(%d octets of mail)" % self._octets, self.item)
            self._line("C", b".", self.item)
            self._octets = 0
            self._asked.extend([self.item] * command.replies)

    def _arrived(self) -> tuple[list[Reply], Any]:
        replies, end = super()._arrived()
        for reply in replies:
            about = self._asked.popleft() if self._asked else self.item
            last = len(reply.lines) - 1
            for place, line in enumerate(reply.lines):
                self._line("S", b"%d%b%b" % (reply.code, b" " if place == last else b"-", line), about)
        return replies, end

    def connectionLost(self, reason: Any = None) -> None:
        self.link.connections.discard(self)
        super().connectionLost(reason)
        self._tell("net", {"from": self._here.name, "to": self._there.name, "what": "closed"})

    async def start_tls(self, options: Any, patience: float) -> None:
        await super().start_tls(options, patience)
        shown = options.finding()
        told = {"version": shown.protocol, "cipher": self._cipher(), "verified": shown.checked_by, "fault": shown.fault,
                "issuer": self._issuer()}  # fmt: skip
        self._tell("tls", told)

    def _cipher(self) -> str:
        handle: Any = self.transport.protocol.getHandle() if getattr(self.transport, "TLS", False) else None
        return str(handle.get_cipher_name() or "") if hasattr(handle, "get_cipher_name") else ""

    def _issuer(self) -> str:
        """Who has signed the certificate that was shown; as that says itself."""
        handle: Any = self.transport.protocol.getHandle() if getattr(self.transport, "TLS", False) else None
        certificate = handle.get_peer_certificate(as_cryptography=True) if hasattr(handle, "get_peer_certificate") else None
        names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME) if certificate is not None else ()
        return str(names[0].value) if names else ""

    def _line(self, side: str, line: bytes, about: str) -> None:
        what = {"side": side, "text": line[:LONGEST_LINE].decode("utf-8", "replace"), "proto": "smtp"}
        self._ring.add(self._here.name, "line", about, what, connection=self.name)

    def _tell(self, kind: str, what: Mapping[str, Any]) -> None:
        self._ring.add(self._here.name, kind, self.item, what, connection=self.name)
