"""The check of a log in a stream, beside the gateways that use it. It reads only.

Servers check the bytes of what they keep themselves. What is looked at here is whether it is a log:
whether anything is missing, and whether each message is the event that it must be.
"""

from hashlib import blake2b

from gateway.journal.content import Content, Progress, unheard
from gateway.journal.errors import LogError, LogUnavailableError
from gateway.journal.events import NewEvent
from gateway.journal.findings import Findings, Report
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.bucket import Bucket, bucket_of
from gateway.journal.jetstream.checkpoints import JetStreamCheckpoints
from gateway.journal.jetstream.encoding import Encoding, ForeignMessageError
from gateway.journal.jetstream.pulling import Delivered, Pull
from gateway.journal.jetstream.stream import differences, epoch_of
from gateway.journal.jetstream.subjects import event_of
from gateway.journal.reading import Span

_STREAM, _EVENTS, _CHECKPOINTS = "stream", "events", "checkpoints"

# How long nothing may come of a stream that has more, in seconds.
_SILENCE_S = 10.0

# By so many bytes an id is remembered: two of a thousand million are alike by chance once in forty
# logs, and then it is looked at.
_DIGEST_BYTES = 8


async def check_stream(
    place: StreamPlace, access: Access, content: Content, told: Progress = unheard
) -> Report:
    """Look through the log in a stream, and say what is wrong with it. Never raises for the log."""
    findings = Findings()
    try:
        broker = await Broker.connect_now(place, access)
    except LogError as error:
        findings.add(_STREAM, str(error))
        return Report(None, None, 0, 0, findings.kept, findings.count)
    check = StreamCheck(broker, JetStreamApi(broker, place.stream), content, findings)
    try:
        await check.run(told)
    except LogUnavailableError as error:
        findings.add(_STREAM, f"it cannot be read: {error}")
    finally:
        await broker.close()
    return Report(check.epoch, check.span, check.events, 0, findings.kept, findings.count)


class StreamCheck:
    """Looks at all messages that the stream holds when it begins."""

    def __init__(
        self, broker: Broker, api: JetStreamApi, content: Content, findings: Findings
    ) -> None:
        self._broker = broker
        self._api = api
        self._content = content
        self._encoding = Encoding(content.format)
        self._findings = findings
        self._numbers: dict[bytes, int] = {}
        self.epoch: bytes | None = None
        self.span: Span | None = None
        self.events = 0

    async def run(self, told: Progress) -> None:
        """Look at them. Raises LogUnavailableError."""
        info = await self._api.info()
        if info is None:
            self._findings.add(_STREAM, "there is none with this name")
            return
        for text in differences(self._api.stream, info.config):
            self._findings.add(_STREAM, text)
        self.epoch, self.span = epoch_of(info.config), info.span
        await self._check_messages(info.span, told)
        if self.epoch is not None:
            await self._check_checkpoints(self.epoch)

    async def _check_messages(self, span: Span, told: Progress) -> None:
        after = span.oldest - 1
        if not span.count:
            return
        pull = await Pull.begin(self._broker, self._api, after)
        try:
            while after < span.newest:
                told("checking events", after - span.oldest + 1, span.count)
                messages = await pull.next(_SILENCE_S)
                if not messages:
                    await self._must_hold_none(after, span.newest)
                    return
                for message in messages:
                    if message.sequence > span.newest:
                        break
                    if message.sequence > after + 1:
                        await self._must_hold_none(after, message.sequence - 1)
                    after = message.sequence
                    self._check(message)
        finally:
            await pull.close()
        told("checking events", span.count, span.count)

    async def _must_hold_none(self, after: int, through: int) -> None:
        """Add what is missing, unless it has been deleted from the beginning on meanwhile."""
        info = await self._api.info()
        first = max(after + 1, info.span.oldest if info is not None else 0)
        if first == through:
            self._findings.add(_EVENTS, f"event {first} is missing")
        elif first < through:
            self._findings.add(_EVENTS, f"events {first} to {through} are missing")

    def _check(self, message: Delivered) -> None:
        self.events += 1
        try:
            event = self._encoding.decoded(message.data)
        except ForeignMessageError as error:
            self._findings.add(
                _EVENTS,
                f"message {message.sequence}, on {message.subject}, is not an event of this log:"
                f" {error}",
            )
            return
        for fault in self._faults(message, event):
            self._findings.add(_EVENTS, f"event {message.sequence}: {fault}")

    def _faults(self, message: Delivered, event: NewEvent) -> list[str]:
        faults = []
        subject = event_of(self._api.stream, event.id)
        if message.subject != subject:
            faults.append(
                f"its subject is {message.subject} and must be {subject}: it can be stored twice"
            )
        digest = blake2b(event.id.encode(), digest_size=_DIGEST_BYTES).digest()
        first = self._numbers.setdefault(digest, message.sequence)
        if first != message.sequence:
            faults.append(f"its id {event.id!r} is that of event {first}, too")
        try:
            meant = self._content.event_of(event.body, event.raw)
        except ValueError as error:
            return [*faults, f"its body cannot be read: {error}"]
        if meant.id != event.id:
            faults.append(f"it is stored under the id {event.id!r}, its body has {meant.id!r}")
        if meant.received_at_us != event.received_at_us:
            faults.append("its time of receipt is not the one in its body")
        if meant.keys != event.keys:
            faults.append("its keys are not those in its body")
        return faults

    async def _check_checkpoints(self, epoch: bytes) -> None:
        stream = self._api.stream
        bucket = Bucket(self._broker, stream, lambda: epoch)
        if not await bucket.is_there():
            self._findings.add(_CHECKPOINTS, f"their bucket {bucket_of(stream)} is not there")
            return
        checkpoints = JetStreamCheckpoints(bucket)
        for name, read in self._content.checkpoints.items():
            value = await checkpoints.get(name)
            try:
                if value is not None:
                    read(value)
            except ValueError as error:
                self._findings.add(_CHECKPOINTS, f"{name!r} {error}")
