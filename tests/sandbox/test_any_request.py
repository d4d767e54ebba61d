"""Whatever is sent, the sandbox answers as a provider does and never breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.sandbox.operations import load_operations
from tests.sandbox.stage import ALICE, BOB, Stage

OPERATIONS = load_operations()
NAMES = sorted({name for operation in OPERATIONS for name in operation.body["properties"]})
FILTERS = sorted({name for operation in OPERATIONS for name in operation.query["properties"]})
IDS = st.sampled_from([ALICE, BOB, "v3:nobody", "CONFERENCE"])
TEXTS = (
    IDS | st.sampled_from(["YQ==", "wav", "infinity", "whisper", "telnyx"]) | st.text(max_size=9)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=2)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
QUERIES = st.dictionaries(st.sampled_from(FILTERS), TEXTS, max_size=4)


@pytest.mark.slow
def test_any_request_is_answered(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(webhook_url=None)
    conference = stage.create(ALICE)

    @settings(
        max_examples=400,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation=st.sampled_from(OPERATIONS), ids=IDS, body=BODIES, query=QUERIES)
    def ask(operation: Any, ids: str, body: dict[str, Any], query: dict[str, str]) -> None:
        path = "/".join(
            quote(conference if ids == "CONFERENCE" else ids, safe="")
            if part.startswith("{")
            else part
            for part in operation.path.split("/")
        )
        answer = stage.http.request(operation.method, path, json=body, params=query)

        assert answer.status_code in (200, 204, 404, 422), answer.text
        if answer.status_code > 204:
            for error in answer.json()["errors"]:
                assert {"code", "title", "detail", "meta"} <= error.keys()

    ask()
    assert stage.control.health()["status"] == "ok"
    stage.control.advance(5 * 3600)
