"""Keys of issuers, fetched beside the calls and again when they are due, or one is unknown."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import TypeAlias

from gateway.callers.claims import Issuer
from gateway.callers.keys import KeySet, SigningKey, read_keys

# How old keys may become, in seconds. Issuers publish a new key hours before they use it, and take
# one away when its last token has expired; one that was stolen is trusted for so long.
URL_EVERY_S = 300.0
FILE_EVERY_S = 2.0

# How long after an attempt to fetch them the next one may be made, because it failed or because a
# token names a key that was not there, in seconds. Anybody can send such a token.
AGAIN_AFTER_S = 5.0

# How long a fetch may take, in seconds.
FETCH_S = 5.0

# Calls of an issuer that may wait for its keys at a time. Others know theirs already.
WAITING_MAX = 256

_log = logging.getLogger(__name__)

Fetch: TypeAlias = Callable[[Issuer], Awaitable[bytes]]


class KeysUnavailableError(Exception):
    """An issuer whose keys could not be fetched yet."""


class IssuerKeys:
    """The keys of one issuer. `changed` is called when they are others than before.

    `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self,
        issuer: Issuer,
        fetch: Fetch,
        changed: Callable[[], None],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._changed = changed
        self._now = now
        self._keys: KeySet | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._began = -1e9
        self._waiting = 0
        every = URL_EVERY_S if issuer.keys_file is None else FILE_EVERY_S
        self._every = every
        self._again_after = min(AGAIN_AFTER_S, every)

    def key(self, id_: str | None) -> SigningKey | None:
        """Return the key with an id, None if there is none."""
        return None if self._keys is None else self._keys.by_id.get(id_)

    def has(self, digest: bytes) -> bool:
        """Tell whether it has a key still."""
        return self._keys is not None and digest in self._keys.digests

    @property
    def may_learn(self) -> bool:
        """Whether waiting for `learnt` can bring a key that is unknown."""
        return self._fetching is not None or self._now() - self._began >= self._again_after

    @property
    def is_known(self) -> bool:
        """Whether keys have been fetched at all."""
        return self._keys is not None

    async def learnt(self) -> None:
        """Return when keys have been fetched anew, or that has failed.

        Raises KeysUnavailableError if too many wait for that.
        """
        if self._waiting >= WAITING_MAX:
            raise KeysUnavailableError
        self._waiting += 1
        try:
            # Whoever gives up waiting must not end it for the others, nor they with it.
            await asyncio.wait((self._begin(),))
        finally:
            self._waiting -= 1

    def keep_fresh(self) -> None:
        """Begin to fetch them if they are due."""
        due = self._every if self.is_known else self._again_after
        if self._fetching is None and self._now() - self._began >= due:
            self._begin()

    def close(self) -> None:
        """End a fetch."""
        if self._fetching is not None:
            self._fetching.cancel()

    def _begin(self) -> "asyncio.Task[None]":
        if self._fetching is None:
            self._began = self._now()
            self._fetching = asyncio.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        where = f"the keys of {self.issuer.name} at {self.issuer.keys_at}"
        try:
            async with asyncio.timeout(FETCH_S):
                keys = read_keys(await self._fetch(self.issuer))
        except TimeoutError:
            self._failed(where, f"no response in {FETCH_S:.0f} s")
        except (OSError, ValueError) as error:
            self._failed(where, str(error))
        except Exception:
            _log.exception("%s cannot be had", where)
        else:
            before, self._keys = self._keys, keys
            if before != keys:
                _log.info("%s: %d, by their ids %s", where, len(keys.digests), _ids(keys))
                self._changed()
        finally:
            self._fetching = None

    def _failed(self, where: str, why: str) -> None:
        rest = "those of before stay in force" if self.is_known else "there are none yet"
        _log.warning("%s cannot be had, and %s: %s", where, rest, why)


class KeyRings:
    """The keys of all issuers; those of an issuer that stays are kept when the file changes."""

    def __init__(
        self, fetch: Fetch, changed: Callable[[], None], now: Callable[[], float] = monotonic
    ) -> None:
        self._fetch = fetch
        self._changed = changed
        self._now = now
        self._rings: dict[str, IssuerKeys] = {}

    def use(self, issuers: Iterable[Issuer]) -> None:
        """Have the keys of these issuers, and of no others."""
        before, self._rings = self._rings, {}
        for issuer in issuers:
            ring = before.get(issuer.name)
            if ring is None or ring.issuer != issuer:
                ring = IssuerKeys(issuer, self._fetch, self._changed, self._now)
            self._rings[issuer.name] = ring
        for name, ring in before.items():
            if self._rings.get(name) is not ring:
                ring.close()

    def of(self, issuer: str) -> IssuerKeys | None:
        """Return the keys of an issuer, None if it is unknown."""
        return self._rings.get(issuer)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Keep all keys fresh until cancelled."""
        try:
            while True:
                for ring in self._rings.values():
                    ring.keep_fresh()
                await sleep(1.0)
        finally:
            for ring in self._rings.values():
                ring.close()


def _ids(keys: KeySet) -> str:
    return ", ".join(sorted(ascii(it) for it in keys.by_id if it is not None)) or "(none)"
