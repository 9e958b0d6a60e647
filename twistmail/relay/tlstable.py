"""The TLS policy table: how much encryption the operator wants for single domains. Text to values; pure.

    # domain                level          more
    bank.example            dane
    .bank.example           verified                          all below it
    partner.example         verified match=mx.partner.example,.hosting.example
    plant.example           verified key=5f2c...              the SHA-256 of its public key
    [relay.example]:587     required                          a server, as routes name it
    museum.example          off

The first three of these levels are the least that holds: what the domain itself
publishes (DANE, MTA-STS) may ask for more. `off`, `match` and `key` are the
operator's word against that: nothing that is published counts there.
"""

from __future__ import annotations

from twistmail.mail.address import canonical_domain
from twistmail.mail.values import frozen
from twistmail.relay.dane import CERTIFICATE, KEY, SHA256, Tlsa
from twistmail.relay.route import Tls, literal, parse_via
from twistmail.watched import Broken

MOST_LINES, MOST_MISTAKES = 100_000, 20
LEVELS = ", ".join(one.value for one in Tls)
#: How Postfix calls the same.
_ELSEWHERE = {
    "none": "off", "may": "opportunistic", "encrypt": "required", "verify": "verified", "secure": "verified", "dane-only": "dane",
    "fingerprint": "verified key=SHA256",
}  # fmt: skip


@frozen
class Line:
    """What line `number` says. `names`, `keys`: what the certificate must be for, or have, in place of the server's name."""

    number: int
    want: Tls
    names: tuple[str, ...] = ()
    keys: tuple[Tlsa, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing that the domain publishes counts."""
        return self.want is Tls.OFF or bool(self.names or self.keys)


def parse(text: str) -> dict[str, Line]:
    """The lines of *text* by "domain", ".domain" or "[server]:port". Broken where there are mistakes."""
    found: dict[str, Line] = {}
    mistakes: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            key, entry = _key(words[0]), _line(number, words[1:])
            if found.setdefault(key, entry) is not entry:
                raise ValueError(f"{key} stands in line {found[key].number} already")
        except ValueError as mistake:
            mistakes.append((number, str(mistake).replace("\n", "; ")))
        if len(found) > MOST_LINES:
            mistakes.append((number, f"there are more than {MOST_LINES} lines"))
        if len(mistakes) >= MOST_MISTAKES or len(found) > MOST_LINES:
            break
    if mistakes:
        raise Broken(mistakes)
    return found


def _key(word: str) -> str:
    if word.startswith("["):
        return str(parse_via(word))
    if word.startswith("."):
        return "." + canonical_domain(word[1:])
    return canonical_domain(word)


def _line(number: int, words: list[str]) -> Line:
    if not words:
        raise ValueError(f"how much encryption? write one of {LEVELS}")
    try:
        want = Tls(words[0])
    except ValueError:
        meant = _ELSEWHERE.get(words[0])
        raise ValueError(f"{words[0]} is no level; " + (f"write {meant}" if meant else f"write one of {LEVELS}")) from None
    names: list[str] = []
    keys: list[Tlsa] = []
    for word in words[1:]:
        option, _, value = word.partition("=")
        if option == "match":
            names += [_name(one) for one in value.split(",")]
        elif option == "key":
            keys.append(_pin(value))
        else:
            raise ValueError(f"{word} is not understood; there are match=NAME,.DOMAIN and key=SHA256")
    if (names or keys) and want is not Tls.VERIFIED:
        raise ValueError(f"match and key say how a certificate is checked; write verified in place of {want.value}")
    return Line(number, want, tuple(names), tuple(keys))


def _name(word: str) -> str:
    if literal(word) is not None:
        return word
    return "." + canonical_domain(word[1:]) if word.startswith(".") else canonical_domain(word)


def _pin(word: str) -> Tlsa:
    """A public key by its SHA-256, in hexadecimal digits with or without colons: as a TLSA record 3 1 1 would say it."""
    try:
        digest = bytes.fromhex(word.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValueError("key= wants the SHA-256 of a public key, 64 hexadecimal digits")
    return Tlsa(CERTIFICATE, KEY, SHA256, digest)
