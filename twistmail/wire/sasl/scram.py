"""SCRAM (RFC 5802, RFC 7677): the client proves that it knows the password, we prove that we have its keys, and nobody sends it.

With -PLUS the proof also covers the TLS connection over which it came (channel
binding), so that whoever sits in between has nothing that he could pass on.

What may be told apart is told as RFC 5802 §5.1 allows: not at all. A wrong
proof, a channel that does not match and a login that nobody has end alike.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any

from twistmail.mail.evidence import HASHES, Clear, ScramKeys, scram_keys
from twistmail.wire.sasl.exchange import LONGEST_RESPONSE, Answer, Challenge, Disproved, Malformed, NeedsEvidence, NeedsWork, Proven
from twistmail.wire.sasl.gs2 import Gs2Header, gs2_header, saslname
from twistmail.wire.sasl.spelling import decode, encode

PLUS = "-PLUS"
LONGEST_NONCE = 512
#: RFC 7677 §4.
ITERATIONS = 4096
MOST_ATTRIBUTES = 32


class Scram:
    """One exchange. *nonce* is our half, printable without a comma and never used before.

    *bindings*: name of a channel binding -> its octets, on this connection; *binding_offered*: it was told that we can bind
    (a client that says we did not was told so by somebody else).
    """

    def __init__(self, mechanism: str, nonce: str, bindings: Mapping[str, bytes], *, binding_offered: bool) -> None:
        self.mechanism = mechanism
        self._kind = mechanism.removesuffix(PLUS)
        self._hash = HASHES[self._kind]
        self._nonce = nonce.encode("ascii")
        self._bindings = bindings
        self._binding_offered = binding_offered
        self._header: Gs2Header | None = None
        self._login = ""
        self._bare = b""  # the client's first message without its header
        self._said = b""  # our first message
        self._keys: ScramKeys | None = None

    def step(self, data: bytes | None) -> Answer:
        if data is None and self._header is None:
            return Challenge(b"")
        if data is None or len(data) > LONGEST_RESPONSE:
            return Malformed("The response is missing or too long")
        try:
            return self._first(data) if self._header is None else self._final(self._header, data)
        except ValueError as error:
            return Malformed(str(error))

    def _first(self, data: bytes) -> Answer:
        header = gs2_header(data)
        self._check_binding(header)
        bare = data[len(header.octets) :]
        (first, login), (second, nonce), *_ = _attributes(bare, 2)
        if first + second != b"nr" or len(nonce) > LONGEST_NONCE or not _is_printable(nonce):
            raise ValueError("The first message of SCRAM wants a name and a nonce")
        self._login = saslname(login)
        self._header, self._bare, self._nonce = header, bare, nonce + self._nonce
        return NeedsEvidence(self._login, self._kind)

    def _check_binding(self, header: Gs2Header) -> None:
        """RFC 5802 §6."""
        if (header.flag == "p") != self.mechanism.endswith(PLUS):
            raise ValueError(f"Channel binding goes with {self._kind}{PLUS}, and only there")
        if header.flag == "y" and self._binding_offered:
            raise ValueError("Channel binding was offered, and somebody has hidden that from the client")
        if header.flag == "p" and header.binding not in self._bindings:
            raise ValueError("That channel binding is not known here")

    def given(self, what: Any) -> Answer:
        """*what*: the `mail.evidence` of the login."""
        if isinstance(what, Clear):  # `accounts.people` makes keys itself, whose salt tells nothing; others may not
            return NeedsWork(partial(scram_keys, self._kind, what.password, hashlib.sha256(self._nonce).digest()[:16], ITERATIONS))
        keys: ScramKeys = what
        self._keys = keys
        self._said = b"r=%b,s=%b,i=%d" % (self._nonce, encode(keys.salt), keys.iterations)
        return Challenge(self._said)

    def _final(self, header: Gs2Header, data: bytes) -> Answer:
        (first, channel), (second, nonce), *_, (last, proved) = _attributes(data, 3)
        if first + second + last != b"crp":
            raise ValueError("The last message of SCRAM wants a channel binding, the nonce and a proof")
        binding, proof = decode(channel), decode(proved)
        if binding is None or proof is None:
            raise ValueError("The channel binding or the proof is not base64")
        expected = header.octets + (self._bindings[header.binding] if header.binding else b"")
        signature = self._verified(data[: -len(b",p=") - len(proved)], proof)
        if signature is None or not hmac.compare_digest(binding, expected) or not hmac.compare_digest(nonce, self._nonce):
            return Disproved(self._login)
        return Proven(self._login, header.authzid, b"v=" + encode(signature), guessable=True)

    def _verified(self, without_proof: bytes, proof: bytes) -> bytes | None:
        """Our own signature, where *proof* shows that the client has the key (RFC 5802 §3)."""
        keys = self._keys
        assert keys is not None, "the first message is answered with the keys"
        message = b",".join((self._bare, self._said, without_proof))
        signature = hmac.digest(keys.stored_key, message, self._hash)
        if len(proof) != len(signature):
            return None
        client_key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(self._hash, client_key).digest(), keys.stored_key):
            return None
        return hmac.digest(keys.server_key, message, self._hash)


def _attributes(message: bytes, least: int) -> list[tuple[bytes, bytes]]:
    """The attributes of *message* as (letter, value) (RFC 5802 §7), *least* at least. ValueError says in words what is wrong.

    Those that are not known count for nothing, but for `m`, which says that it must be understood.
    """
    attributes = []
    for attribute in message.split(b",", MOST_ATTRIBUTES):
        letter, equals, value = attribute[:1], attribute[1:2], attribute[2:]
        if not letter.isalpha() or equals != b"=" or not value or b"\0" in value:
            raise ValueError("A message of SCRAM wants attributes, such as n=name, divided by commas")
        if letter == b"m":
            raise ValueError("An extension is asked for that is not known here")
        attributes.append((letter, value))
    if not least <= len(attributes) <= MOST_ATTRIBUTES:
        raise ValueError("That message of SCRAM has too few or too many attributes")
    return attributes


def _is_printable(nonce: bytes) -> bool:
    return nonce.isascii() and nonce.decode("ascii").isprintable() and b" " not in nonce
