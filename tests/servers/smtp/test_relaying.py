"""No open relay (R48): what strangers have tried for thirty years, all of it refused while they wait."""

from __future__ import annotations

import pytest

from tests.servers.smtp.house import SmtpHouse

#: Every form means a mailbox at far.test to somebody.
FORMS = [
    pytest.param("<user@far.test>", id="plain"),
    pytest.param("<user%far.test@here.example>", id="percent-hack"),
    pytest.param("<user%far.test@[127.0.0.1]>", id="percent-hack-by-literal"),
    pytest.param("<user%far.test@mx.here.example>", id="percent-hack-by-host-name"),
    pytest.param("<@here.example:user@far.test>", id="source-route"),
    pytest.param("<@here.example,@other.example:user@far.test>", id="long-source-route"),
    pytest.param("<far.test!user>", id="bang-path"),
    pytest.param("<far.test!user@here.example>", id="bang-path-at-our-domain"),
    pytest.param("<here.example!far.test!user>", id="bang-path-by-way-of-us"),
    pytest.param('<"user@far.test">', id="quoted-whole"),
    pytest.param('<"user@far.test"@here.example>', id="quoted-local-part"),
    pytest.param('<"user%far.test"@here.example>', id="quoted-percent-hack"),
    pytest.param('<"far.test!user"@here.example>', id="quoted-bang-path"),
    pytest.param("<user@far.test@here.example>", id="two-ats"),
    pytest.param("<user@[198.51.100.1]>", id="address-literal"),
    pytest.param("<user@here.example.far.test>", id="our-name-inside-theirs"),
    pytest.param("<user@FAR.TEST>", id="upper-case"),
    pytest.param("<@far.test:user%far.test@here.example>", id="route-and-percent"),
]
SENDERS = [
    pytest.param("<eve@away.example>", id="from-a-stranger"),
    pytest.param("<>", id="from-nobody"),
    pytest.param("<fred@here.example>", id="forged-as-one-of-us"),
]


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("form", FORMS)
def test_strangers_write_to_us_and_not_through_us(form: str, sender: str) -> None:
    house = SmtpHouse()
    player = house.player()
    player.say("EHLO peer.example", f"MAIL FROM:{sender}")
    assert player.say(f"RCPT TO:{form}")[0].startswith("550 5.7.1 ")
    assert player.say("DATA")[0].startswith("503")
    assert house.queued == []
    assert house.contents == []


@pytest.mark.parametrize("form", ["<fred@here.example>", "<FRED@HERE.EXAMPLE>", '<"fred"@here.example>', "<fred+list@here.example>",
                                  "<@away.example:fred@here.example>", "<postmaster>", "<Postmaster@here.example>"])
def test_what_is_ours_is_taken(form: str) -> None:
    player = SmtpHouse().player()
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>")
    assert player.say(f"RCPT TO:{form}") == ["250 2.1.5 Recipient ok"]
