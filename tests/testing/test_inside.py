"""A town in the test's own process, as tests on Twisted use it."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import reactor

from twistmail.lab.drafts import Draft, persons
from twistmail.lab.pages.inbox import postbox_of
from twistmail.testing.inside import town, wait_for
from twistmail.web.letters import Person


@pytest_twisted.ensureDeferred
async def test_one_office_runs_inside_the_test(tmp_path):
    async with town(reactor, tmp_path, offices=1) as place:
        assert [office.name for office in place.offices] == ["blue"]
        draft = Draft(Person("", "shop@elsewhere.test"), persons(["bob@blue.test"]), subject="Welcome")
        posted = await postbox_of(place).post(draft)
        stored = await wait_for(place, "store", about=posted.ids[0])
        assert (stored.office, stored.what["mailbox"]) == ("blue", "INBOX")
        before = place.clock.seconds()
        place.jump(3600)
        assert (await wait_for(place, "clock")).at >= before + 3600
        with pytest.raises(AssertionError, match=r"no mail .*removed'} within 0.05 seconds; what has happened:(.|\n)*blue store"):
            await wait_for(place, "mail", seconds=0.05, office="red", state="removed")
    assert place.service("blue") is None
