"""The dialogues of tests/dialogues/smtp, in all feedings."""

from __future__ import annotations

import pytest

from tests.dialogues.player import Feeding, Script, play, scripts
from tests.servers.smtp.house import connector


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("script", scripts("smtp"))
def test_dialogue(script: Script, feeding: Feeding) -> None:
    play(script, feeding, connector())
