"""What parts keep over a reload."""

from __future__ import annotations

from typing import Any

from twistmail.lasting import Lasting


class Thing:
    def __init__(self) -> None:
        self.retired = 0

    def retire(self) -> None:
        self.retired += 1


class Pool:
    def __init__(self, name: str, most: int) -> None:
        self.name = (name, most)
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


def test_an_equal_key_gives_the_same_thing_and_another_a_new_one() -> None:
    lasting = Lasting(Pool)
    first: Any = lasting.keep("sql", {"host": "a"}, Thing)
    assert lasting.keep("sql", {"host": "a"}, Thing) is first
    assert lasting.keep("ldap", {"host": "a"}, Thing) is not first
    second: Any = lasting.keep("sql", {"host": "b"}, Thing)
    assert (first.retired, second.retired) == (1, 0)


def test_threads_are_shared_by_name_and_number() -> None:
    lasting = Lasting(Pool)
    assert lasting.threads("sql", 4) is lasting.threads("sql", 4)
    assert lasting.threads("sql", 5) is not lasting.threads("sql", 4)


def test_at_the_end_everything_ends() -> None:
    lasting = Lasting(Pool)
    thing, pool = lasting.keep("sql", 1, Thing), lasting.threads("sql", 4)
    lasting.stop()
    assert thing.retired == 1
    assert pool.stopped
