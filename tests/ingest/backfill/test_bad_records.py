"""One bad record never blocks the others, whatever stands in the provider's log."""

import time
from collections.abc import Callable

import pytest

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    BACKFILL_STATE_FAILING,
    POSITION_EARLIEST,
    BackfillInfo,
    GetFeedInfoRequest,
    SubscribeRequest,
)
from gateway.upstream.transport import RESPONSE_BYTES_MAX
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.raw_deliveries import RawDeliveries, RawRow, logged, row

pytestmark = pytest.mark.slow

HERE = "https://gateway.example/webhooks/telnyx"
ELSEWHERE = "https://elsewhere.example/hooks"

HTML = Answer(body=b"<html>blocked</html>", headers={"content-type": "text/html"})
OVERSIZE = Answer(body=b'{"data": ["' + b"x" * (RESPONSE_BYTES_MAX + 1) + b'"]}')


class Account:
    """A gateway that backfills as fast as it may, in front of a log that a test writes."""

    def __init__(self, start_gateway: StartGateway, provider: RecordingProvider) -> None:
        self.log = RawDeliveries()
        provider.answer = self.log
        self.gateway: RunningGateway = start_gateway(
            provider.base_url, GATEWAY_BACKFILL="on", GATEWAY_BACKFILL_INTERVAL="0.2s"
        )
        self.until(lambda it: it.HasField("finished_at"))
        self.began = time.time()

    def good(self, *ids: str) -> list[RawRow]:
        return [row(id_, self.began, HERE) for id_ in ids]

    @property
    def info(self) -> BackfillInfo:
        found: BackfillInfo = self.gateway.events.GetFeedInfo(GetFeedInfoRequest()).backfill
        return found

    def until(self, condition: Callable[[BackfillInfo], bool]) -> BackfillInfo:
        for _ in range(20_000):
            if condition(found := self.info):
                return found
        raise AssertionError(f"backfill stays {found}")

    def stored(self, count: int) -> set[str]:
        """The ids of the next so many events, waited for."""
        stream = self.gateway.events.Subscribe(
            SubscribeRequest(position=POSITION_EARLIEST), timeout=60
        )
        found: list[Event] = []
        for response in stream:
            found += response.events
            if len(found) >= count:
                break
        stream.cancel()
        return {event.id for event in found}


@pytest.fixture
def account(start_gateway: StartGateway, provider: RecordingProvider) -> Account:
    return Account(start_gateway, provider)


@pytest.mark.parametrize(
    "answer",
    [
        r'"cut \ud83d"',
        "1e400",
        "9" * 5_000,
        "[" * 2_000 + "]" * 2_000,
        "NaN",
        '"\x01"',
    ],
    ids=["half an emoji", "1e400", "5,000 digits", "2,000 lists", "NaN", "a control character"],
)
def test_an_odd_answer_to_another_application_hides_nothing(account: Account, answer: str) -> None:
    odd = row("odd", account.began, ELSEWHERE, attempts=logged(ELSEWHERE, answer))

    account.log.rows = [*account.good("a"), odd, *account.good("b")]

    assert account.stored(2) == {"a", "b"}
    assert account.info.unreadable_entries == 0


def test_an_odd_webhook_of_our_own_is_stored_as_it_stands_in_the_log(account: Account) -> None:
    webhook = r'{"id": "odd", "event_type": "x", "payload": {"a": 1e400, "b": "\ud83d"}}'

    account.log.rows = [row("odd", account.began, HERE, webhook=webhook), *account.good("a")]

    assert account.stored(2) == {"odd", "a"}
    request = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True)
    stream = account.gateway.events.Subscribe(request, timeout=30)
    events = {event.id: event for _ in range(2) for event in next(stream).events}
    stream.cancel()
    assert events["odd"].raw_json == b'{"data":%b}' % webhook.encode()


def test_what_holds_no_event_is_passed_over_and_counted_once(account: Account) -> None:
    began = account.began
    account.log.rows = [
        row("no-webhook", began, HERE, webhook="null"),
        row("no-event", began, HERE, webhook='{"id": "x"}'),
        row("not-ours", began, ELSEWHERE, webhook="7"),
        RawRow("no-row", began, b'["not", "a", "row"]'),
        RawRow("no-json", began, b"{oops}"),
        *account.good("a"),
    ]

    assert account.stored(1) == {"a"}
    before = account.info.finished_at
    found = account.until(lambda it: it.finished_at.ToMicroseconds() > before.ToMicroseconds())
    # Of the two without an id nobody can tell that they are two.
    assert found.unreadable_entries == 3
    text = account.gateway.metrics()
    assert 'gateway_backfill_deliveries_total{outcome="unreadable"}' in text


@pytest.mark.parametrize("answer", [HTML, OVERSIZE], ids=["html", "more than 8 MiB"])
def test_a_page_that_cannot_be_read_costs_no_more_than_its_worst_entry(
    account: Account, answer: Answer
) -> None:
    account.log.poison["bad"] = answer
    bad = row("bad", account.began, ELSEWHERE)

    account.log.rows = [*account.good("a"), bad, *account.good("b")]

    assert account.stored(2) == {"a", "b"}
    found = account.until(lambda it: it.skipped_pieces > 0)
    assert found.skipped_pieces == 1
    account.until(lambda it: not it.error)


def test_a_provider_that_gives_nothing_but_pages_of_a_proxy_is_waited_for(
    account: Account,
) -> None:
    account.log.answers_nothing = HTML
    account.log.rows = account.good("a")
    account.until(lambda it: it.state == BACKFILL_STATE_FAILING)
    asked = len(account.log.requests)
    while len(account.log.requests) < asked + 20:
        assert account.info.skipped_pieces == 0

    account.log.answers_nothing = None

    assert account.stored(1) == {"a"}
    assert account.info.skipped_pieces == 0


@pytest.mark.parametrize(
    "meta",
    [
        lambda pages, rows: "",
        lambda pages, rows: "null",
        lambda pages, rows: "{}",
        lambda pages, rows: f'{{"total_pages": "{pages}"}}',
        lambda pages, rows: '{"total_pages": null}',
        lambda pages, rows: '{"total_pages": 1}',
        lambda pages, rows: '{"total_pages": -1}',
        lambda pages, rows: f'{{"total_pages": {pages}.0}}',
        lambda pages, rows: '{"total_pages": 1000000000}',
    ],
    ids=["no meta", "null", "empty", "text", "no number", "too few", "negative", "1.0", "too many"],
)
def test_no_page_is_missed_whatever_is_said_of_their_number(
    account: Account, meta: Callable[[int, int], str]
) -> None:
    ids = [f"event-{number}" for number in range(250)]
    account.log.meta = meta

    account.log.rows = account.good(*ids)

    assert account.stored(250) == set(ids)
