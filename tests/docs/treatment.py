"""What is done with the blocks that `test_runs.py` does not run, and why."""

import re
from collections.abc import Mapping

from tests.docs.blocks import ROOT, Block

# Why commands are not run; each says so in its own line: ```sh needs=cluster.
NEEDS = {
    "account": "an account at Telnyx",
    "ci": "nothing: CI runs it by itself, before or as these tests",
    "cluster": "servers of its own: Kubernetes, NATS, an OpenTelemetry collector",
    "hours": "long, and a machine for itself",
    "network": "what is outside of this machine",
}

# Pages, or sections of them, whose commands a test of their own runs.
RUN_ELSEWHERE = {
    ("docs/sandbox.md", ""): "tests/system/test_sandbox_page.py",
    ("docs/mutual-tls.md", ""): "tests/envoy/test_mutual_tls_text.py",
    ("docs/security.md", "A token, from the first day to the last"): (
        "tests/callers/test_tokens_text.py"
    ),
    ("docs/scaling.md", "Moving there, and back"): "tests/deploy/test_scaling_text.py",
    # What it prints; the test sends the same by the API, with a collector of traces beside it.
    ("docs/operating.md", "One command, followed"): "tests/traces/test_followed.py",
    # From an empty folder, and the end; what is between them builds what `make interop` runs.
    **{
        (f"docs/{language}.md", heading): test
        for language in ("go", "java", "node", "rust")
        for heading, test in (
            ("From an empty folder", "tests/interop/test_pages.py"),
            ("Build", "tests/interop/programs.py"),
            ("Run", "tests/interop/test_pages.py"),
        )
    },
    ("docs/releasing.md", "Releasing"): "tests/releases/test_logs.py",
    ("clients/README.md", ""): "tests/toolchains/test_stubs.py",
}

# The same, for blocks that are no commands.
CHECKED_ELSEWHERE = {
    ("docs/sandbox.md", ""): "tests/test_sandbox_text.py",
    ("clients/README.md", "Node without generated code"): "tests/toolchains/test_stubs.py",
    (
        "clients/README.md",
        "Protos of yours that import these",
    ): "tests/toolchains/test_templates.py",
    ("docs/clients.md", "From a browser"): "tests/envoy/test_browser.py",
}

_ASSIGNMENT = re.compile(r"[A-Z_]+=\S+")


def treated_in(tests: Mapping[tuple[str, str], str], block: Block) -> str | None:
    """Return the test of these that runs a block, by its section or its whole page."""
    page = str(block.page.relative_to(ROOT))
    return tests.get((page, block.heading)) or tests.get((page, ""))


def is_settings(block: Block) -> bool:
    """Whether a block of `sh` has settings and no command."""
    lines = block.text.splitlines()
    return block.language == "sh" and all(map(_ASSIGNMENT.fullmatch, lines))
