"""The tables of the feed part, for people."""

from collections.abc import Sequence
from datetime import date

from bench.feed import catch_up as catching_up
from bench.feed import delay, webhooks
from bench.feed import fan_out as fanning_out
from bench.feed import rare_filter as rare
from bench.feed import resume as resuming
from bench.feed import slow_readers as slow
from bench.feed.delay import Delays, DelayTurn, Subscribers
from bench.feed.fan_out import FanOut, Turn
from bench.feed.finding import Finding
from bench.feed.idle import STREAMS as IDLE_STREAMS
from bench.feed.idle import Idle
from bench.feed.ingest import Ingest, IngestTurn
from bench.feed.tables import row, spread_text, text_of
from bench.machine import machine
from bench.processes import Cores
from bench.rounds import Spread
from bench.stolen import Undisturbed, remark

# What checking a signature takes on a core of 2.5 GHz that nobody else uses, in microseconds. Where
# it takes longer, so do delays, and rates are lower.
SIGNATURE_US_QUIET = 45


def preface(faults: int, cores: Cores) -> str:
    """Return what holds for all that is measured of the feed."""
    pinned = (
        "Clients, poster and witness share one core; the gateway, whose log and gRPC have threads "
        "of their own, may use that one too."
        if cores.rest
        else "Processes run on whatever cores the system gives them."
    )
    return "\n".join(
        [
            "## The event feed",
            "",
            f"Events are signed webhooks of {len(webhooks.body(0, 1))} bytes, posted over HTTP to "
            "the gateway as its users start it; each is verified, decoded and on disk before it "
            "goes out. Figures are medians over the rounds, in brackets the lowest and the "
            "highest; ratios are taken within each round. Each measurement starts from nothing, "
            "and says when and on what it was made.",
            "",
            "Clients speak HTTP/2 over real connections and check every event of every stream: the "
            "first to get an event decodes it and looks whether it is what was posted, with the "
            "next number and its cursor; all others must bring the same bytes. Anything missing, "
            "doubled, out of order or different fails the run. That it does is proved first: "
            f"{faults} faulty feeds were shown to the clients, and refused.",
            "",
            pinned,
        ]
    )


def measurement(
    found: Finding, made_on: date, turns: Undisturbed, checks_us: tuple[float, float]
) -> str:
    """Return one measurement's share. `checks_us` are what signatures took before and after."""
    before, after = checks_us
    made = [
        f"Measured on {made_on.isoformat()}: {machine()}.",
        remark(turns),
        f"Checking one Ed25519 signature took {before:.0f} us before and {after:.0f} us after; "
        f"{SIGNATURE_US_QUIET} us are usual on such a machine if it is left alone.",
    ]
    return "\n".join([*found.lines, "", " ".join(filter(None, made))])


def fan_out(found: FanOut) -> Finding:
    """Report fan-out. The headline ratio is the smaller one of the two."""
    single, bare = found.ratio(found.gateway_single), found.ratio(found.bare)
    rows = [
        ("this gateway", found.gateway, ""),
        ("this gateway, `max_batch_events` 1", found.gateway_single, _times(single)),
        ("bare `grpc.aio`, one message per write", found.bare, _times(bare)),
    ]
    lines = [
        f"| {fanning_out.STREAMS:,} streams of everything | deliveries/s | gateway is "
        "| events in a message | its cores busy | clients' |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_fan_out_row(*it) for it in rows),
        "",
        "From the first posting to the last arrival, with posting as fast as webhooks are "
        "accepted. One gRPC client with generated stubs listens beside. The bare server receives "
        "and stores nothing: its messages lie ready in memory.",
    ]
    rate = Spread.of([turn.rate for turn in found.gateway])
    return Finding(
        {
            "feed_deliveries_per_s_1000": round(rate.median),
            "feed_of_message_per_write": round(min(single.median, bare.median), 2),
        },
        lines,
    )


def _fan_out_row(title: str, turns: Sequence[Turn], ratio: str) -> str:
    return row(
        title,
        spread_text([turn.rate for turn in turns], ",.0f"),
        ratio,
        spread_text([turn.per_message for turn in turns], ",.0f"),
        spread_text([turn.server_busy for turn in turns], ".2f"),
        spread_text([turn.reader_busy for turn in turns], ".2f"),
    )


def delays(found: Delays, headline: Subscribers) -> Finding:
    """Report delays."""
    lines = [
        f"| {delay.RATE:,} events/s | deliveries/s | p50 | p99 | poster late, p99 "
        "| gateway's cores busy | clients' |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(delay_row(_who(who), turns) for who, turns in found.turns.items()),
        "",
        "From the moment a webhook is sent to the moment its event has been read, for every event "
        "at every subscriber. Posting goes on at its rate whatever the answers do: where the "
        "gateway cannot follow, delays grow as long as it lasts.",
    ]
    p99 = found.spread(headline, "p99").median
    return Finding({f"feed_p99_ms_{headline.streams}": round(p99 * 1e3, 2)}, lines)


def _who(who: Subscribers) -> str:
    plural = "" if who.streams == 1 else "s"
    kind = "to one conference each" if who.filtered else "to everything"
    return f"{who.streams:,} subscriber{plural} {kind}"


def delay_row(title: str, turns: Sequence[DelayTurn]) -> str:
    """Return the row of a table of delays, which begins with a title."""
    return row(
        title,
        spread_text([turn.rate for turn in turns], ",.0f"),
        spread_text([turn.lags.p50 * 1e3 for turn in turns], ".1f") + " ms",
        spread_text([turn.lags.p99 * 1e3 for turn in turns], ".1f") + " ms",
        spread_text([turn.poster_late_p99 * 1e3 for turn in turns], ".1f") + " ms",
        spread_text([turn.server_busy for turn in turns], ".2f"),
        spread_text([turn.reader_busy for turn in turns], ".2f"),
    )


def ingest(found: Ingest) -> Finding:
    """Report ingest."""
    of_floor = found.of_floor
    lines = [
        "| webhooks in | webhooks/s | of the floor | cores busy |",
        "| --- | --- | --- | --- |",
        _ingest_row("this gateway", found.gateway, text_of(of_floor, ".3f")),
        _ingest_row("floor: bare ASGI, signature and group commit only", found.floor, "1"),
        "",
        "Posted over as many connections as a busy provider has open, one after the other on each. "
        "The floor decodes nothing: it stores the signed bytes under a counted id.",
    ]
    rate = Spread.of([turn.rate for turn in found.gateway]).median
    return Finding(
        {"ingest_per_s": round(rate), "ingest_of_floor": round(of_floor.median, 3)}, lines
    )


def _ingest_row(title: str, turns: Sequence[IngestTurn], ratio: str) -> str:
    return row(
        title,
        spread_text([turn.rate for turn in turns], ",.0f"),
        ratio,
        spread_text([turn.busy for turn in turns], ".2f"),
    )


def idle(found: Idle | None) -> Finding:
    """Report memory."""
    if found is None:
        return Finding({}, ["Memory of processes is not known on this system."])
    before, after = (value / 2**20 for value in (found.before, found.after))
    return Finding(
        {"feed_kib_per_idle_stream": round(found.kib_per_stream, 1)},
        [
            f"**{IDLE_STREAMS:,} idle streams** take {found.kib_per_stream:.1f} KiB each: the "
            f"whole process grows from {before:.1f} to {after:.1f} MiB, after others had been "
            "opened and closed.",
        ],
    )


def slow_readers(found: slow.SlowReaders) -> Finding:
    """Report what slow readers cost."""
    tax = found.tax
    lines = [
        f"| {slow.HEALTHY} healthy readers, {slow.RATE} events/s | p50 | p99 |",
        "| --- | --- | --- |",
        _slow_row("alone", found.alone),
        _slow_row(f"beside {slow.STALLED} stalled ones", found.beside),
        "",
        f"p99 beside stalled readers is x {text_of(tax, '.2f')} of that alone. The stalled ones "
        "come on top of the healthy, opened their streams and read no more; more events had been "
        "posted than their windows take. Afterwards they read on, and got everything.",
    ]
    return Finding({"feed_slow_reader_tax": round(tax.median, 3)}, lines)


def _slow_row(title: str, turns: Sequence[DelayTurn]) -> str:
    return row(
        title,
        spread_text([turn.lags.p50 * 1e3 for turn in turns], ".2f") + " ms",
        spread_text([turn.lags.p99 * 1e3 for turn in turns], ".2f") + " ms",
    )


def catch_up(found: catching_up.CatchUp) -> Finding:
    """Report catching up."""
    lines = [
        f"| from the beginning of a log of {found.events:,} events | events/s in all |",
        "| --- | --- |",
        row("1 stream, all of it", text_of(found.alone, ",.0f")),
        row(f"{catching_up.TOGETHER} streams at once", text_of(found.together, ",.0f")),
        "",
        "Read from the file, with the batches that a client gets that asks for none; compared with "
        f"what was stored, byte for byte. The gateway kept {found.busy:.2f} cores busy.",
    ]
    return Finding({"feed_catch_up_events_per_s": round(found.alone.median)}, lines)


def rare_filter(found: rare.RareFilter) -> Finding:
    """Report rare filters. The headline is the slower of the two ways to search."""
    tax = found.tax
    slower = max(found.page_ms, found.catch_up_ms, key=lambda it: it.median)
    lines = [
        f"| {rare.MATCHING} of {rare.EVENTS:,} events match | the log takes |",
        "| --- | --- |",
        row("a page", text_of(found.page_ms, ".2f") + " ms"),
        row("catching up", text_of(found.catch_up_ms, ".2f") + " ms"),
        "",
        f"| {rare.HEALTHY} live streams, {rare.RATE} events/s | p50 | p99 |",
        "| --- | --- | --- |",
        _slow_row("alone", found.alone),
        _slow_row(f"beside {rare.SEARCHERS} programs that search", found.beside),
        "",
        f"p99 beside searches is x {text_of(tax, '.2f')} of that alone; between turns that are all "
        f"alone it is x {text_of(found.noise, '.2f')}. Each program lists what "
        f"matches, or catches up with it, and pauses for {rare.PAUSE_S} s: {found.searches:,} "
        "searches, each of which found all that matches."
        + (
            " Poster and readers go before others on the core that they share with these programs."
            if found.goes_first
            else ""
        ),
    ]
    return Finding(
        {
            "feed_rare_filter_ms": round(slower.median, 2),
            "feed_scan_tax": round(tax.median, 3),
        },
        lines,
    )


def resume(found: resuming.Resume) -> Finding:
    """Report coming back."""
    fewest, most = found.missed
    return Finding(
        {"feed_resume_1000_s": round(found.seconds.median, 2)},
        [
            f"**{resuming.STREAMS:,} streams resume** after the gateway was killed and started "
            f"again: {text_of(found.seconds, '.2f')} s from its listening until the last one has "
            f"everything. Each had missed {fewest:,} to {most:,} events and comes back with its "
            f"own cursor, all at once: {found.deliveries:,} deliveries, nothing lost, nothing "
            "twice.",
        ],
    )


def _times(spread: Spread) -> str:
    return f"x {text_of(spread, '.1f')}"
