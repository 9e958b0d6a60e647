"""The built-in policy stages, by the word that stands for each in `stages`."""

from __future__ import annotations

from typing import Any

from twistmail.policy.access import AccessFactory
from twistmail.policy.allowance import AllowanceFactory
from twistmail.policy.blocklists import BlocklistsFactory
from twistmail.policy.checks import ChecksFactory
from twistmail.policy.greylist import GreylistFactory
from twistmail.policy.hello import HelloFactory
from twistmail.policy.limits import LimitsFactory
from twistmail.policy.lists import ListsFactory
from twistmail.policy.loops import LoopsFactory
from twistmail.policy.quota import QuotaFactory
from twistmail.policy.rates import RatesFactory
from twistmail.policy.recipients import RecipientsFactory
from twistmail.policy.relaying import RelayingFactory
from twistmail.policy.reverse import ReverseFactory
from twistmail.policy.room import RoomFactory
from twistmail.policy.senders import SendersFactory
from twistmail.policy.soliciting import SolicitingFactory
from twistmail.policy.submission import SubmissionFactory
from twistmail.policy.tarpit import TarpitFactory

STAGES: dict[str, Any] = {
    factory.name: factory
    for factory in (
        LimitsFactory(),
        TarpitFactory(),
        RatesFactory(),
        HelloFactory(),
        RoomFactory(),
        ReverseFactory(),
        AccessFactory(),
        BlocklistsFactory(),
        SendersFactory(),
        RelayingFactory(),
        RecipientsFactory(),
        QuotaFactory(),
        GreylistFactory(),
        LoopsFactory(),
        ListsFactory(),
        SubmissionFactory(),
        AllowanceFactory(),
        ChecksFactory(),
        SolicitingFactory(),
    )
}
