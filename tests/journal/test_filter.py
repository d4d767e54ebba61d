"""Filters: what matches one or two of them, and what that wakes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.events import Keys
from gateway.journal.filter import ANY_EVENT, EVERYTHING, Filter, Limit, wake_keys_of
from tests.harness import drawn
from tests.harness.events import KEYS, choosing, keys_of

TYPES = ["conference.created", "conference.ended", "call.enqueued", "call"]

keys = st.builds(
    keys_of,
    type=st.sampled_from(TYPES),
    conference_id=st.sampled_from(["c1", "c2", ""]),
    connection_id=st.sampled_from(["n1", "n2", ""]),
)
filters = st.builds(
    choosing,
    type=st.frozensets(
        st.sampled_from([*TYPES, "conference.*", "call*", "conference.c*", "c*", "*"]), max_size=3
    ),
    conference_id=st.frozensets(st.sampled_from(["c1", "c2", "c3"]), max_size=2),
    connection_id=st.frozensets(st.sampled_from(["n1", "n2"]), max_size=2),
)


@given(drawn.filters, drawn.keys)
def test_a_matching_event_wakes_by_at_least_one_key(wanted: Filter, event: Keys) -> None:
    if wanted.matches(event):
        assert set(wanted.wake_keys()) & set(wake_keys_of(event))


def test_everything_is_one_key() -> None:
    assert Filter().wake_keys() == (ANY_EVENT,)
    assert choosing(type=["conference.*"]).wake_keys() == (ANY_EVENT,)


@given(filters, filters, keys)
def test_what_is_within_another_filter_matches_both(
    wanted: Filter, visible: Filter, event: Keys
) -> None:
    both = wanted.within(visible)

    assert both.matches(event) == (wanted.matches(event) and visible.matches(event))
    assert [limit.key for limit in both.limits] == sorted({limit.key for limit in both.limits})
    if both.matches(event):
        assert not set(both.wake_keys()).isdisjoint(wake_keys_of(event))


@given(filters)
def test_within_everything_a_filter_stays_what_it_is(wanted: Filter) -> None:
    assert wanted.within(EVERYTHING) is wanted
    assert EVERYTHING.within(wanted) == wanted


def test_what_two_filters_exclude_from_each_other_is_nothing_and_wakes_nobody() -> None:
    nothing = choosing(connection_id=["n1"]).within(choosing(connection_id=["n2"]))

    number = [key.name for key in KEYS].index("connection_id")
    assert nothing == Filter((Limit(number, frozenset()),))
    assert nothing.wake_keys() == ()
    assert not nothing.is_everything


def test_prefixes_within_prefixes_do_not_multiply() -> None:
    one = choosing(type=["a*", *(f"b{number:02}*" for number in range(99))])
    another = choosing(type=["b*", *(f"a{number:02}*" for number in range(99))])

    (limit,) = one.within(another).within(one).within(another).limits
    assert len(limit.prefixes) == 198
    assert set(limit.prefixes) == {f"{it}{number:02}" for it in "ab" for number in range(99)}


def test_of_prefixes_that_cover_each_other_the_shortest_is_left() -> None:
    one, another = choosing(type=["ab*", "abcd*"]), choosing(type=["a*", "abc*"])

    (limit,) = one.within(another).limits
    assert limit.prefixes == ("ab",)
