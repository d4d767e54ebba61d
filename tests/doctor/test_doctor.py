"""`telnyx-gateway doctor`: what can be wrong is named, in the order in which to mend it."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.config.given import GOOD
from tests.harness.callers import with_token
from tests.harness.certificates import Authority
from tests.harness.disks import small_disk
from tests.harness.needs import as_root
from tests.harness.process import GatewayProcess, ran
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.raw_deliveries import row

HERE = "https://voice.example.com/webhooks/telnyx"
KEY_REJECTED = Answer(401, {"errors": [{"code": "10009", "title": "Authentication failed"}]})


def posted_to(*urls: str, date: float | None = None) -> Answer:
    """The provider's log, with a webhook to each URL, by its clock at a time."""
    rows = b", ".join(row(f"e{number}", time.time(), url).text for number, url in enumerate(urls))
    headers = {"date": formatdate(time.time() if date is None else date, usegmt=True)}
    return Answer(200, b'{"data": [' + rows + b'], "meta": {"total_pages": 1}}', headers)


class Doctor:
    """Runs the command with settings that are right, and others."""

    def __init__(self, folder: Path, provider: RecordingProvider) -> None:
        self.folder = folder
        self.env = {
            **GOOD,
            "TELNYX_BASE_URL": provider.base_url,
            "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
            "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
            "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
        }

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return ran(self.folder, "doctor", *arguments, **{**self.env, **env})

    def findings(self, **env: str) -> Mapping[str, tuple[str, str, str]]:
        """Return state, text and mend of each finding, by its subject, in their order."""
        done = self.run("--json", **env)
        assert done.stderr == ""
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == any(it["state"] == "fault" for it in found)
        return {it["subject"]: (it["state"], it["text"], it["mend"]) for it in found}


@pytest.fixture
def doctor(tmp_path: Path, provider: RecordingProvider) -> Doctor:
    provider.answer = lambda request: posted_to(HERE)  # by its clock as it answers
    return Doctor(tmp_path, provider)


def test_where_all_is_well_nothing_is_wrong_and_nothing_is_changed(doctor: Doctor) -> None:
    done = doctor.run()

    assert done.returncode == 0
    assert all(line.startswith("ok ") for line in done.stdout.splitlines()), done.stdout
    assert f"the provider posts to {HERE}" in done.stdout
    assert os.listdir(doctor.folder) == []


def test_it_goes_in_the_order_in_which_to_mend_things(doctor: Doctor) -> None:
    assert list(doctor.findings()) == [
        "settings",
        "GATEWAY_GRPC_ADDRESS",
        "GATEWAY_HTTP_ADDRESS",
        "GATEWAY_ADMIN_ADDRESS",
        "GATEWAY_EVENT_LOG",
        "provider",
        "TELNYX_API_KEY",
        "clock",
        "webhooks",
    ]


def test_every_wrong_setting_is_named_before_anything_else(doctor: Doctor) -> None:
    done = doctor.run(TELNYX_PUBLIC_KEY="x", GATEWAY_CALL_TIMEOUT="soon", GATEWAY_GRPC_ADRESS="x")

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("FAULT  settings ") for line in lines)


def test_an_address_that_is_taken_is_named(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        state, text, mend = doctor.findings(GATEWAY_HTTP_ADDRESS=taken)["GATEWAY_HTTP_ADDRESS"]

    assert (state, text) == ("fault", f"{taken} is in use")
    assert "choose another address" in mend


def test_an_address_of_no_network_here_is_named(doctor: Doctor) -> None:
    found = doctor.findings(GATEWAY_GRPC_ADDRESS="192.0.2.1:1", GATEWAY_GRPC_TRUST="network")

    state, text, _ = found["GATEWAY_GRPC_ADDRESS"]
    assert state == "fault"
    assert text.startswith("192.0.2.1:1 cannot be had: ")


def test_a_socket_file_is_judged_by_who_listens_there(doctor: Doctor) -> None:
    there, left, plain = (doctor.folder / name for name in ("there", "left", "plain"))
    plain.write_text("")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(there))
        listening.listen(1)
        for path, state, words in (
            (there, "fault", "is in use"),
            (left, "ok", "can be served on"),
            (plain, "fault", "is a file, and no socket"),
            (doctor.folder / "no" / "x", "fault", "there is no folder"),
        ):
            found = doctor.findings(GATEWAY_ADMIN_ADDRESS=f"unix:{path}")["GATEWAY_ADMIN_ADDRESS"]
            assert found[0] == state
            assert words in found[1]
    assert (
        doctor.findings(GATEWAY_ADMIN_ADDRESS=f"unix:{there}")["GATEWAY_ADMIN_ADDRESS"][0] == "ok"
    )


def test_the_addresses_of_a_gateway_that_runs_are_its_own(doctor: Doctor) -> None:
    with GatewayProcess(doctor.folder) as gateway:
        addresses = {
            "GATEWAY_GRPC_ADDRESS": gateway.grpc_address,
            "GATEWAY_HTTP_ADDRESS": gateway.http_address,
            "GATEWAY_ADMIN_ADDRESS": gateway.admin_address,
        }
        found = doctor.findings(**addresses)

    for name, address in addresses.items():
        assert found[name][:2] == ("ok", f"{address}, served by the gateway that runs")


def test_a_log_that_cannot_be_written_is_named(doctor: Doctor) -> None:
    for path, words in (
        ("/proc/none/events.db", "/proc/none cannot be written"),
        (str(doctor.folder), "is a folder"),
    ):
        state, text, _ = doctor.findings(GATEWAY_EVENT_LOG=f"sqlite:///{path}")["GATEWAY_EVENT_LOG"]
        assert state == "fault"
        assert words in text


@as_root
def test_a_full_disk_is_told_from_one_that_may_not_be_written(doctor: Doctor) -> None:
    with small_disk(doctor.folder / "disk", "64k") as disk:
        disk.fill()
        path = disk.folder / "events.db"
        found = doctor.findings(GATEWAY_EVENT_LOG=f"sqlite:///{path}")["GATEWAY_EVENT_LOG"]

    words = f"{path.parent} cannot be written: No space left on device"
    assert found == ("fault", words, "make room on it")


def test_a_disk_with_less_room_than_may_be_kept_is_pointed_out(doctor: Doctor) -> None:
    state, text, mend = doctor.findings(GATEWAY_RETENTION_SIZE="1024TiB")["GATEWAY_EVENT_LOG"]

    assert state == "warning"
    assert "free on the disk" in text
    assert "GATEWAY_RETENTION_SIZE allows 1024 TiB" in mend


def test_files_of_callers_and_certificates_are_read(doctor: Doctor) -> None:
    cert, key = Authority().server().write(doctor.folder, "server")
    _, other = Authority().server().write(doctor.folder, "other")
    callers = doctor.folder / "callers.toml"
    callers.write_text("[callers.x]\nrole = 'king'\n")
    tls = {"GATEWAY_GRPC_TLS_CERT": str(cert), "GATEWAY_CALLERS": str(callers)}

    unfit = doctor.findings(**tls, GATEWAY_GRPC_TLS_KEY=str(other))
    wrong = doctor.findings(**tls, GATEWAY_GRPC_TLS_KEY=str(key))
    callers.write_text(with_token("desk", "reader", "secret"))
    right = doctor.findings(**tls, GATEWAY_GRPC_TLS_KEY=str(key))

    assert "is not the key of the first certificate" in unfit["settings"][1]
    assert wrong["callers"][0] == "fault"
    assert "callers.x.role must be one of" in wrong["callers"][1]
    assert right["callers"][:2] == ("ok", f"1 in {callers}")
    assert "expires " in right["certificate of grpc"][1]


def test_a_key_that_the_provider_rejects_is_named_and_not_shown(
    doctor: Doctor, provider: RecordingProvider
) -> None:
    provider.answer = KEY_REJECTED

    done = doctor.run()

    assert done.returncode == 1
    assert "FAULT  TELNYX_API_KEY " in done.stdout
    assert GOOD["TELNYX_API_KEY"] not in done.stdout + done.stderr


def test_a_provider_that_is_not_there_is_named(doctor: Doctor) -> None:
    state, text, mend = doctor.findings(TELNYX_BASE_URL="http://127.0.0.1:9/v2")["provider"]

    assert state == "fault"
    assert text.startswith("http://127.0.0.1:9/v2: ")
    assert "check TELNYX_BASE_URL" in mend


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [(0, "ok", ""), (60, "warning", "behind"), (-60, "warning", "ahead of"), (400, "fault", "")],
)
def test_a_clock_is_compared_with_the_providers(
    doctor: Doctor, provider: RecordingProvider, ahead: float, state: str, words: str
) -> None:
    provider.answer = lambda request: posted_to(HERE, date=time.time() + ahead)

    found = doctor.findings()["clock"]

    assert found[0] == state
    assert words in found[1]


@pytest.mark.parametrize(
    ("urls", "env", "state", "text"),
    [
        ([], {}, "warning", "the provider has sent none for a day"),
        (["https://x.test/other"], {}, "fault", "the provider posts to https://x.test/other"),
        (["https://x.test/other", HERE], {}, "ok", f"the provider posts to {HERE}"),
        ([HERE], {"GATEWAY_WEBHOOK_URL": "https://y.test/hook"}, "fault", f"posts to {HERE}"),
    ],
)
def test_where_the_provider_posts_is_compared_with_here(
    doctor: Doctor,
    provider: RecordingProvider,
    urls: list[str],
    env: dict[str, Any],
    state: str,
    text: str,
) -> None:
    provider.answer = posted_to(*urls)

    found = doctor.findings(**env)["webhooks"]

    assert found[0] == state
    assert text in found[1]
