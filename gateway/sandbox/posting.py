"""Posting a webhook over HTTP."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of a webhook receiver."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


class NoReplyError(Exception):
    """The receiver could not be reached, or did not respond in time."""


class Poster(Protocol):
    """Sends one webhook attempt."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the receiver's response. Raises NoReplyError if there is none."""

    async def close(self) -> None:
        """Give up the connections."""


class HttpPoster:
    """Posts over connections that are kept alive. No redirects, no proxies, no cookies kept."""

    def __init__(self, timeout_seconds: float, connections: int) -> None:
        self._timeout = timeout_seconds
        self._limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections
        )
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the response, which may take no longer than the timeout in all."""
        client = self._client(encrypted=url.startswith("https:"))
        try:
            # The client's own timeout is for each read; a trickling receiver needs a total one.
            async with asyncio.timeout(self._timeout):
                response = await client.post(url, content=body, headers=dict(headers))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            raise NoReplyError(f"{type(failure).__name__}: {failure}") from failure
        client.cookies.clear()
        return Reply(response.status_code, tuple(response.headers.items()), response.text)

    async def close(self) -> None:
        """Give up the connections."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, *, encrypted: bool) -> httpx.AsyncClient:
        # Loading the trusted certificates takes longer than all else at start, and receivers of
        # a sandbox hardly ever need them.
        if encrypted not in self._clients:
            self._clients[encrypted] = httpx.AsyncClient(
                verify=encrypted,
                follow_redirects=False,
                trust_env=False,
                timeout=self._timeout,
                limits=self._limits,
            )
        return self._clients[encrypted]
