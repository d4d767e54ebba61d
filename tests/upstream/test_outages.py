"""Outages of all kinds over real sockets: how soon each is noticed, and how soon its end.

The clock is the test's own: a look of the watch takes a second of it, and a probe without a
response takes as long as a probe may.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
import trustme

from gateway.upstream.health.health import ProviderHealth
from gateway.upstream.health.probe import ProviderWatch, WatchedTransport
from gateway.upstream.transport import HttpRequest, HttpResponse, TransportError
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from tests.harness.clock import ManualClock
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider

WHERE = "http://provider.example"
WELL = Answer(200, {"data": []})
HTML = {"content-type": "text/html"}
UNREACHABLE = "the provider cannot be reached"
FAILING = "the provider responds only with failures"
MISTAKEN = "the provider is not at TELNYX_BASE_URL"

# What a probe without a response takes: of the test's clock as much as it may, of the real time as
# little as shows that none comes.
PROBE_S = 5.0
_REAL_S = 0.05

CALLS_EVERY_S = 4


@contextmanager
def refusing() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def nameless() -> Iterator[str]:
    yield "http://there-is-no-such-host.invalid"


@contextmanager
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def untrusted() -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with RecordingProvider(context) as provider:
        yield provider.base_url.removesuffix("/v2")


@contextmanager
def in_clear() -> Iterator[str]:
    with RecordingProvider() as provider:
        yield provider.base_url.removesuffix("/v2").replace("http:", "https:")


def answering(answer: Answer | None) -> Callable[[], "contextlib.AbstractContextManager[str]"]:
    @contextmanager
    def serve() -> Iterator[str]:
        with RecordingProvider() as provider:
            provider.answer = answer or (lambda request: None)
            yield provider.base_url.removesuffix("/v2")

    return serve


OUTAGES = {
    "refuses connections": (refusing, UNREACHABLE),
    "has no address": (nameless, UNREACHABLE),
    "never responds": (silent, UNREACHABLE),
    "has a certificate of nobody's": (untrusted, UNREACHABLE),
    "speaks no TLS": (in_clear, UNREACHABLE),
    "hangs up": (answering(None), UNREACHABLE),
    "fails": (answering(Answer(503, b"busy")), FAILING),
    "fails and wants to be left alone": (
        answering(Answer(503, b"busy", {"retry-after": "3600"})),
        FAILING,
    ),
    "times out behind a proxy": (answering(Answer(504, b"<html>", HTML)), FAILING),
    "knows no path": (answering(Answer(404, {"errors": []})), MISTAKEN),
    "is a web server without the page": (answering(Answer(404, b"<html>", HTML)), MISTAKEN),
    "is a web page": (answering(Answer(200, b"<html>", HTML)), MISTAKEN),
    "leads elsewhere": (answering(Answer(302, b"", {"location": "http://x.invalid"})), MISTAKEN),
    "is another API": (answering(Answer(200, {"status": "ok"})), MISTAKEN),
    "is another API that has data": (answering(Answer(200, b'["data"]')), MISTAKEN),
    "rejects the key": (answering(Answer(401, {})), "the provider rejects TELNYX_API_KEY"),
}


class Switch:
    """A transport over real sockets to the place that a test has chosen."""

    def __init__(self, clock: ManualClock) -> None:
        self.place = ""
        self._clock = clock
        self._wire = PyreqwestTransport()

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        url = request.url.replace(WHERE, self.place)
        began = asyncio.get_running_loop().time()
        try:
            return await self._wire.send(request._replace(url=url), _real_s(self.place))
        except TransportError:
            if asyncio.get_running_loop().time() - began >= _REAL_S:
                self._clock.advance(PROBE_S)
            raise

    def end(self, request: HttpRequest) -> None:
        self._wire.end(request)

    async def close(self) -> None:
        await self._wire.close()


def _real_s(place: str) -> float:
    return _REAL_S if place in SILENT_PLACES else 20


SILENT_PLACES: set[str] = set()

Outage: TypeAlias = tuple[str, str, bool]


@dataclass
class Story:
    """A watch on a provider whose place changes; times are seconds of the test's clock."""

    clock: ManualClock = field(default_factory=ManualClock)
    calls: bool = False

    def __post_init__(self) -> None:
        self.switch = Switch(self.clock)
        self.health = ProviderHealth(WHERE, self.clock, must_be_reached=True)
        self.watched = WatchedTransport(self.switch, self.health)
        self.watch = ProviderWatch(
            self.switch,
            f"{WHERE}/v2",
            {"authorization": "Bearer K"},
            self.health,
            self._nobody,
            probe_first=True,
            sleep=self._sleep,
            now=self.clock,
            wall=self.clock,
        )
        self._moves: asyncio.Queue[float] = asyncio.Queue()
        self._moved: asyncio.Queue[None] = asyncio.Queue()

    async def _nobody(self) -> None:
        pass

    async def _sleep(self, seconds: float) -> None:
        self._moved.put_nowait(None)
        await self._moves.get()
        self.clock.advance(seconds)

    async def until(self, condition: Callable[[], bool], within_s: float) -> float:
        """Let the watch live until something is so; returns how long it took."""
        began = self.clock.now
        while not condition():
            assert self.clock.now - began <= within_s, self.health.not_ready
            self._moves.put_nowait(0)
            await self._moved.get()
            if self.calls and round(self.clock.now) % CALLS_EVERY_S == 0:
                await self.call()
        assert self.clock.now - began <= within_s
        return self.clock.now - began

    async def call(self) -> None:
        """Make a caller's request, whose time is nobody's here."""
        now = self.clock.now
        with contextlib.suppress(TransportError):
            await self.watched.send(HttpRequest("GET", f"{WHERE}/v2/conferences/c", {}), 1)
        self.clock.now = now

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.watch.run())
        await self._moved.get()
        try:
            yield
        finally:
            task.cancel()
            await self.switch.close()


@pytest.fixture(params=OUTAGES, ids=lambda it: it.replace(" ", "-"))
def outage(request: pytest.FixtureRequest) -> Iterator["Outage"]:
    """Where there is a provider of that kind, what is told of it, and whether it names a time."""
    make, reason = OUTAGES[request.param]
    with ExitStack() as stack:
        place = stack.enter_context(make())
        if make in (silent, in_clear):
            SILENT_PLACES.add(place)
        yield place, reason, "left alone" in request.param


@pytest.fixture
def well(provider: RecordingProvider) -> str:
    provider.answer = WELL
    return provider.base_url.removesuffix("/v2")


@pytest.mark.slow
@pytest.mark.parametrize("calls", [False, True], ids=["nobody calls", "callers call"])
def test_each_is_noticed_within_a_minute_and_its_end_within_seconds(
    loop: LoopThread, outage: Outage, well: str, calls: bool
) -> None:
    place, reason, waits = outage

    async def story() -> None:
        it = Story(calls=calls)
        it.switch.place = well
        async with it.running():
            await it.until(lambda: it.health.not_ready is None, 1)
            # Just now there was a sign that all is well.
            await it.until(lambda: it.health.silence_s == 0, 20)
            it.switch.place = place

            took_s = await it.until(lambda: it.health.not_ready is not None, 60)

            assert it.health.not_ready == reason
            # A word of the provider's about the key is enough; all else takes its time.
            assert took_s >= 30 or it.health.key_problem
            it.switch.place = well
            # Who wants to be left alone is, but by those who call.
            if calls or not waits:
                await it.until(lambda: it.health.not_ready is None, 2 + CALLS_EVERY_S)

    loop.run(story(), timeout=60)


@pytest.mark.slow
def test_a_gateway_that_starts_during_one_is_not_ready_and_says_why(
    loop: LoopThread, outage: Outage
) -> None:
    place, reason, _ = outage

    async def story() -> None:
        it = Story()
        it.switch.place = place
        assert it.health.not_ready == "the provider has not been reached yet"
        async with it.running():
            assert it.health.not_ready == reason
            assert [it.health.key_problem, it.health.provider_problem].count(None) == 1

    loop.run(story(), timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("failures", [1, 2])
def test_probes_that_fail_once_or_twice_are_no_outage(
    loop: LoopThread, well: str, failures: int
) -> None:
    async def story() -> None:
        it = Story()
        it.switch.place = well
        with RecordingProvider() as failing:
            failing.answer = Answer(503, b"busy")
            async with it.running():
                for _ in range(10):
                    failing.requests.clear()
                    it.switch.place = failing.base_url.removesuffix("/v2")
                    await it.until(lambda: len(failing.requests) == failures, 60)
                    it.switch.place = well
                    await it.until(lambda: it.health.trouble_s is None, 10)
                    assert it.health.not_ready is None

    loop.run(story(), timeout=60)
