"""What an operator says of final delivery: [delivery] for files and programs, [mda] for agents that keep mailboxes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twistmail.options import COUNT, DURATION, TEXT, WORDS, Kind, Option, Reload, Section
from twistmail.programs import OUTPUT, read_command

#: What %-words of commands mean, as the path of the store has them (`[store] path`).
PERCENT = {"%u": "{login}", "%n": "{user}", "%d": "{domain}", "%%": "%"}
GAPS = frozenset({"login", "account", "user", "domain", "recipient", "original", "extension", "sender", "size", "id"})


def _read_agent(text: str) -> tuple[str, ...]:
    return read_command(re.sub(r"%[und%]", lambda match: PERCENT[match[0]], text), GAPS)


def _read_folders(text: str) -> tuple[str, ...]:
    folders: tuple[str, ...] = WORDS.read(text)
    for folder in folders:
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise ValueError(f"{folder} is no whole path\nwrite a folder from / on, such as /var/archive")
        if folder.strip("/") == "":
            raise ValueError("/ would let mail be written anywhere\nname a folder below it, such as /var/archive")
    return folders


def _read_folder(text: str) -> str:
    folders = _read_folders(text)
    if len(folders) > 1:
        raise ValueError("that is more than one folder\nname one")
    return folders[0].rstrip("/") if folders else ""


def _read_file(text: str) -> str:
    if text and not text.startswith(("/", "~/")):
        raise ValueError(f"{text} is no whole path\nwrite /var/mail/%n, or ~/Maildir/ in the home of each")
    if re.search(r"%(?![und])", text):
        raise ValueError(f"{text} has a % that means nothing\nwrite %u, %n or %d")
    if text.startswith("/") and beginning_of(text) == "":
        raise ValueError(f"{text} would let mail be written anywhere\nname a folder before the first %, such as /var/mail/%n")
    return text


def beginning_of(file: str) -> str:
    """The folder that stands in *file* before anything is filled in; empty where that is a home, or nothing."""
    return file.partition("%")[0].rpartition("/")[0] if file.startswith("/") else ""


AGENT = Kind("a program and its words", _read_agent, " ".join)
FILE = Kind("a path", _read_file)
FOLDERS = Kind("folders", _read_folders, " ".join)
FOLDER = Kind("a folder", _read_folder)

OPTIONS = Section(
    "delivery", "Mail that goes into files and programs which aliases, or users' own forwards, name: docs/delivery.md. Whether they "
    "may name any is said where they stand.",
    Option("file_dirs", FOLDERS, "", "The folders below which such files may lie; empty: nowhere. No symbolic link is followed there.",
           example="/var/archive"),
    Option("file_user", TEXT, "", "The user of this machine as whom files of system-wide aliases are written, never root; another than the "
           "server takes a start as root. Empty: the server itself.", Reload.RESTART, example="archive"),
    Option("program_dir", FOLDER, "", "The folder in which such programs lie; a path before a program's name does not count. Empty: "
           "there are none but those of [pipe:NAME].", Reload.RESTART, example="/etc/twistmail/programs"),
    Option("program_user", TEXT, "nobody", "The user of this machine who runs the programs of system-wide aliases, neither root nor the "
           "server; takes a start as root. Those of a user's own forward are run as that user.", Reload.RESTART),
    Option("program_timeout", DURATION, "60s", "After this a program is ended, with all that it has begun, and the mail is tried again "
           "later.", Reload.RESTART),
    Option("program_output", OUTPUT, "4K", "How much is heard of what a program says; its first line goes into reports to senders.",
           Reload.RESTART),
    Option("concurrency", COUNT, "4", "Files and programs that are served at a time, of each kind.", Reload.RESTART),
    Option("lock_timeout", DURATION, "30s", "For how long an mbox is waited for that another program has locked; then the mail is tried "
           "again later.", Reload.RESTART),
)  # fmt: skip

_AGENT = (
    Option("command", AGENT, "", "The program that mail for users is given to, and its words: %u is the user (of a user of this machine "
           "his name, else user@domain), %n what stands before the @, %d what stands behind it; {recipient}, {original}, {extension}, "
           "{sender}, {size}, {id} are filled in, too. What its exit means: docs/delivery.md.", Reload.RESTART,
           example="/usr/bin/procmail -d %u"),
    Option("file", FILE, "", "A file for each user in which his mail lies, as docs/delivery.md has files: an mbox, a maildir (/ behind) "
           "or an MH folder (/.); ~ is the home of a user of this machine, %u, %n and %d as for command.", Reload.RESTART,
           example="~/Maildir/"),
    Option("lmtp", TEXT, "", "A server that keeps the mailboxes, spoken to by LMTP (RFC 2033): unix:/path, or [address]:port.",
           example="unix:/run/dovecot/lmtp"),
    Option("user", TEXT, "", "The user of this machine who runs the command, or whose the files are, never root. Empty: the user whose "
           "mail it is. Another than the server takes a start as root.", Reload.RESTART, example="vmail"),
    Option("groups", WORDS, "", "Groups of this machine that the command gets besides its user's own, such as mail for a locked "
           "/var/mail: set-user-id bits of a program do not count. One where the command is run as whose mail it is: it is lent as by such "
           "a bit, and procmail and maildrop give it up before they do what the user says.", Reload.RESTART, example="mail"),
    Option("timeout", DURATION, "5m", "After this the command is ended, with all that it has begun, and the mail is tried again later.",
           Reload.RESTART),
    Option("output", OUTPUT, "4K", "How much is heard of what it says; its first line goes into reports to senders.", Reload.RESTART),
    Option("concurrency", COUNT, "4", "Runs at a time.", Reload.RESTART),
)  # fmt: skip
AGENT_OPTIONS = Section(
    "mda", "Who keeps the mailboxes, where that is not our own store: a delivery agent such as procmail, or another server. Mail waits in "
    "the queue until it has taken it. One of command, file and lmtp; none: our own store.",
    *_AGENT,
)
#: For one domain or one account; it has all settings of its own.
AGENT_OF_OPTIONS = Section(
    "mda_for", "As [mda], for one domain or one user: [mda_for:blue.example], [mda_for:anna@blue.example]. Empty: our own store.",
    *_AGENT, pattern=True,
)  # fmt: skip


def names_of(account: str) -> tuple[str, ...]:
    """The sections that may speak for *account* ("anna@blue.example"), the nearest first; then comes [mda]."""
    return account, account.rpartition("@")[2]


def chosen(account: str, sections: Mapping[str, object]) -> str:
    """Which of *sections* (of AGENT_OF_OPTIONS, by name) speaks for *account*; empty: [mda]."""
    return next((name for name in names_of(account) if name in sections), "")
