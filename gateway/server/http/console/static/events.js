// The feed as it flows, filtered, paused, and searched back in history.
import { clock, h } from "./dom.js";
import { listen, model } from "./model.js";

const SHOWN_MAX = 300;
const NAMES = { type: "type", conference_id: "conference", call_control_id: "call", queue_name: "queue" };

/** Return an event as an item of a list; its type opens it. */
export function eventItem(it) {
  const item = h("li", { "data-sequence": it.sequence },
    h("span", { class: "number faint" }, `#${it.sequence}`),
    h("span", { class: "number" }, clock(it.at)),
    h("span", {}, h("button", { type: "button", "aria-expanded": "false", "data-key": `event ${it.id}`, onclick: (event) => open(item, it.id, event.currentTarget) }, it.type)),
    h("span", { class: "id" }, [it.conference, it.call, it.queue].filter(Boolean).join("  ")));
  return item;
}

async function open(item, id, opener) {
  const shown = item.querySelector("pre");
  if (shown) {
    for (const it of item.querySelectorAll("pre")) it.remove();
    opener.setAttribute("aria-expanded", "false");
    return;
  }
  const response = await fetch(`/console/events/${encodeURIComponent(id)}`);
  const body = await response.json();
  const texts = response.ok
    ? [JSON.stringify(body.event, null, 2), body.raw || "(the signed bytes are not stored)"]
    : [body.error.message];
  for (const text of texts) {
    const pre = h("pre", { tabindex: "0", "aria-label": "event" }, text);
    pre.style.gridColumn = "1 / -1";
    item.append(pre);
  }
  opener.setAttribute("aria-expanded", "true");
}

function matches(event, wanted) {
  return Object.entries(wanted).every(([key, value]) => {
    const has = event[NAMES[key]] ?? "";
    return !value || (key === "type" && value.endsWith("*") ? has.startsWith(value.slice(0, -1)) : has === value);
  });
}

export function showEvents(main) {
  const inputs = Object.fromEntries(Object.keys(NAMES).map((key) => [key,
    h("input", { name: key, autocomplete: "off", onchange: () => search() })]));
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => toggle() }, "Pause");
  const older = h("button", { type: "button", onclick: () => more() }, "Older events");
  const list = h("ol", { class: "feed", "aria-label": "Events, newest first" });
  const note = h("p", { class: "faint", role: "status" });
  main.append(h("h2", {}, "Events"),
    h("div", { class: "row" }, Object.entries(inputs).map(([key, input]) => h("label", {}, `${NAMES[key]}${key === "type" ? " (call.* too)" : ""}`, input)), pause),
    note, list, older);
  let paused = false;
  let missed = 0;
  let skippedBefore = model.skipped;
  let tooFast = false;
  let before = null;
  let newest = 0;
  let asked = 0;

  const wanted = () => Object.fromEntries(Object.entries(inputs).map(([key, it]) => [key, it.value.trim()]));

  function toggle() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) { missed = 0; search(); }
    say();
  }

  function say() {
    note.textContent = paused ? `paused; ${missed} new`
      : tooFast ? "Some events came too fast to be shown here; a new search has them." : "";
  }

  async function page(position) {
    const query = new URLSearchParams(Object.entries(wanted()).filter(([, value]) => value));
    if (position) query.set("before", position);
    const mine = ++asked;
    const response = await fetch(`/console/events?${query}`);
    if (mine !== asked) return [];
    const body = await response.json();
    if (!response.ok) { note.textContent = body.error.message; return []; }
    before = body.before;
    older.hidden = before === null;
    return body.events;
  }

  async function search() {
    skippedBefore = model.skipped;
    tooFast = false;
    say();
    const events = await page(null);
    list.replaceChildren(...events.map(eventItem));
    newest = Math.max(newest, ...events.map((it) => it.sequence));
  }

  async function more() {
    const first = list.children.length;
    list.append(...(await page(before)).map(eventItem));
    list.children[first]?.querySelector("button")?.focus();
  }

  function flow(changed) {
    if (!changed.has("events")) return;
    if (model.skipped !== skippedBefore && !tooFast) { tooFast = true; say(); }
    const fresh = model.events.filter((it) => it.sequence > newest && matches(it, wanted()));
    if (model.events.length) newest = Math.max(newest, model.events.at(-1).sequence);
    if (!fresh.length) return;
    if (paused) { missed += fresh.length; say(); return; }
    list.prepend(...fresh.reverse().map((it) => { const item = eventItem(it); item.classList.add("new"); return item; }));
    while (list.children.length > SHOWN_MAX) list.lastElementChild.remove();
  }

  search();
  return listen(flow);
}
