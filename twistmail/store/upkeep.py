"""What a store throws away by itself, and when: `Rules`, and the sweep that follows them. Blocking; in a thread, an account at a time."""

from __future__ import annotations

from dataclasses import dataclass

from twistmail.store import kept
from twistmail.store.folders import FolderTree


@dataclass(frozen=True, slots=True)
class Rules:
    """All in seconds. `keep_expunged`: how long what users expunge can be had back; None: not at all."""

    keep_expunged: float | None = None


NO_RULES = Rules()


def sweep(tree: FolderTree, rules: Rules, now: float) -> int:
    """Delete expunged mail that has been kept for long enough; how many files. *now*: POSIX seconds."""
    return kept.sweep(tree.root, tree.names(), now - (rules.keep_expunged or 0.0))
