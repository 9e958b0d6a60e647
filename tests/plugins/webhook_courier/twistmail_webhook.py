"""A courier that gives mail to a web application: one POST of the whole message for each recipient.

[route:tickets.example]         [webhook]
via = courier:webhook           url = https://app.example/mail
                                secret = file:/etc/twistmail/webhook-secret

The application reads who writes to whom in X-Mail-From and X-Mail-To, and should
check X-Signature (HMAC-SHA256 of the body). A message may come twice, as always with
mail: Idempotency-Key is then the same. 2xx is a promise to keep it; 408, 425, 429, 3xx
and 5xx mean later; 413 that it is too big; 404 and 410 that there is nobody of that
name; any other answer that the message is refused. When to try again, and what to tell
the sender, is twistmail's business.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from twisted.internet.defer import succeed
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.protocol import Protocol
from twisted.plugin import IPlugin
from twisted.web.client import Agent, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.interfaces import Batch, ICourier, IPart
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import Status
from twistmail.options import DURATION, SIZE, TEXT, Option, Section

TOO_BIG = Status(552, "5.3.4", "The application does not take messages of that size")
WEATHER = (OSError, ConnectError, ConnectionClosed, RequestTransmissionFailed, ResponseFailed, tasks.TimedOut)
#: HTTP status -> what it means for mail; by its hundreds where it is not named.
ANSWERS = {404: (550, "5.1.1"), 410: (550, "5.1.1"), 413: (552, "5.3.4"), 408: (451, "4.3.0"), 425: (451, "4.3.0"), 429: (451, "4.3.0")}
CLASSES = {2: (250, "2.0.0"), 4: (554, "5.3.0")}
LATER = (451, "4.3.0")
#: Octets of an answer that are read; nobody looks at them.
MOST_ANSWER = 64 * 1024
#: Posts at a time.
MOST_POSTS = 10


@implementer(ICourier)
class Webhook:
    """`agent`: a twisted.web IAgent. `threads` reads contents that lie in files. `secret`: str; empty: nothing is signed."""

    name = "webhook"

    def __init__(self, settings, agent, clock, threads):
        self._settings = settings
        self._agent = agent
        self._clock = clock
        self._threads = threads
        self._limit = tasks.Limit(MOST_POSTS)
        parts = urlsplit(settings.url)
        self._place = f"{parts.scheme}://{parts.netloc}"

    def batches(self, item, targets):
        return (Batch(self._place, tuple(targets)),)

    async def carry(self, item, targets, content):
        if self._settings.max_size is not None and item.size > self._settings.max_size:
            return tuple(outcome_of(target, TOO_BIG, self._place) for target in targets)
        try:
            body = item.prefix + await self._threads.run(lambda: b"".join(content.chunks()))
        except OSError as error:
            return tuple(outcome_of(target, status_of(error), self._place) for target in targets)
        statuses = await tasks.gather(*(self._give(item, target, body) for target in targets))
        return tuple(outcome_of(target, status, self._place) for target, status in zip(targets, statuses, strict=True))

    async def _give(self, item, target, body):
        try:
            async with self._limit:
                posted = self._post(item, target, body)
                code = await tasks.with_timeout(self._clock, self._settings.timeout, posted, f"POST to {self._place}")
        except WEATHER as error:
            return Status(451, "4.4.1", f"The application could not be reached: {type(error).__name__}")
        smtp_code, enhanced = ANSWERS.get(code) or CLASSES.get(code // 100, LATER)
        return Status(smtp_code, enhanced, f"The application answered {code}")

    async def _post(self, item, target, body):
        key = hashlib.sha256(f"{item.id} {target.address}".encode()).hexdigest()
        fields = {
            "Content-Type": "message/rfc822",
            "X-Mail-From": str(item.sender or ""),
            "X-Mail-To": str(target.address),
            "Idempotency-Key": key,
        }
        if self._settings.secret:
            fields["X-Signature"] = "sha256=" + hmac.new(self._settings.secret.encode(), body, "sha256").hexdigest()
        headers = Headers({name: [value.encode()] for name, value in fields.items()})
        response = await self._agent.request(b"POST", self._settings.url.encode(), headers, _Body(body))
        response.deliverBody(_Unread())
        return response.code


@implementer(IBodyProducer)
class _Body:
    def __init__(self, octets):
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer):
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self):
        """It was all said at once."""

    resumeProducing = stopProducing = pauseProducing


class _Unread(Protocol):
    """Takes the body of an answer, so that its connection ends, and no more of it than is decent."""

    def __init__(self):
        self._left = MOST_ANSWER

    def dataReceived(self, data):
        self._left -= len(data)
        if self._left < 0:
            self.transport.abortConnection()


@implementer(IPlugin, IPart)
class WebhookFactory:
    kind = "courier"
    name = "webhook"
    options = Section(
        "webhook",
        "Mail that goes to a web application.",
        Option("url", TEXT, "http://127.0.0.1:8080/mail", "Where it is posted.", example="https://app.example/mail"),
        Option("secret", TEXT, "", "What the posts are signed with.", secret=True, example="file:/etc/twistmail/webhook-secret"),
        Option("timeout", DURATION, "30s", "How long the application may take to answer."),
        Option("max_size", SIZE, "10000000", "Larger messages are refused."),
    )

    def check(self, settings):
        if urlsplit(settings.url).scheme not in ("http", "https") or not urlsplit(settings.url).hostname:
            yield "url", f"{settings.url} is no web address", "write https://name/path"

    def build(self, settings, house):
        return Webhook(settings, Agent(house.reactor, connectTimeout=settings.timeout), house.reactor, house.threads)
