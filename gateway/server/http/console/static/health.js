// Whether the gateway works, and if not, why.
import { ago, h, replace } from "./dom.js";
import { listen, model } from "./model.js";

export function showHealth(main) {
  const place = h("div", { class: "scroll" });
  main.append(h("h2", {}, "Health"), place);
  function draw() {
    const health = model.vitals?.health;
    if (!health) { replace(place, h("p", {}, "Nothing is known yet.")); return; }
    replace(place, h("div", {},
      h("p", {}, h("span", { class: `tag ${health.ready ? "ok" : "bad"}` }, health.ready ? "ready" : "not ready"), " ", health.reasons.join("; ")),
      h("table", {},
        h("caption", {}, "Components"),
        h("thead", {}, h("tr", {}, ["Component", "State", "For", "Reason"].map((it) => h("th", { scope: "col" }, it)))),
        h("tbody", {}, health.components.map((it) => h("tr", {},
          h("th", { scope: "row" }, it.name.replaceAll("_", " ")),
          h("td", {}, h("span", { class: `tag ${it.ok ? "ok" : "bad"}` }, it.ok ? "works" : "does not work")),
          h("td", { class: "number" }, ago(Date.now() - it.for_s * 1000)),
          h("td", {}, it.reason ?? "")))))));
  }
  draw();
  return listen((changed) => { if (changed.has("vitals")) draw(); });
}
