"""The homes of the event log: which of them is meant, and how it is opened."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.config import Settings
from gateway.journal.content import Content, Progress
from gateway.journal.findings import Report
from gateway.journal.format import EventFormat
from gateway.journal.jetstream import Access, StreamPlace, TlsFiles
from gateway.journal.jetstream import moving as stream_moving
from gateway.journal.jetstream import open_log as open_stream
from gateway.journal.jetstream.checking import check_stream
from gateway.journal.jetstream.examining import Examined, examine
from gateway.journal.leasing import Work
from gateway.journal.moves import Move, Opening, Standing
from gateway.journal.moving import Place
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from gateway.journal.sqlite import moving as sqlite_moving
from gateway.journal.sqlite import open_log
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer
from gateway.textfiles import TEXT_BYTES_MAX, text_of
from gateway.values import StreamUrl
from gateway.watchedfile import contents_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FilePlace:
    """The place of a log in a file."""

    path: Path
    format: EventFormat

    def __str__(self) -> str:
        return str(self.path.absolute())

    async def standing(self) -> Standing | None:
        """See `Place.standing`."""
        return sqlite_moving.standing_of(self.path)

    async def open(self, opening: Opening) -> EventLog:
        """See `Place.open`."""
        return await open_log(self.path, self.format, opening=opening)

    async def depart(self, standing: Standing, move: Move) -> None:
        """See `Place.depart`."""
        sqlite_moving.depart(self.path, self.format, standing, move)

    async def settle(self, move: Move) -> None:
        """See `Place.settle`."""
        sqlite_moving.settle(self.path, self.format, move)


@dataclass(frozen=True, slots=True)
class NatsPlace:
    """The place of a log in a stream, with the file of an index of it.

    `limits` are those of a stream that is made.
    """

    place: StreamPlace
    access: Access
    index: Path
    limits: Retention
    format: EventFormat

    def __str__(self) -> str:
        return str(self.place)

    async def standing(self) -> Standing | None:
        """See `Place.standing`."""
        return await stream_moving.standing_of(self.place, self.access)

    async def open(self, opening: Opening) -> EventLog:
        """See `Place.open`."""
        return await open_stream(
            self.place,
            self.index,
            self.format,
            self.limits,
            self.access,
            opening=opening,
            waits=False,
        )

    async def depart(self, standing: Standing, move: Move) -> None:
        """See `Place.depart`."""
        await stream_moving.depart(self.place, self.access, standing, move)

    async def settle(self, move: Move) -> None:
        """See `Place.settle`."""
        await stream_moving.settle(self.place, self.access, move)


def place_of(
    where: Path | StreamUrl, settings: Settings, format_: EventFormat, index: Path
) -> Place:
    """Return the place that an address means; a log in a stream gets its index in a file."""
    if isinstance(where, Path):
        return FilePlace(where, format_)
    limits, access = limits_of(settings), access_of(settings, where)
    return NatsPlace(stream_of(where), access, index, limits, format_)


async def open_event_log(
    settings: Settings, format_: EventFormat, observe: Observer[CommitEnded]
) -> EventLog:
    """Open the log where the settings say. Raises LogOpenError."""
    where = settings.event_log
    if isinstance(where, Path):
        log = await open_log(where, format_, observe)
    else:
        log = await open_stream(
            stream_of(where),
            settings.index,
            format_,
            limits_of(settings),
            access_of(settings, where),
            observe,
        )
    _log.info("event log %s: %s", where, log.durability)
    return log


def index_filling(log: EventLog) -> str | None:
    """Return how far the index of a log is while it is being filled, None if it is not."""
    lag = None if log.copying is None else log.copying.lag
    if lag is None or not lag.is_filling:
        return None
    return f"the index is being filled: {lag.progress}"


def once_filled(log: EventLog, works: Mapping[str, Work]) -> Mapping[str, Work]:
    """Return work that begins only when the index of a log has what the log had before.

    It would take what is not there yet for what never came.
    """
    copying = log.copying
    if copying is None:
        return works

    async def begin(work: Work) -> None:
        await copying.filled()
        await work()

    return {name: partial(begin, work) for name, work in works.items()}


async def examined(where: StreamUrl, settings: Settings) -> Examined:
    """Return what the servers and the stream of a log are like."""
    return await examine(stream_of(where), access_of(settings, where))


async def stream_report(
    where: StreamUrl, settings: Settings, content: Content, told: Progress
) -> Report:
    """Look through the log in a stream, and say what is wrong with it."""
    return await check_stream(stream_of(where), access_of(settings, where), content, told)


def limits_of(settings: Settings) -> Retention:
    """Return the limits that are set, for a log that has none of its own."""
    return Retention(settings.retention_age, settings.retention_size)


def stream_of(where: StreamUrl) -> StreamPlace:
    """Return the place of a stream that an address means."""
    return StreamPlace(where.servers, where.stream, is_tls=where.is_tls)


def access_of(settings: Settings, where: StreamUrl) -> Access:
    """Return what the settings say that the servers of a stream are shown."""
    files = TlsFiles(settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key)
    return Access(
        _reading(settings.nats_login),
        _reading(settings.nats_token),
        settings.nats_creds,
        settings.nats_nkey,
        files if where.is_tls or files != TlsFiles() else None,
    )


def _reading(path: Path | None) -> Callable[[], str] | None:
    return None if path is None else partial(_text, path)


def _text(path: Path) -> str:
    return text_of(contents_of(path, TEXT_BYTES_MAX))
