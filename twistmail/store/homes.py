"""Whose maildirs there are: the template of `[store] path`, read backwards. Blocking."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from twistmail.store import names

_FIELD = re.compile(r"%[und%]")


def accounts_in(root: Path, template: str) -> list[str]:
    """The accounts that have a maildir where *template* (`mail/%d/%n`, relative to *root* or absolute) says; sorted."""
    found = set()
    for directory in glob.iglob(_wildcards(template), root_dir=root):
        account = _account_of(directory, template)
        if account and (root / directory / "cur").is_dir():
            found.add(account)
    return sorted(found)


def _wildcards(template: str) -> str:
    """The pattern of file names that fits what *template* may become."""
    return "".join({"%%": "%"}.get(part, "*") if _FIELD.fullmatch(part) else glob.escape(part) for part in _parts(template))


def _account_of(directory: str, template: str) -> str:
    """The account whose directory is *directory*; empty where it is nobody's."""
    match = re.fullmatch(_expression(template), directory)
    if not match:
        return ""
    words = match.groupdict()
    account = words.get("u") or "@".join(word for word in (words.get("n"), words.get("d")) if word)
    try:
        return account if names.account_directory(template, account) == directory else ""
    except ValueError:
        return ""


def _expression(template: str) -> str:
    """The regular expression that fits what *template* may become; the first of each field is a group."""
    result, seen = "", set()
    for part in _parts(template):
        if not _FIELD.fullmatch(part) or part == "%%":
            result += re.escape(part.replace("%%", "%"))
        else:
            result += "[^/]+" if part in seen else f"(?P<{part[1]}>[^/]+)"
            seen.add(part)
    return result


def _parts(template: str) -> list[str]:
    """Fields, and the text between them."""
    return [part for part in re.split(r"(%[und%])", template) if part]
