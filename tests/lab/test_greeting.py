"""What the terminal says at the start: what is offered there holds."""

from __future__ import annotations

from tests.lab.towns import PaperTown
from twistmail.lab.greeting import greeting


def test_the_lessons_are_offered_and_a_folder_that_comes_later_is_called_so():
    told = greeting(PaperTown(), "http://127.0.0.1:8025/", kept=False)
    assert "  lessons    http://127.0.0.1:8025/lessons\n" in told
    assert "/tmp/town/blue/data/mail   (once somebody there has some)\n" in told
