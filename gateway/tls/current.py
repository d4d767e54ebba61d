"""The certificate that an address is served with now, whatever becomes of its files."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from gateway.tls.credentials import Credentials, CredentialsError, Pem
from gateway.tls.files import TlsFiles

# How often the files are looked at, in seconds. What is in them counts: a folder that is mounted
# from a Kubernetes Secret changes by a link, with the times of whatever it leads to.
LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class CurrentCredentials:
    """Reads an address's files, and takes up what they come to hold.

    Connections that are open stay as they are; those to come are served with what is `current`.
    What cannot be used is refused, with a line for each new content, and what was served before
    goes on. The line comes when it is still there at the next look: a certificate that was written
    before its key does not fit for a moment. `now` is the time in seconds since 1970.

    Raises CredentialsError if there is nothing to begin with.
    """

    def __init__(self, files: TlsFiles, now: Callable[[], float] = time.time) -> None:
        self._files = files
        self._now = now
        self.current = Credentials.of(Pem.read(files), files, now())
        # What was wrong at the last look, and what has been told of.
        self._wrong: tuple[Pem | None, str] | None = None
        self._told: tuple[Pem | None, str] | None = None
        # Which of those served has been told to have expired.
        self._expired: Credentials | None = None

    @property
    def requires_client(self) -> bool:
        """Whether clients must have a certificate."""
        return self._files.client_ca is not None

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the files for ever."""
        while True:
            await sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Look at the files once, and whether what is served has expired."""
        await self._take()
        if self._now() >= self.current.not_after and self._expired is not self.current:
            self._expired = self.current
            _log.error(
                "TLS on %s: the certificate has expired at %s, and clients refuse it: replace its"
                " files, which needs no restart",
                self._files.port,
                self.current.expires,
            )

    async def _take(self) -> None:
        pem: Pem | None = None
        try:
            # In a thread: they may be on a disk that does not respond.
            pem = await asyncio.to_thread(Pem.read, self._files)
            if pem == self.current.pem:
                if self._told is not None:
                    _log.info("TLS on %s: its files have what is served again", self._files.port)
                self._wrong = self._told = None
                return
            found = Credentials.of(pem, self._files, self._now())
        except CredentialsError as error:
            self._refuse((pem, str(error)))
            return
        self.current, self._wrong, self._told = found, None, None
        _log.info(
            "TLS on %s: a new certificate is served, until %s", self._files.port, found.expires
        )

    def _refuse(self, wrong: tuple[Pem | None, str]) -> None:
        before, self._wrong = self._wrong, wrong
        if wrong == before and wrong != self._told:
            self._told = wrong
            _log.error(
                "TLS on %s: the new certificate is refused, and the old one is served until %s: %s",
                self._files.port,
                self.current.expires,
                wrong[1],
            )
