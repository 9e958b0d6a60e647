"""The client's side of SCRAM, from RFC 5802 §3 alone, and the keys that a server keeps."""

from __future__ import annotations

import base64
import hashlib
import hmac

from twistmail.mail.evidence import ScramKeys

HASH = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


def salted(kind: str, password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac(HASH[kind], password.encode(), salt, iterations)


def keys(kind: str, password: str, salt: bytes = b"salt of sixteen!", iterations: int = 4096) -> ScramKeys:
    key = salted(kind, password, salt, iterations)
    client_key = hmac.digest(key, b"Client Key", HASH[kind])
    return ScramKeys(kind, salt, iterations, hashlib.new(HASH[kind], client_key).digest(), hmac.digest(key, b"Server Key", HASH[kind]))


class ScramClient:
    """`first`, then `final`(what the server said), then `believes`(what the server said last)."""

    def __init__(self, kind: str, login: str, password: str, *, header: bytes = b"n,,", binding: bytes = b"",
                 nonce: bytes = b"client") -> None:
        self.kind = kind
        self.password = password
        self.header = header
        self.binding = binding
        self.nonce = nonce
        self.bare = b"n=%b,r=%b" % (login.replace("=", "=3D").replace(",", "=2C").encode(), nonce)
        self.signature = b""

    @property
    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, said: bytes, *, nonce: bytes | None = None, extra: bytes = b"") -> bytes:
        told = dict(attribute.split(b"=", 1) for attribute in said.split(b","))
        assert told[b"r"].startswith(self.nonce)
        assert told[b"r"] != self.nonce
        key = salted(self.kind, self.password, base64.b64decode(told[b"s"]), int(told[b"i"]))
        channel = base64.b64encode(self.header + self.binding)
        without_proof = b"c=%b,r=%b%b" % (channel, told[b"r"] if nonce is None else nonce, extra)
        message = b",".join((self.bare, said, without_proof))
        client_key = hmac.digest(key, b"Client Key", HASH[self.kind])
        signature = hmac.digest(hashlib.new(HASH[self.kind], client_key).digest(), message, HASH[self.kind])
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self.signature = hmac.digest(hmac.digest(key, b"Server Key", HASH[self.kind]), message, HASH[self.kind])
        return without_proof + b",p=" + base64.b64encode(proof)

    def believes(self, said: bytes) -> bool:
        return said == b"v=" + base64.b64encode(self.signature)
