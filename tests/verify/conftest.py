"""A sound mailbox, for those who break it."""

import pytest

from tests.verify.boxes import HEADER, LINES, drop


@pytest.fixture
def box(tmp_path):
    """A sound account: two messages, a third one expunged, one keyword."""
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    for name in ("new/1.a,S=19,W=22", "cur/3.c,S=19,W=22:2,Sa"):
        drop(tmp_path, name)
    (tmp_path / "dovecot-uidlist").write_bytes(HEADER + LINES)
    (tmp_path / "dovecot-keywords").write_text("0 $Forwarded\n")
    (tmp_path / "subscriptions").write_text("V\t2\n\nINBOX\n")
    return tmp_path
