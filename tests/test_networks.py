"""Networks in settings, and who lies in them."""

from __future__ import annotations

import pytest

from twistmail.networks import NETWORKS, covers


@pytest.mark.parametrize(
    ("text", "address", "inside"),
    [
        pytest.param("192.0.2.0/24", "192.0.2.7", True, id="inside"),
        pytest.param("192.0.2.0/24", "192.0.3.7", False, id="outside"),
        pytest.param("192.0.2.7/24", "192.0.2.9", True, id="a-network-named-by-one-of-its-hosts"),
        pytest.param("192.0.2.7", "192.0.2.7", True, id="a-single-address"),
        pytest.param("192.0.2.7", "::ffff:192.0.2.7", True, id="written-as-ipv6"),
        pytest.param("2001:db8::/32 ::1", "2001:db8::1%eth0", True, id="ipv6-with-a-zone"),
        pytest.param("0.0.0.0/0 ::/0", "unix", False, id="a-unix-socket-is-in-no-network"),
        pytest.param("", "192.0.2.7", False, id="nobody"),
    ],
)
def test_who_is_inside(text: str, address: str, inside: bool) -> None:
    assert covers(NETWORKS.read(text), address) is inside


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(ValueError, match=r"far\.test is no address and no network\nwrite"):
        NETWORKS.read("192.0.2.0/24 far.test")
    assert NETWORKS.write(NETWORKS.read("192.0.2.7 ::1")) == "192.0.2.7/32 ::1/128"
