"""Limits of callers: each call counts for its caller, whichever connection it comes over."""

from typing import Any

from gateway.callers.accounts import Accounts, Use
from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.hooks.hook import Hook


class CallerLimits(Hook):
    """A hook that refuses what a caller's limits do not allow. Where callers have names only."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._used: dict[Call[Any], Use] = {}

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._accounts)

    def streams(self, caller: str) -> int:
        """How many streams of a caller are open."""
        account = self._accounts.get(caller)
        return 0 if account is None else account.streams

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        use = self._accounts.begin(call.caller, is_stream=call.is_stream)
        self._used[call] = call.allowance = use

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        self._used.pop(call).end()

    def forget_idle(self) -> None:
        """Forget callers that have nothing in progress, and could do all that they may."""
        self._accounts.forget_idle()
