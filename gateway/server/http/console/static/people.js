// People of a conference, and what is said of each.
import { h } from "./dom.js";

/** Return what stands beside a person: a tag for each thing that is not as usual. */
export function tags(person) {
  return [
    person.speaking && h("span", { class: "tag speaking" }, "speaking"),
    person.muted && h("span", { class: "tag muted" }, "muted"),
    person.on_hold && h("span", { class: "tag hold" }, "on hold"),
    person.role && h("span", { class: "tag" }, person.role),
  ];
}

/**
 * Return the people: as the provider has them if it has told, else as the events tell.
 *
 * The provider knows neither roles nor the floor. What is watched knows them since it was opened, and
 * the board for longer.
 */
export function peopleOf(board, state) {
  const known = new Map((board?.people ?? []).map((it) => [it.call, it]));
  if (!state) return [...known.values()];
  const floor = board?.people.find((it) => it.has_floor)?.call ?? state.floor_call_control_id;
  return (state.participants ?? [])
    .filter((it) => it.participant.status === "PARTICIPANT_STATUS_JOINED")
    .map((it) => {
      const call = it.participant.call_control_id;
      const seen = known.get(call);
      const muted = it.participant.muted ?? false;
      const on_hold = it.participant.on_hold ?? false;
      return {
        call,
        since: seen?.since ?? (Date.parse(it.participant.created_at ?? it.participant.updated_at) || null),
        muted,
        on_hold,
        has_floor: floor === call,
        speaking: floor === call && !muted && !on_hold,
        role: roleOf(it.supervisor_role) ?? seen?.role ?? "",
      };
    });
}

/** Return a role as it is shown, an empty text for an ordinary participant, nothing if unknown. */
function roleOf(name) {
  if (!name) return undefined;
  const role = name.replace("SUPERVISOR_ROLE_", "").toLowerCase();
  return role === "none" ? "" : role;
}
