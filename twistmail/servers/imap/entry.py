"""Coming in and the small talk: CAPABILITY, NOOP, ID, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, COMPRESS, IDLE, UNAUTHENTICATE, LOGOUT.

RFC 3501 §6.1 and §6.2, RFC 2177, RFC 2971, RFC 4959, RFC 4978, RFC 5161, RFC 8437. Who may log in
is `servers.login`'s business; how many sessions somebody may have is counted here.
"""

from __future__ import annotations

from twistmail.facts import Fact, Introduced
from twistmail.mail.account import Account
from twistmail.servers.conversation import Welcome
from twistmail.servers.imap.capabilities import ENABLEABLE
from twistmail.servers.imap.changes import count_changes
from twistmail.servers.imap.client import Client, Refusal, Responses
from twistmail.servers.imap.overhearing import Overhearing
from twistmail.servers.mechanisms import Denied
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.responses import BAD, NO, OK, Bye, Challenge, Continuation, Enabled, Response, Tagged, Untagged, refusal
from twistmail.wire.sasl import exchange as sasl

# ----- what the wire has to say


async def refused(client: Client, event: c.Bad | c.No) -> Responses:
    client.conversation = None
    client.idling = False
    yield refusal(event)


async def go_on(client: Client, event: c.Continue) -> Responses:
    yield Continuation()


# ----- any state


async def capability(client: Client, event: c.Capability) -> Responses:
    yield Untagged(b"CAPABILITY " + await client.capabilities())
    yield Tagged(event.tag, OK, "Done")


async def noop(client: Client, event: c.Noop | c.Check) -> Responses:
    if client.view is not None:
        await client.view.mailbox.refresh()
    yield Tagged(event.tag, OK, "Done")


async def unauthenticate(client: Client, event: c.Unauthenticate) -> Responses:
    """Nothing but TLS, ID and the count of wrong passwords outlives it. RFC 8437 §3: there is no NO, but a Bye."""
    if "UNAUTHENTICATE" in client.hidden:
        raise Refusal("UNAUTHENTICATE is not offered here", condition=BAD)
    client.leave_mailbox()
    client.listen(None)
    client.overhear(None)
    client.uncount()
    client.begin_anew()
    client.compressed = False
    if client.count_address():
        yield Tagged(event.tag, OK, "Who is next?", b"CAPABILITY " + await client.capabilities())
    else:
        yield Bye("There are too many connections from where you are", b"UNAVAILABLE")


async def logout(client: Client, event: c.Logout) -> Responses:
    client.leave_mailbox()
    yield Bye("Goodbye")
    yield Tagged(event.tag, OK, "Done")


async def identify(client: Client, event: c.Id) -> Responses:
    """Who is it? What is kept from such programs is told at once, for the client may have read CAPABILITY already."""
    before = client.hidden
    given = {name.lower(): value for name, value in event.parameters if value}
    client.agent = f"{given.get('name', '')} {given.get('version', '')}".strip()
    if given and client.service.facts.listened:
        client.service.facts.tell(Fact(client.service.epoch(), client.connection, Introduced(tuple(given.items()))))
    yield Untagged(b'ID ("name" "twistmail")')
    if client.hidden != before:
        yield Untagged(b"CAPABILITY " + await client.capabilities())
    yield Tagged(event.tag, OK, "Done")


async def enable(client: Client, event: c.Enable) -> Responses:
    """What is not offered is passed over; what is on already is not told again (RFC 5161 §3.1, §3.2)."""
    hidden = {word.upper() for word in client.hidden}
    known = [name for asked in event.names if asked not in hidden for name in ENABLEABLE.get(asked, ())]
    new = [name for name in dict.fromkeys(known) if name not in client.enabled]
    if "CONDSTORE" in new:
        for line in count_changes(client):
            yield line
    client.enabled.update(new)
    if "METADATA" in new:
        client.overhear(Overhearing(client))
    if client.view is not None:
        client.view.last_tree = client.view.last_changes = None  # whoever reads UTF-8 reads another message
        if client.view.is_rev2:
            client.view.recent.clear()
    yield Enabled(tuple(new))
    yield Tagged(event.tag, OK, "Done")


async def compress(client: Client, event: c.Compress) -> Responses:
    """TLS of ours never compresses (`tls.contexts`), so nothing but an earlier COMPRESS can stand in the way."""
    if "COMPRESS=DEFLATE" in client.hidden:
        raise Refusal("Compression is not offered here", condition=BAD)
    if client.compressed:
        raise Refusal("COMPRESS is on already", "COMPRESSIONACTIVE", condition=BAD)
    client.compressed = True
    yield Tagged(event.tag, OK, "DEFLATE begins")


async def idle(client: Client, event: c.Idle) -> Responses:
    client.idling = True
    yield Continuation("idling")
    if client.view is not None:
        await client.view.mailbox.refresh()
        client.poke()


async def done(client: Client, event: c.Done) -> Responses:
    client.idling = False
    yield Tagged(event.tag, OK, "Done")


# ----- login


async def start_tls(client: Client, event: c.StartTls) -> Responses:
    if client.tls is not None:
        raise Refusal("TLS is on already", condition=BAD)
    if not client.can_start_tls:
        raise Refusal("TLS is not offered here", condition=BAD)
    yield Tagged(event.tag, OK, "Begin the handshake")


async def login(client: Client, event: c.Login) -> Responses:
    if not client.may_send_password:
        raise _tls_first()
    claim = sasl.credentials(event.user.encode(), event.password.encode())
    if isinstance(claim, sasl.Malformed):
        raise Refusal(claim.text, condition=BAD)
    account = await client.service.login.check(claim, client.address, "LOGIN", client.connection)
    yield _failed(client, event.tag) if account is None else await _enter(client, event.tag, account)


async def authenticate(client: Client, event: c.Authenticate) -> Responses:
    begun = await client.service.login.begin(event.mechanism, client.caller)
    if isinstance(begun, Denied):
        raise _tls_first() if begun is Denied.ENCRYPT_FIRST else Refusal("That mechanism is not offered")
    client.conversation = begun
    yield await _step(client, event.tag, event.initial)


async def auth_response(client: Client, event: c.AuthResponse) -> Responses:
    if event.data is None or client.conversation is None:
        client.conversation = None
        raise Refusal("Given up", condition=BAD)
    yield await _step(client, event.tag, event.data)


def _tls_first() -> Refusal:
    return Refusal("Passwords are accepted under TLS only", "PRIVACYREQUIRED")


async def _step(client: Client, tag: bytes, data: bytes | None) -> Response:
    """One step of the exchange."""
    conversation, client.conversation = client.conversation, None
    assert conversation is not None
    said = await conversation.step(data)
    match said:
        case sasl.Challenge(octets):
            client.conversation = conversation
            return Challenge(octets)
        case Welcome(account):
            return await _enter(client, tag, account)
        case sasl.Malformed(text):
            return Tagged(tag, BAD, text)
    return _failed(client, tag)


def _failed(client: Client, tag: bytes) -> Response:
    client.failures += 1
    if client.failures >= client.service.login.max_failures:
        return Bye("Too many wrong passwords")
    return Tagged(tag, NO, "Login or password is wrong", b"AUTHENTICATIONFAILED")


async def _enter(client: Client, tag: bytes, account: Account) -> Response:
    """Somebody is in."""
    service = client.service
    own = await service.store.mailboxes(account.name)
    client.mailboxes = service.sharing.tree(account.name, own, client.connection) if service.sharing else own
    _count(client, account)
    client.account = account
    return Tagged(tag, OK, "Welcome", b"CAPABILITY " + await client.capabilities())


def _count(client: Client, account: Account) -> None:
    """Count the session among those of its user. Refusal where there are too many."""
    settings, census = client.service.settings, client.service.census
    user, here = ("user", account.name), ("user from", account.name, client.address)
    if not census.enter((user, settings.max_connections_per_user), (here, settings.max_connections_per_user_ip)):
        raise Refusal("You have too many sessions", "LIMIT")
    client.uncount()  # an address is limited before login only
    client.counted = [user, here]
