"""`docs/errors.md` against the tables in the code."""

import re
from pathlib import Path

from gateway.conference.conferences import FIRST_WAIT_MAX_S
from gateway.feed.start import LossReason
from gateway.server.upstream_statuses import CODES
from gateway.upstream.ends import TRANSIENT_STATUSES
from gateway.upstream.errors import Reason
from gateway.upstream.failures.refusals import BY_PROVIDER_CODE, BY_STATUS
from gateway.upstream.health.saturation import STALLED_S
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "errors.md").read_text()
FLAT = " ".join(TEXT.split())
ROWS = re.findall(r"^\| (.+?) \| `([A-Z_]+)` \| `([A-Z_]+)` \|$", TEXT, re.MULTILINE)


def test_the_table_is_that_of_the_code() -> None:
    by_status = {f"HTTP {status}": it for status, it in BY_STATUS.items()}
    by_code = {f"provider code {code}": it for code, it in BY_PROVIDER_CODE.items()}
    meant = {**by_status, **by_code, "provider code 90xxx": Reason.INVALID_STATE}
    expected = {name: (CODES[reason].name, reason.name) for name, reason in meant.items()}

    documented = {
        name: (code, reason)
        for name, code, reason in ROWS
        if re.fullmatch(r"HTTP \d+|provider code \w+", name)
    }
    assert documented == expected


def test_every_reason_in_the_code_is_documented() -> None:
    documented = {(code, reason) for _, code, reason in ROWS}
    assert set(CODES) == set(Reason)
    assert {(code.name, reason.name) for reason, code in CODES.items()} <= documented
    assert {("OUT_OF_RANGE", reason.name) for reason in LossReason} <= documented
    reasons = {reason for _, _, reason in ROWS}
    for module in (ROOT / "gateway").rglob("*.py"):
        if "sandbox" in module.parts or "webhooks" in module.parts:
            continue
        for reason in re.findall(r'StatusCode\.\w+,\s*"([A-Z_]{4,})"', module.read_text()):
            assert reason in reasons


def test_the_numbers_in_the_text_are_those_of_the_policy() -> None:
    policy, budget = RetryPolicy(), RetryBudget()

    assert "At most four requests for one call" in FLAT
    assert policy.attempts_max == 4
    assert "No more than two requests of a call are in flight" in FLAT
    assert policy.in_flight_max == 2
    first_ms = policy.backoff_first_s * 1_000
    assert f"doubling from {first_ms:.0f} ms to {policy.backoff_max_s:.0f} s" in FLAT
    shortest, longest = policy.patience_min_s, policy.patience_max_s
    assert f"(at least {shortest:.0f} s, at most {longest:.0f} s)" in FLAT
    assert "no request takes longer than a minute" in FLAT
    assert policy.attempt_max_s == 60
    assert f"no response to any of them for {STALLED_S:.0f} s" in FLAT
    assert f"would have to wait for more than {FIRST_WAIT_MAX_S:.0f} s" in FLAT
    latest = policy.command_memory_s - policy.command_memory_margin_s
    assert f"later than {latest:.0f} s after its first request" in FLAT
    assert (budget.per_call, budget.balance_max) == (0.1, 100)
    listed = ", ".join(map(str, sorted(TRANSIENT_STATUSES)))
    assert f"no complete response, {listed} |" in FLAT
