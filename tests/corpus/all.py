"""The corpus: odd mails of our own making, by name, with CRLF line ends."""

from __future__ import annotations

from tests.corpus import addresses, fields, parts

MAILS: dict[str, bytes] = {**parts.MAILS, **addresses.MAILS, **fields.MAILS}
