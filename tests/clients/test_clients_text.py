"""The subscriber in Python that docs/clients.md shows runs as it stands there."""

import re
import subprocess
import sys
import threading
from pathlib import Path

from tests.conftest import StartGateway
from tests.harness.process import ROOT, environment
from tests.harness.webhooks import webhook

TEXT = (ROOT / "docs" / "clients.md").read_text()


def test_the_subscriber_in_python_follows_the_feed(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    (block,) = (it for it in re.findall(r"```python\n(.+?)```", TEXT, re.DOTALL) if "follow" in it)
    gateway = start_gateway()
    gateway.webhooks.post(webhook("conference.created", {"conference_id": "c1"}))
    program = block.replace("127.0.0.1:50051", str(gateway.app.grpc_address))
    script = tmp_path / "subscriber.py"
    script.write_text(f"import asyncio\n{program}\nasyncio.run(follow())\n")
    running = subprocess.Popen(
        [sys.executable, "-u", str(script)], env=environment(), stdout=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(30, running.kill)
    watchdog.start()
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "conference.created c1\n"
    finally:
        watchdog.cancel()
        running.kill()
        running.communicate()
