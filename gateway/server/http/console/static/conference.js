// One conference: its people, its last events, the commands on it.
import { button } from "./commands.js";
import { clock, h, replace } from "./dom.js";
import { eventItem } from "./events.js";
import { follow, listen, model } from "./model.js";
import { tick } from "./now.js";
import { peopleOf, tags } from "./people.js";

function personRow(id, it) {
  const one = { conference_id: id, call_control_ids: [it.call] };
  return h("tr", {},
    h("th", { scope: "row", class: "id" }, it.call),
    h("td", { class: "number", "data-since": it.since }, it.since ? "…" : "–"),
    h("td", {}, h("div", { class: "row" }, tags(it),
      // Of whom somebody hears, the tag for speaking says it.
      it.has_floor && !it.speaking && h("span", { class: "tag" }, "spoke last"))),
    h("td", {}, h("div", { class: "row" },
      it.muted
        ? button("UnmuteParticipants", "Unmute", one, `Unmute ${it.call}?`)
        : button("MuteParticipants", "Mute", one, `Mute ${it.call}?`),
      it.on_hold
        ? button("UnholdParticipants", "Unhold", one, `Take ${it.call} off hold?`)
        : button("HoldParticipants", "Hold", one, `Put ${it.call} on hold?`))));
}

function timeline(board, events) {
  const commands = (board?.commands ?? []).map((it) => ({ at: it.at, made: () => h("li", {},
    h("span", { class: "number" }, clock(it.at)), h("span", {}, "command"), h("strong", {}, it.rpc),
    h("span", { class: "id" }, JSON.stringify(it.request))) }));
  const happened = events.map((it) => ({ at: it.at, made: () => eventItem(it) }));
  return [...commands, ...happened].sort((one, other) => other.at - one.at).slice(0, 100);
}

export function showConference(main, id) {
  const heading = h("h2", {}, "Conference ", h("span", { class: "id" }, id));
  const problem = h("div");
  const facts = h("div", { class: "row" });
  const people = h("div", { class: "scroll" });
  const story = h("div");
  main.append(h("p", {}, h("a", { href: "#/now" }, "← all conferences")), heading, problem, facts, people,
    h("h2", {}, "What happened"), story);
  let state = null;
  let stored = [];

  function draw() {
    const board = model.conferences.get(id);
    const found = peopleOf(board, state);
    const recording = state?.recording ?? `RECORDING_STATE_${board?.recording}`;
    const ended = board?.ended || state?.conference?.status === "CONFERENCE_STATUS_COMPLETED";
    replace(facts, h("div", { class: "row" },
      h("span", {}, state?.conference?.name ? `“${state.conference.name}”` : ""),
      h("span", { class: `tag ${ended ? "" : "ok"}` }, ended ? "ended" : "open"),
      board && h("span", { class: "faint" }, `since ${clock(board.since)}`),
      recording === "RECORDING_STATE_ACTIVE" && h("span", { class: "tag recording" }, "recording"),
      recording === "RECORDING_STATE_PAUSED" && h("span", { class: "tag look" }, "recording paused"),
      !ended && button("EndConference", "End", { conference_id: id }, "End the conference? Everybody is hung up.")));
    replace(people, h("table", {},
      h("caption", {}, state ? "People, as the provider has them" : "People, as the events tell"),
      h("thead", {}, h("tr", {}, ...["Call", "For", "State", "Commands"].map((it) => h("th", { scope: "col" }, it)))),
      h("tbody", {}, found.length ? found.map((it) => personRow(id, it)) : h("tr", {}, h("td", { colspan: 4 }, "Nobody is in it.")))));
    const fresh = model.events.filter((it) => it.conference === id);
    const all = new Map([...stored, ...fresh].map((it) => [it.sequence, it]));
    replace(story, h("ol", { class: "feed" }, timeline(board, [...all.values()]).map((it) => it.made())));
    tick(main);
  }

  const leave = follow(`/console/conferences/${encodeURIComponent(id)}`, (told) => {
    if (told.state) {
      state = told.state;
      problem.replaceChildren();
      if (state.conference?.status === "CONFERENCE_STATUS_COMPLETED") leave();
    }
    if (told.problem) {
      problem.replaceChildren(h("p", { class: "warning" }, `The provider does not say more: ${told.problem}`));
      leave();
    }
    draw();
  });
  fetch(`/console/events?conference_id=${encodeURIComponent(id)}`).then(async (it) => {
    if (it.ok) { stored = (await it.json()).events; draw(); }
  });
  draw();
  const ended = listen((changed) => { if (changed.has("board") || changed.has("events")) draw(); });
  const timer = setInterval(() => tick(main), 1000);
  return () => { leave(); ended(); clearInterval(timer); };
}
