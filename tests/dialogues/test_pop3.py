"""The POP3 dialogues, in all feedings."""

from __future__ import annotations

import pytest

from tests.dialogues.player import Feeding, Script, play, scripts
from tests.dialogues.pop3_house import connect


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("script", scripts("pop3"))
def test_dialogue(script: Script, feeding: Feeding) -> None:
    play(script, feeding, connect)
