"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's, its forerunner): a token from somebody else says who the client is."""

from __future__ import annotations

import json
import re
from typing import Any

from twistmail.wire.sasl.exchange import LONGEST_RESPONSE, Answer, Challenge, Disproved, Malformed, NeedsVerdict, Proven, name
from twistmail.wire.sasl.gs2 import gs2_header

#: RFC 6750 §2.1: b64token; the word before it in any case.
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
_XOAUTH2 = re.compile(rb"user=([^\x01]{0,255})\x01auth=([^\x01]+)\x01\x01")
MOST_PAIRS = 16
#: HTTP's status in Google's error, for the word of RFC 7628.
STATUS = {"invalid_token": "401", "insufficient_scope": "403", "invalid_request": "400"}


class Bearer:
    """What both have in common. *issuer*: where clients learn about tokens (RFC 8414), empty: we do not say; *scope*: what they need."""

    mechanism = ""

    def __init__(self, issuer: str = "", scope: str = "") -> None:
        self._issuer = issuer
        self._scope = scope
        self._authzid = ""
        self._refused = False

    def step(self, data: bytes | None) -> Answer:
        if self._refused:  # RFC 7628 §3.2.3: whatever it says to the error ends the exchange
            return Disproved(self._authzid, guessable=False)
        if data is None:
            return Challenge(b"")
        if len(data) > LONGEST_RESPONSE:
            return Malformed("The response is too long")
        try:
            self._authzid, authorization = self._read(data)
        except ValueError as error:
            return Malformed(str(error))
        match = _BEARER.fullmatch(authorization)
        return NeedsVerdict(match[1].decode("ascii")) if match else self._refuse("invalid_request")

    def given(self, what: Any) -> Answer:
        """*what*: a verdict, whose `login` the token is, or whose `error` says why it is nobody's."""
        return self._refuse(what.error) if what.error else Proven(what.login, self._authzid)

    def _read(self, data: bytes) -> tuple[str, bytes]:
        """Whom the client wants to act for, and its credentials as HTTP spells them. ValueError says in words what is wrong."""
        raise NotImplementedError

    def _refuse(self, error: str) -> Answer:
        self._refused = True
        return Challenge(json.dumps(self._error(error)).encode())

    def _error(self, error: str) -> dict[str, str]:
        raise NotImplementedError


class OAuthBearer(Bearer):
    """RFC 7628 §3.1: a GS2 header, then key=value pairs between octets of 0x01."""

    mechanism = "OAUTHBEARER"

    def _read(self, data: bytes) -> tuple[str, bytes]:
        header = gs2_header(data)
        if header.flag == "p":
            raise ValueError("OAUTHBEARER binds no channel")
        body = data[len(header.octets) :]
        if not (body.startswith(b"\x01") and body.endswith(b"\x01\x01")) or len(body) < 3:
            raise ValueError("The message of OAUTHBEARER wants pairs that end with 0x01, and one more 0x01")
        pairs = [pair.partition(b"=") for pair in body[1:-2].split(b"\x01")]
        if len(pairs) > MOST_PAIRS or not all(key.isalpha() and equals for key, equals, _ in pairs):
            raise ValueError("The message of OAUTHBEARER wants a few pairs of key=value")
        return header.authzid, next((value for key, _, value in pairs if key == b"auth"), b"")

    def _error(self, error: str) -> dict[str, str]:
        told = {"status": error, "scope": self._scope, "openid-configuration": self._issuer}
        return {key: value for key, value in told.items() if value}


class XOAuth2(Bearer):
    """user=NAME 0x01 auth=Bearer TOKEN 0x01 0x01."""

    mechanism = "XOAUTH2"

    def _read(self, data: bytes) -> tuple[str, bytes]:
        match = _XOAUTH2.fullmatch(data)
        if match is None:
            raise ValueError("The message of XOAUTH2 wants a user and a token")
        return name(match[1]) if match[1] else "", match[2]

    def _error(self, error: str) -> dict[str, str]:
        return {"status": STATUS.get(error, "401"), "schemes": "bearer", "scope": self._scope}
