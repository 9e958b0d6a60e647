"""A redo log without threads."""

from __future__ import annotations

import threading

SEGMENT_SIZE = 256 * 1024


def prepare(redo):
    """Make the files of the log at once; its thread has ended already."""
    redo._size = SEGMENT_SIZE
    redo._thread = threading.Thread(target=int)
    redo._thread.start()
    assert redo._prepared()
