"""What a caller has in use of its limits, and what is left of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.callers.accounts import Accounts, Use
from gateway.callers.caller import Caller, Role
from gateway.callers.errors import LimitExceededError
from gateway.callers.limits import Limits
from tests.harness.clock import ManualClock

DESK = Caller("desk", Role.ADMIN)


def limited(**limits: float) -> Caller:
    return replace(DESK, limits=Limits.of(limits))


def begun(accounts: Accounts, caller: Caller, count: int, *, is_stream: bool = False) -> list[Use]:
    return [accounts.begin(caller, is_stream=is_stream) for _ in range(count)]


def refusal(act: Callable[[], object]) -> LimitExceededError:
    with pytest.raises(LimitExceededError) as raised:
        act()
    return raised.value


def test_calls_may_begin_as_the_bucket_has_them_and_a_refusal_says_when_it_has_one() -> None:
    clock = ManualClock()
    accounts, caller = Accounts(clock), limited(calls_per_second=2, burst=3)
    begun(accounts, caller, 3)

    error = refusal(lambda: accounts.begin(caller, is_stream=False))
    assert (error.caller, error.limit, error.most) == ("desk", "calls_per_second", 2)
    assert error.retry_s == pytest.approx(0.5)
    clock.advance(error.retry_s)
    begun(accounts, caller, 1)
    refusal(lambda: accounts.begin(caller, is_stream=True))


def test_a_refused_call_takes_nothing() -> None:
    accounts, caller = Accounts(ManualClock()), limited(burst=2, streams=1)
    (stream,) = begun(accounts, caller, 1, is_stream=True)
    for _ in range(5):
        assert refusal(lambda: accounts.begin(caller, is_stream=True)).limit == "streams"
    stream.end()

    begun(accounts, caller, 1, is_stream=True)
    assert refusal(lambda: accounts.begin(caller, is_stream=False)).limit == "calls_per_second"


def test_streams_and_other_calls_are_counted_apart() -> None:
    accounts, caller = Accounts(ManualClock()), limited(calls_in_progress=2, streams=1)
    calls = begun(accounts, caller, 2)
    begun(accounts, caller, 1, is_stream=True)

    error = refusal(lambda: accounts.begin(caller, is_stream=False))
    assert (error.limit, error.most) == ("calls_in_progress", 2)
    calls[0].end()
    begun(accounts, caller, 1)


@pytest.mark.parametrize(
    ("limit", "most", "take"),
    [
        ("searches", 2, Use.search),
        ("filter_bytes", 20, lambda use: use.keep_filter(10)),
        ("watched_conferences", 2, lambda use: use.watch(object())),
    ],
)
def test_what_calls_take_is_limited_for_all_of_them_and_given_back_with_each(
    limit: str, most: int, take: Callable[[Use], None]
) -> None:
    accounts, caller = Accounts(ManualClock()), limited(**{limit: most})
    first, second, third = begun(accounts, caller, 3, is_stream=True)
    take(first)
    take(second)

    error = refusal(lambda: take(third))
    assert (error.limit, error.most) == (limit, most)
    # Whoever was refused gives nothing back.
    third.end()
    (fourth,) = begun(accounts, caller, 1, is_stream=True)
    refusal(lambda: take(fourth))
    first.end()
    take(fourth)


def test_a_conference_counts_once_until_nobody_watches_it() -> None:
    accounts, caller = Accounts(ManualClock()), limited(watched_conferences=1)
    first, second, third = begun(accounts, caller, 3, is_stream=True)
    first.watch("c1")
    second.watch("c1")
    refusal(lambda: third.watch("c2"))
    first.end()
    refusal(lambda: third.watch("c2"))
    second.end()
    third.watch("c2")


def test_callers_have_accounts_of_their_own() -> None:
    accounts, caller = Accounts(ManualClock()), limited(burst=1, streams=1)
    begun(accounts, caller, 1, is_stream=True)
    refusal(lambda: accounts.begin(caller, is_stream=True))

    begun(accounts, replace(caller, name="board"), 1, is_stream=True)


def test_other_limits_hold_at_once_and_what_is_in_use_stays() -> None:
    clock = ManualClock()
    accounts = Accounts(clock)
    begun(accounts, limited(calls_per_second=1, burst=10, streams=9), 4, is_stream=True)
    begun(accounts, limited(calls_per_second=1, burst=10, streams=9), 6)

    slower = limited(calls_per_second=2, burst=20, streams=4)
    assert refusal(lambda: accounts.begin(slower, is_stream=True)).limit == "streams"
    error = refusal(lambda: accounts.begin(slower, is_stream=False))
    assert error.limit == "calls_per_second"
    assert error.retry_s == pytest.approx(0.5)
    clock.advance(100)
    begun(accounts, slower, 20)
    clock.advance(100)
    # A smaller burst does not leave the caller what the larger one had.
    smaller = limited(calls_per_second=2, burst=1, streams=4)
    begun(accounts, smaller, 1)
    refusal(lambda: accounts.begin(smaller, is_stream=False))


def test_an_account_is_forgotten_once_a_new_one_would_be_no_better() -> None:
    clock = ManualClock()
    accounts, caller = Accounts(clock), limited(calls_per_second=1, burst=2)
    call, stream = begun(accounts, caller, 1)[0], begun(accounts, caller, 1, is_stream=True)[0]

    def left() -> int:
        accounts.forget_idle()
        return len(accounts)

    assert left() == 1
    call.end()
    clock.advance(10)
    assert left() == 1
    stream.end()
    assert left() == 0
    begun(accounts, caller, 1)[0].end()
    assert left() == 1
    clock.advance(1)
    assert left() == 0
