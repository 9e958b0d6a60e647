"""EXTERNAL (RFC 4422 appendix A): TLS has shown already who the client is."""

from __future__ import annotations

from twistmail.wire.sasl.exchange import LONGEST_NAME, Answer, Challenge, Malformed, Proven, SelfContained


class External(SelfContained):
    """One message, the authorization identity or nothing. *client* is whom the certificate has named."""

    mechanism = "EXTERNAL"

    def __init__(self, client: str) -> None:
        self._client = client

    def step(self, data: bytes | None) -> Answer:
        if data is None:
            return Challenge(b"")
        if len(data) > LONGEST_NAME:
            return Malformed("The name is too long")
        try:
            authzid = data.decode()
        except UnicodeDecodeError:
            return Malformed("The name must be UTF-8")
        if not authzid.isprintable():
            return Malformed("The name must not hold control characters")
        return Proven(self._client, authzid)
