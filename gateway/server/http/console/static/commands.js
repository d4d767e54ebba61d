// Commands, each with a confirmation.
import { confirmed, h, say } from "./dom.js";
import { model } from "./model.js";

/** Send a command after the user has confirmed it. */
export async function send(rpc, request, question, yes) {
  if (!await confirmed(question, yes)) return;
  try {
    const response = await fetch("/console/commands", {
      method: "POST",
      headers: { "content-type": "application/json", "x-console": "1" },
      body: JSON.stringify({ rpc, request }),
    });
    const body = await response.json();
    say(response.ok ? `${rpc}: done` : `${rpc}: ${body.error.message}`);
  } catch (error) {
    say(`${rpc}: ${error.message}`);
  }
}

/** Return a button for a command, or nothing if the user may not send it. */
export function button(rpc, label, request, question) {
  if (!model.hello?.may.includes(rpc)) return null;
  const key = `${rpc} ${JSON.stringify(request)}`;
  return h("button", { type: "button", "data-key": key, onclick: () => send(rpc, request, question, label) }, label);
}
