"""Mail that programs of this machine have left while the server did not run is sent on, as if they had said it themselves.

The `sendmail` command leaves a message in the folder of `[queue] pickup` where it finds no server (`queue.dropbox`). Here
each becomes a submission of the user whose file it is, by the rules of [submission] (`servers.spoken`). He is not there any
more to hear an answer: for whom it was refused he gets a report, as for any mail that could not be delivered; where the answer
is "later" the file stays and is tried again; what is no message, or a message of nobody, is put aside with the reason.

A file goes when the message is safe elsewhere. So a kill between the two brings that message twice, and none is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.accounts.local import LocalUsers
from twistmail.assembly import Parts
from twistmail.interfaces import Unavailable
from twistmail.mail import verp
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Memory
from twistmail.mail.dropped import LONGEST_ENVELOPE, Dropped, Unreadable, read
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.queue.dropbox import Dropbox, Left, Refused
from twistmail.servers.spoken import Spoken
from twistmail.wire.dotted import Stuffer

log = Logger()

#: Messages that are taken at a time: each is in memory meanwhile.
AT_A_TIME = 4
#: Seconds between two tries of what was answered with "later", and after which it counts as refused.
AGAIN, PATIENCE = 60.0, 5 * 86400.0
#: Octets of a message where [submission] max_message is unlimited.
MOST = 256 * 1024 * 1024
OVER = Status(421, "4.3.0", "The conversation is over")


@frozen
class Answers:
    """What the session said: to the sender or the content as a whole, or (recipient, answer) for each that was refused."""

    whole: Status | None = None
    refused: tuple[tuple[str, Status], ...] = ()

    @property
    def is_cut_short(self) -> bool:
        """Whether the session has ended the conversation because too many were refused."""
        return any(answer.code == OVER.code for _, answer in self.refused)

    @property
    def is_temporary(self) -> bool:
        """Whether it is worth while to come again with all of it."""
        return (self.whole is not None and self.whole.is_temporary) or any(answer.is_temporary for _, answer in self.refused)


class Pickup:
    """`service` is the `service.MailService`, whose parts of the moment are used; `begin` once, then `look` about every second."""

    def __init__(self, service: Any) -> None:
        self._service = service
        config = service.config
        submission = config["submission"]
        folder = config["queue"].pickup
        self._box = Dropbox(config.file(folder), (submission.max_message or MOST) + 2 * LONGEST_ENVELOPE) if folder else None
        self._later: dict[str, float] = {}  # when a file is tried again, by the reactor's clock
        self._done: dict[str, int] = {}  # of a file, recipients who have been served: they may be too many for one transaction
        self._owed: dict[str, list[tuple[Item, Memory]]] = {}  # of a file, failures that its sender is still to be told of

    @property
    def _parts(self) -> Parts:
        return self._service.parts  # type: ignore[no-any-return]

    async def begin(self) -> None:
        """Make the folder. Where it cannot be used that is said, and nothing is picked up."""
        if self._box is not None:
            try:
                await self._service.foundation.threads.run(self._box.prepare)
            except OSError as error:
                log.error("pickup: {folder} cannot be used: {error}", folder=self._box.folder, error=error)
                self._box = None

    async def look(self) -> None:
        """Take what is there and due."""
        if self._box is None or self._box.is_still_empty():
            return
        threads, now = self._service.foundation.threads, self._service.reactor.seconds()
        try:
            names = await threads.run(self._box.names)
        except OSError as error:
            log.error("pickup: {folder} cannot be read: {error}", folder=self._box.folder, error=error)
            return
        self._forget_all_but(set(names))
        due = [name for name in names if self._later.get(name, now) <= now]
        for start in range(0, len(due), AT_A_TIME):
            batch = due[start : start + AT_A_TIME]
            for name in batch:
                self._again(name)  # whatever happens: one that we have a bug with shall not stand in the way of the others
            await tasks.gather(*(self._one(self._box, name) for name in batch))

    def _forget_all_but(self, names: set[str]) -> None:
        """What is known of files that are gone."""
        for known in (self._later, self._done, self._owed):
            for name in known.keys() - names:
                del known[name]  # type: ignore[attr-defined]

    # ----- one file

    async def _one(self, box: Dropbox, name: str) -> None:
        """Take one; its file goes when it has been sent."""
        threads = self._service.foundation.threads
        try:
            left = await threads.run(box.take, name)
            message = await threads.run(read, left.data)
            account = await self._account(left.user)
            if account is None:
                raise Refused(f"user {left.user} of this machine has no account that may send")
            if await self._send(name, message, left, account):
                await threads.run(box.remove, [name])
        except (Refused, Unreadable) as refused:
            await self._put_aside(box, name, str(refused))
        except FileNotFoundError:
            return  # its owner has taken it back
        except (OSError, Unavailable) as error:
            log.warn("pickup: {name} is tried again later: {error}", name=name, error=error)

    def _again(self, name: str) -> None:
        self._later[name] = self._service.reactor.seconds() + AGAIN

    async def _put_aside(self, box: Dropbox, name: str, why: str) -> None:
        try:
            place = await self._service.foundation.threads.run(box.put_aside, name, why)
            log.error("pickup: {name} is not taken: {why}; it lies in {place}", name=name, why=why, place=place or "no place any more")
        except OSError as error:
            log.error("pickup: {name} is not taken: {why}; it cannot be moved: {error}", name=name, why=why, error=error)
            self._later[name] = float("inf")  # said once, and no more

    async def _account(self, user: int) -> Account | None:
        people = self._parts.people
        return await LocalUsers(people.accounts, self._service.foundation.threads, people.default_domain).recognize(user)

    async def _send(self, name: str, message: Dropped, left: Left, account: Account) -> bool:
        """Submit *message*; whether its file may go. Raises OSError where a report cannot be made: it is owed then."""
        at_once = self._parts.config["submission"].max_recipients
        is_last_try = self._service.foundation.ground.epoch() - left.at > PATIENCE
        while recipients := message.recipients[self._done.get(name, 0) :][:at_once]:
            answers = await self._submit(message, recipients, account, is_last_try=is_last_try)
            if answers.is_cut_short and at_once > 1:
                at_once //= 2  # so many refusals are taken for guessing
                continue
            if answers.is_temporary and not is_last_try:
                log.info("pickup: {name} is tried again later: {why}", name=name, why=answers.whole or answers.refused[0][1])
                return False
            self._done[name] = self._done.get(name, 0) + len(recipients)
            self._owe(name, message, recipients, answers, account)
        await self._pay(name)
        return True

    async def _submit(self, message: Dropped, recipients: Sequence[str], account: Account, *, is_last_try: bool) -> Answers:
        """One transaction. Where anybody is to be asked again later nobody gets it yet, unless this *is_last_try*."""
        ground, begin = self._service.foundation.ground, self._parts.services["submission"]
        spoken = Spoken(*begin(next(ground.identifiers), "unix", 0, account=account))
        try:
            await spoken.greeting()
            await spoken.say(b"EHLO localhost\r\n")
            if (answer := await _answer(spoken, _mail(message, recipients, account))).code >= 400:
                return Answers(answer)
            refused = []
            for recipient in recipients:
                notify = f" NOTIFY={message.notify}" if message.notify else ""
                if (answer := await _answer(spoken, f"RCPT TO:<{recipient}>{notify}")).code >= 400:
                    refused.append((recipient, answer))
            answers = Answers(None, tuple(refused))
            if (answers.is_temporary and not is_last_try) or len(refused) == len(recipients):
                return answers
            if (answer := await _answer(spoken, "DATA")).code < 400:
                stuffer = Stuffer()
                answer = _status(await spoken.say(stuffer.feed(message.content) + stuffer.finish()))
            return Answers(answer if answer.code >= 400 else None, tuple(refused))
        finally:
            spoken.close()

    def _owe(self, name: str, message: Dropped, recipients: Sequence[str], answers: Answers, account: Account) -> None:
        """Whoever was refused becomes a failure of a message in the queue, which turns it into a report."""
        failed = [(one, answers.whole) for one in recipients] if answers.whole is not None else answers.refused
        if not failed:
            return
        if message.sender == "":
            raise Refused("; ".join(f"{one}: {answer}" for one, answer in failed))  # mail of nobody is not answered
        ground, default = self._service.foundation.ground, self._parts.people.default_domain
        errands = []
        for one, answer in failed:
            address = _address(one, default)
            errands.append(Errand(Target(Kind.REMOTE, address, address), Result.FAILED, answer))
        # whoever may not write as somebody gets no answer in that one's name
        own = message.sender is None or answers.whole is not None
        sender = parse(account.name) if own else _address(str(message.sender), default)
        content = Memory(message.content)
        item = Item(next(ground.identifiers), sender, tuple(errands), ground.epoch(), content.size, account=account.name)
        self._owed.setdefault(name, []).append((item, content))

    async def _pay(self, name: str) -> None:
        while owed := self._owed.get(name):
            await self._service.foundation.runner.submit(*owed[0])
            owed.pop(0)
        self._owed.pop(name, None)


async def _answer(spoken: Spoken, line: str) -> Status:
    """What is said to one command."""
    return _status(await spoken.say(line.encode() + b"\r\n"))


def _status(answers: Sequence[Any]) -> Status:
    """The last of *answers*; silence means that the session has had enough of us."""
    said = answers[-1] if answers else OVER
    return said if isinstance(said, Status) else said.status  # type: ignore[no-any-return]


def _mail(message: Dropped, recipients: Sequence[str], account: Account) -> str:
    """The MAIL command, with what the message needs. Recipients and sender have no line ends (`mail.dropped`)."""
    sender = account.name if message.sender is None else message.sender
    line = f"MAIL FROM:<{sender}> SIZE={len(message.content)}"
    if not message.content.isascii():
        line += " BODY=8BITMIME"
    if not (line.isascii() and all(one.isascii() for one in recipients)):
        line += " SMTPUTF8"
    for name, value in (("RET", message.ret), ("ENVID", message.envid)):
        line += f" {name}={value}" if value else ""
    return line + verp.parameter(message.verp)


def _address(text: str, default: str) -> Address:
    """What a report calls somebody, whatever was written."""
    try:
        address = parse(text)
    except ValueError:
        return Address(text, default)
    return address if address.domain else Address(address.local, default)
