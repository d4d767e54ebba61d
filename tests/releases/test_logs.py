"""A log that an earlier release has written opens in this one, and is written on."""

import json
from pathlib import Path
from shutil import copyfile

import pytest

from tests.conftest import StartGateway
from tests.harness.webhooks import webhook
from tests.releases.sample import FILE, KEPT, listed


@pytest.mark.parametrize("version", sorted(it.name for it in KEPT.iterdir()))
def test_the_log_of_a_release_opens_and_goes_on(
    version: str, start_gateway: StartGateway, tmp_path: Path
) -> None:
    copyfile(KEPT / version / FILE, tmp_path / FILE)
    gateway = start_gateway()
    before = (KEPT / version / "events.json").read_text()
    assert listed(gateway.events) == before

    held = json.loads(before)["events"]
    again = gateway.webhooks.post(webhook(id_=held[0]["id"]))
    new = gateway.webhooks.post(webhook(id_="the first of this release"))
    gateway.close()
    assert (again.body["status"], new.body["status"]) == ("duplicate", "stored")

    after = json.loads(listed(start_gateway().events))["events"]
    assert after[:-1] == held
    assert (after[-1]["id"], int(after[-1]["sequence"])) == (
        "the first of this release",
        len(held) + 1,
    )
