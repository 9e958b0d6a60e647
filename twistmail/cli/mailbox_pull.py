"""twistmail mailbox pull: an account's mail from another IMAP server."""

from __future__ import annotations

import ssl
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import click

from twistmail.cli.bringing import MEMORY, MOST_MESSAGES, MOST_OCTETS, account_for, append, fingerprints_above, goes_on, made, target
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.opened import finished, mailbox, opened
from twistmail.cli.progress import Progress, progress
from twistmail.cli.stored import Storage
from twistmail.cli.tally import Tally
from twistmail.cli.terminal import Terminal
from twistmail.formats.contract import Skipped
from twistmail.formats.imported import Imported, fingerprint
from twistmail.formats.remote import Remote, RemoteFolder, RemoteTrouble, address
from twistmail.mail.mailbox import NewMessage, StoreError
from twistmail.store import names


@click.command("pull", cls=Verb)
@click.argument("account")
@click.argument("url", metavar="imaps://USER@HOST[:PORT][/FOLDER]")
@click.option("--folder", default=names.INBOX, show_default=True, help="Where it goes; other folders than INBOX go below it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--cafile",
    type=click.Path(exists=True, dir_okay=False),
    help="Who has signed the server's certificate, where the system does not know.",
)
@click.option("--plain", is_flag=True, help="Even where the server offers no TLS.")
@click.option("--again", is_flag=True, help="Also what was pulled from there before.")
@click.option("--new", is_flag=True, help="The account has no mail here yet, and is not in the database of users.")
@click.pass_obj
def pull(terminal: Terminal, account: str, url: str, folder: str, **how: Any) -> int:
    """Pull mail from another IMAP server into ACCOUNT, with folders, dates, flags and keywords. Nothing is changed there.

    It works while the server runs. Interrupted and started again it goes on, and a later run brings what has come since: the
    file twistmail-imported beside the account's mail remembers the last UID of each folder. In USER write @ as %40.
    """
    try:
        where = address(url)
    except ValueError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    storage = Storage(terminal)
    name = account_for(storage, account, is_new=how["new"])
    try:
        remote = Remote(where, ssl.create_default_context(cafile=how["cafile"]), plain=how["plain"])
    except OSError as trouble:
        step = "is the certificate signed by somebody that this machine knows? else --cafile" if isinstance(trouble, ssl.SSLError) else ""
        raise Failure(f"{where.host} port {where.port}: {trouble}", Exit.UNAVAILABLE, step) from None
    except RemoteTrouble as trouble:
        raise Failure(str(trouble), Exit.UNAVAILABLE) from None
    try:
        if remote.needs_login:
            remote.login(_password(where.user, stdin=how["password_stdin"]))
        storage.become_owner()
        return _pulled(storage, name, remote, url, folder, again=how["again"])
    except RemoteTrouble as trouble:
        raise Failure(str(trouble), Exit.UNAVAILABLE, "once that is cured, the same command goes on") from None
    finally:
        remote.close()


def _password(user: str, *, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Failure("nobody is there to ask for the password", Exit.USAGE, "add --password-stdin")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True))


def _pulled(storage: Storage, account: str, remote: Remote, url: str, below: str, *, again: bool) -> int:
    tally = Tally(storage.terminal, "pulled")
    with opened(storage) as store, progress(storage.terminal, "pulling", None) as bar, goes_on(tally):
        boxes = finished(store.mailboxes(account))
        memory = Imported(storage.directory(account) / MEMORY, url)
        try:
            if again:
                memory.forget()
            for folder in remote.folders():
                try:
                    name = made(boxes, target(below, folder.name))
                except StoreError as trouble:
                    tally.skip(Skipped(folder.name, f"cannot be a folder ({trouble})"))
                    continue
                tally.folders += 1
                with mailbox(store, account, name) as box:
                    _Pull(remote, folder, box, memory, tally, bar).bring()
        finally:
            memory.close()
    if not tally.folders:
        raise Failure(f"there is no such folder: {url}", Exit.NOINPUT)
    return tally.tell()


@dataclass
class _Pull:
    """One remote folder into one of our mailboxes, in batches."""

    remote: Remote
    folder: RemoteFolder
    box: Any
    memory: Imported
    tally: Tally
    bar: Progress
    batch: list[tuple[int, NewMessage]] = field(default_factory=list)

    def bring(self) -> None:
        validity = self.remote.examine(self.folder)
        mark = self.memory.interrupted(self.folder.name)
        unnoted = Counter(fingerprints_above(self.box, *mark) if mark else ())
        uid = 0
        for listed in self.remote.listed(self.memory.pulled(self.folder.name, validity)):
            message = self.remote.message(listed)
            self.bar.step(at=self.folder.name)
            uid = listed.uid
            if message is None:
                continue
            if unnoted and unnoted[seen := fingerprint(message.content)] > 0:
                unnoted[seen] -= 1
                self.tally.before += 1
                continue
            self.batch.append((uid, message))
            if len(self.batch) >= MOST_MESSAGES or sum(one.content.size for _, one in self.batch) >= MOST_OCTETS:
                self._flush(validity, uid)
        if uid:
            self._flush(validity, uid)

    def _flush(self, validity: int, uid: int) -> None:
        if self.batch:
            self.memory.end_pull(self.folder.name, validity, self.batch[0][0] - 1)  # what an earlier run has left unnoted
            self.memory.begin_batch(self.folder.name, self.box.uidvalidity, self.box.uidnext)
            append(self.box, [message for _, message in self.batch])
        self.memory.end_pull(self.folder.name, validity, uid)
        for _, message in self.batch:
            self.tally.count(message.content.size)
        self.batch.clear()
