"""Where a queue may lie (spec D5)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail.disk import InlineCommitter
from twistmail.queue.folders import Folders
from twistmail.queue.ground import MEMORY, NETWORK, file_system, trouble
from twistmail.queue.spool import Spool
from twistmail.tasks import Inline

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /dev/shm rw shared:2 - tmpfs tmpfs rw
24 22 0:22 / /srv/mail rw shared:3 - nfs4 server:/mail rw
25 24 254:1 / /srv/mail/disk rw - xfs /dev/vdb rw
26 22 0:23 / /srv/with\040space rw - ramfs none rw
27 22 254:2 / /twice rw - tmpfs none rw
28 22 254:2 / /twice rw - ext4 /dev/vdc rw
broken line
"""


@pytest.fixture
def mounts(tmp_path):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    return tmp_path / "mountinfo"


@pytest.mark.parametrize(("place", "kind"), [
    pytest.param("/var/lib/twistmail/queue", "ext4", id="the-root"),
    pytest.param("/dev/shm", "tmpfs", id="the-mount-itself"),
    pytest.param("/dev/shm/a/b", "tmpfs", id="below-it"),
    pytest.param("/dev/shmoo", "ext4", id="a-name-that-begins-alike"),
    pytest.param("/srv/mail/disk/queue", "xfs", id="the-innermost-mount"),
    pytest.param("/srv/with space/queue", "ramfs", id="octal-numbers"),
    pytest.param("/twice", "ext4", id="the-later-mount-covers-the-earlier"),
])
def test_the_file_system_of_a_place(mounts, place, kind, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", str)
    assert file_system(place, mounts) == kind


@pytest.mark.parametrize(("place", "allowed", "wrong"), [
    pytest.param("/queue", (), "", id="a-disk"),
    pytest.param("/dev/shm/queue", (), "lies in memory (tmpfs)", id="memory"),
    pytest.param("/dev/shm/queue", (MEMORY,), "", id="memory-that-is-allowed"),
    pytest.param("/dev/shm/queue", (NETWORK,), "lies in memory (tmpfs)", id="another-thing-is-allowed"),
    pytest.param("/srv/mail/queue", (), "lies behind a network (nfs4)", id="nfs"),
    pytest.param("/srv/mail/queue", (NETWORK,), "", id="nfs-that-is-allowed"),
])
def test_what_is_wrong_with_a_place(mounts, place, allowed, wrong, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", str)
    found = trouble(Path(place), allowed, mounts)
    assert wrong in found[0] if wrong else found is None
    assert not wrong or "[queue] allow = " in found[1]


def test_where_the_kernel_tells_nothing_nothing_is_wrong(tmp_path):
    assert trouble(tmp_path, (), tmp_path / "missing") is None


def test_the_real_list_of_mounts_knows_our_folder(tmp_path):
    assert file_system(tmp_path)


def test_folders_on_different_file_systems_are_refused(tmp_path, monkeypatch):
    """As with a link to somewhere else: a rename would not be one step."""
    elsewhere = "/dev/shm"
    if not os.path.isdir(elsewhere) or os.stat(elsewhere).st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    Folders(tmp_path / "queue")
    (tmp_path / "queue/tmp").rmdir()
    (tmp_path / "queue/tmp").symlink_to(elsewhere)
    with pytest.raises(OSError) as error:
        Folders(tmp_path / "queue")
    assert error.value.errno == errno.EXDEV
    assert "different file systems" in trouble(tmp_path / "queue", (MEMORY, NETWORK))[0]


def test_one_file_system_is_fine(tmp_path):
    assert result_of(Spool(tmp_path / "queue", InlineCommitter(), Inline()).recover()) == ()
