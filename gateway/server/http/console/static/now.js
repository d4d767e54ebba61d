// All conferences and queues as they are now.
import { ago, h, replace } from "./dom.js";
import { listen, model } from "./model.js";
import { tags } from "./people.js";

const SHOWN_PEOPLE = 6;
const SHOWN_CONFERENCES = 500;

function card(it) {
  const others = it.people.length - SHOWN_PEOPLE;
  return h("li", { class: `card${it.ended ? " ended" : ""}`, "data-id": it.id },
    h("h3", {}, h("a", { href: `#/conference/${encodeURIComponent(it.id)}`, "data-key": it.id, class: "id" }, it.id)),
    h("div", { class: "row faint" },
      h("span", {}, `${it.people.length} ${it.people.length === 1 ? "person" : "people"}`),
      h("span", { class: "number", "data-since": it.ended ?? it.since }, `${it.ended ? "ended" : "for"} …`),
      it.recording === "ACTIVE" && h("span", { class: "tag recording" }, "recording"),
      it.recording === "PAUSED" && h("span", { class: "tag look" }, "recording paused"),
      it.recording === "SAVED" && h("span", { class: "tag" }, "recorded")),
    h("ul", {},
      it.people.slice(0, SHOWN_PEOPLE).map((one) => h("li", {}, h("span", { class: "id" }, one.call), tags(one))),
      others > 0 && h("li", { class: "faint" }, `and ${others} more`)));
}

function queue(it) {
  return h("li", { class: "card", "data-id": it.name },
    h("h3", {}, it.name),
    h("div", { class: "faint" }, `${it.waiting.length} waiting`),
    h("ol", {}, it.waiting.slice(0, 10).map((one) => h("li", {},
      h("span", { class: "id" }, one.call),
      h("span", { class: "faint number", "data-since": one.since }, "…")))));
}

/** Keep the items of a list as they are told, and touch only those that have changed. */
function keep(list, values, make, seen) {
  const wanted = new Set(values.map((it) => it.id ?? it.name));
  for (const item of [...list.children]) {
    if (!wanted.has(item.dataset.id)) { seen.delete(item.dataset.id); item.remove(); }
  }
  const items = new Map([...list.children].map((it) => [it.dataset.id, it]));
  values.forEach((value, place) => {
    const id = value.id ?? value.name;
    let item = items.get(id);
    if (seen.get(id) !== value) {
      const made = make(value);
      const key = item?.contains(document.activeElement) && document.activeElement.dataset.key;
      if (item) item.replaceWith(made); else made.classList.add("new");
      item = made;
      seen.set(id, value);
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
      if (key) item.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    } else if (list.children[place] !== item) {
      list.insertBefore(item, list.children[place] ?? null);
    }
  });
}

export function tick(place) {
  const now = Date.now();
  for (const it of place.querySelectorAll("[data-since]")) {
    const prefix = it.textContent.startsWith("ended") ? "ended " : it.textContent.startsWith("for") ? "for " : "";
    const text = `${prefix}${ago(Number(it.dataset.since), now)}${prefix === "ended " ? " ago" : ""}`;
    if (it.textContent !== text) it.textContent = text;
  }
}

export function showNow(main) {
  const summary = h("p", { class: "faint" });
  const queues = h("ul", { class: "cards" });
  const conferences = h("ul", { class: "cards" });
  const find = h("input", { type: "search", placeholder: "id or call", oninput: () => draw() });
  main.append(
    h("h2", {}, "Queues"), queues,
    h("h2", {}, "Conferences"),
    h("div", { class: "row" }, h("label", {}, "Find", find), summary), conferences);
  const seenQueues = new Map();
  const seenConferences = new Map();
  let due = false;

  function draw() {
    due = false;
    const text = find.value.trim();
    const all = [...model.conferences.values()].reverse();
    const open = all.filter((it) => !it.ended);
    const found = [...open, ...all.filter((it) => it.ended)].filter((it) => !text
      || it.id.includes(text) || it.people.some((one) => one.call.includes(text)));
    const people = open.reduce((sum, it) => sum + it.people.length, 0);
    const more = found.length > SHOWN_CONFERENCES ? `; ${found.length - SHOWN_CONFERENCES} are not shown: find them by id` : "";
    summary.textContent = `${open.length} open with ${people} people${more}`;
    keep(conferences, found.slice(0, SHOWN_CONFERENCES), card, seenConferences);
    keep(queues, [...model.queues.values()], queue, seenQueues);
    tick(main);
    for (const [list, words] of [[queues, "Nobody waits."], [conferences, "There is no conference."]]) {
      if (!list.children.length) replace(list, h("li", { class: "faint", "data-id": "" }, words));
    }
  }

  function soon(changed) {
    if (!due && changed.has("board")) { due = true; requestAnimationFrame(draw); }
  }

  draw();
  const ended = listen(soon);
  const timer = setInterval(() => tick(main), 1000);
  return () => { ended(); clearInterval(timer); };
}
