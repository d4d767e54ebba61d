"""Keep a log of this build: `python -m tests.releases VERSION`, which replaces what has that name.

Until the first release there is one, `next`, which is made anew when the format changes.
"""

import signal
import sys
import tempfile
from pathlib import Path

from tests.harness.process import GatewayProcess
from tests.releases.sample import FILE, KEPT, listed, story


def main() -> None:
    (version,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        with GatewayProcess(Path(folder)) as gateway:
            for event_type, payload in story():
                gateway.webhooks.event(event_type, **payload)
            events = listed(gateway.events)
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
        to = KEPT / version
        to.mkdir(parents=True, exist_ok=True)
        (to / FILE).write_bytes((Path(folder) / ".gateway" / FILE).read_bytes())
        (to / "events.json").write_text(events)


if __name__ == "__main__":
    main()
