"""Accounts in an LDAP directory (OpenLDAP, Active Directory, 389): searched for, and logged in to by binding as whoever it is.

[users]                       [ldap]
source = ldap                 url = ldaps://ldap.blue.example
                              base = ou=people,dc=blue,dc=example
                              bind_dn = cn=twistmail,dc=blue,dc=example
                              bind_password = file:/etc/twistmail/ldap.password
                              filter = (&(objectClass=inetOrgPerson)(mail=%u))

The directory is only read. What it holds of passwords is not fetched, unless
`password = attribute` says that it shall be compared here.
"""

from __future__ import annotations

import importlib
import math
import re
import ssl
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from zope.interface import implementer

from twistmail.accounts.asking import LONGEST_PASSWORD, Asking, Connections, Trouble, can_be_asked, lacking
from twistmail.accounts.columns import entry_of
from twistmail.accounts.house import House
from twistmail.accounts.leads import DirectoryAliases
from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqldrivers import is_here
from twistmail.accounts.templates import FILTER, TEMPLATE, Template, escape_dn, escape_filter
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.options import COUNT, DURATION, TEXT, WORDS, Kind, Option, Section, Settings, choice

MODULE, MODULE_EXTRA = "ldap3", "ldap"
MOST_ENTRIES = 200_000
PAGE = 500
#: Result codes (RFC 4511 appendix A.1): the search found nothing; it found more than it was asked for; the bind failed because of who asks.
NO_SUCH_OBJECT, SIZE_LIMIT_EXCEEDED = 32, 4
REFUSED = frozenset({19, 32, 34, 48, 49, 50, 53})
ENTRY = "searchResEntry"
#: Under which name the addresses of an alias are told, and from how many entries.
TARGETS, MOST_ALIAS_ENTRIES = "alias targets", 100
#: What a userPassword without {SCHEME} is (RFC 4519 §2.41).
CLEAR = "PLAIN"


def _read_urls(text: str) -> tuple[str, ...]:
    urls: tuple[str, ...] = WORDS.read(text)
    for url in urls:
        if urlsplit(url).scheme not in ("ldap", "ldaps", "ldapi") or not urlsplit(url).netloc:
            raise ValueError(f"{url} is not the URL of a directory\nwrite ldaps://ldap.blue.example")
    return urls


def _read_names(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(word.split("=")) for word in WORDS.read(text)]
    for pair in pairs:
        if len(pair) != 2 or not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_;-]*", name) for name in pair):
            raise ValueError(f"{'='.join(pair)} does not say what an attribute means\nwrite ATTRIBUTE=COLUMN, such as mail=user")
    return tuple(pairs)  # type: ignore[arg-type]


#: None where it is empty.
ALIAS_FILTER = Kind(FILTER.name, lambda text: FILTER.read(text) if text else None,
                    lambda template: FILTER.write(template) if template else "")  # fmt: skip
URLS = Kind("URLs of directories", _read_urls, " ".join)
NAMES = Kind("pairs of attribute and column", _read_names, lambda pairs: " ".join("=".join(pair) for pair in pairs))

OPTIONS = Section(
    "ldap",
    "Accounts in an LDAP directory: [users] source = ldap. In filters %u is the address, %n what stands before the @, %d the domain.",
    Option("url", URLS, "ldap://localhost", "Where the directory is: ldaps://, ldap:// or ldapi://; several are tried in turn.",
           example="ldaps://ldap.blue.example"),
    Option("tls", choice("auto", "starttls", "off"), "auto",
           "For ldap:// URLs. starttls: encrypt, and the certificate must be right. auto: so where the directory is another machine."),
    Option("tls_ca", TEXT, "", "Who has signed its certificate, where the system does not know: a PEM file.", example="/etc/ssl/ca.pem"),
    Option("bind_dn", TEXT, "", "As whom we search; empty: as nobody.", example="cn=twistmail,dc=blue,dc=example"),
    Option("bind_password", TEXT, "", "The password for that.", secret=True, example="file:/etc/twistmail/ldap.password"),
    Option("base", TEXT, "", "Below which entry people are.", example="ou=people,dc=blue,dc=example"),
    Option("scope", choice("subtree", "level"), "subtree", "Everything below the base, or one level."),
    Option("filter", FILTER, "(mail=%u)", "Who has the mailbox of an address.", example="(&(objectClass=inetOrgPerson)(mail=%u))"),
    Option("namesakes_filter", FILTER, "(uid=%n)", "Who is meant by a login without a domain."),
    Option("list_filter", FILTER, "(mail=*)", "Who has a mailbox at all."),
    Option("attributes", NAMES, "mail=user cn=name",
           "What attributes mean: ATTRIBUTE=COLUMN, columns as in [sql]: user, name, quota, enabled.",
           example="mail=user displayName=name mailQuota=quota"),
    Option("alias_filter", ALIAS_FILTER, "", "For [aliases] source = ldap: the entries of the alias %u.",
           example="(&(objectClass=nisMailAlias)(cn=%n))"),
    Option("alias_attribute", TEXT, "rfc822MailMember", "The attribute of these that holds the addresses."),
    Option("password", choice("bind", "attribute"), "bind",
           "How passwords are checked: by binding as that entry, or here, by its userPassword."),
    Option("login_dn", TEMPLATE, "", "The DN to bind as, where it needs no search.", example="uid=%n,ou=people,dc=blue,dc=example"),
    Option("connections", COUNT, "4", "So many connections at most."),
    Option("timeout", DURATION, "5s", "How long an answer may take; then it is a temporary failure."),
)  # fmt: skip


class Directory:
    """Opens connections to the directory of *settings*, and searches. Blocking; called in threads. Everything may raise Trouble."""

    def __init__(self, settings: Settings, authorities: str) -> None:
        self._library = importlib.import_module(MODULE)
        self._settings = settings
        self._tls = self._library.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=authorities or None)
        self._seconds = math.ceil(settings.timeout)  # the library takes whole ones only
        self._attributes = [attribute for attribute, _ in settings.attributes]
        if settings.password == "attribute":
            self._attributes.append("userPassword")
        if settings.alias_filter is not None:
            self._attributes.append(settings.alias_attribute)

    def connect(self) -> Any:
        """A connection, bound as the one who searches."""
        connection = self._opened(self._settings.bind_dn, self._settings.bind_password)
        if not self._answer(connection.bind):
            said = connection.result
            self.close(connection)
            raise Trouble(f"we cannot bind as {self._settings.bind_dn or 'nobody'}: {_sentence(said)}")
        return connection

    def binds(self, dn: str, password: str) -> bool:
        """Whether the directory lets *dn* in with *password*, which is not empty."""
        connection = self._opened(dn, password)
        try:
            if self._answer(connection.bind):
                return True
            if connection.result["result"] in REFUSED:
                return False
            raise Trouble(f"binding as {dn}: {_sentence(connection.result)}")
        finally:
            self.close(connection)

    def close(self, connection: Any) -> None:
        try:
            connection.unbind()
        except (self._library.core.exceptions.LDAPException, OSError):  # it was dead already
            pass

    def search(self, connection: Any, template: Template, name: str, most: int) -> list[tuple[str, dict[str, Any]]]:
        """(DN, {column: value or list}) of at most *most* entries that fit *template* for *name*."""
        scope = self._library.SUBTREE if self._settings.scope == "subtree" else self._library.LEVEL
        self._answer(lambda: connection.search(
            self._settings.base, template.fill(name, escape_filter), scope, self._library.DEREF_NEVER, self._attributes,
            size_limit=most, time_limit=self._seconds))
        if connection.result["result"] == NO_SUCH_OBJECT:
            raise Trouble(f"there is no entry {self._settings.base}, or we may not see it")
        if connection.result["result"] not in (0, SIZE_LIMIT_EXCEEDED):
            raise Trouble(_sentence(connection.result))
        return [self._read(found) for found in connection.response if found["type"] == ENTRY]

    def listed(self, connection: Any, most: int) -> list[tuple[str, dict[str, Any]]]:
        """As `search`, everybody, in pages (RFC 2696)."""
        pages = connection.extend.standard.paged_search
        scope = self._library.SUBTREE if self._settings.scope == "subtree" else self._library.LEVEL
        found = self._answer(lambda: pages(
            self._settings.base, self._settings.list_filter.fill("@"), scope, self._library.DEREF_NEVER, self._attributes,
            paged_size=PAGE, generator=False))
        if connection.result["result"] != 0:
            raise Trouble(_sentence(connection.result))
        return [self._read(one) for one in found[:most] if one["type"] == ENTRY]

    def _opened(self, dn: str, password: str) -> Any:
        """A connection to the first URL that answers, encrypted where it shall be, and not bound yet."""
        trouble: Trouble | None = None
        for url in self._settings.url:
            try:
                return self._open(url, dn, password)
            except Trouble as failed:
                trouble = failed
        raise trouble or Trouble("there is no URL to ask")

    def _open(self, url: str, dn: str, password: str) -> Any:
        library, timeout = self._library, self._seconds
        server = library.Server(url, tls=self._tls, connect_timeout=timeout, get_info=library.NONE)
        connection = library.Connection(
            server, dn or None, password or None, client_strategy=library.SYNC, authentication=library.SIMPLE if dn else library.ANONYMOUS,
            receive_timeout=timeout, auto_referrals=False, check_names=False, read_only=True)
        try:
            self._answer(connection.open)
            if self._encrypts(url) and not self._answer(connection.start_tls):
                raise Trouble(f"it does not encrypt: {_sentence(connection.result)}")
        except Trouble as trouble:
            self.close(connection)
            raise Trouble(f"{url}: {trouble}") from trouble
        return connection

    def _encrypts(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme != "ldap" or self._settings.tls == "off":
            return False
        return self._settings.tls == "starttls" or not is_here(parts.hostname or "")

    def _read(self, found: Any) -> tuple[str, dict[str, Any]]:
        """Attribute names are compared in any case; several values stay a list."""
        values = {name.lower(): value for name, value in found["raw_attributes"].items() if value}
        named = [(attribute.lower(), column) for attribute, column in self._settings.attributes]
        columns = {column: _text(values[attribute]) for attribute, column in named if attribute in values}
        if "userpassword" in values:
            columns["password"] = _text(values["userpassword"])
        if self._settings.alias_filter is not None:
            columns[TARGETS] = _text(values.get(self._settings.alias_attribute.lower(), ()))
        return found["dn"], columns

    def _answer(self, question: Any) -> Any:
        try:
            return question()
        except (self._library.core.exceptions.LDAPException, OSError) as error:
            raise Trouble(str(error) or type(error).__name__) from error


def _text(octets: Sequence[bytes]) -> list[str]:
    return [value.decode("utf-8", "replace") for value in octets]


def _sentence(result: dict[str, Any]) -> str:
    return f"{result['description']} ({result['result']}) {result.get('message') or ''}".rstrip()


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    if missing := lacking(MODULE, MODULE_EXTRA):
        yield "url", *missing
    if not settings.url:
        yield "url", "there is no directory to ask", "write ldaps://ldap.blue.example"
    if "user" not in {column for _, column in settings.attributes}:
        yield "attributes", "no attribute is the user's address", "write mail=user"


def check_aliases(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """As `check`, for aliases."""
    if settings.alias_filter is None:
        yield "alias_filter", "the directory is asked for no aliases", "write (&(objectClass=nisMailAlias)(cn=%n))"
    yield from check(settings)


def build_aliases(settings: Settings, house: House) -> DirectoryAliases:
    """The aliases of these settings. ImportError without the extra."""
    source = build(settings, house)
    return DirectoryAliases(source.targets, source.asking, "ldap")


def build(settings: Settings, house: House) -> LdapSource:
    """The source of these settings. ImportError without the extra."""
    directory = Directory(settings, str(house.path(settings.tls_ca)) if settings.tls_ca else "")
    connections = house.lasting.keep("ldap", settings, lambda: Connections(directory.connect, directory.close, settings.connections))
    asking = Asking("the directory", house.reactor, house.lasting.threads("ldap", settings.connections), settings.timeout)
    return (LdapSource if settings.password == "attribute" else BindingLdapSource)(settings, directory, connections, asking)


@implementer(IAccountSource)
class LdapSource:
    """The accounts that *directory* finds through *connections*."""

    def __init__(self, settings: Settings, directory: Directory, connections: Connections[Any], asking: Asking) -> None:
        self._settings = settings
        self._directory = directory
        self._connections = connections
        self.asking = asking

    async def lookup(self, name: str) -> Entry | None:
        found = await self._find(name)
        return None if found is None else self._entry(name, found[1])

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        if not can_be_asked(local):
            return ()
        search = partial(self._directory.search, template=self._settings.namesakes_filter, name=f"{local}@", most=2)
        found = await self.asking.ask(self._connections.use, search)
        return tuple(self._entry(local, columns) for _, columns in found)

    async def list(self) -> tuple[Account, ...]:
        found = await self.asking.ask(self._connections.use, partial(self._directory.listed, most=MOST_ENTRIES))
        read = (self.asking.understood(partial(entry_of, dn, columns, scheme=CLEAR)) for dn, columns in found)
        return tuple(entry.account for entry in read if entry is not None)

    async def targets(self, name: str) -> tuple[str, ...]:
        """What the entries of the alias *name* tell."""
        search = partial(self._directory.search, template=self._settings.alias_filter, name=name, most=MOST_ALIAS_ENTRIES)
        found = await self.asking.ask(self._connections.use, search)
        return tuple(target for _, columns in found for target in columns[TARGETS])

    async def _find(self, name: str) -> tuple[str, dict[str, Any]] | None:
        """(DN, columns) of the one entry for *name*; None where there is none. Unavailable where there are several."""
        if not can_be_asked(name):
            return None
        search = partial(self._directory.search, template=self._settings.filter, name=name, most=2)
        found = await self.asking.ask(self._connections.use, search)
        if len(found) > 1:
            raise self.asking.unavailable(f"more than one entry for {name}")
        return found[0] if found else None

    def _entry(self, name: str, columns: dict[str, Any]) -> Entry:
        try:
            return entry_of(name, columns, scheme=CLEAR)
        except ValueError as error:
            raise self.asking.unavailable(f"what is told of {name} cannot be understood: {error}") from error


class BindingLdapSource(LdapSource):
    """A source that lets the directory itself check passwords."""

    async def verify(self, entry: Entry, password: str) -> bool:
        """Whether the directory lets the owner of *entry* in.

        An empty password would be a bind as nobody, which succeeds (RFC 4513 §5.1.2): it is never asked about.
        """
        name = entry.account.name
        if not can_be_asked(password, LONGEST_PASSWORD):
            return False
        if self._settings.login_dn is not None:
            dn = self._settings.login_dn.fill(name, escape_dn)
        else:
            found = await self._find(name)
            if found is None:
                return False
            dn = found[0]
        return await self.asking.ask(self._directory.binds, dn, password)
