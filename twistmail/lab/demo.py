"""`twistmail demo` in the foreground: the classroom until Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner, textFileLogObserver

from twistmail.lab.classroom import Classroom, Taken
from twistmail.lab.lan import NoLan, own_address


def run(
    keep: Path | None = None, *, open_page: bool = False, lan: str | None = None, roster: Path | None = None, lesson: int = 0,
    terminal: bool = False,
) -> int:
    """Serve until SIGINT or SIGTERM; the exit status. *open_page*: show the map, or lesson *lesson*, in a browser.

    *lan*: an address, or empty: find it. *terminal*: run the lesson here; its end is that of the classroom.
    """
    from twisted.internet import reactor

    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)

    def ready(classroom: Classroom) -> None:
        page = classroom.address + (f"lessons/{lesson}" if lesson else "")
        if open_page:
            _show(page)
        if terminal:
            _run_lesson(classroom, lesson)
        elif lesson:
            print(f"  lesson     {page}", flush=True)  # noqa: T201

    try:
        classroom = Classroom(reactor, keep, ready=ready, address="" if lan is None else own_address(lan), roster=roster)
        classroom.startService()
    except (NoLan, Taken, OSError) as trouble:
        print(f"error: {trouble}", file=sys.stderr)  # noqa: T201
        return 1
    reactor.addSystemEventTrigger("before", "shutdown", classroom.stopService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    return classroom.failed


def _show(page: str) -> None:
    """In whatever browser there is."""
    import webbrowser

    webbrowser.open(page)


def _run_lesson(classroom: Classroom, number: int) -> None:
    """The lesson at this terminal."""
    from twistmail.lab.course import Course
    from twistmail.lab.lesson_file import load_all
    from twistmail.lab.switching import switcher
    from twistmail.lab.terminal import attach

    attach(classroom.town, Course(classroom.town, load_all()[0], switcher(classroom.town)), number)
