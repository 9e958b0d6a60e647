"""The picture in ARCHITECTURE.md, as tests: imports point down or stay in the same folder."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.source import imports, modules, own_imports

LAYERS = (
    "mail",
    "wire",
    "giving programs giving_helper piping piping_helper dotfiles dotfiles_helper "
    "interfaces store_interfaces options tasks heap facts disk drafts endpoints watched anomalies networks bans segments prompt "
    "sqlite_book stamps compact syncfs",
    "mailflow expansion policy leaving canonical formats",
    "aliases accounts delivery store mbox queue relay tls lookup memory journal doorbook lists",
    "servers web",
    "mailing list_views "
    "forwarding outbound carriage tls_desk own_sts "
    "understudies later rehearsal explaining "
    "following canonical_tables way_in way_out receiving registrar domain_records quota_watch "
    "couriers notices notice_letter delivering routing routing_checks route_views "
    "service starting logins lasting account_sources service_options tenancy "
    "descriptors assembly foundation terms by_format parts plugins config "
    "checks sections control operator guests doorkeeper certificate_desk certificate_views transcripts alias_views alias_problems "
    "dry_run rows hops systemd "
    "steering pickup privileges units foreground backup cli __main__ secrecy own_passwords tables pacing uplink_desk "
    "alias_sources alias_desk alias_checks lab testing",
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
STRANGERS = LAYERS[4].split()

#: Who may touch the reactor's world. Everybody else is given what it needs.
TWISTED_INTERNET = {
    "tasks",
    "disk",
    "prompt",
    "control",
    "service",
    "starting",
    "foreground",
    "lab.clock",
    "lab.classroom",
    "lab.demo",
    "lab.talk",
    "lab.terminal",
    "lab.pipes",
    "lab.forgery",
    "lab.nameserver",
    "lab.network",
    "lab.running",
    "lab.seal",
    "cli.dry",
    "systemd",
    "accounts.cred",
    "servers.introduction",
    "servers.pump",
    "servers.refusal",
    "servers.imap.pending",
    "servers.listeners",
    "servers.recognition",
    "servers.transport",
    "lookup.backend",
    "store.hints",
    "testing.serve",
    "tls.contexts",
    "lookup.resolver",
    "relay.beside",
    "relay.carrying",
    "relay.client",
    "relay.connect",
    "relay.handshake",
    "relay.link",
    "relay.stsfetch",
    "relay.stspolicies",
    "relay.socks",
}

#: Who may catch whatever comes: where a stranger's bug must harm nobody else.
CATCH_ALL = {"facts", "tasks", "plugins", "servers.pump", "queue.runner", "policy.pipeline"}


def folder(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("name", modules())
def test_imports_point_down(name):
    assert folder(name) in RANK, f"{name} stands in no layer: add it to LAYERS"
    for imported in own_imports(name):
        assert RANK[folder(imported)] <= RANK[folder(name)], f"{name} must not import {imported}, which is above it"


@pytest.mark.parametrize("name", [name for name in modules() if folder(name) in STRANGERS])
def test_replaceable_parts_are_strangers_to_each_other(name):
    for imported in own_imports(name):
        assert folder(imported) == folder(name) or folder(imported) not in STRANGERS, f"{name} must not know {imported}"


@pytest.mark.parametrize("name", [name for name in modules() if 2 <= RANK.get(folder(name), 9) <= 4 and folder(name) != "relay"])
def test_only_relay_servers_and_assembly_know_the_wire(name):
    assert [imported for imported in own_imports(name) if folder(imported) == "wire"] == []


@pytest.mark.parametrize("name", [name for name in modules() if folder(name) == "servers"])
def test_servers_are_given_their_parts(name):
    assert [imported for imported in own_imports(name) if folder(imported) in STRANGERS] == []


@pytest.mark.parametrize("name", [name for name in modules() if folder(name) in ("mail", "wire")])
def test_mail_and_wire_are_pure(name):
    tops = {imported.partition(".")[0] for imported in imports(modules()[name])}
    assert tops.isdisjoint({"twisted", "zope", "dns", "logging", "asyncio", "threading", "socket", "random", "secrets", "os"})


def test_no_import_goes_in_a_circle():
    try:
        TopologicalSorter({name: set(own_imports(name)) - {name} for name in modules()}).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_the_list_of_modules_that_touch_the_reactor_is_true():
    found = {name for name, path in modules().items() if any(i.startswith("twisted.internet") for i in imports(path))}
    assert found <= TWISTED_INTERNET, "these must be given a reactor, a clock or a Deferred instead"
    assert {name for name in TWISTED_INTERNET if name in modules()} == found, "take these off the list"


def test_the_list_of_modules_that_catch_everything_is_true():
    found = {name for name, path in modules().items() if "except Exception" in path.read_text() or "except:" in path.read_text()}
    assert found == {name for name in CATCH_ALL if name in modules()}
