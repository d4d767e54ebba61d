"""Keep a copy of every recording: download each as soon as the provider has saved it.

    python examples/recipes/recordings.py --folder recordings

The provider's links are valid for a short time only, so do not let this stand still for long. The
cursor is saved after the files of its events are on disk: what was cut off is downloaded again.
"""

import argparse
import asyncio
import os
import re
import shutil
import urllib.request
from pathlib import Path

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, EventFilter, SubscribeRequest
from gateway.client import CHANNEL_OPTIONS, subscribe

SAVED = "conference.recording.saved"
TIMEOUT_S = 60.0

# A name comes from outside, so it must not lead out of the folder.
UNFIT = re.compile(r"[^\w-]")


def fetch(event: Event, folder: Path) -> list[Path]:
    """Download the files of a recording that are not there yet, and return them."""
    saved = event.conference_recording_saved
    made = []
    for ending, url in (("mp3", saved.recording_urls.mp3), ("wav", saved.recording_urls.wav)):
        name = UNFIT.sub("_", saved.recording_id or event.id)
        path = folder / f"{name}.{ending}"
        if not url or path.exists():
            continue
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{url} is no address on the web")
        part = path.with_suffix(f".{ending}.part")
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
            os.fsync(target.fileno())
        os.replace(part, path)
        made.append(path)
    return made


async def main() -> None:
    """Follow the recordings for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--folder", type=Path, required=True, help="folder of files and cursor")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    cursor = chosen.folder / "cursor"
    request = SubscribeRequest(filter=EventFilter(types=[SAVED]))
    if cursor.exists():
        request.after_cursor = cursor.read_text()
    else:
        request.position = POSITION_EARLIEST
    async with grpc.aio.insecure_channel(chosen.address, CHANNEL_OPTIONS) as channel:
        async for response in subscribe(channel, request):
            for event in response.events:
                try:
                    for path in await asyncio.to_thread(fetch, event, chosen.folder):
                        print(f"saved {path}", flush=True)
                except (OSError, ValueError) as error:
                    # A link that has expired stays so. Whoever wants it asks the provider again.
                    print(f"recording of {event.conference_id} is not there: {error}", flush=True)
            new = cursor.with_suffix(".new")
            new.write_text(response.cursor)
            os.replace(new, cursor)


if __name__ == "__main__":
    asyncio.run(main())
