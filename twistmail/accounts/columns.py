"""What a directory says of somebody, as an Entry: columns of SQL, attributes of LDAP, members of JSON.

Ours and Dovecot's names of columns are understood, with and without `userdb_`;
others (home, mail, proxy ...) belong to other programs and are passed over. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import account_name
from twistmail.mail.account import Account
from twistmail.networks import NETWORKS
from twistmail.options import SIZE

#: Further addresses of one account.
MOST_ADDRESSES = 1000
_YES = frozenset({"1", "y", "yes", "t", "true", "on"})
_NO = frozenset({"", "0", "n", "no", "f", "false", "off"})
#: Each in the order of preference.
_ADDRESS = ("address", "user", "account")
_FULL_NAME = ("display_name", "full_name", "name", "cn")
_QUOTA = ("quota", "quota_rule", "quota_storage_size", "quota_bytes")
_ENABLED = ("enabled", "active")


def entry_of(asked: str, columns: Mapping[str, Any], *, scheme: str = "") -> Entry:
    """The Entry of the account that was *asked* for (a full address), by what *columns* say of it.

    A password without {SCHEME} is one of *scheme*. ValueError where a column cannot be understood.
    """
    said = _normal(columns)
    name, *further = _names(asked, said)
    account = Account(
        name,
        _text(_first(said, _FULL_NAME)),
        _each(said, _QUOTA, quota_of),
        enabled=_each(said, _ENABLED, switch_of, default=True) and not any(switch_of(said.get(word)) for word in ("nologin", "disabled")),
        format=_text(said.get("format")),
        addresses=tuple(address for address in further if address != name),
        login_from=NETWORKS.read(_text(said.get("allow_nets"))),
    )
    if account.format not in ("", "maildir", "mbox"):
        raise ValueError(f"format {account.format} is neither maildir nor mbox")
    return Entry(account, secret_of(said.get("password"), scheme))


def _normal(columns: Mapping[str, Any]) -> dict[str, Any]:
    """*columns* by their names in lower case, without `userdb_`, and without what is NULL."""
    return {name.lower().removeprefix("userdb_"): _decoded(value) for name, value in columns.items() if value is not None}


def _decoded(value: Any) -> Any:
    """Octets as text, where they are some: what MySQL calls BINARY, VARBINARY or BIT."""
    if isinstance(value, bytes | bytearray | memoryview):
        octets = bytes(value)
        return {b"\0": "0", b"\1": "1"}.get(octets) or octets.decode()
    return value


def _first(said: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((said[name] for name in names if name in said), None)


def _each(said: Mapping[str, Any], names: Sequence[str], read: Callable[[Any], Any], default: Any = None) -> Any:
    found = _first(said, names)
    return default if found is None else read(found)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = value[0] if value else ""
    return "" if value is None else str(value)


def _names(asked: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """The account's own address (`user`, or `username` and `domain`, or what was asked for), then the further ones.

    Of several values of `user`, which a directory may tell in any order, the first in the alphabet is its own.
    """
    found = _first(said, _ADDRESS) or said.get("username") or asked
    own = sorted(addresses_of(found if isinstance(found, list | tuple) else [found], _text(said.get("domain")) or asked.rpartition("@")[2]))
    return (*own, *addresses_of(said.get("addresses"), own[0].rpartition("@")[2]))


def addresses_of(value: Any, domain: str) -> tuple[str, ...]:
    """Full addresses, of a list or of text with spaces or commas between them; bare names are in *domain*. ValueError."""
    words = str(value or "").replace(",", " ").split() if not isinstance(value, list | tuple) else [str(word) for word in value]
    if len(words) > MOST_ADDRESSES:
        raise ValueError(f"there are more than {MOST_ADDRESSES} addresses")
    return tuple(dict.fromkeys(account_name(word, domain) for word in words))


def switch_of(value: Any) -> bool:
    """Yes or no, however the directory says it; NULL is no. ValueError where it is neither."""
    word = _text(value).strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(f"{word} is neither yes nor no")


def quota_of(value: Any) -> int | None:
    """Octets: a number, "2G", or a rule of Dovecot's, whose bare numbers are KiB; 0 and nothing are no limit. ValueError."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _limit(int(value))
    text = _text(value).strip()
    rule, equals, size = text.rpartition("=")
    if equals and rule.removeprefix("*:") not in ("storage", "bytes"):
        raise ValueError(f"{text} is not a quota rule that limits octets")
    if size.isdigit():
        return _limit(int(size) * (1024 if rule.endswith("storage") else 1))
    return SIZE.read(size) if size else None  # type: ignore[no-any-return]


def _limit(octets: int) -> int | None:
    if octets < 0:
        raise ValueError(f"{octets} is not a size")
    return octets or None


def secret_of(value: Any, scheme: str = "") -> str:
    """A stored password as `passwords.verify` takes it, which says so where it is of no kind that we know; empty: nobody can log in."""
    secret = _text(value)
    return f"{{{scheme}}}{secret}" if scheme and secret and not secret.startswith(("{", "$argon2")) else secret
