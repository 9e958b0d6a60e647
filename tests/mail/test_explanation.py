"""What answers mean, in plain words: by their codes, and by the wording of the big providers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail import explanation
from twistmail.mail.causes import ABOUT, Cause
from twistmail.mail.explanation import OTHERS, OURSELVES, cause_of, explain, speaker
from twistmail.mail.status import OVER_QUOTA, Status

FAR = "mx.far.test [192.0.2.1]"
GMAIL = "gmail-smtp-in.l.google.com [192.0.2.2]"
OUTLOOK = "contoso-com.mail.protection.outlook.com [192.0.2.3]"
HOTMAIL = "eur.olc.protection.outlook.com [192.0.2.4]"
YAHOO = "mta5.am0.yahoodns.net [192.0.2.5]"

# As the providers have published them, or as they were seen; addresses are made up.
SAID = [
    (GMAIL, 550, "5.1.1", "The email account that you tried to reach does not exist. Please try double-checking the recipient's email "
     "address for typos or unnecessary spaces.", Cause.NO_SUCH_USER),
    (GMAIL, 552, "5.2.2", "The email account that you tried to reach is over quota.", Cause.MAILBOX_FULL),
    (GMAIL, 452, "4.2.2", "The recipient's inbox is out of storage space and inactive.", Cause.MAILBOX_FULL),
    (GMAIL, 550, "5.2.1", "The email account that you tried to reach is disabled.", Cause.MAILBOX_DISABLED),
    (GMAIL, 450, "4.2.1", "The user you are trying to contact is receiving mail too quickly.", Cause.MAILBOX_BUSY),
    (GMAIL, 550, "5.7.26", "This mail is unauthenticated, which poses a security risk to the sender and Gmail users.", Cause.NOT_GENUINE),
    (GMAIL, 550, "5.7.1", "Unauthenticated email from far.test is not accepted due to domain's DMARC policy.", Cause.NOT_GENUINE),
    (GMAIL, 421, "4.7.0", "Our system has detected an unusual rate of unsolicited mail originating from your IP address.",
     Cause.REPUTATION),
    (GMAIL, 550, "5.7.1", "Our system has detected that this message is likely unsolicited mail.", Cause.SPAM),
    (GMAIL, 550, "5.7.25", "The IP address sending this message does not have a PTR record setup.", Cause.REPUTATION),
    (GMAIL, 552, "5.7.0", "This message was blocked because its content presents a potential security issue.", Cause.DANGEROUS),
    (GMAIL, 552, "5.3.4", "Your message exceeded Google's message size limits.", Cause.TOO_BIG),
    (GMAIL, 421, "4.7.28", "Gmail has detected this message exceeded its quota for sending messages.", Cause.TOO_FAST),
    (OUTLOOK, 550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", Cause.NO_SUCH_USER),
    (OUTLOOK, 550, "5.4.1", "Recipient address rejected: Access denied. [AM5EUR03FT003.eop-EUR03.prod]", Cause.NO_SUCH_USER),
    (HOTMAIL, 550, "5.7.1", "Unfortunately, messages from [192.0.2.9] weren't sent. Please contact your Internet service provider since "
     "part of their network is on our block list (S3150).", Cause.REPUTATION),
    (OUTLOOK, 550, "5.7.606", "Access denied, banned sending IP [192.0.2.9].", Cause.REPUTATION),
    (OUTLOOK, 550, "5.7.511", "Access denied, please ask somebody", Cause.REPUTATION),
    (HOTMAIL, 550, "5.7.515", "Access denied, sending domain FAR.TEST doesn't meet the required level.", Cause.NOT_GENUINE),
    (OUTLOOK, 550, "5.7.133", "RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", Cause.MEMBERS_ONLY),
    (OUTLOOK, 554, "5.2.2", "mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
     Cause.MAILBOX_FULL),
    (OUTLOOK, 451, "4.7.650", "The mail server [192.0.2.9] has been temporarily rate limited due to IP reputation.", Cause.TOO_FAST),
    (YAHOO, 554, "", "delivery error: dd This user doesn't have a yahoo.com account (harry@yahoo.com) [0] - mta1.mail", Cause.NO_SUCH_USER),
    (YAHOO, 552, "", "1 Requested mail action aborted, mailbox not found", Cause.NO_SUCH_USER),
    (YAHOO, 421, "4.7.0", "[TSS04] Messages from 192.0.2.9 temporarily deferred due to unexpected volume or user complaints",
     Cause.REPUTATION),
    (YAHOO, 421, "", "Resources temporarily unavailable. Please try again later.", Cause.TOO_FAST),
    (YAHOO, 554, "5.7.9", "Message not accepted for policy reasons.", Cause.POLICY),
    (FAR, 451, "4.7.1", "Greylisting in action, please come back in 300 seconds", Cause.GREYLISTED),
    (FAR, 450, "4.2.0", "<bob@far.test>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help", Cause.GREYLISTED),
    (FAR, 550, "5.1.1", "<spam-dmarc@far.test>: Recipient address rejected: User unknown in virtual mailbox table", Cause.NO_SUCH_USER),
    (FAR, 554, "5.7.1", "Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org", Cause.REPUTATION),
    (FAR, 554, "5.7.1", "<bob@elsewhere.test>: Relay access denied", Cause.RELAYING),
    (FAR, 550, "", "Unrouteable address", Cause.NO_SUCH_USER),
    (FAR, 550, "5.7.1", "Not today, see https://far.test/spam/greylist?user=unknown", Cause.POLICY),
    (FAR, 530, "5.7.0", "Must issue a STARTTLS command first", Cause.NOT_ENCRYPTED),
    (FAR, 554, "5.4.0", "Error: too many hops", Cause.LOOP),
    (FAR, 550, "5.7.2", "No", Cause.MEMBERS_ONLY),
    (FAR, 554, "5.6.1", "No", Cause.FORMAT),
    (FAR, 550, "5.1.99", "No", Cause.NO_SUCH_USER),
    (FAR, 450, "4.1.8", "Your domain does not resolve", Cause.BAD_SENDER),
    (FAR, 450, "4.3.2", "Closed for lunch", Cause.SYSTEM_TROUBLE),
    (FAR, 451, "4.7.1", "Later", Cause.LATER),
    (FAR, 451, "", "Later", Cause.LATER),
    (FAR, 550, "", "No", Cause.REFUSED),
    (FAR, 551, "", "Try harry@elsewhere.test", Cause.MOVED),
    (FAR, 599, "5.9.9", "?", Cause.REFUSED),
    (FAR, 250, "2.0.0", "queued as spam", Cause.DONE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "code", "enhanced", "text", "cause"), [pytest.param(*row, id=f"{row[4].value}-{number}") for number, row in enumerate(SAID)]
)
def test_the_cause_behind_what_another_mail_system_says(host, code, enhanced, text, cause):
    assert explain(Status(code, enhanced, text), host).cause is cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        pytest.param(Status(550, "5.1.2", "There is no such mail domain"), Cause.NO_SUCH_DOMAIN, id="no-such-domain"),
        pytest.param(Status(550, "5.1.2", "No server and no address"), Cause.NO_SUCH_DOMAIN, id="no-server-and-no-address"),
        pytest.param(Status(556, "5.1.10", "A null MX"), Cause.TAKES_NO_MAIL, id="null-MX"),
        pytest.param(Status(554, "5.4.6", "It leads back to this server"), Cause.LOOP, id="only-ourselves"),
        pytest.param(Status(451, "4.4.3", "The DNS gives no answer"), Cause.DNS_SILENT, id="the-DNS-is-silent"),
        pytest.param(Status(451, "4.4.1", "No connection could be made"), Cause.UNREACHABLE, id="nobody-answers"),
        pytest.param(Status(451, "4.7.5", "The other side does not offer the encryption"), Cause.NOT_ENCRYPTED, id="no-encryption"),
        pytest.param(Status(554, "5.7.30", "The other side does not promise it"), Cause.NOT_ENCRYPTED, id="no-REQUIRETLS"),
        pytest.param(Status(552, "5.3.4", "The other side does not take messages of that size"), Cause.TOO_BIG, id="too-big"),
        pytest.param(Status(553, "5.6.7", "The other side does not take such addresses"), Cause.INTERNATIONAL, id="no-SMTPUTF8"),
        pytest.param(Status(554, "5.4.7", "The other side does not promise it"), Cause.DEADLINE, id="no-DELIVERBY"),
        pytest.param(Status(451, "4.4.7", "Too old"), Cause.EXPIRED, id="too-old"),
        pytest.param(Status(554, "5.4.7", "Too late"), Cause.DEADLINE, id="too-late"),
        pytest.param(Status(554, "5.0.0", "By an operator"), Cause.GIVEN_UP, id="given-up"),
        pytest.param(Status(450, "4.4.0", "Kept"), Cause.KEPT, id="kept-for-ETRN"),
        pytest.param(OVER_QUOTA, Cause.MAILBOX_FULL, id="a-full-mailbox-here"),
        pytest.param(Status(550, "5.0.0", "spam spam spam"), Cause.REFUSED, id="our-own-words-are-not-searched"),
    ],
)
def test_the_cause_behind_what_we_say_ourselves(status, cause):
    found = explain(status)
    assert found.cause is cause
    assert "{" not in found.happened


def test_a_provider_is_called_by_its_name_and_its_page_is_given_where_it_thinks_ill_of_us():
    ill = explain(Status(550, "5.7.606", "Access denied"), OUTLOOK)
    assert ill.happened.startswith("Outlook (Microsoft) does not trust the computer")
    assert ill.where == "https://sender.office.com/"
    assert explain(Status(550, "5.1.1", "No"), GMAIL) == explain(Status(550, "5.1.1", "No such user"), GMAIL)
    assert explain(Status(550, "5.1.1", "No"), GMAIL).happened == "Gmail has no mailbox of that name."
    assert explain(Status(550, "5.1.1", "No"), GMAIL).where == ""


@pytest.mark.parametrize(
    ("host", "who"),
    [
        pytest.param("mx.google.com.evil.test [192.0.2.6]", OTHERS, id="a-name-that-only-begins-so"),
        pytest.param("notgoogle.com [192.0.2.6]", OTHERS, id="a-name-that-only-ends-so"),
        pytest.param("ALT1.GMAIL-SMTP-IN.L.GOOGLE.COM. [192.0.2.6]", "Gmail", id="capital-letters-and-a-dot"),
        pytest.param("mailbox ann@blue.test", OURSELVES, id="a-mailbox-here"),
        pytest.param("program archive", OURSELVES, id="a-program-here"),
        pytest.param("the route of that address", OURSELVES, id="an-operator-s-word"),
        pytest.param("https://app.example", OTHERS, id="a-web-application"),
        pytest.param("mx.far.test", OTHERS, id="a-server-without-its-address"),
        pytest.param("[192.0.2.1] [192.0.2.1]", OTHERS, id="a-server-without-a-name"),
    ],
)
def test_who_has_said_it(host, who):
    found = explain(Status(451, "4.3.1", "Full"), host).happened
    assert (found.lower(), found[0].isupper()) == (f"{who} has no room left.".lower(), True)


@pytest.mark.parametrize(
    ("status", "happened"),
    [
        pytest.param(
            Status(552, "5.3.4", "The other side does not take that size"),
            "The message is larger than the other mail system takes.",
            id="their-limit-that-we-know",
        ),
        pytest.param(Status(552, "5.3.4", "The message is too big"), "The message is larger than this mail system takes.", id="our-limit"),
        pytest.param(
            Status(454, "4.7.0", "The smart host does not accept our login"),
            "The other mail system wants a login from us that it does not accept or that we do not have.",
            id="the-smart-host",
        ),
        pytest.param(Status(451, "4.3.5", "Our table cannot be read"), "This mail system had trouble of its own.", id="our-trouble"),
    ],
)
def test_a_sentence_of_ours_may_be_about_somebody_else(status, happened):
    assert explain(status).happened == happened


@pytest.mark.parametrize(
    ("text", "host", "said"),
    [
        pytest.param("mx.far.test [192.0.2.1]: Go away", "mx.far.test [192.0.2.1]", "Go away", id="IPv4"),
        pytest.param("mx.far.test [2001:db8::1]: Go: away", "mx.far.test [2001:db8::1]", "Go: away", id="IPv6"),
        pytest.param("Go away: mx.far.test [192.0.2.1]: now", "", "Go away: mx.far.test [192.0.2.1]: now", id="not-at-the-beginning"),
        pytest.param("No connection", "", "No connection", id="nobody"),
    ],
)
def test_a_refusal_at_the_door_is_said_by_the_server_that_it_names(text, host, said):
    status = Status(554, "5.7.1", text)
    assert speaker(status, "") == (host, Status(554, "5.7.1", said))
    assert speaker(status, FAR) == (FAR, status)


def test_what_the_doorman_of_a_provider_says_is_explained_as_his():
    assert explain(Status(550, "5.7.1", f"{HOTMAIL}: part of their network is on our block list (S3150)")).happened.startswith("Outlook")


def test_every_cause_has_its_words():
    assert set(ABOUT) == set(Cause)
    assert all(about.happened.endswith(".") and about.advice.endswith(".") for about in ABOUT.values())


@given(
    st.integers(200, 599), st.sampled_from(["", "5.1.1", "4.7", "5", "5.7.x", "..", "5.7.650"]), st.text(max_size=200), st.text(max_size=60)
)
def test_nothing_that_is_said_is_repeated_or_harms(code, enhanced, text, host):
    found = explain(Status(code, enhanced, text), host)
    names = (OTHERS, OURSELVES, *(name for _, name, _ in explanation._PROVIDERS))
    assert found.happened.lower() in {ABOUT[found.cause].happened.format(who=who).lower() for who in names}
    assert found.advice == ABOUT[found.cause].advice


def test_a_long_answer_takes_no_long_time():
    import time

    def seconds(size):
        status = Status(550, "5.7.1", "a@" * size)
        begun = time.process_time()
        for _ in range(20):
            cause_of(status)
        return time.process_time() - begun

    assert takes_linear_time(seconds, 1000)
