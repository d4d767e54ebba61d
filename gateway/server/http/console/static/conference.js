// One conference: its people, its last events, the commands on it.
import { button } from "./commands.js";
import { clock, h, replace } from "./dom.js";
import { eventItem } from "./events.js";
import { listen, model } from "./model.js";
import { tick } from "./now.js";

/** Return the people: as the provider has them if it has told, else as the events tell. */
function peopleOf(board, state) {
  const known = new Map((board?.people ?? []).map((it) => [it.call, it]));
  if (!state) return [...known.values()];
  return (state.participants ?? [])
    .filter((it) => it.participant.status === "PARTICIPANT_STATUS_JOINED")
    .map((it) => {
      const call = it.participant.call_control_id;
      const seen = known.get(call);
      return {
        call,
        since: seen?.since ?? (Date.parse(it.participant.created_at ?? it.participant.updated_at) || null),
        muted: it.participant.muted ?? false,
        on_hold: it.participant.on_hold ?? false,
        speaking: state.floor_call_control_id === call,
        role: it.supervisor_role?.replace("SUPERVISOR_ROLE_", "").toLowerCase(),
      };
    });
}

function personRow(id, it) {
  const one = { conference_id: id, call_control_ids: [it.call] };
  return h("tr", {},
    h("th", { scope: "row", class: "id" }, it.call),
    h("td", { class: "number", "data-since": it.since }, it.since ? "…" : "–"),
    h("td", {},
      it.speaking && h("span", { class: "tag speaking" }, "speaking"), " ",
      it.muted && h("span", { class: "tag muted" }, "muted"), " ",
      it.on_hold && h("span", { class: "tag hold" }, "on hold"), " ",
      it.role && it.role !== "unspecified" && h("span", { class: "tag" }, it.role)),
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
    const ended = board?.ended || state?.conference?.status === "CONFERENCE_STATUS_COMPLETED";
    replace(facts, h("div", { class: "row" },
      h("span", {}, state?.conference?.name ? `“${state.conference.name}”` : ""),
      h("span", { class: `tag ${ended ? "" : "ok"}` }, ended ? "ended" : "open"),
      board && h("span", { class: "faint" }, `since ${clock(board.since)}`),
      (state?.recording ?? `RECORDING_STATE_${board?.recording}`) === "RECORDING_STATE_ACTIVE"
        && h("span", { class: "tag recording" }, "recording"),
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

  const source = new EventSource(`/console/conferences/${encodeURIComponent(id)}`);
  source.addEventListener("message", (it) => {
    const told = JSON.parse(it.data);
    if (told.state) {
      state = told.state;
      problem.replaceChildren();
      if (state.conference?.status === "CONFERENCE_STATUS_COMPLETED") source.close();
    }
    if (told.problem) {
      problem.replaceChildren(h("p", { class: "warning" }, `The provider does not say more: ${told.problem}`));
      source.close();
    }
    draw();
  });
  fetch(`/console/events?conference_id=${encodeURIComponent(id)}`).then(async (it) => {
    if (it.ok) { stored = (await it.json()).events; draw(); }
  });
  draw();
  const ended = listen((changed) => { if (changed.has("board") || changed.has("events")) draw(); });
  const timer = setInterval(() => tick(main), 1000);
  return () => { source.close(); ended(); clearInterval(timer); };
}
