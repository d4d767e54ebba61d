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
  if (message.events) {
    model.events.push(...message.events);
    model.events.splice(0, model.events.length - EVENTS_MAX);
    changed.push("events");
  }
  if (message.skipped) model.skipped += message.skipped;
  if (message.vitals) {
    const { samples, ...vitals } = message.vitals;
    model.vitals = vitals;
    model.samples.push(...samples);
    model.samples.splice(0, model.samples.length - SAMPLES_MAX);
    changed.push("vitals");
  }
  if (changed.length) told(...changed);
}

/** Open the stream; the browser opens it again whenever it breaks. */
export function connect() {
  const source = new EventSource("/console/stream");
  source.addEventListener("open", () => { model.connected = true; told("link"); });
  source.addEventListener("error", () => { model.connected = false; told("link"); });
  source.addEventListener("message", (it) => takeIn(JSON.parse(it.data)));
}
