"""What the provider and the proxy know the gateway by: it may be replaced at any time."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gateway.upstream.client import request_headers
from gateway.upstream.transports.scrubbing import ScrubbedTransport, Scrubber, secrets_of

# How many secrets are taken out of what comes back: also those before the present ones, which
# requests in flight were sent with and the provider may name for long.
_SECRETS_MAX = 12


class _Sender(Protocol):
    def use_headers(self, headers: Mapping[str, str]) -> None: ...


class Credentials:
    """Replaces the API key and the proxy. Requests in flight complete with those they began with.

    `senders` are given the headers with a new key, `scrubbed` what not to bring back, and `reach`
    the URL of a new proxy.
    """

    def __init__(
        self,
        api_key: str,
        proxy: str | None,
        user_agent: str,
        senders: Iterable[_Sender],
        scrubbed: ScrubbedTransport,
        reach: Callable[[str], None],
    ) -> None:
        self._api_key = api_key
        self._proxy = proxy
        self._user_agent = user_agent
        self._senders = tuple(senders)
        self._scrubbed = scrubbed
        self._reach = reach
        self._secrets = deque(secrets_of(api_key, proxy), _SECRETS_MAX)

    def use_api_key(self, api_key: str) -> None:
        """Send another API key with requests from now on."""
        self._api_key = api_key
        self._scrub()
        headers = request_headers(api_key, self._user_agent)
        for sender in self._senders:
            sender.use_headers(headers)

    def use_proxy(self, proxy: str) -> None:
        """Send requests through another proxy from now on, or with another password for it."""
        self._proxy = proxy
        self._scrub()
        self._reach(proxy)

    def _scrub(self) -> None:
        """Take out the new secrets, too: before anything is sent with them."""
        present = secrets_of(self._api_key, self._proxy)
        self._secrets.extend([it for it in present if it not in self._secrets])
        self._scrubbed.use(Scrubber(self._secrets))
