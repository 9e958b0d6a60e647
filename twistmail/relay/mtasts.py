"""MTA-STS as it is written: the record in the DNS and the policy on the web (RFC 8461 §3). Text to values; pure.

Fetching is `stsfetch`, keeping and refreshing `stspolicies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from twistmail.mail.values import frozen
from twistmail.relay.names import matches

#: A year, the longest that a policy may ask to be kept (RFC 8461 §3.2); seconds.
LONGEST_AGE = 31_557_600
#: Octets of a policy (RFC 8461 §3.3 suggests this).
LONGEST_POLICY = 64 * 1024
MOST_PATTERNS = 200
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_PATTERN = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_AGE = re.compile(r"[0-9]{1,10}")
MODES = ("enforce", "testing", "none")
_KNOWN = {"version", "mode", "max_age", "mx"}


class Unfetched(Exception):
    """There is no policy to be had. `kind`: the result type of RFC 8460 §4.3.3; the text says why."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


NOT_FETCHED, BAD_CERTIFICATE, INVALID = "sts-policy-fetch-error", "sts-webpki-invalid", "sts-policy-invalid"


@frozen
class StsPolicy:
    """What a domain says of its servers. `mode`: one of MODES. `patterns`: their names. `max_age`: seconds for which it holds.

    `lines`: as it was published, for reports; without fields that we do not know.
    """

    mode: str
    patterns: tuple[str, ...]
    max_age: float
    lines: tuple[str, ...] = ()

    def covers(self, host: str) -> bool:
        """Whether *host* is one of the domain's servers (RFC 8461 §4.1)."""
        return any(matches(pattern, host) for pattern in self.patterns)


def identifier(texts: Sequence[bytes]) -> str | None:
    """The `id` of the record among the TXT records *texts* of `_mta-sts.DOMAIN`; None where there is none, or not exactly one.

    RFC 8461 §3.1: whatever does not begin with `v=STSv1;` is something else, and unknown fields are left alone.
    """
    records = [text for text in texts if re.match(rb"v=STSv1[ \t]*;", text)]
    if len(records) != 1 or not records[0].isascii():
        return None
    fields: dict[str, str] = {}
    for field in records[0].decode("ascii").split(";"):
        key, equals, value = field.partition("=")
        if equals:
            fields.setdefault(key.strip(" \t"), value.strip(" \t"))
        elif field.strip(" \t"):
            return None
    found = fields.get("id", "")
    return found if _ID.fullmatch(found) else None


def parse(octets: bytes) -> StsPolicy:
    """The policy that *octets* say (RFC 8461 §3.2). ValueError with what is wrong.

    Of fields that may stand once the first counts; what we do not know is left alone.
    """
    if len(octets) > LONGEST_POLICY:
        raise ValueError(f"it has more than {LONGEST_POLICY // 1024} KiB")
    once: dict[str, str] = {}
    patterns: list[str] = []
    lines: list[str] = []
    for key, value in _fields(octets):
        if key in _KNOWN:
            lines.append(f"{key}: {value}")
        if key == "mx":
            patterns.append(_pattern(value))
        else:
            once.setdefault(key, value)
    return _policy(once, patterns, lines)


def _fields(octets: bytes) -> Iterator[tuple[str, str]]:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    for line in text.split("\n"):
        line = line.removesuffix("\r").strip(" \t")
        if not line:
            continue
        key, colon, value = line.partition(":")
        if not colon or not _KEY.fullmatch(key.rstrip(" \t")):
            raise ValueError(f"{line[:60]!r} is not a field of a policy")
        yield key.rstrip(" \t"), value.strip(" \t")


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text) or ".." in text:
        raise ValueError(f"{text[:60]!r} is not the name of a mail server")
    return text.lower()


def _policy(once: dict[str, str], patterns: list[str], lines: list[str]) -> StsPolicy:
    if once.get("version") != "STSv1":
        raise ValueError("its version is not STSv1")
    if (mode := once.get("mode", "")) not in MODES:
        raise ValueError(f"its mode is not one of {', '.join(MODES)}")
    if not _AGE.fullmatch(age := once.get("max_age", "")):
        raise ValueError("it does not say for how long it holds (max_age)")
    if not patterns and mode != "none":
        raise ValueError("it names no mail server (mx)")
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"it names more than {MOST_PATTERNS} mail servers")
    return StsPolicy(mode, tuple(patterns), float(min(int(age), LONGEST_AGE)), tuple(lines))
