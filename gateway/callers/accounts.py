"""Accounts: what each caller has in use of what its limits allow."""

from collections import Counter
from collections.abc import Callable, Hashable
from time import monotonic

from gateway.callers.caller import Caller
from gateway.callers.errors import LimitExceededError
from gateway.callers.limits import Limits
from gateway.tokenbucket import TokenBucket

# When to retry what waits for other calls of the same caller, in seconds: those with one response
# take milliseconds, streams last.
_RETRY_CALL_S = 0.5
_RETRY_STREAM_S = 5.0


class Account:
    """What one caller has in use."""

    __slots__ = (
        "_limits",
        "calls_in_progress",
        "conferences",
        "filter_bytes",
        "name",
        "rate",
        "searches",
        "streams",
    )

    def __init__(self, name: str, limits: Limits, now: Callable[[], float]) -> None:
        self.name = name
        self._limits = limits
        self.rate = TokenBucket(limits.calls_per_second, limits.burst, now)
        self.calls_in_progress = 0
        self.streams = 0
        self.searches = 0
        self.filter_bytes = 0
        # By how many streams each is watched.
        self.conferences: Counter[Hashable] = Counter()

    @property
    def limits(self) -> Limits:
        """What the caller may use; what it has in use stays when that changes."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        if limits == self._limits:
            return
        self._limits = limits
        self.rate.change(limits.calls_per_second, limits.burst)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in use, and its rate has been forgotten."""
        return not (self.calls_in_progress or self.streams) and self.rate.held >= self.rate.burst

    def begin(self, *, is_stream: bool) -> "Use":
        """Let a call begin. Raises LimitExceededError; then nothing has been taken."""
        limits = self._limits
        if is_stream:
            if self.streams >= limits.streams:
                raise self._exceeded("streams", _RETRY_STREAM_S)
        elif self.calls_in_progress >= limits.calls_in_progress:
            raise self._exceeded("calls_in_progress", _RETRY_CALL_S)
        if not self.rate.try_take(1):
            retry_s = self.rate.wait_s(1)
            raise self._exceeded("calls_per_second", retry_s)
        if is_stream:
            self.streams += 1
        else:
            self.calls_in_progress += 1
        return Use(self, is_stream)

    def search(self) -> None:
        """Have a call search the log. Raises LimitExceededError."""
        if self.searches >= self._limits.searches:
            raise self._exceeded("searches", _RETRY_CALL_S)
        self.searches += 1

    def keep_filter(self, size: int) -> None:
        """Have a call keep a filter of `size` bytes. Raises LimitExceededError."""
        if self.filter_bytes + size > self._limits.filter_bytes:
            raise self._exceeded("filter_bytes", _RETRY_STREAM_S)
        self.filter_bytes += size

    def watch(self, conference: Hashable) -> None:
        """Have a call watch a conference. Raises LimitExceededError."""
        is_new = conference not in self.conferences
        if is_new and len(self.conferences) >= self._limits.watched_conferences:
            raise self._exceeded("watched_conferences", _RETRY_STREAM_S)
        self.conferences[conference] += 1

    def unwatch(self, conference: Hashable) -> None:
        """Have it watch it no more."""
        self.conferences[conference] -= 1
        if not self.conferences[conference]:
            del self.conferences[conference]

    def _exceeded(self, limit: str, retry_s: float) -> LimitExceededError:
        return LimitExceededError(self.name, limit, getattr(self._limits, limit), retry_s)


class Use:
    """What one call has taken of its caller's account, until it ends."""

    __slots__ = ("_account", "_conference", "_filter_bytes", "_is_stream", "_searches")

    def __init__(self, account: Account, is_stream: bool) -> None:
        self._account = account
        self._is_stream = is_stream
        self._searches = 0
        self._filter_bytes = 0
        self._conference: Hashable = None

    def search(self) -> None:
        """See `Allowance`."""
        self._account.search()
        self._searches += 1

    def keep_filter(self, size: int) -> None:
        """See `Allowance`."""
        self._account.keep_filter(size)
        self._filter_bytes += size

    def watch(self, conference: Hashable) -> None:
        """See `Allowance`."""
        self._account.watch(conference)
        self._conference = conference

    def end(self) -> None:
        """Give all of it back."""
        account = self._account
        if self._is_stream:
            account.streams -= 1
        else:
            account.calls_in_progress -= 1
        account.searches -= self._searches
        account.filter_bytes -= self._filter_bytes
        if self._conference is not None:
            account.unwatch(self._conference)


class Accounts:
    """The accounts of all callers, by name. `now` is the monotonic clock, in seconds.

    An account outlives its caller's connections, and changes of the callers file. As the names
    come from that file, there are few.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._accounts: dict[str, Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, name: str) -> Account | None:
        """Return the account of a caller, None if it has nothing in use."""
        return self._accounts.get(name)

    def begin(self, caller: Caller, *, is_stream: bool) -> Use:
        """Let a call of a caller begin. Raises LimitExceededError."""
        account = self._accounts.get(caller.name)
        if account is None:
            account = Account(caller.name, caller.limits, self._now)
            self._accounts[caller.name] = account
        elif account.limits is not caller.limits:
            account.limits = caller.limits
        return account.begin(is_stream=is_stream)

    def forget_idle(self) -> None:
        """Forget accounts that a new one would be equal to."""
        for account in tuple(self._accounts.values()):
            if account.is_idle:
                del self._accounts[account.name]
