"""The numbers in `docs/feed.md` against the constants in the code."""

import re
from pathlib import Path

from gateway.feed import search
from gateway.feed.window import BYTES_MAX, ENTRIES_MAX
from gateway.ingest.webhooks import body, receiver, signature
from gateway.journal.filter import VALUES_MAX
from gateway.journal.sqlite import postings, reader, reads
from gateway.schema.event_keys import declared_keys, payload_names
from gateway.server.http import outgoing, refusals, slots
from gateway.server.services import event_service as events
from gateway.server.services import filters, stored_events, subscribe

DOCS = Path(__file__).parents[1] / "docs"
TEXT = " ".join((DOCS / "feed.md").read_text().split())
WORDS = {2: "two", 4: "four", 8: "eight"}


def test_the_numbers_about_webhooks_are_those_of_the_code() -> None:
    assert f"complete {refusals.HEAD_S:.0f} s after its first byte" in TEXT
    assert f"no larger than {refusals.HEAD_BYTES_MAX // 1024} KiB" in TEXT
    assert f"complete {refusals.BODY_S:.0f} s after the head" in TEXT
    assert f"idle between requests after {refusals.IDLE_S} s" in TEXT
    assert f"after {outgoing.UNREAD_S:.0f} s to {outgoing.UNREAD_S * 2:.0f} s in which" in TEXT
    assert f"up to {signature.TRIED_MAX} verifications a request" in TEXT
    assert f"At most {refusals.HEADERS_MAX} header lines" in TEXT
    assert f"a body of {body.BODY_BYTES_MAX // 1024} KiB" in TEXT
    wire = refusals.BODY_WIRE_BYTES_MAX // 2**20
    assert f"at most {wire} MiB and {refusals.BODY_PIECES_MAX:,} pieces" in TEXT
    assert f"{refusals.PIPELINED_MAX} requests sent ahead" in TEXT
    assert f"{slots.CONNECTIONS_MAX:,} connections" in TEXT
    assert f"usual ones ({body.ALWAYS_BYTES // 1024} KiB)" in TEXT


def test_the_numbers_about_the_log_are_those_of_the_code() -> None:
    assert f"{ENTRIES_MAX:,} events ({BYTES_MAX // 2**20} MiB at most) in memory" in TEXT
    assert f"by {WORDS[reader.READERS]} reader threads" in TEXT
    assert f"by {WORDS[reader.FINDERS]} threads of their own" in TEXT
    assert f"searches with at most {WORDS[reader.SEARCHERS_MAX]} threads of its own" in TEXT
    searches, look_ups = reader.SEARCHES_WAITING_MAX, reader.LOOK_UPS_WAITING_MAX
    assert f"At most {searches} searches and {look_ups:,} look-ups wait" in TEXT
    assert f"at most {search.SEARCHED_MAX:,} events for a page" in TEXT
    assert f"A page has at most {search.PAGE_BYTES_MAX // 2**20} MiB" in TEXT
    assert f"steps of at most {reads.SCAN_MAX:,} events" in TEXT
    assert f"for at most {search.SEARCH_S:.0f} s and at most half" in TEXT
    assert stored_events.SEARCH_SHARE == 0.5


def test_the_table_of_keys_is_that_of_the_protos() -> None:
    names = payload_names()
    lines = (DOCS / "feed.md").read_text().splitlines()
    first = lines.index("| filter field | `tail` | what | in a payload |") + 2
    for line, key in zip(lines[first:], declared_keys(), strict=False):
        what = f"{key.label}{', or prefix ending in `*`' if key.takes_prefixes else ''}"
        sources = ", else ".join(f"`{name}`" for name in names.get(key.name, ()))
        row = f"| `{key.filter_field}` | `--{key.option}` | {what} | {sources} |"
        assert line == row.replace("|  |", "| |")
    assert lines[first + len(declared_keys())] == ""
    assert f"in blocks of {postings.BLOCK:,} events" in TEXT


def test_the_numbers_about_filters_are_those_of_the_code() -> None:
    sizes = f"{VALUES_MAX:,} values in a field and {filters.FILTER_BYTES_MAX // 1024} KiB in all"
    assert f"A filter has at most {sizes}" in TEXT
    assert f"event service has at most {events.REQUEST_BYTES_MAX // 1024} KiB" in TEXT
    assert f"streams take at most {subscribe.FILTERS_BYTES_MAX // 2**20} MiB together" in TEXT


def test_every_server_error_that_is_named_exists() -> None:
    (named,) = re.findall(r"Telnyx sends again \((.+?), all with", TEXT)
    errors = {reason for reason, status in receiver.STATUS_OF_REASON.items() if status >= 500}

    assert set(re.findall(r"[A-Z_]{4,}", named)) == errors
