"""The IMAP dialogues, in all feedings."""

from __future__ import annotations

import pytest

from tests.dialogues.imap_house import connect
from tests.dialogues.player import Feeding, Script, play, scripts


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("script", scripts("imap"))
def test_dialogue(script: Script, feeding: Feeding) -> None:
    play(script, feeding, connect)
