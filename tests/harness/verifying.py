"""Callers by JWT without a server: the keys' source and both clocks are in the test's hand."""

import asyncio
import time

from gateway.callers.callers import Callers, Identified
from gateway.callers.claims import Issuer
from gateway.callers.credentials import Credentials
from gateway.callers.errors import UnidentifiedError
from gateway.callers.file import read_callers
from tests.harness.callers import entry
from tests.harness.clock import ManualClock
from tests.harness.issuer import NAME, Key, issuer_entry, jwks

DESK = entry("desk", "operator", f'issuer = "{NAME}", subject = "desk"')
URL = issuer_entry("https://id.example.org/jwks")


class Source:
    """Where keys are fetched: counts how often, and fails or waits if a test wants it."""

    def __init__(self, *keys: Key) -> None:
        self.body = jwks(*keys)
        self.fails: Exception | None = None
        self.fetched = 0
        self.lets = asyncio.Event()
        self.lets.set()

    async def fetch(self, _issuer: Issuer) -> bytes:
        self.fetched += 1
        await self.lets.wait()
        if self.fails is not None:
            raise self.fails
        return self.body


class Stage:
    """Callers with this file and these keys, by clocks that stand still."""

    def __init__(self, *keys: Key, file: tuple[str, ...] = (URL, DESK)) -> None:
        self.source = Source(*keys)
        self.clock, self.steady = ManualClock(time.time()), ManualClock(1_000.0)
        roster = read_callers("\n".join(file).encode())
        self.callers = Callers(roster, self.source.fetch, self.clock, self.steady)

    async def who(self, token: str) -> str:
        """The caller's name, or why it has none."""
        try:
            found = self.callers.identify(Credentials(bearer=token))
            return (found if isinstance(found, Identified) else await found).caller.name
        except UnidentifiedError as error:
            return error.why.name

    def at_once(self, token: str) -> str:
        """The same, of what is known without waiting."""
        try:
            found = self.callers.identify(Credentials(bearer=token))
        except UnidentifiedError as error:
            return error.why.name
        assert isinstance(found, Identified)
        return found.caller.name
