"""Random JSON documents that the SDK's models describe."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, get_args, get_origin

from hypothesis import strategies as st

from tests.conformance.choosing import Strategy, some_of
from tests.conformance.sdk_types import is_model, may_be_none, members, texts_in
from tests.harness.messages import texts

_ANY_TEXT = st.just("") | texts

_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _ANY_TEXT
_ANYTHING = _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(texts, _SCALARS, max_size=2)

# No name that the provider has today begins like this.
_NEW_FIELDS = st.dictionaries(texts.map("new:".__add__), _ANYTHING, max_size=2)
_NEW_TEXTS = texts.map("new:".__add__)


def _moment(at: datetime, zone_minutes: int | None, fraction: str) -> str:
    """Write a moment as RFC 3339 allows: any zone, any digits of the second."""
    zone = "Z"
    if zone_minutes is not None:
        zone = datetime(1, 1, 1, tzinfo=timezone(timedelta(minutes=zone_minutes))).strftime("%z")
        zone = f"{zone[:3]}:{zone[3:]}"
    return at.replace(microsecond=0).isoformat() + fraction + zone


moments = st.builds(
    _moment,
    # A year of room at both ends, so that no zone leads out of the years that there are.
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.none() | st.integers(-14 * 60, 14 * 60),
    st.just("") | st.text("0123456789", min_size=1, max_size=9).map(".".__add__),
)


@dataclass(frozen=True)
class Documents:
    """Makes documents: as the SDK knows them, or `newer`, with fields and texts it does not."""

    newer: bool = False

    def of(self, model: Any, focus: str = "") -> Strategy:
        """Return documents of a model, left to chance except for the place in `focus`."""
        always: dict[str, Strategy] = {}
        maybe: dict[str, Strategy] = {}
        nulls: dict[str, Strategy] = {}
        for name, info in model.model_fields.items():
            key, hint = info.alias or name, info.annotation
            inner = _inside(focus, key)
            value = self._value(key, hint, inner or "")
            if inner is None and may_be_none(hint):
                maybe[key], nulls[key] = value, st.none()
            elif inner == " null":
                always[key] = st.none()
            elif inner != " absent":
                always[key] = value
        # Of what may be left out, some is null and some is there.
        parts = [some_of({}, nulls), some_of(always, maybe)]
        if self.newer:
            parts.append(_NEW_FIELDS)
        return st.tuples(*parts).map(_joined)

    def _value(self, name: str, hint: Any, focus: str) -> Strategy:
        known_texts = texts_in(hint)
        if known_texts and focus:
            return st.just(focus.removeprefix("="))
        if known_texts:
            chosen = st.sampled_from(known_texts)
            return chosen | _NEW_TEXTS if self.newer else chosen
        (kind,) = members(hint)
        if get_origin(kind) is list:
            return st.lists(self._value("", get_args(kind)[0], ""), max_size=3)
        if is_model(kind):
            return self.of(kind, focus.removeprefix("."))
        if kind is datetime or name.endswith("_at"):
            return moments
        if kind is bool and focus:
            return st.just(focus == "=True")
        return {str: _ANY_TEXT, bool: st.booleans(), int: st.integers(-(2**31), 2**31 - 1)}[kind]


def _inside(place: str, key: str) -> str | None:
    """Return what follows a field in a place, None if the place is not in that field."""
    rest = place.removeprefix(key)
    return rest if place.startswith(key) and rest[:1] in ("", " ", ".", "=") else None


def _joined(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
