"""What the configuration consists of: the sections of all components, in the order of config.example.ini.

Each component declares its own beside its code; here they are only listed.
Parts from other packages add theirs (`plugins.Discovery.sections`).
"""

from __future__ import annotations

from twistmail.config.cross import CHECKS
from twistmail.config.load import CrossCheck
from twistmail.config.server import LOG, PLUGINS, SERVER
from twistmail.options import Section

BUILT_IN: tuple[Section, ...] = (SERVER, LOG, PLUGINS)

CROSS_CHECKS: tuple[CrossCheck, ...] = CHECKS
