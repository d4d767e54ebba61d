"""The numbers in `docs/security.md` against the constants in the code."""

import re
from dataclasses import asdict
from pathlib import Path

from gateway import aside, bytebudget, process
from gateway.callers import keyring, webtokens
from gateway.callers.file import read_callers
from gateway.callers.limits import Limits
from gateway.config import Settings
from gateway.feed import search
from gateway.ingest.webhooks import body, signature, verification
from gateway.journal.filter import VALUES_MAX
from gateway.journal.sqlite import reader
from gateway.schema import lenient_json, response
from gateway.server.grpc import floods, server
from gateway.server.hooks import admission, peers, silence
from gateway.server.http import admin, refusals, slots
from gateway.server.services import event_service as events
from gateway.server.services import filters, subscribe
from gateway.telemetry import writer
from gateway.upstream import transport
from gateway.upstream.transports import content, intake, scrubbing

ROOT = Path(__file__).parents[1]


def _flat(name: str) -> str:
    return " ".join((ROOT / name).read_text().replace("//", "").split())


TEXT = _flat("docs/security.md")
KIB, MIB = 2**10, 2**20


def test_the_numbers_about_http_are_those_of_the_code() -> None:
    share = round(slots.SHARE_OF_DESCRIPTORS * 100)
    assert f"{slots.CONNECTIONS_MAX:,}, at most {share} % of the process's" in TEXT
    admin_share = round(slots.ADMIN_SHARE_OF_DESCRIPTORS * 100)
    assert f"{slots.ADMIN_CONNECTIONS_MAX}, at most {admin_share} % of the process's" in TEXT
    head = f"{refusals.HEAD_BYTES_MAX // KIB} KiB, {refusals.HEADERS_MAX} header lines"
    assert f"{head} (trailers included), {refusals.HEAD_S:.0f} s" in TEXT
    wire = f"{refusals.BODY_WIRE_BYTES_MAX // MIB} MiB and {refusals.BODY_PIECES_MAX:,} pieces"
    assert f"{body.BODY_BYTES_MAX // KIB} KiB; {wire} on the wire" in TEXT
    assert f"extensions and trailers; {refusals.BODY_S:.0f} s" in TEXT
    large = f"{body.LARGE_BYTES_MAX // MIB} MiB, and the share of the buffers"
    assert f"bodies above {body.ALWAYS_BYTES // KIB} KiB, all together | {large}" in TEXT
    assert f"a body that is refused | {refusals.REST_BYTES_MAX // KIB} KiB;" in TEXT
    assert f"rendering `/metrics` | {round(admin.METRICS_SHARE * 100)} % of the time" in TEXT
    assert f"ahead of a response | {refusals.PIPELINED_MAX} |" in TEXT
    assert f"{refusals.IDLE_S} s; {refusals.HEAD_S:.0f} s if nothing has come yet" in TEXT
    in_thread = f"above {verification.IN_LOOP_BYTES_MAX // KIB} KiB to be hashed in a thread"
    assert f"{signature.TRIED_MAX} verifications; {in_thread}" in TEXT
    assert f"in a thread, {verification.WAITING_MAX} waiting" in TEXT


def test_the_numbers_about_grpc_are_those_of_the_code() -> None:
    share = round(server.SHARE_OF_DESCRIPTORS * 100)
    connections = Settings.model_fields["grpc_connections"].default
    assert f"connections | {connections:,}, at most {share} % of the process's" in TEXT
    assert f"connections without a call | {server.IDLE_MS // 1_000:,} s;" in TEXT
    each = f"{peers.CALLS_PER_CONNECTION_MAX:,} on a connection"
    assert f"{each}, {peers.CALLS_MAX:,} in all" in TEXT
    assert f"keeps on a connection | {server.STREAMS_PER_CONNECTION_MAX:,} |" in TEXT
    assert f"{server.PENDING_CALLS_MAX:,} to {server.PENDING_CALLS_LIMIT:,}" in TEXT
    assert f"{peers.GIVEN_UP_MAX} on a connection, and {peers.GIVEN_UP_PER_S} a second" in TEXT
    assert f"is read from it for {floods.HELD_S:.0f} s" in TEXT
    unexplained = f"{floods.UNEXPLAINED_MAX // MIB} MiB on a connection"
    assert f"{unexplained}, and {floods.UNEXPLAINED_PER_S // KIB} KiB a second" in TEXT
    assert f"headers of a call | {admission.METADATA_BYTES_MAX // KIB} KiB" in TEXT
    message = f"{server.REQUEST_BYTES_MAX // MIB} MiB, within {silence.MESSAGE_S:.0f} s"
    assert f"{message}; {events.REQUEST_BYTES_MAX // KIB} KiB for the event service" in TEXT
    unread = f"{peers.UNREAD_PER_CONNECTION_MAX // MIB} MiB on a connection"
    streamed = peers.STREAMED_PER_CONNECTION_MAX // MIB
    making = f"at most {peers.MAKING_PER_CONNECTION_MAX} of a connection make or hold a large"
    assert f"{unread}, and the buffers; streams wait beyond {streamed} MiB, and {making}" in TEXT
    sizes = f"{VALUES_MAX:,} values a field, {filters.FILTER_BYTES_MAX // KIB} KiB"
    assert f"{sizes}; {subscribe.FILTERS_BYTES_MAX // MIB} MiB for all open streams" in TEXT
    waiting = f"{reader.SEARCHES_WAITING_MAX} waiting; {search.SEARCHED_MAX:,} events"
    assert f"{waiting}, {search.SEARCH_S:.0f} s and half of the deadline" in TEXT


def test_the_limits_of_a_caller_are_those_of_the_code() -> None:
    defaults = asdict(Limits())
    section = (ROOT / "docs/security.md").read_text().split("## Limits of a caller\n")[1]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section.split("\n## ")[0], re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in rows} == defaults


def test_the_other_numbers_are_those_of_the_code() -> None:
    largest = f"{transport.RESPONSE_BYTES_MAX // MIB} MiB, also after decoding"
    assert f"{largest}; {intake.PARTS_MAX:,} pieces" in TEXT
    assert f"body of an error | {content.ERROR_BYTES_MAX // KIB} KiB |" in TEXT
    assert f"values of a response | {lenient_json.VALUES_MAX:,} |" in TEXT
    assert f"items on a page | {response.ITEMS_MAX:,} |" in TEXT
    assert f"Responses of {aside.LARGE_BYTES // KIB} KiB and more" in TEXT
    assert f"Keys shorter than {scrubbing.SECRET_CHARACTERS_MIN} characters" in TEXT
    assert f"hold {bytebudget.BUFFERED_BYTES_MAX // MIB} MiB together" in TEXT
    assert f"a queue of {writer.WAITING_BYTES_MAX // MIB} MiB" in TEXT
    assert f"warns if that is below {process.DESCRIPTORS_ENOUGH:,}" in TEXT


def test_the_other_texts_have_the_same_numbers() -> None:
    response = f"{transport.RESPONSE_BYTES_MAX // MIB} MiB"
    errors, feed = _flat("docs/errors.md"), _flat("docs/feed.md")
    assert f"or a response above {response} |" in errors
    assert f"it is decoded, up to {response}" in errors
    assert f"(not JSON, more than {response})" in feed
    service = _flat("protos/conferencing/v1/event_service.proto")
    assert f"not JSON, or larger than {response}" in service
    assert f"for a request above {server.REQUEST_BYTES_MAX // MIB} MiB" in errors
    assert f"headers above {admission.METADATA_BYTES_MAX // KIB} KiB" in errors
    streams = f"{server.STREAMS_PER_CONNECTION_MAX:,} calls at one time on one connection"
    assert f"more than {streams} (`UNAVAILABLE`" in errors
    at_once = f"more than {peers.CALLS_PER_CONNECTION_MAX:,} calls at one time on one connection"
    assert f"{at_once} (streams among them), or {peers.CALLS_MAX:,} on all" in errors
    unread = peers.UNREAD_PER_CONNECTION_MAX // MIB
    assert f"{unread} MiB of responses on the connection" in errors
    assert f"did not arrive within {silence.MESSAGE_S:.0f} s" in errors


def test_the_numbers_about_callers_are_those_of_the_code() -> None:
    fetches = f"a URL every {keyring.URL_EVERY_S:.0f} s, from a file every"
    assert f"{fetches} {keyring.FILE_EVERY_S:.0f} s" in TEXT
    assert f"at most every {keyring.AGAIN_AFTER_S:.0f} s" in TEXT
    assert f"({keyring.FETCH_S:.0f} s at most, {keyring.WAITING_MAX} calls)" in TEXT
    assert f"Clocks may be {webtokens.LEEWAY_S:.0f} s apart" in TEXT


def test_the_callers_file_that_is_shown_is_one() -> None:
    shown = (ROOT / "docs" / "security.md").read_text().split("```toml\n")[1].split("```")[0]
    roster = read_callers(shown.encode())

    assert len(roster) == 4
    assert len(roster.issuers) == 1
