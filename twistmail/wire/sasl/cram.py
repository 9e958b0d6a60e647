"""CRAM-MD5 (RFC 2195): a digest of our challenge under the password, for which the password must be kept in clear. Off by default."""

from __future__ import annotations

import hmac
import re
from typing import Any

from twistmail.mail.evidence import Clear
from twistmail.wire.sasl.exchange import Answer, Challenge, Disproved, Malformed, NeedsEvidence, Proven, name

_RESPONSE = re.compile(rb"(.{1,1024}) ([0-9a-f]{32})", re.DOTALL)


class CramMd5:
    """One exchange. *challenge* is a message-id, as RFC 2195 §2 has it, that was never used before."""

    mechanism = "CRAM-MD5"

    def __init__(self, challenge: bytes) -> None:
        self._challenge = challenge
        self._asked = False
        self._login = ""
        self._digest = b""

    def step(self, data: bytes | None) -> Answer:
        if not self._asked:
            self._asked = True
            return Challenge(self._challenge) if data is None else Malformed("In CRAM-MD5 the server speaks first")
        match = _RESPONSE.fullmatch(data or b"")
        if match is None:
            return Malformed("CRAM-MD5 wants a login, a space and a digest in lower-case digits")
        try:
            self._login = name(match[1])
        except ValueError as error:
            return Malformed(str(error))
        self._digest = match[2]
        return NeedsEvidence(self._login, "PLAIN")

    def given(self, what: Any) -> Answer:
        """*what*: the `mail.evidence` of the login, of use only where it is Clear; None: there is none."""
        if not isinstance(what, Clear):
            return Disproved(self._login)
        right = hmac.new(what.password.encode(), self._challenge, "md5").hexdigest().encode()
        return Proven(self._login, guessable=True) if hmac.compare_digest(right, self._digest) else Disproved(self._login)
