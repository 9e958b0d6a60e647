"""What commands about users have in common: the database of accounts, and which account somebody means."""

from __future__ import annotations

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.accounts.table import account_name
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.folder import prepare
from twistmail.cli.terminal import Terminal
from twistmail.mail.account import Account


def database_of(terminal: Terminal) -> AccountDatabase:
    """The accounts; the folder is made where it is missing, so that users can be added before the first start."""
    config = terminal.glance(USERS)
    prepare(terminal, config.data_dir)
    return AccountDatabase(config.file(config[USERS.name].database))


def full_name(terminal: Terminal, database: AccountDatabase, text: str) -> str:
    """*text* as a full address; a missing domain is completed where there is only one."""
    if "@" not in text:
        domains = {account.domain for account in database.list()}
        if len(domains) != 1:
            raise Failure(f"{text} has no domain", Exit.USAGE, f"write the full address, such as {text}@blue.example")
        text = f"{text}@{domains.pop()}"
        terminal.hint(f"meaning {text}")
    try:
        return account_name(text)
    except ValueError as trouble:
        raise Failure(str(trouble).partition("\n")[0], Exit.USAGE) from None


def existing(terminal: Terminal, database: AccountDatabase, text: str) -> Account:
    """The account that *text* means. Failure where there is none."""
    name = full_name(terminal, database, text)
    account = database.get(name)
    if account is None:
        raise unknown(database, name)
    return account


def unknown(database: AccountDatabase, name: str) -> Failure:
    """That there is no account *name*, and which one may be meant."""
    from difflib import get_close_matches

    matches = get_close_matches(name, [account.name for account in database.list()], 1, 0.6)
    step = f"did you mean {matches[0]}?" if matches else f"make it: twistmail user add {name}"
    return Failure(f"no user {name}", Exit.NOUSER, step)
