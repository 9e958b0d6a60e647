"""The base subject (RFC 5256 §2.1): what is left of a Subject when "Re:", "Fwd:", list tags and "(fwd)" are gone. Pure, linear."""

from __future__ import annotations

import re

#: Characters of a subject that are looked at; blobs in a row would cost more than linear time.
MOST = 1000

#: subj-leader: blobs, then "re", "fw" or "fwd", perhaps one more blob, and a colon; or a blank.
_LEADER = re.compile(r"(?:\[[^\[\]]*+\] *+)*+(?:re|fwd?+) *+(?:\[[^\[\]]*+\] *+)?+:| ++", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*+\] *+")
_TRAILER = "(fwd)"
_BLANKS = re.compile(r"[ \t\r\n]+")


def base_subject(subject: str) -> str:
    """*subject* (decoded) without what mail programs have put around it, in capitals, for comparison."""
    text = _BLANKS.sub(" ", subject[:MOST]).upper()
    while True:
        text = _without_leaders(_without_trailers(text))
        if not (text.startswith("[FWD:") and text.endswith("]")):
            return text
        text = text[5:-1]


def _without_trailers(text: str) -> str:
    text = text.rstrip(" ")
    while text.endswith(_TRAILER.upper()):
        text = text[: -len(_TRAILER)].rstrip(" ")
    return text


def _without_leaders(text: str) -> str:
    """Steps 3 to 5: leaders go, and a blob, as long as something is left behind it."""
    at = 0
    while True:
        if leader := _LEADER.match(text, at):
            at = leader.end()
        elif (blob := _BLOB.match(text, at)) and blob.end() < len(text):
            at = blob.end()
        else:
            return text[at:]
