"""The offices: pretend addresses and ports that nobody else has."""

from __future__ import annotations

import ipaddress
from itertools import product

from twistmail.lab.offices import OFFICES, USUAL_PORTS


def test_addresses_are_those_for_documentation():
    assert all(ipaddress.ip_address(office.address) in ipaddress.ip_network("192.0.2.0/24") for office in OFFICES)


def test_no_two_services_share_a_port_and_none_needs_root():
    ports = [office.port(service) for office, service in product(OFFICES, USUAL_PORTS)]
    assert len(set(ports)) == len(ports)
    assert min(ports) > 1023


def test_an_office_is_a_domain_a_host_and_people():
    blue = OFFICES[0]
    assert (blue.domain, blue.host, blue.accounts) == ("blue.test", "mx.blue.test", ("alice@blue.test", "bob@blue.test"))
