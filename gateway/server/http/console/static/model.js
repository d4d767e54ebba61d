// What the gateway has told: one stream of state, taken in piece by piece.

const EVENTS_MAX = 500;
const SAMPLES_MAX = 360;

export const model = {
  hello: null,
  connected: false,
  conferences: new Map(),
  queues: new Map(),
  events: [],
  skipped: 0,
  samples: [],
  vitals: null,
};

const listeners = new Set();

/** Have `listener` called with what has changed, by name; returns what ends that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function told(...names) {
  for (const listener of listeners) listener(new Set(names));
}

/** Take in one message of the stream. */
export function takeIn(message) {
  const changed = [];
  if (message.hello) {
    model.hello = message.hello;
    // All of them follow.
    model.samples.length = 0;
    changed.push("hello");
  }
  if (message.whole) {
    model.conferences.clear();
    model.queues.clear();
    changed.push("board");
  }
  for (const it of message.conferences ?? []) model.conferences.set(it.id, it);
  for (const it of message.queues ?? []) model.queues.set(it.name, it);
  for (const [kind, name] of message.gone ?? []) {
    (kind === "conference" ? model.conferences : model.queues).delete(name);
  }
  if (message.conferences || message.queues || message.gone) changed.push("board");
  if (message.skipped) model.skipped += message.skipped;
  if (message.events) {
    model.events.push(...message.events);
    model.events.splice(0, model.events.length - EVENTS_MAX);
    changed.push("events");
  }
  if (message.vitals) {
    const { samples, ...vitals } = message.vitals;
    model.vitals = vitals;
    model.samples.push(...samples);
    model.samples.splice(0, model.samples.length - SAMPLES_MAX);
    changed.push("vitals");
  }
  if (changed.length) told(...changed);
}

// A browser opens a stream again that breaks, but not one that was refused: then somebody is not let
// in, or a proxy has nobody behind it, which both may change.
const REFUSED_AGAIN_MS = 2_000;

/**
 * Have `take` called with each message of a stream, and `heard` with whether it is open; returns what
 * ends that.
 */
export function follow(path, take, heard = () => {}) {
  let source;
  let timer;
  function open() {
    source = new EventSource(path);
    source.addEventListener("open", () => heard(true));
    source.addEventListener("message", (it) => take(JSON.parse(it.data)));
    source.addEventListener("error", () => {
      heard(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, REFUSED_AGAIN_MS);
    });
  }
  open();
  return () => { clearTimeout(timer); source.close(); };
}

/** Open the stream of state, for good. */
export function connect() {
  follow("/console/stream", takeIn, (isOpen) => { model.connected = isOpen; told("link"); });
}
