"""The base subject (RFC 5256 §2.1): what is left of a Subject when "Re:", "Fwd:", list tags and "(fwd)" are gone. Pure, linear."""

from __future__ import annotations

import re

from twistmail.mail.collation import casemap

#: Characters of a subject that are looked at; blobs in a row would cost more than linear time.
MOST = 1000

#: subj-leader: blobs, then "re", "fw" or "fwd", perhaps one more blob, and a colon; or a blank.
_LEADER = re.compile(r"(?:\[[^\[\]]*+\] *+)*+(?:re|fwd?+) *+(?:\[[^\[\]]*+\] *+)?+:| ++", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*+\] *+")
_TRAILER = "(fwd)"
_FORWARDED = "[fwd:"
_BLANKS = re.compile(r"[ \t\r\n]+")


def base_subject(subject: str) -> str:
    """*subject* (decoded) without what mail programs have put around it, mapped for comparison."""
    return based(subject)[0]


def based(subject: str) -> tuple[str, bool]:
    """The base subject, and whether *subject* is that of a reply or forward (RFC 5256 §3, THREAD=REFERENCES)."""
    text = _BLANKS.sub(" ", subject[:MOST])
    is_reply = False
    while True:
        text, forwarded = _without_trailers(text)
        text, answered = _without_leaders(text)
        is_reply = is_reply or forwarded or answered
        if not (text[: len(_FORWARDED)].lower() == _FORWARDED and text.endswith("]")):
            return casemap(text), is_reply
        text, is_reply = text[len(_FORWARDED) : -1], True


def _without_trailers(text: str) -> tuple[str, bool]:
    stripped = text = text.rstrip(" ")
    while text[-len(_TRAILER) :].lower() == _TRAILER:
        text = text[: -len(_TRAILER)].rstrip(" ")
    return text, text != stripped


def _without_leaders(text: str) -> tuple[str, bool]:
    """Steps 3 to 5: leaders go, and a blob, as long as something is left behind it."""
    at, is_reply = 0, False
    while True:
        if leader := _LEADER.match(text, at):
            at = leader.end()
            is_reply = is_reply or text[at - 1] == ":"
        elif (blob := _BLOB.match(text, at)) and blob.end() < len(text):
            at = blob.end()
        else:
            return text[at:], is_reply
