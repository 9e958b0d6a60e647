"""Templates: values into HTML, by Jinja2, with everything escaped that is not marked as HTML.

Jinja2 is imported for the first page that is written (`twistmail.later`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from twistmail.web.page import Answer, Asked
from twistmail.web.safe_html import without_tricks


class Renderer:
    """Templates of *folders*. *common*: what each of them may name, besides what its page gives (token, navigation ...).

    A name that nobody gave is a bug and raises; `filters` are those of the templates. Whatever a template writes, it names what
    would make a reader see something else than what stands there (`safe_html.without_tricks`).
    """

    def __init__(
        self, folders: Sequence[Path], common: Callable[[Asked], Mapping[str, Any]], filters: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._folders = folders
        self._common = common
        self._filters = filters or {}

    @cached_property
    def _templates(self) -> Any:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        templates = Environment(
            loader=FileSystemLoader(self._folders),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        templates.filters.update(self._filters)
        return templates

    def words(self, asked: Asked, name: str, /, **values: Any) -> str:
        """The template *name* as text."""
        words: str = self._templates.get_template(name).render({"asked": asked, **self._common(asked), **values})
        return words

    def page(self, asked: Asked, name: str, /, *, title: str, code: int = 200, **values: Any) -> Answer:
        """A whole page: its template extends base.html."""
        return Answer(self.words(asked, name, title=title, **values).encode(), code=code)

    def fragment(self, asked: Asked, name: str, /, *, code: int = 200, **values: Any) -> Answer:
        """A part of a page, as a live region fetches it."""
        return Answer(self.words(asked, name, **values).encode(), code=code)


def _shown(value: Any) -> Any:
    """*value* as it is written; what is marked as HTML has been seen to."""
    return without_tricks(value) if isinstance(value, str) and not isinstance(value, Markup) else value
