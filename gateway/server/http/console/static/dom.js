// Making elements: text goes in as text, never as markup.

/** Return an element with attributes and children; a function under `on…` listens. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((it) => it !== null && it !== undefined && it !== false));
  return made;
}

/** Put `made` into `place` instead of what is there, unless it looks the same; keeps the focus. */
export function replace(place, made) {
  if (place.firstElementChild?.outerHTML === made.outerHTML) return;
  const key = document.activeElement?.closest?.("[data-key]")?.dataset.key;
  const had = key !== undefined && place.contains(document.activeElement);
  place.replaceChildren(made);
  if (had) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour12: false });
}

/** Return how long ago a moment was: `4 min 10 s`. */
export function ago(ms, now = Date.now()) {
  let left = Math.max(0, Math.round((now - ms) / 1000));
  const parts = [];
  for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(left / unit);
    left -= count * unit;
    if (count || parts.length) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

let hiding;
/** Tell the user something for a while. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { said.hidden = true; }, 6000);
}

/** Ask the user; resolves to whether the answer is yes. */
export function confirmed(text, yes) {
  // A dialog of its own for each question: one that is asked at once after another is answered
  // would hear of the other's close, which comes later.
  const dialog = h("dialog", { "aria-label": text },
    h("form", { method: "dialog" },
      h("p", {}, text),
      h("div", { class: "row" },
        h("button", { value: "yes" }, yes),
        h("button", { value: "no", autofocus: true }, "Cancel"))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
