"""One server to a data folder; what a killed one has left does not keep the next from starting."""

from __future__ import annotations

import os
import socket

import pytest

from twistmail.tenancy import Occupied, clear, occupy


def test_a_folder_has_one_tenant_at_a_time(tmp_path):
    folder = tmp_path / "new" / "data"
    first = occupy(folder)
    with pytest.raises(Occupied, match=str(folder)):
        occupy(folder)
    os.close(first)
    os.close(occupy(folder))


def test_a_socket_where_nobody_listens_is_removed(tmp_path):
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    clear(path)
    assert not path.exists()


def test_a_socket_where_somebody_listens_stays(tmp_path):
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(1)
        for _ in range(4):  # more than the queue of callers holds
            clear(path)
        assert path.exists()


@pytest.mark.parametrize("make", [
    pytest.param(lambda path: path.write_text("a letter"), id="a-file"),
    pytest.param(lambda path: path.mkdir(), id="a-folder"),
    pytest.param(lambda path: path.symlink_to("/nowhere"), id="a-link"),
])  # fmt: skip
def test_what_is_no_socket_is_left_alone(tmp_path, make):
    path = tmp_path / "thing"
    make(path)
    clear(path)
    assert os.path.lexists(path)


def test_nothing_there_is_fine(tmp_path):
    clear(tmp_path / "nothing")
