"""The setting of a classroom's ports, which understand what students type into `nc` (see `wire.typed`)."""

from __future__ import annotations

from twistmail.options import SWITCH, Option, Reload

#: Refused by the checker where the server could meet others (`config.cross`).
LONE_LF = Option("lone_lf", SWITCH, "no", "For classrooms only: whether all lines of a dialogue may end with LF alone, as nc has it, and "
                 "telnet options stand before them.", Reload.NEW)
