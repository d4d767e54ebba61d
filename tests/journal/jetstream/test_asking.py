"""Asking the broker: a question that nobody heard is asked again, and one that does harm is not."""

import nats
import pytest
from nats.aio.msg import Msg

from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import BrokerError
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import Streams

pytestmark = with_nats


async def _asked(streams: Streams, again_s: float | None, timeout_s: float) -> tuple[bytes, int]:
    """Ask somebody who does not hear the first two questions, as servers without a leader do.

    Returns the response, and how many questions there were.
    """
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)
        if len(heard) > 2:
            await message.respond(b"here")

    somebody = await nats.connect([f"nats://{it}" for it in streams.cluster.addresses])
    broker = await Broker.connect(streams.place, Access())
    try:
        await somebody.subscribe(streams.name, cb=hear)
        # A ping overtakes what waits to be sent; the second one does not.
        await somebody.flush()
        await somebody.flush()
        found = await broker.request(streams.name, timeout_s=timeout_s, again_s=again_s)
    finally:
        await broker.close()
        await somebody.close()
        assert again_s is not None or len(heard) == 1
    return found.data, len(heard)


def test_a_question_is_asked_again_until_somebody_responds(streams: Streams) -> None:
    assert streams.loop.run(_asked(streams, 0.01, 30.0), 60) == (b"here", 3)


def test_what_may_be_sent_once_only_is_sent_once(streams: Streams) -> None:
    with pytest.raises(BrokerError, match=r"did not respond within 0\.2 s"):
        streams.loop.run(_asked(streams, None, 0.2), 60)
