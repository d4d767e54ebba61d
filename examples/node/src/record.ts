// What a subscriber keeps: the ids of the events that it handled, and the cursor after them.

import { closeSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";

interface Entry {
  cursor: string;
  ids: string[];
}

/**
 * A line of JSON for each response, added in one write: so effects and cursor are never apart, and
 * the last whole line is the truth. In a database this is one transaction, and `seen` is a unique
 * key on the id.
 */
export class Record {
  cursor = "";
  readonly seen = new Set<string>();
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a", 0o600);
    const text = readFileSync(path);
    // A line without an end was cut off by a crash: what it says comes again.
    const whole = text.subarray(0, text.lastIndexOf("\n") + 1);
    truncateSync(path, whole.length);
    for (const line of whole.toString().split("\n")) {
      if (line) this.#take(JSON.parse(line));
    }
  }

  /** Keep the ids that are new, in their order, and the cursor, and have them on disk. */
  add(ids: Iterable<string>, cursor: string): void {
    const fresh = [...new Set(ids)].filter((id) => !this.seen.has(id));
    if (fresh.length === 0 && cursor === this.cursor) return;
    const entry = { cursor, ids: fresh };
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
    this.#take(entry);
  }

  close(): void {
    closeSync(this.#file);
  }

  #take(entry: Entry): void {
    this.cursor = entry.cursor;
    for (const id of entry.ids) this.seen.add(id);
  }
}
