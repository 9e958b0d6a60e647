"""What can be asked and done about users and domains: verbs of the control socket, and of a command while the server is down.

Everything is read from the sources as the server has them; what is changed goes
to the source that knows the user, where that takes changes (the database does).
Passwords come hashed: what is kept of one is made where it was typed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from twistmail import forwarding
from twistmail.accounts import passwords
from twistmail.accounts.config import PERSONAL
from twistmail.accounts.secrets import AppPassword, Entry
from twistmail.accounts.sqlite import AccountDatabase, AccountExists, NoSuchAccount
from twistmail.accounts.table import account_name
from twistmail.config.settled import Config
from twistmail.control import Refusal, Verb
from twistmail.expansion import Expansion
from twistmail.mail.account import Account, account_directory
from twistmail.mail.address import canonical_domain, parse
from twistmail.mail.domains import Domain, Domains
from twistmail.mail.evidence import decode
from twistmail.options import SIZE, SWITCH, TEXT, WORDS

USAGE, DATA_ERROR, NO_USER, UNAVAILABLE, NO_PERMISSION = 64, 65, 67, 69, 77  # sysexits
#: What `user.change` takes, and how it is written.
FIELDS = {"display_name": TEXT, "quota": SIZE, "enabled": SWITCH, "addresses": WORDS, **PERSONAL}

#: What an account is of which nobody has said anything.
_ORDINARY = Account("")


class Books(Protocol):
    """What there is now. `sources` as People has them; `store` is None where mail cannot be moved."""

    @property
    def sources(self) -> tuple[Any, ...]: ...

    @property
    def domains(self) -> Domains: ...

    @property
    def database(self) -> AccountDatabase: ...

    @property
    def config(self) -> Config: ...

    @property
    def store(self) -> Any: ...

    def user_changed(self, name: str) -> None:
        """Whatever is remembered of that account holds no longer."""

    async def domains_changed(self) -> None:
        """There are other domains now."""


class Present:
    """The users and domains of *service* as they are at the moment (`registrar.Books`)."""

    def __init__(self, service: Any) -> None:
        self._service = service

    @property
    def sources(self) -> tuple[Any, ...]:
        return self._service.parts.people.accounts.sources  # type: ignore[no-any-return]

    @property
    def domains(self) -> Domains:
        return self._service.parts.people.domains  # type: ignore[no-any-return]

    @property
    def database(self) -> AccountDatabase:
        return self._service.foundation.database  # type: ignore[no-any-return]

    @property
    def config(self) -> Config:
        return self._service.config  # type: ignore[no-any-return]

    @property
    def store(self) -> Any:
        return self._service.foundation.store

    @property
    def lists(self) -> Any:
        """`lists.mailing_list.Lists`."""
        return self._service.parts.people.lists

    @property
    def expansion(self) -> Expansion:
        return self._service.parts.people.expansion  # type: ignore[no-any-return]

    @property
    def threads(self) -> Any:
        return self._service.foundation.threads

    def user_changed(self, name: str) -> None:
        self._service.foundation.ground.terms.forget(name)
        self._service.parts.people.expansion.forget()

    async def domains_changed(self) -> None:
        await self._service.look_at_domains()


class Registrar:
    """The verbs over *books*."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def verbs(self) -> dict[str, Verb]:
        return {
            "user.list": self._list,
            "user.show": self._show,
            "user.add": self._add,
            "user.change": self._change,
            "user.secret": self._secret,
            "user.rename": self._rename,
            "user.remove": self._remove,
            "user.dump": self._dump,
            "user.usage": self._usage,
            "domain.list": self._domains,
            "domain.show": self._domain,
            "domain.add": self._add_domain,
            "domain.remove": self._remove_domain,
        }

    # ----- reading

    async def _list(self, arguments: Mapping[str, Any]) -> Any:
        domain = arguments.get("domain")
        return [self._row(account, source) for account, source in await self._everybody() if domain in (None, account.domain)]

    async def _show(self, arguments: Mapping[str, Any]) -> Any:
        entry, source = await self._found(arguments.get("name"))
        account = entry.account
        return self._row(account, source) | {
            "addresses": list(account.addresses),
            "app_passwords": [one.label for one in entry.app_passwords],
            "settings": {key: _text(key, account) for key in PERSONAL if getattr(account, key) != getattr(_ORDINARY, key)},
        }

    async def _dump(self, arguments: Mapping[str, Any]) -> Any:
        """One user with what is kept of the password, for `user import` elsewhere."""
        entry, _ = await self._found(arguments.get("name"))
        account = entry.account
        return {
            "name": account.name,
            **{key: _text(key, account) for key in FIELDS},
            "secret": entry.secret,
            "keys": [keys.encoded for keys in entry.keys],
            "app_passwords": [_app_row(one) for one in entry.app_passwords],
        }

    async def _usage(self, arguments: Mapping[str, Any]) -> Any:
        entry, _ = await self._found(arguments.get("name"))
        try:
            quota = await (await self._books.store.mailboxes(entry.account.name)).quota()
        except (OSError, ValueError) as error:
            raise Refusal(f"the mail of {entry.account.name} cannot be counted: {error}", UNAVAILABLE) from None
        most = quota.most_octets if quota.most_octets is not None else entry.account.quota
        return {"name": entry.account.name, "octets": quota.octets, "messages": quota.messages, "quota": most}

    async def _everybody(self) -> list[tuple[Account, Any]]:
        """Every account with the source that answers for it, by name."""
        known: dict[str, tuple[Account, Any]] = {}
        for source in self._books.sources:
            if hasattr(source, "list"):
                for account in await source.list():
                    known.setdefault(account.name, (account, source))
        return [known[name] for name in sorted(known)]

    async def account(self, text: Any) -> Account:
        """The account that *text* means. Refusal where there is none."""
        return (await self._found(text))[0].account

    async def _found(self, text: Any) -> tuple[Entry, Any]:
        """The user that *text* means. Refusal where there is none, with the name that may have been meant."""
        name = await self._completed(text)
        for source in self._books.sources:
            if (entry := await source.lookup(name)) is not None:
                return entry, source
        raise await self._unknown(name)

    async def _unknown(self, name: str) -> Refusal:
        near = get_close_matches(name, [account.name for account, _ in await self._everybody()], 1, 0.6)
        return Refusal(f"no user {name}", NO_USER, f"did you mean {near[0]}?" if near else f"make it: twistmail user add {name}")

    async def _completed(self, text: Any) -> str:
        """*text* as a full address; a missing domain is completed where only one is possible."""
        word = str(text or "")
        try:
            if "@" in word:
                return _mailable(account_name(word))
            domains = {account.domain for account, _ in await self._everybody()}
            domains = domains or {one.name for one in self._books.domains if one.source != "hostname"}
            if len(domains) != 1:
                raise Refusal(f"{word} has no domain", USAGE, f"write the full address, such as {word}@blue.example")
            return _mailable(account_name(word, domains.pop()))
        except ValueError as trouble:
            raise Refusal(str(trouble).partition("\n")[0], USAGE) from None

    def _row(self, account: Account, source: Any) -> dict[str, Any]:
        return {
            "name": account.name,
            "display_name": account.display_name,
            "enabled": account.enabled,
            "quota": account.quota,
            "source": self._origin(account, source),
        }

    def _origin(self, account: Account, source: Any) -> str:
        """Where the account stands: `config.ini:71`, or the word for its source."""
        origin = str(getattr(source, "origin", "plugin"))
        return self._books.config.place(f"{origin}:{account.name}").short if origin in ("user", "role") else origin

    # ----- changing

    async def _add(self, arguments: Mapping[str, Any]) -> Any:
        name = await self._completed(arguments.get("name"))
        for source in self._books.sources:
            if (entry := await source.lookup(name)) is not None:
                what = f"a user {name}" if entry.account.name == name else f"an address {name}: {entry.account.name} has it"
                step = f"change the password: twistmail user password {name}" if entry.account.name == name else "choose another name"
                raise Refusal(f"there is {what} already", DATA_ERROR, step)
        source = self._writable()
        account = Account(name, **_fields({key: arguments[key] for key in FIELDS if key in arguments}))
        extra = [_app_password(row) for row in arguments.get("app_passwords", ())]
        if arguments.get("dry_run"):
            return self._row(account, source)
        await _kept(source.add(account, _secret(arguments), _keys(arguments)))
        for one in extra:
            await source.add_app_password(name, one)
        self._books.user_changed(name)
        return self._row(account, source) | {"is_ours": parse(name).domain in self._books.domains.names}

    async def _change(self, arguments: Mapping[str, Any]) -> Any:
        entry, source = await self._changeable(arguments)
        name, fields = entry.account.name, _fields(arguments.get("fields", {}))
        await _kept(source.change(name, **fields))
        self._books.user_changed(name)
        return await self._show({"name": name})

    async def _secret(self, arguments: Mapping[str, Any]) -> Any:
        entry, source = await self._changeable(arguments)
        await _kept(source.set_secret(entry.account.name, _secret(arguments), _keys(arguments)))
        self._books.user_changed(entry.account.name)
        return self._row(entry.account, source)

    async def _remove(self, arguments: Mapping[str, Any]) -> Any:
        entry, source = await self._changeable(arguments)
        if not arguments.get("dry_run"):
            await _kept(source.remove(entry.account.name))
            forwarding.removed(self._books.config, entry.account.name)
            self._books.user_changed(entry.account.name)
        return self._row(entry.account, source)

    async def _rename(self, arguments: Mapping[str, Any]) -> Any:
        """The account first, so that new mail waits or goes to the right place; the mail itself right after."""
        entry, source = await self._changeable(arguments)
        old, new = entry.account.name, await self._completed(arguments.get("to"))
        if any([await one.lookup(new) is not None for one in self._books.sources]):
            raise Refusal(f"there is {new} already", DATA_ERROR, "choose another name")
        await _kept(source.rename(old, new))
        try:
            await self._books.store.rename_account(old, new)
        except (OSError, ValueError) as error:
            await source.rename(new, old)
            raise Refusal(f"the mail of {old} cannot be moved: {error}", DATA_ERROR, "nothing has changed") from None
        finally:
            for name in (old, new):
                self._books.user_changed(name)
        forwarding.renamed(self._books.config, old, new)
        return await self._show({"name": new})

    async def _changeable(self, arguments: Mapping[str, Any]) -> tuple[Entry, Any]:
        """The user, whose source takes changes. Refusal where it does not."""
        entry, source = await self._found(arguments.get("name"))
        if not hasattr(source, "change"):
            where = self._origin(entry.account, source)
            raise Refusal(f"{entry.account.name} is kept in {where}", NO_PERMISSION, f"change it there: {where}")
        return entry, source

    def _writable(self) -> Any:
        """Where new users go. Refusal where no source takes them."""
        for source in self._books.sources:
            if hasattr(source, "add"):
                return source
        raise Refusal("no source of users takes new ones", NO_PERMISSION, "write sqlite into [users] source, or add them where they are")

    # ----- domains

    async def _domains(self, arguments: Mapping[str, Any]) -> Any:
        counts: dict[str, int] = {}
        for account, _ in await self._everybody():
            counts[account.domain] = counts.get(account.domain, 0) + 1
        default = self._books.domains.default
        return [_domain_row(one, default) | {"users": counts.get(one.name, 0)} for one in self._books.domains]

    async def _domain(self, arguments: Mapping[str, Any]) -> Any:
        name = _domain_name(arguments.get("name"))
        return next(row for row in await self._domains({}) if row["name"] == self._known(name).name)

    async def _add_domain(self, arguments: Mapping[str, Any]) -> Any:
        name = _domain_name(arguments.get("name"))
        known = self._books.domains.get(name)
        if known is not None and known.source not in ("database", "hostname"):
            raise Refusal(f"{name} is a domain of ours already", DATA_ERROR, f"it stands in {known.source}")
        like, catchall = str(arguments.get("same_as", "")), str(arguments.get("catchall", ""))
        if like and (self._known(_domain_name(like)).like or like == name):
            raise Refusal(f"{like} has no users of its own", DATA_ERROR, "name the domain whose users it has")
        try:
            catchall = str(parse(catchall)) if catchall else ""
        except ValueError as trouble:
            raise Refusal(f"catch-all: {trouble}", USAGE) from None
        self._books.database.put_domain(Domain(name, like, catchall, str(arguments.get("description", ""))))
        await self._books.domains_changed()
        return await self._domain({"name": name})

    async def _remove_domain(self, arguments: Mapping[str, Any]) -> Any:
        row = await self._domain(arguments)
        if row["source"] != "database":
            raise Refusal(f"{row['name']} stands in {row['source']}", NO_PERMISSION, f"remove it there: {row['source']}")
        if not arguments.get("dry_run"):
            self._books.database.remove_domain(row["name"])
            await self._books.domains_changed()
        return row

    def _known(self, name: str) -> Domain:
        domain = self._books.domains.get(name)
        if domain is None:
            near = get_close_matches(name, self._books.domains.names, 1, 0.6)
            step = f"did you mean {near[0]}?" if near else f"make it: twistmail domain add {name}"
            raise Refusal(f"{name} is no domain of ours", NO_USER, step)
        return domain


# ----- reading what was asked ---------------------------------------------------


def _mailable(name: str) -> str:
    """*name*, where a mailbox can be called so. ValueError."""
    account_directory("%d/%n", name)
    return name


def _domain_name(text: Any) -> str:
    try:
        return canonical_domain(str(text or ""))
    except ValueError as trouble:
        raise Refusal(str(trouble), USAGE, "write a domain name, such as blue.example") from None


def _domain_row(domain: Domain, default: str) -> dict[str, Any]:
    row = {"name": domain.name, "same_as": domain.like, "catchall": domain.catchall, "description": domain.description}
    return row | {"default": domain.name == default, "source": domain.source}


def _fields(texts: Any) -> dict[str, Any]:
    """The values that *texts* {key of FIELDS: as in a configuration} mean. Refusal."""
    if not isinstance(texts, dict):
        raise Refusal("the fields cannot be read", USAGE)
    found: dict[str, Any] = {}
    for key, text in texts.items():
        if key not in FIELDS:
            near = get_close_matches(key, FIELDS, 1, 0.6)
            raise Refusal(f"users have no {key}", USAGE, f"did you mean {near[0]}?" if near else f"there are: {', '.join(FIELDS)}")
        try:
            found[key] = FIELDS[key].read(str(text))
            if key == "addresses":
                found[key] = tuple(account_name(address) for address in found[key])
        except ValueError as trouble:
            what, _, step = str(trouble).partition("\n")
            raise Refusal(f"{key}: {what}", USAGE, step) from None
    return found


def _text(key: str, account: Account) -> str:
    return FIELDS[key].write(getattr(account, key))


def _secret(arguments: Mapping[str, Any]) -> str:
    """What is to be kept of a password; empty: no login by one. Refusal where nothing could ever be compared with it."""
    secret = str(arguments.get("secret", ""))
    try:
        return passwords.check(secret) if secret else ""
    except ValueError as trouble:
        what, _, step = str(trouble).partition("\n")
        raise Refusal(what, DATA_ERROR, step) from None


def _keys(arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    try:
        return tuple(decode(str(keys)) for keys in arguments.get("keys", ()))
    except (ValueError, TypeError) as trouble:
        raise Refusal(str(trouble).partition("\n")[0], DATA_ERROR) from None


def _app_row(one: AppPassword) -> dict[str, Any]:
    return {"label": one.label, "secret": one.secret, "services": sorted(one.services), "expires": one.expires}


def _app_password(row: Any) -> AppPassword:
    try:
        return AppPassword(str(row["label"]), passwords.check(str(row["secret"])), frozenset(map(str, row["services"])), row["expires"])
    except (KeyError, TypeError, ValueError) as trouble:
        raise Refusal(f"an app password cannot be read: {trouble}", DATA_ERROR) from None


async def _kept(change: Awaitable[None]) -> None:
    """*change*, done. Refusal where it cannot be."""
    try:
        await change
    except AccountExists as trouble:
        raise Refusal(str(trouble), DATA_ERROR, "choose another") from None
    except NoSuchAccount as trouble:
        raise Refusal(str(trouble), NO_USER) from None
