"""The check of a log in a stream: what is whole has no fault, and each harm is named."""

import pytest

from conferencing.v1.event_pb2 import Event
from gateway.journal.events import NewEvent
from gateway.journal.findings import Report
from gateway.journal.jetstream.access import Access
from gateway.journal.jetstream.checking import check_stream
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.reading import Span
from tests.harness.events import FORMAT, keys_of, new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import Streams
from tests.journal.places import CONTENT, MARK

pytestmark = with_nats


@pytest.fixture
def log(streams: Streams) -> Streams:
    opened = streams.open()
    opened.append(*[new_event(id_=f"e{n}") for n in range(1, 31)])
    return streams


def checked(streams: Streams) -> Report:
    return streams.loop.run(check_stream(streams.place, Access(), CONTENT))


def texts(report: Report) -> list[str]:
    assert report.faults == len(report.findings)
    return [it.text for it in report.findings]


def put(streams: Streams, subject: str, event: NewEvent) -> None:
    streams.send(subject, Encoding(FORMAT).encoded(event))


def test_a_log_that_is_whole_has_no_fault(log: Streams) -> None:
    report = checked(log)

    assert texts(report) == []
    assert (report.events, report.span) == (30, Span(1, 30))
    assert report.epoch == log.open("b").log.journal.epoch


def test_what_retention_has_deleted_is_no_fault(log: Streams) -> None:
    log.ask(f"STREAM.PURGE.{log.name}", {"seq": 11})

    report = checked(log)

    assert (texts(report), report.span, report.events) == ([], Span(11, 30), 20)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((12,), "event 12 is missing"), ((12, 13, 14), "events 12 to 14 are missing")],
)
def test_messages_that_were_deleted_are_missing(
    log: Streams, numbers: tuple[int, ...], text: str
) -> None:
    for number in numbers:
        log.ask(f"STREAM.MSG.DELETE.{log.name}", {"seq": number})

    assert texts(checked(log)) == [text]


def test_what_others_have_stored_is_named(log: Streams) -> None:
    log.send(f"{log.name}.theirs", b"hello")

    (text,) = texts(checked(log))

    assert text == f"message 31, on {log.name}.theirs, is not an event of this log: it is no event"


def test_an_event_on_another_subject_is_named_and_so_is_one_that_is_there_twice(
    log: Streams,
) -> None:
    put(log, f"{log.name}.other", new_event(id_="e7"))

    subject, twice = texts(checked(log))

    assert subject.startswith(f"event 31: its subject is {log.name}.other and must be")
    assert twice == "event 31: its id 'e7' is that of event 7, too"


def test_an_event_that_is_not_what_its_body_says_is_named(log: Streams) -> None:
    body = Event(id="inside", type="x").SerializeToString()
    put(log, f"{log.name}.outside", NewEvent("outside", "y", keys_of(type="y"), 5, body, b""))
    put(log, f"{log.name}.z", NewEvent("z", "z", keys_of(type="z"), 0, b"\xff", b""))

    assert texts(checked(log)) == [
        "event 31: it is stored under the id 'outside', its body has 'inside'",
        "event 31: its time of receipt is not the one in its body",
        "event 31: its keys are not those in its body",
        "event 32: its body cannot be read: it is not an event",
    ]


def test_a_stream_that_is_not_as_a_log_needs_it_is_named(log: Streams) -> None:
    config = log.ask(f"STREAM.INFO.{log.name}")["config"]
    log.ask(f"STREAM.UPDATE.{log.name}", {**config, "discard": "new"})

    assert texts(checked(log)) == ["discard is 'new' and must be old"]


def test_a_checkpoint_that_cannot_be_read_is_named(log: Streams) -> None:
    checkpoints = log.open("b").log.checkpoints
    log.loop.run(checkpoints.set("complete", MARK))
    assert texts(checked(log)) == []

    log.loop.run(checkpoints.set("complete", b"?"))

    (finding,) = checked(log).findings
    assert finding.part == "checkpoints"
    assert finding.text.startswith("'complete' ")


def test_where_there_is_no_stream_that_is_all(streams: Streams) -> None:
    assert texts(checked(streams)) == ["there is none with this name"]
