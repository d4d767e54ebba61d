// Follow the feed for ever, and handle each event once.
//
//	node dist/src/follow.js [options] --state FILE

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type ServiceError, status } from "@grpc/grpc-js";
import {
  drainReasonToJSON,
  EventServiceClient,
  GapPolicy,
  gapReasonToJSON,
  Position,
  SubscribeRequest,
  type SubscribeResponse,
} from "../gen/conferencing/v1/event_service.js";
import { channelCredentials, OPTIONS } from "./connecting.js";
import { failureOf, told } from "./failure.js";
import { Record } from "./record.js";

// Between a break and the next attempt; each is twice the one before. Somebody waits for the events.
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 1_000;

const { values } = parseArgs({
  options: {
    ...OPTIONS,
    state: { type: "string" }, // file to keep ids and cursor in
    // When events are no longer stored: stop, or go on with the oldest or newest event.
    "on-loss": { type: "string", default: "stop" },
    silence: { type: "string", default: "45" }, // seconds after which to reconnect
    until: { type: "string", default: "Infinity" }, // stop when there are so many events
  },
});
const onLoss = values["on-loss"];
const silenceMs = Number(values.silence) * 1_000;

class Stopped extends Error {}

async function follow(client: EventServiceClient, record: Record, stop: AbortSignal) {
  let pause = FIRST_PAUSE_MS;
  const enough = () => record.seen.size >= Number(values.until);
  while (!enough()) {
    try {
      for await (const response of responses(client, start(record), stop)) {
        pause = FIRST_PAUSE_MS;
        report(response);
        // What a response held is kept before the next one is looked at.
        record.add(response.events.map((it) => it.id), response.cursor);
        if (enough()) return;
      }
    } catch (error) {
      if (stop.aborted) throw new Stopped("stopped");
      const wait = afterFailure(error, record, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      await sleep(wait, undefined, { signal: stop }).catch(() => {
        throw new Stopped("stopped");
      });
    }
  }
}

/** Yield the responses of one stream, which is cancelled when it is left, stopped or silent. */
async function* responses(
  client: EventServiceClient,
  request: SubscribeRequest,
  stop: AbortSignal,
): AsyncGenerator<SubscribeResponse> {
  const stream = client.subscribe(request);
  // A stream that is cancelled after its reader has left has nobody to tell.
  stream.on("error", () => {});
  const cancel = () => stream.cancel();
  stop.addEventListener("abort", cancel);
  // Heartbeats come more often than that: a silent connection is dead.
  const watchdog = setTimeout(cancel, silenceMs);
  try {
    for await (const response of stream) {
      watchdog.refresh();
      yield response;
    }
  } finally {
    clearTimeout(watchdog);
    stop.removeEventListener("abort", cancel);
    cancel();
  }
}

/** Return how long to pause before the next attempt, in ms; throw what a retry cannot mend. */
function afterFailure(error: unknown, record: Record, pause: number): number {
  if (!(error instanceof Error && "code" in error && typeof error.code === "number")) throw error;
  const failure = failureOf(error as ServiceError);
  switch (failure.code) {
    case status.OUT_OF_RANGE:
      console.error(lost(failure.reason, failure.metadata.missed_events));
      if (onLoss !== "newest") throw new Error("start anew with --on-loss oldest or newest");
      record.add([], failure.metadata.newest_cursor);
      return 0;
    case status.CANCELLED: // by the watchdog
      console.error(`nothing came for ${values.silence} s, subscribing again`);
      return 0;
    case status.RESOURCE_EXHAUSTED:
      // A limit of the gateway's passes, one of the library's does not.
      if (!failure.reason) throw error;
      break;
    case status.UNKNOWN:
      if (failure.reason) throw error;
      break;
    case status.UNAVAILABLE:
      break;
    default:
      throw error;
  }
  const wait = Math.max(pause, failure.retryAfterMs ?? 0);
  console.error(`no stream (${failure.message}), again in ${wait} ms`);
  return wait;
}

function start(record: Record): SubscribeRequest {
  const intervalMs = silenceMs / 3;
  return SubscribeRequest.fromPartial({
    heartbeatInterval: {
      seconds: Math.floor(intervalMs / 1e3),
      nanos: Math.floor((intervalMs % 1e3) * 1e6),
    },
    onGap: onLoss === "oldest" ? GapPolicy.GAP_POLICY_CONTINUE : GapPolicy.GAP_POLICY_FAIL,
    start: record.cursor
      ? { $case: "afterCursor", value: record.cursor }
      : { $case: "position", value: Position.POSITION_EARLIEST },
  });
}

/** Say what has happened to the stream; events are handled by the record alone. */
function report({ gap, drain }: SubscribeResponse): void {
  if (gap !== undefined) {
    const reason = gapReasonToJSON(gap.reason).replace("GAP_REASON_", "");
    console.error(lost(reason, gap.missedEvents ? String(gap.missedEvents) : undefined));
  }
  if (drain !== undefined) {
    const why = drainReasonToJSON(drain.reason).replace("DRAIN_REASON_", "");
    console.error(`drained: ${why}, subscribing again`);
  }
}

/** A loss in words. Whatever was derived from the events may be wrong now. */
function lost(reason: string, missed: string | undefined): string {
  return `lost: ${missed ?? "an unknown number of"} events (${reason})`;
}

async function main(): Promise<void> {
  if (values.state === undefined) throw new Error("--state says where to keep ids and cursor");
  const credentials = channelCredentials(values["tls-ca"], values["token-file"]);
  // By default gRPC waits up to two minutes before it connects again.
  const client = new EventServiceClient(values.address, credentials, {
    "grpc.initial_reconnect_backoff_ms": FIRST_PAUSE_MS,
    "grpc.max_reconnect_backoff_ms": LONGEST_PAUSE_MS,
  });
  const record = new Record(values.state);
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  try {
    await follow(client, record, stop.signal);
  } finally {
    client.close();
    record.close();
  }
}

main().catch((error: Error | ServiceError) => {
  if (error instanceof Stopped) return console.error(error.message);
  const isStatus = "code" in error && typeof error.code === "number";
  console.error(isStatus ? told(failureOf(error as ServiceError)) : error.message);
  process.exitCode = 1;
});
