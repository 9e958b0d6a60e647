"""Handshakes in memory: clients of our making against the connections that `Contexts` makes."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from twistmail.tls.contexts import Contexts


def client(
    name: str = "", *, alpn: tuple[bytes, ...] = (), most: int | None = None, ciphers: bytes = b"", identity: Any = None
) -> SSL.Connection:
    """A client that asks for *name*; *identity*: the (certificate, key) that it shows where it is asked."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if alpn:
        context.set_alpn_protos(list(alpn))
    if most is not None:
        context.set_max_proto_version(most)
        context.set_min_proto_version(SSL.TLS1_VERSION)
    if ciphers:
        context.set_cipher_list(ciphers)
    if identity is not None:
        context.use_certificate(identity[0])
        context.use_privatekey(identity[1])
    connection = SSL.Connection(context, None)
    if name:
        connection.set_tlsext_host_name(name.encode())
    connection.set_connect_state()
    return connection


def server_of(contexts: Contexts, protocol: str = "imap") -> SSL.Connection:
    creator = contexts.factory(protocol)()
    assert creator is not None
    return creator.serverConnectionForTLS(None)


def shake(client: SSL.Connection, server: SSL.Connection) -> int:
    """Carry the handshake between the two until both are content; raises SSL.Error where one is not. How many octets the server said."""
    server.set_accept_state()
    said = 0
    done: set[SSL.Connection] = set()
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
                done.add(one)
            except SSL.WantReadError:
                pass
            octets = carry(one, other)
            said += octets if one is server else 0
        if len(done) == 2:
            return said
    raise AssertionError("the handshake does not end")


def carry(one: SSL.Connection, other: SSL.Connection) -> int:
    """What *one* has to say, to *other*; how many octets that is."""
    try:
        return other.bio_write(one.bio_read(65536))
    except SSL.WantReadError:
        return 0
