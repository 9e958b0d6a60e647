"""FUZZY (RFC 6203): texts that resemble what is looked for, and how much they do.

A needle is taken as words. A message fits that holds at least half of them, each as it is or as its stem, which is a word without
its last letters ("meetings", "meeting"). It scores for each word, for all of them standing together, and for a subject that has them.
Keys that look for no text mean what they always mean (RFC 6203 §5 leaves it to us).

Scores are counted for all messages at once (`Places.weighted`), and are the mean over all texts that were looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twistmail.mail.folding import folded
from twistmail.wire.imap import searchkeys as k

#: Words that are looked for one by one, of one needle and of one search; of more, needles are looked for as they stand.
MOST_WORDS, MOST_WORDS_OF_ALL = 8, 32
SHORTEST_STEM = 4
BEST = 100
#: Of BEST: for the words, for the needle as it stands, and for its standing in the subject too.
FOR_WORDS, FOR_PHRASE, FOR_SUBJECT = 60, 20, 20

_WORD = re.compile(r"\w+")


def words_of(needle: str) -> list[str]:
    """The words of *needle*, case folded, each once; the first few of many."""
    return list(dict.fromkeys(_WORD.findall(folded(needle))))[:MOST_WORDS]


def stem_of(word: str) -> str:
    """*word* without its ending; the word itself where it is short."""
    return word if len(word) <= SHORTEST_STEM else word[: max(SHORTEST_STEM, len(word) * 2 // 3)]


class Fuzziness:
    """The scores of one search. *inquiry*: an `inquiry.Inquiry`, which is asked for exact answers."""

    def __init__(self, inquiry: Any) -> None:
        self._inquiry = inquiry
        self._places = inquiry.places
        self._points = 0
        self._texts = 0  # how many texts have been looked for
        self._words_left = MOST_WORDS_OF_ALL

    def scores(self, found: int) -> list[int]:
        """The score of each place in *found*, in order: 1 to BEST. BEST for all where no text was looked for."""
        if not self._texts:
            return [BEST] * found.bit_count()
        return [max(1, points // self._texts) for points in self._places.numbers(self._points, found)]

    async def narrow(self, key: k.Key, among: int) -> int:
        """Those of the places *among* that resemble what *key* asks for. As deep as `Inquiry.narrow`."""
        match key:
            case k.And(keys):
                for part in keys:
                    among = await self.narrow(part, among)
                return among
            case k.Or(left, right):
                return await self.narrow(left, among) | await self.narrow(right, among)
            case k.Fuzzy(inner):
                return await self.narrow(inner, among)
            case k.Header(name, needle):
                return await self._resembling(lambda text: k.Header(name, text), needle, among)
            case k.Text(needle):
                return await self._resembling(k.Text, needle, among)
            case k.Body(needle):
                return await self._resembling(k.Body, needle, among)
        return await self._exactly(key, among)

    async def _exactly(self, key: k.Key, among: int) -> int:
        found: int = await self._inquiry.narrow(key, among)
        return found

    async def _resembling(self, key: Callable[[str], k.Key], needle: str, among: int) -> int:
        """By the words of *needle*."""
        words = words_of(needle)
        exact = await self._exactly(key(needle), among)
        self._texts += 1
        if not words or len(words) > self._words_left:
            self._score(exact, BEST)
            return exact
        self._words_left -= len(words)
        fitting = 0
        for word in words:
            whole = await self._exactly(key(word), among)
            near = whole if stem_of(word) == word else whole | await self._exactly(key(stem_of(word)), among)
            fitting += self._places.weighted(near, 1)
            self._score(near, FOR_WORDS // len(words) // 2)
            self._score(whole, FOR_WORDS // len(words) // 2)
            await self._inquiry.rest(10 * self._places.count)
        self._score(exact, FOR_PHRASE)
        self._score(await self._exactly(k.Header("subject", needle), exact), FOR_SUBJECT)
        return exact | self._places.at_least(fitting, -(-len(words) // 2)) & among

    def _score(self, found: int, points: int) -> None:
        self._points += self._places.weighted(found, points)
