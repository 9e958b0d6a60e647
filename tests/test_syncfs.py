"""A file system that says that all is well is believed only while it can be written to."""

import errno
import os
from types import SimpleNamespace

import pytest

from twistmail import syncfs as module
from twistmail.syncfs import syncfs


@pytest.fixture
def descriptor(tmp_path):
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def test_one_in_order_is_synced(descriptor):
    syncfs(descriptor)


def test_one_that_has_become_read_only_has_written_nothing(descriptor, monkeypatch):
    monkeypatch.setattr(module.os, "fstatvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY | os.ST_NOSUID))
    with pytest.raises(OSError, match="Read-only") as caught:
        syncfs(descriptor)
    assert caught.value.errno == errno.EROFS


def test_what_the_kernel_says_is_raised():
    with pytest.raises(OSError, match="Bad file descriptor"):
        syncfs(-1)
