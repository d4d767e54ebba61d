"""Who is woken, and for what."""

import asyncio

from gateway.feed.dispatch import Dispatcher
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursors
from gateway.journal.filter import EVERYTHING, Filter
from tests.feed.stage import ALL, Given, Stage, next_of
from tests.harness.events import choosing, new_event


def test_a_sleeping_subscriber_is_woken(stage: Stage) -> None:
    async def sleep_and_wake() -> Given:
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 100) as subscription:
            waiting = asyncio.create_task(next_of(subscription, 3_600))
            await stage.log.journal.append(new_event())
            return await waiting

    assert stage.run(sleep_and_wake()).sequences == [1]


def test_the_newest_event_is_known_however_long_the_pause_between_rounds(stage: Stage) -> None:
    async def append_in_a_pause() -> tuple[int, list[int]]:
        crowd = [stage.feed.subscribe(ALL, EVERYTHING, 0, 100) for _ in range(500)]
        for subscription in crowd:
            subscription.__enter__()
        sleeping = [asyncio.create_task(next_of(it, 3_600)) for it in crowd]
        await asyncio.sleep(0)
        await stage.log.journal.append(new_event())
        await asyncio.gather(*sleeping)
        await stage.log.journal.append(new_event())
        newest = stage.feed.newest
        # Who asks now is served now.
        with stage.feed.subscribe(ALL, EVERYTHING, 1, 100) as latecomer:
            return newest, (await next_of(latecomer, 3_600)).sequences

    assert stage.run(append_in_a_pause()) == (2, [2])


def test_only_those_who_want_an_event_are_woken(stage: Stage) -> None:
    woken: list[str] = []

    class Watched(Subscription):
        name = ""

        def wake(self) -> bool:
            woken.append(self.name)
            return super().wake()

    wants = {
        "c1": choosing(conference_id=["c1"]),
        "c2": choosing(conference_id=["c2"]),
        "type": choosing(type=["call.enqueued"]),
        "queue": choosing(queue_name=["q"]),
        "all": Filter(),
    }

    async def subscribe_and_append() -> None:
        dispatcher = Dispatcher(Window(0), Cursors(b"8 bytes!"))
        stage.log.index.listen(dispatcher.arrived)
        for name, wanted in wants.items():
            subscription = Watched(dispatcher, stage.log.index, wanted, EVERYTHING, 0, 100)
            subscription.name = name
            subscription.__enter__()
        await stage.log.journal.append(new_event("conference.created", conference_id="c1"))

    stage.run(subscribe_and_append())

    assert sorted(woken) == ["all", "c1"]


def test_nothing_is_left_of_a_subscription_that_ended(stage: Stage) -> None:
    dispatcher = Dispatcher(Window(0), Cursors(b"8 bytes!"))

    for wanted in (choosing(conference_id=["c1"]), choosing(conference_id=["c1", "c2"]), ALL):
        with Subscription(dispatcher, stage.log.index, wanted, EVERYTHING, 0, 100):
            stage.read(0, wanted)

    assert stage.feed.subscribers == dispatcher.followers == 0
    assert dispatcher._sleepers == {}
