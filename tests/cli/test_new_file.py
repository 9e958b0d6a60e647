"""What a command writes for somebody goes into a new file, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.new_file import write_new


def test_it_is_made_with_the_rights_that_it_shall_have(tmp_path: Path) -> None:
    write_new(tmp_path / "new", ["\u00e4\n", "b\n"], 0o600)
    assert (tmp_path / "new").read_bytes() == b"\xc3\xa4\nb\n"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("name", "said"), [
    pytest.param("there", "is there already", id="a-file"),
    pytest.param("link", "is there already", id="a-link-to-nothing"),
    pytest.param(".", "is there already", id="a-folder"),
    pytest.param("none/new", "cannot be written: No such file or directory", id="no-such-folder"),
    pytest.param("x" * 300, "cannot be written: File name too long", id="too-long"),
])  # fmt: skip
def test_what_cannot_be_new_is_told_and_left_alone(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(Failure, match=said) as caught:
        write_new(tmp_path / name, ["x"], 0o600)
    assert caught.value.exit_code == Exit.CANTCREAT
    assert ((tmp_path / "there").read_text(), (tmp_path / "nothing").exists()) == ("mine", False)
