"""The QR code of an account: what is in it, and that it is drawn as the library has it."""

from __future__ import annotations

import json
import re

import segno

from twistmail.lab.phone import account_settings, drawn

PORTS = {"imaps": 1993, "submissions": 1465}


def test_the_settings_are_those_of_the_format_and_hold_no_password():
    assert json.loads(account_settings("s01@blue.test", "192.168.1.20", PORTS)) == [
        1,
        [1, 1],
        [0, "192.168.1.20", 1993, 3, 1, "s01@blue.test"],
        [[[0, "192.168.1.20", 1465, 3, 1, "s01@blue.test"], ["s01@blue.test", "s01"]]],
    ]


def test_every_dark_module_is_drawn_once_with_four_of_white_around():
    matrix = segno.make("words", error="m", micro=False).matrix
    picture = drawn("words")
    squares = re.findall(r"M(\d+) (\d+)h1v1h-1z", picture)
    assert {(int(x) - 4, int(y) - 4) for x, y in squares} == {(x, y) for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark}
    assert len(squares) == len(set(squares))
    assert f'viewBox="0 0 {len(matrix) + 8} {len(matrix) + 8}"' in picture
    assert "style=" not in picture
