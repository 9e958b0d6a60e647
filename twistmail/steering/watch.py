"""What happens in the queue while somebody looks on: facts about messages that wait, gathered until he has room for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twistmail import tasks
from twistmail.facts import Fact, Queued, Removed
from twistmail.journal import as_json
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event, Outcome
from twistmail.rows import Filter, View

#: Facts that wait for a watcher who reads slowly; older ones are left out, and counted.
MOST_WAITING = 1000
#: Seconds between two looks; a sign of life comes after so many that have shown nothing.
PAUSE, SIGN_OF_LIFE = 0.1, 10
KINDS = (Queued, Removed, *Event.__args__)


class Watch:
    """One watcher. *chosen*: which messages; *item*(id) gives the item of now; *view*() what is known besides."""

    def __init__(self, chosen: Filter, item: Callable[[str], Item | None], view: Callable[[], View]) -> None:
        self._chosen = chosen
        self._item = item
        self._view = view
        self._fits: dict[str, bool] = {}  # of messages that have not left
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)
        self._missed = 0

    def note(self, fact: Fact) -> None:
        """A listener of `facts.Facts`."""
        if not isinstance(fact.what, KINDS) or not self._is_wanted(fact):
            return
        self._missed += len(self._waiting) == MOST_WAITING
        entry = {"at": round(fact.at, 6), "id": fact.about, "what": type(fact.what).__name__}
        self._waiting.append(entry | as_json(fact.what))

    def _is_wanted(self, fact: Fact) -> bool:
        """What was delivered without ever being queued is none of ours."""
        fits = self._fits.get(fact.about)
        if fits is None:
            item = self._item(fact.about)
            fits = self._fits[fact.about] = item is not None and self._chosen.fits(item, self._view())
        if isinstance(fact.what, Removed) or (not fits and isinstance(fact.what, Outcome)):
            self._fits.pop(fact.about, None)
        return fits

    def news(self, count: int) -> dict[str, Any]:
        """What has gathered: `{"facts": [entries as the journal has them], "missed", "count": messages that wait}`."""
        facts, self._waiting = list(self._waiting), deque(maxlen=MOST_WAITING)
        missed, self._missed = self._missed, 0
        return {"facts": facts, "missed": missed, "count": count}

    async def wait(self, clock: Any) -> None:
        """Until there is news, or for a sign of life."""
        for _ in range(SIGN_OF_LIFE):
            await tasks.sleep(clock, PAUSE)
            if self._waiting:
                break
