"""When the provider wants a retry: every form in which a response can say so."""

from datetime import UTC, datetime
from email.utils import format_datetime, formatdate

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.sending.retry_after import WAIT_MAX_S, retry_after

NOW = 1_800_000_000


def asked(*, is_limited: bool = True, **headers: str) -> float | None:
    named = {name.replace("_", "-"): it for name, it in headers.items()}
    return retry_after(named, lambda: NOW, is_limited=is_limited)


def http_dates(moment: int) -> list[str]:
    """The three forms of RFC 9110, 5.6.7; two digits of a year are those of this century."""
    when = datetime.fromtimestamp(moment, UTC)
    return [
        formatdate(moment, usegmt=True),
        when.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        when.strftime("%a %b %d %H:%M:%S %Y"),
    ]


@given(st.integers(0, 2_000_000))
def test_seconds_of_any_length_are_read(seconds: int) -> None:
    assert asked(retry_after=f" {seconds} ") == seconds
    assert asked(x_ratelimit_reset=str(seconds)) == seconds
    assert asked(retry_after_ms=str(seconds)) == seconds / 1_000


@given(st.floats(0, 100_000).map(lambda it: round(it, 3)))
def test_fractions_are_read(seconds: float) -> None:
    assert asked(retry_after=f"{seconds:.3f}") == seconds


@given(st.integers(-100_000, 1_000_000), st.sampled_from([0, 1, 2]))
def test_a_date_is_as_far_away_as_it_is(seconds: int, form: int) -> None:
    assert asked(retry_after=http_dates(NOW + seconds)[form]) == max(0, seconds)


@given(st.integers(-1_000_000, 1_000_000), st.integers(0, 100_000))
def test_a_date_is_compared_with_the_responses_own_clock(skew: int, seconds: int) -> None:
    theirs = NOW + skew
    assert (
        asked(
            retry_after=formatdate(theirs + seconds, usegmt=True),
            date=formatdate(theirs, usegmt=True),
        )
        == seconds
    )


def test_a_date_with_a_zone_of_its_own_is_read() -> None:
    moment = datetime.fromtimestamp(NOW + 90, UTC).astimezone()
    assert asked(retry_after=format_datetime(moment)) == 90


@given(st.integers(0, 1_000_000))
def test_a_reset_may_be_a_moment(seconds: int) -> None:
    assert asked(x_ratelimit_reset=str(NOW + seconds)) == seconds
    assert asked(ratelimit_reset=str((NOW + seconds) * 1_000)) == seconds
    assert asked(x_ratelimit_reset=str(NOW - seconds)) == 0


@given(st.integers(-1_000_000, 1_000_000), st.integers(0, 100_000))
def test_a_moment_is_compared_with_the_responses_own_clock(skew: int, seconds: int) -> None:
    theirs = NOW + skew
    date = formatdate(theirs, usegmt=True)
    assert asked(x_ratelimit_reset=str(theirs + seconds), date=date) == seconds
    assert asked(retry_after=str(theirs + seconds), date=date) == seconds


def test_a_reset_is_a_wish_only_where_the_limit_is_reached() -> None:
    """Any response may say when the limit is reset."""
    for header in ("x_ratelimit_reset", "ratelimit_reset"):
        for remaining in ({}, {"x_ratelimit_remaining": "999"}, {"ratelimit_remaining": "1"}):
            assert asked(is_limited=False, **{header: "45"}, **remaining) is None
        assert asked(is_limited=False, **{header: "45"}, x_ratelimit_remaining="0") == 45
        assert asked(is_limited=False, retry_after="7", **{header: "45"}) == 7


@given(st.text(max_size=60))
def test_whatever_stands_there_is_read_or_passed_over(text: str) -> None:
    wait = asked(retry_after=text)
    assert wait is None or 0 <= wait <= WAIT_MAX_S
    # What cannot be read does not hide what can.
    if wait is None:
        assert asked(retry_after=text, x_ratelimit_reset="7") == 7


# A wish as seconds from now, and one of the ways to write it.
WISHES = st.integers(0, 1_000_000).flatmap(
    lambda seconds: st.tuples(
        st.just(seconds),
        st.sampled_from([str(seconds), str(NOW + seconds), *http_dates(NOW + seconds)]),
    )
)
NOTHING = st.tuples(st.just(-1), st.sampled_from(["", "soon", "-5", "1e9"]))


@given(st.lists(WISHES | NOTHING, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,\t"]))
def test_of_several_wishes_the_latest_counts(wishes: list[tuple[int, str]], comma: str) -> None:
    latest = max(seconds for seconds, _ in wishes)

    found = asked(retry_after=comma.join(text for _, text in wishes))

    assert found == (None if latest < 0 else latest)


@given(st.lists(st.integers(0, 1_000_000), min_size=2, max_size=5))
def test_other_headers_may_hold_several_wishes_too(seconds: list[int]) -> None:
    assert asked(retry_after_ms=", ".join(map(str, seconds))) == max(seconds) / 1_000
    assert asked(x_ratelimit_reset=", ".join(map(str, seconds))) == max(seconds)
    assert asked(ratelimit_reset=", ".join(str(NOW + it) for it in seconds)) == max(seconds)


@given(st.integers(31, 5_000), st.sampled_from(["", ".5", ".", "." + "3" * 40]))
def test_a_number_of_any_length_is_a_very_long_wait(digits: int, fraction: str) -> None:
    text = "9" * digits + fraction
    assert asked(retry_after=text) == WAIT_MAX_S
    assert asked(retry_after_ms=text) == WAIT_MAX_S
    assert asked(x_ratelimit_reset=f"7, {text}") == WAIT_MAX_S
    assert asked(retry_after="0" * digits + "7") == 7


def test_nonsense_says_nothing() -> None:
    for text in ("", "soon", "-5", "inf", "nan", "1e9", "٣", "Thu, 99 Foo 2026 00:00:00 GMT"):
        assert asked(retry_after=text) is None, text


def test_the_longest_wait_is_what_a_client_can_be_told() -> None:
    assert asked(retry_after="9" * 30) == WAIT_MAX_S
    assert round(WAIT_MAX_S * 1_000) < 2**31
