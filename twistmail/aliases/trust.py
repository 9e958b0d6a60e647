"""Whose word counts that more files be read: a list may be somebody's own business, and the server can read what he cannot."""

from __future__ import annotations

import os
import stat

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def doubt(path: str) -> str:
    """Why the file at *path* may not name other files: who else than root and the server can have written it. Empty: it may. OSError."""
    status = os.stat(path)
    if not _is_ours(status):
        return f"belongs to user {status.st_uid}"
    return f"can be written to by others (mode {stat.S_IMODE(status.st_mode):o})" if status.st_mode & _OTHERS_WRITE else ""


def leads_astray(path: str) -> str:
    """Why *path* may lead to what somebody else than root and the server has chosen: a link of his. Empty: it does not."""
    try:
        status = os.lstat(path)
    except OSError:
        return ""  # whoever opens it will tell
    return f"is a link of user {status.st_uid}" if stat.S_ISLNK(status.st_mode) and not _is_ours(status) else ""


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())
