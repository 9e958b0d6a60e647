"""Does what a step of a lesson asks of a student, over real sockets: for who is stuck, for the terminal, and for the tests.

Each act is what a student would do himself: typed lines on a connection, a letter that is submitted with a login, a command
of the administrator's, a switch, a jump of the clock, a change of the DNS. Nothing here looks into the offices.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twistmail import tasks
from twistmail.lab import talk
from twistmail.lab.console import plain
from twistmail.lab.dialects import DIALECTS
from twistmail.lab.lesson import Act
from twistmail.lab.talk import NotNow, Talk
from twistmail.mail.values import frozen

#: Seconds that a command may take, octets that are read of what it says.
PATIENCE, MOST_SAID = 60.0, 100_000
#: Seconds after which what is typed "meanwhile" has come to where it waits.
BESIDE = 0.5
#: Seconds for which idle connections between the offices are waited for, before time jumps.
QUIET = 3.0
#: Seconds of the units of a jump.
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: Programs of ours, which are called by their names here and need not be installed.
OURS = ("sendmail", "mailq", "newaliases", "runq")


@frozen
class Ran:
    """How a command ended, and what it said (both outputs)."""

    code: int
    said: str


#: What one cannot do for oneself alone.
FELT_BY_ALL = frozenset({"switch", "clock", "zone"})


class Driver:
    """*town*: where. *password*(account): its password. *switch*(words, on): breaks what *words* name on the switch board, or mends it."""

    def __init__(self, town: Any, password: Callable[[str], str], switch: Callable[[Sequence[str], bool], Awaitable[None]]) -> None:
        self._town = town
        self._password = password
        self._switch = switch
        self._threads = tasks.Threads(town.reactor, "lesson", 2)
        self._has_run = False
        self._source = talk.LOOPBACK

    def on_behalf_of(self, account: str) -> Driver:
        """The same, connecting from where the pages connect for *account*."""
        other = copy.copy(self)
        other._source = self._town.source(account)
        return other

    def stop(self) -> None:
        """At the end; blocking. Comes by itself with that of the process."""
        self._threads.stop()

    async def do(self, act: Act) -> str:
        """Do it; what there is to read of it. NotNow, in words, where it did not go as the lesson says."""
        return await _ACTS[act.kind](self, act)

    async def do_all(self, acts: Sequence[Act], *, commands: bool = True, breaks: bool = True) -> None:
        """One after the other; what is typed "meanwhile" goes on beside those behind it.

        *commands*: programs may be run on this computer; *breaks*: what the whole class would feel may be done.
        """
        if not breaks and any(act.kind in FELT_BY_ALL for act in acts):
            raise NotNow("what the whole class would feel is done by the teacher: ask him")
        beside: list[tasks.Work[str]] = []
        for act in acts:
            if act.kind == "run" and not commands:
                raise NotNow("commands are run by you, in a terminal, or by the teacher at his computer")
            if act.words[-1] == "meanwhile":
                beside.append(tasks.Work(self.do(act)))
                await self._ready(act)
            else:
                await self.do(act)
        for one in beside:
            if not await one.ends_within(self._town.reactor, PATIENCE):
                raise NotNow("what was typed meanwhile does not end")
            one.result()

    async def _ready(self, act: Act) -> None:
        """Until what goes on beside has said all that needs nothing of the others."""
        await tasks.sleep(self._town.reactor, BESIDE)

    # ----- by hand

    async def connected(self, office: str, service: str) -> Talk:
        port = self._town.ports.get((office, service))
        if port is None or service not in DIALECTS:
            raise NotNow(f"there is no {service} in {office}")
        made = await talk.connect(self._town.reactor, port, DIALECTS[service](), self._source)
        if not await made.answered():
            raise NotNow(f"{office} {service} does not greet: {made.closed or 'it is silent'}")
        return made

    async def _type(self, act: Act) -> str:
        office, service = act.words[:2]
        if act.lines == ("-> refused",):
            return await self._refused(office, service)
        held = await self.connected(office, service)
        try:
            for line in act.lines:
                await self._line(held, line)
        finally:
            held.close()
        return "\n".join(f"{said.side} {said.text}" for said in held.said)

    async def _refused(self, office: str, service: str) -> str:
        """Nobody listens there."""
        try:
            held = await self.connected(office, service)
        except NotNow as trouble:
            return str(trouble)
        held.close()
        raise NotNow(f"{office} {service} answers, and should not")

    async def _line(self, held: Talk, line: str) -> None:
        """`text -> beginning of the answer`; without text it is only waited for; without an answer nothing is."""
        text, arrow, wanted = line.rpartition("->") if "->" in line else (line, "", "")
        text, wanted, since = text.rstrip() if arrow else text, wanted.strip(), held.number
        if text or not arrow:
            held.say(text)
        if not arrow:
            return
        if text and not await held.answered():
            raise NotNow(f"no answer to: {text}")
        if not await held.until(lambda said: said.startswith(wanted) or wanted in said, since, PATIENCE if not text else 0.5):
            heard = " / ".join(said.text for said in held.said if said.number > since and said.side == "S")
            raise NotNow(f"{text or 'waiting'}: wanted {wanted!r}, heard {heard or 'nothing'!r}")

    async def _send(self, act: Act) -> str:
        """Submitted to the office of who sends it, with his login."""
        keys = dict(word.partition("=")[::2] for word in act.words)
        sender, recipients = keys["from"], keys["to"].split(",")
        login = keys.get("as", sender)
        held = await self.connected(login.partition("@")[2].partition(".")[0], "submission")
        to = ", ".join(f"<{one}>" for one in recipients)
        head = [f"From: <{sender}>", f"To: {to}", f"Subject: {keys.get('subject', 'A letter')}", ""]
        body = ["." + line if line.startswith(".") else line for line in act.lines or ("Hello!",)]
        said = [
            "EHLO pc.test -> 250", f"AUTH PLAIN {plain(login, self._password(login))} -> 235", f"MAIL FROM:<{sender}> -> 250",
            *(f"RCPT TO:<{one}> -> 250" for one in recipients), "DATA -> 354", *head, *body, ". -> 250", "QUIT -> 221",
        ]  # fmt: skip
        try:
            for line in said[:-1]:
                await self._line(held, line)
            answer = held.said[-1].text
            await self._line(held, said[-1])
        finally:
            held.close()
        return answer

    # ----- commands

    async def _run(self, act: Act) -> str:
        """`OFFICE COMMAND ... [-> what it says | -> exit N]`; the lines below are its standard input."""
        office, *words = act.words
        wanted = ""
        if "->" in words:
            place = words.index("->")
            words, wanted = words[:place], " ".join(words[place + 1 :])
        ran = await self.ran(office, words, "".join(f"{line}\n" for line in act.lines))
        if wanted.startswith("exit "):
            if str(ran.code) != wanted.removeprefix("exit "):
                raise NotNow(f"{' '.join(words)} ended with {ran.code}: {ran.said}")
        elif wanted not in ran.said or (not wanted and ran.code):
            raise NotNow(f"{' '.join(words)} ended with {ran.code} and said: {ran.said or 'nothing'}")
        return ran.said

    async def ran(self, office: str, words: Sequence[str], given: str) -> Ran:
        """*words* as a command of the administrator of *office*; *given*: its standard input."""
        environment = os.environ | {"TWISTMAIL_CONFIG": str(self._town.config_file(office)), "TERM": "dumb"}
        environment |= {"TWISTMAIL_SUBMIT": str(self._town.config_file(office).parent / "submit.sock")}
        if not self._has_run:
            self._has_run = True
            self._town.reactor.addSystemEventTrigger("during", "shutdown", self.stop)
        return await self._threads.run(_ran, program(words), environment, given)

    # ----- the class's own levers

    async def _broken(self, act: Act) -> str:
        *words, state = act.words
        await self._switch(words, state == "on")
        return ""

    async def _clock(self, act: Act) -> str:
        words = act.words[0]
        await self._quiet()
        self._town.jump(int(words[1:-1]) * UNITS[words[-1]])
        return ""

    async def _quiet(self) -> None:
        """While minutes pass no office keeps a connection open: wait until they are closed, which takes seconds at most."""
        offices = [office.name for office in self._town.offices]
        ways = [self._town.network.link(origin, to) for origin in offices for to in offices if origin != to]
        deadline = self._town.reactor.seconds() + QUIET
        while any(way.connections for way in ways) and self._town.reactor.seconds() < deadline:
            await tasks.sleep(self._town.reactor, 0.05)

    async def _zone(self, act: Act) -> str:
        name, kind, *values = act.words
        try:
            self._town.zones.set(name, kind, values)
        except ValueError as error:
            raise NotNow(str(error)) from None
        return ""


_ACTS: Mapping[str, Callable[[Driver, Act], Awaitable[str]]] = {
    "type": Driver._type, "send": Driver._send, "run": Driver._run, "switch": Driver._broken, "clock": Driver._clock, "zone": Driver._zone,
}  # fmt: skip


def program(words: Sequence[str]) -> list[str]:
    """The command line of *words*: our own programs from this very installation, others from the PATH. NotNow where it is not there."""
    name, *rest = words
    if name == "twistmail":
        return [sys.executable, "-m", "twistmail", *rest]
    if name in OURS:
        start = f"import sys; sys.argv[0] = {name!r}; from twistmail.cli.sendmail import run; run()"
        return [sys.executable, "-c", start, *rest]
    found = shutil.which(name)
    if found is None:
        raise NotNow(f"the program {name} is not installed here")
    return [found, *rest]


def _ran(command: Sequence[str], environment: Mapping[str, str], given: str) -> Ran:
    """Blocking."""
    try:
        done = subprocess.run(command, input=given.encode(), capture_output=True, env=dict(environment), timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotNow(f"{command[0]} cannot be run: {error}") from None
    return Ran(done.returncode, (done.stdout + done.stderr)[:MOST_SAID].decode("utf-8", "replace").strip())
