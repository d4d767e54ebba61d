"""The tables of the feed with its log in a stream, for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from bench.feed import delay
from bench.feed.delay import Delays, Subscribers
from bench.feed.fan_out import STREAMS
from bench.feed.finding import Finding
from bench.feed.jetstream import ingest as ingesting
from bench.feed.jetstream.ingest import NatsIngest
from bench.feed.jetstream.replicas import Split, SplitTurn
from bench.feed.jetstream.restarts import GATEWAYS, Restarts
from bench.feed.jetstream.travelling import CUT, OK, UNAVAILABLE
from bench.feed.report import delay_row
from bench.feed.tables import row, spread_text, text_of
from bench.rounds import Spread


def nats_ingest(found: NatsIngest) -> Finding:
    """Report ingest. Ratios are of the file's rate, and of the library's alone."""
    one = found.ratio(ingesting.ONE, ingesting.SQLITE)
    three = found.ratio(ingesting.THREE, ingesting.SQLITE)
    of_floor = found.ratio(ingesting.ONE, ingesting.FLOOR)
    of_singles = found.ratio(ingesting.ONE, ingesting.SINGLES)
    appends = found.ratio(ingesting.APPENDS, ingesting.FLOOR)
    file = found.ratio(ingesting.SQLITE, ingesting.FLOOR)
    titles = {
        ingesting.SQLITE: ("this gateway, SQLite", "1"),
        ingesting.ONE: ("this gateway, a stream of one server", text_of(one, ".3f")),
        ingesting.THREE: ("this gateway, a stream of three servers", text_of(three, ".3f")),
        ingesting.APPENDS: ("the log of the second one alone, no webhooks", ""),
        ingesting.FLOOR: ("floor: nats-py alone, one server, in batches", ""),
        ingesting.SINGLES: ("nats-py alone, one server, one by one", ""),
    }
    lines = [
        "| events in | events/s | of SQLite | cores busy |",
        "| --- | --- | --- | --- |",
        *(
            row(
                title,
                text_of(found.rate(name), ",.0f"),
                ratio,
                spread_text([it.busy for it in found.turns[name]], ".2f"),
            )
            for name, (title, ratio) in titles.items()
        ),
        "",
        "Servers sync each message before they acknowledge it (`sync_interval: always`), and share"
        " the cores with gateway and poster; the busy cores are the gateway's own. The floor sends"
        " the same messages in batches of as many as are under way in the gateway, without HTTP,"
        f" signatures and an index: the gateway takes {text_of(of_floor, '.3f')} of it, and its log"
        f" without webhooks, but with its index, {text_of(appends, '.3f')}. With a file instead of"
        f" a stream it takes {text_of(file, '.3f')} of that floor: more than that no stream can"
        " bring it to. One by one, with as many acknowledgements as there are events and as many at"
        " the same time as webhooks, nats-py alone does what a program does that gathers nothing:"
        f" the gateway takes {text_of(of_singles, '.3f')} of that.",
    ]
    return Finding(
        {
            "ingest_nats_of_sqlite": round(one.median, 3),
            "ingest_nats3_of_sqlite": round(three.median, 3),
            "ingest_nats_of_floor": round(of_floor.median, 3),
            "append_nats_of_floor": round(appends.median, 3),
            "ingest_nats_of_single_appends": round(of_singles.median, 3),
        },
        lines,
    )


def nats_delay(found: Mapping[str, Delays], who: Subscribers) -> Finding:
    """Report delays."""
    spreads = {name: delays.spread(who, "p99") for name, delays in found.items()}
    pairs = zip(found["jetstream"].turns[who], found["sqlite"].turns[who], strict=True)
    ratio = Spread.of([mine.lags.p99 / theirs.lags.p99 for mine, theirs in pairs])
    lines = [
        f"| {delay.RATE:,} events/s | deliveries/s | p50 | p99 | poster late, p99 "
        "| gateway's cores busy | clients' |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            delay_row(f"{who.streams} subscribers, {name}", delays.turns[who])
            for name, delays in found.items()
        ),
        "",
        f"p99 with the log in a stream of one server is x {text_of(ratio, '.2f')} of that with the"
        " log in a file.",
    ]
    return Finding(
        {
            f"feed_nats_p99_ms_{who.streams}": round(spreads["jetstream"].median * 1e3, 2),
            "feed_nats_p99_of_sqlite": round(ratio.median, 3),
        },
        lines,
    )


def replicas(found: Split) -> Finding:
    """Report fan-out of two."""
    ratio = found.ratio
    lines = [
        f"| {STREAMS:,} streams of everything, one stream of NATS | deliveries/s | of one "
        "| gateways' cores busy | clients' |",
        "| --- | --- | --- | --- | --- |",
        _split_row("all at one gateway", found.turns[1], "1"),
        _split_row("half of them at a second gateway", found.turns[2], text_of(ratio, ".2f")),
        "",
        "Both gateways run in both cases, follow the stream and share two cores with the server,"
        " the poster and the clients. So two cannot be twice as quick as one here: the figure shows"
        " what the second one's own work costs, not what a second machine brings.",
    ]
    return Finding({"feed_two_replicas_of_one": round(ratio.median, 3)}, lines)


def _split_row(title: str, turns: Sequence[SplitTurn], ratio: str) -> str:
    return row(
        title,
        spread_text([it.rate for it in turns], ",.0f"),
        ratio,
        spread_text([it.gateways_busy for it in turns], ".2f"),
        spread_text([it.reader_busy for it in turns], ".2f"),
    )


def filling(found: Spread, events: int) -> Finding:
    """Report filling an empty index."""
    return Finding(
        {"index_catch_up_events_per_s": round(found.median)},
        [
            f"**An empty index** gets {text_of(found, ',.0f')} events/s of a stream of {events:,}:"
            " from opening the log until it has what the stream had. The server syncs, and runs on"
            " the same cores.",
        ],
    )


def restarts(of_each: Sequence[Restarts]) -> Finding:
    """Report how long subscribers got nothing while gateways were replaced."""
    carried = [it for it in of_each if it.turns]
    turns = [turn for it in carried for turn in it.turns]
    ends: Counter[str] = sum((Counter(it.ends) for it in turns), Counter())
    calls: Counter[str] = sum((Counter(it.calls) for it in turns), Counter())
    failed = ", ".join(f"{count} {name}" for name, count in calls.items() if name != "OK")
    lines = [
        f"| {GATEWAYS} gateways are replaced, no event for | the unluckiest | half, at the most"
        " | the unluckiest before | no webhook stored for |",
        "| --- | --- | --- | --- | --- |",
        *(_restarts_row(it) for it in carried),
        "",
        "One gateway after the other ends as an operator ends it and is started again, when the one"
        " before is up with the stream; three servers keep the stream and sync. A subscriber whose"
        " stream ends goes on with its cursor at another gateway. A webhook that is not accepted"
        f" is sent to the next gateway ({sum(it.posted_again for it in turns):,} were, in"
        f" {len(turns)} turns). Every subscriber got every event, once and in order. Streams ended"
        f" {ends[OK]:,} times with OK, {ends[UNAVAILABLE]:,} with UNAVAILABLE and {ends[CUT]:,} by"
        f" their connection. Beside them {sum(calls.values()):,} commands and queries were called,"
        " by a client that does not try again: "
        + (f"{failed}, and no other status." if failed else "all succeeded."),
    ]
    if all(it.goes_first for it in turns):
        lines[-1] += (
            " The process of all subscribers goes before others, because its waits for a core would"
            " be counted as the gateways'."
        )
    for it in of_each:
        if it.not_carried:
            rates = " and ".join(f"{rate:,.0f}" for rate in it.not_carried)
            lines += [
                "",
                f"With {_whom(it.who)} {rates} events/s were tried first: the machine, which"
                " servers, gateways, subscribers and the poster share, does not carry so many even"
                " while nothing is replaced.",
            ]
    figures: dict[str, float] = {}
    for it in carried:
        name = "replicas_restart" if it.who.filtered else "replicas_restart_of_everything"
        figures[f"{name}_gap_s"] = round(it.gap.median, 3)
        figures[f"{name}_events_per_s"] = it.turns[0].rate
    return Finding(figures, lines)


def _whom(who: Subscribers) -> str:
    return f"{who.streams} subscribers of {'a conference each' if who.filtered else 'everything'}"


def _restarts_row(found: Restarts) -> str:
    turns = found.turns
    return row(
        f"{turns[0].rate:,.0f} events/s, {_whom(found.who)}",
        _seconds(found.gap),
        _seconds(_medians([it.pauses for it in turns])),
        _seconds(Spread.of([max(it.before) for it in turns])),
        _seconds(Spread.of([it.not_stored_s for it in turns])),
    )


def _medians(of: Sequence[Sequence[float]]) -> Spread:
    return Spread.of([median(it) for it in of])


def _seconds(of: Spread) -> str:
    return f"{text_of(of, '.2f')} s"
