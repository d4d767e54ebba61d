"""The comparison of the protos with those that clients have: what it refuses and allows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.breaking.comparing import BASELINE, breaks, build, earlier

ROOT = Path(__file__).parents[2]
EVENT = "protos/conferencing/v1/event.proto"
COMMON = "protos/conferencing/v1/common.proto"
VOICES = "protos/conferencing/v1/voice_settings.proto"
QUEUES = "protos/conferencing/v1/queue_service.proto"
FEED = "protos/conferencing/v1/event_service.proto"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which there has been no release: the baseline is the protos as they are."""
    for name in ("protos", "third_party/googleapis"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    (tmp_path / BASELINE).parent.mkdir(parents=True)
    build(tmp_path, tmp_path / BASELINE)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def released(folder: Path, tag: str) -> None:
    """Commit all that is in the folder, and tag it."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", tag)
    git(folder, "tag", tag)


def change(folder: Path, proto: str, old: str, new: str) -> None:
    text = (folder / proto).read_text()
    assert re.search(old, text, re.MULTILINE)
    (folder / proto).write_text(re.sub(old, new, text, flags=re.MULTILINE))


def found(folder: Path) -> tuple[str, list[str]]:
    """Return with what the protos were compared, and what was found."""
    with earlier(folder) as before:
        return before.name, breaks(folder, before)


def test_our_own_protos_break_no_client() -> None:
    with earlier(ROOT) as before:
        assert breaks(ROOT, before) == []


BREAKING = [
    (
        EVENT,
        r"^  string cursor = 2;",
        "  reserved 2; reserved 'cursor';",
        'field "2" with name "cursor"',
    ),
    (EVENT, r"^  string cursor = 2;", "  string position = 2;", "changed name"),
    (EVENT, r"^  string cursor = 2;", "  bytes cursor = 2;", "changed type"),
    (EVENT, r"^  EVENT_ORIGIN_BACKFILL = 2;", "", 'enum value "2"'),
    (VOICES, r"\bMinimaxVoiceSettings\b", "Mini", '"MinimaxVoiceSettings"'),
    (
        COMMON,
        r'^option csharp_namespace = "Conferencing.V1"',
        'option csharp_namespace = "C"',
        "csharp",
    ),
    (FEED, r"^  rpc GetEvent\(", "  rpc FindEvent(", '"GetEvent"'),
    (FEED, r"returns \(stream SubscribeResponse\)", "returns (SubscribeResponse)", "streaming"),
    (
        FEED,
        r"(?<=rpc GetEvent)([^}]+)NO_SIDE_EFFECTS",
        r"\1IDEMPOTENT",
        "idempotency_level",
    ),
    (
        QUEUES,
        r"^  optional bool keep_after_hangup = 3;",
        "  optional bool keep_after_hangup = 3 [(google.api.field_behavior) = REQUIRED];",
        'Field "conferencing.v1.UpdateQueuedCallRequest.keep_after_hangup" became REQUIRED',
    ),
]


@pytest.mark.parametrize(("proto", "old", "new", "says"), BREAKING, ids=lambda it: it[:24])
def test_what_breaks_a_client_is_found(
    clone: Path, proto: str, old: str, new: str, says: str
) -> None:
    change(clone, proto, old, new)

    name, lines = found(clone)

    assert name == "the baseline"
    assert any(says.lower() in it.lower() for it in lines), lines


ALLOWED = [
    (EVENT, r"^  string cursor = 2;", "  string cursor = 2; string added = 99;"),
    (EVENT, r"^  string cursor = 2;", "  string cursor = 2 [deprecated = true];"),
    (EVENT, r"^  EVENT_ORIGIN_BACKFILL = 2;", "  EVENT_ORIGIN_BACKFILL = 2; EVENT_ORIGIN_NEW = 3;"),
    (COMMON, r"^message TimeRange", "message Added { string a = 1; } message TimeRange"),
    (FEED, r"^  rpc GetEvent\(", "  rpc Added(GetEventRequest) returns (Event); rpc GetEvent("),
]


@pytest.mark.parametrize(("proto", "old", "new"), ALLOWED, ids=lambda it: it[:24])
def test_what_is_added_or_deprecated_is_allowed(
    clone: Path, proto: str, old: str, new: str
) -> None:
    change(clone, proto, old, new)

    assert found(clone) == ("the baseline", [])


def test_a_release_goes_before_the_baseline_and_a_newer_one_before_an_older(clone: Path) -> None:
    change(clone, EVENT, r"^  string cursor = 2;", "  string cursor = 2; string one = 91;")
    released(clone, "v0.1.0")
    change(clone, EVENT, r"string one = 91;", "string one = 91; string two = 92;")
    released(clone, "v0.2.0")
    released(clone, "not-a-release")
    change(clone, EVENT, r"string two = 92;", "")

    name, lines = found(clone)

    assert name == "v0.2.0"
    assert len(lines) == 1
    assert '"two"' in lines[0]


def test_protos_that_cannot_be_read_are_no_good_protos(clone: Path) -> None:
    (clone / EVENT).write_text("syntax = ?;")

    # To `buf breaking` alone, it would be one finding among others.
    with pytest.raises(RuntimeError, match=r"buf build failed: protos/.+/event\.proto:1"):
        found(clone)


def test_the_command_fails_and_says_where_the_rules_are(clone: Path) -> None:
    command = [sys.executable, "-m", "tools.breaking"]
    before = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    change(clone, EVENT, r"^  string cursor = 2;", "")
    after = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    subprocess.run([*command, "--baseline"], cwd=clone, check=True)

    assert (before.returncode, before.stdout, before.stderr) == (0, "", "")
    assert after.returncode == 1
    assert '"cursor"' in after.stdout
    assert "docs/compatibility.md" in after.stderr
    assert found(clone) == ("the baseline", [])
