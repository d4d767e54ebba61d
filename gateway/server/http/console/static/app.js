// Which view is shown, and the line that says how the connection is.
import { connect, listen, model } from "./model.js";
import { showNow } from "./now.js";
import { showConference } from "./conference.js";
import { showEvents } from "./events.js";
import { showCharts } from "./charts.js";
import { showHealth } from "./health.js";
import { goToPlace, keepPlaces } from "./place.js";

const VIEWS = {
  now: ["Now", showNow],
  conference: ["Conference", showConference],
  events: ["Events", showEvents],
  charts: ["Charts", showCharts],
  health: ["Health", showHealth],
};

const main = document.getElementById("main");
let leave = () => {};

function route() {
  leave();
  const [, name, ...rest] = location.hash.split("/");
  const [title, show] = VIEWS[name] ?? VIEWS.now;
  main.replaceChildren();
  leave = show(main, decodeURIComponent(rest.join("/"))) ?? (() => {});
  document.title = `${title} · telnyx-gateway`;
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent = link.getAttribute("href") === `#/${VIEWS[name] ? name : "now"}`;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showLink() {
  const link = document.getElementById("link");
  const { vitals } = model;
  const troubles = vitals?.health.reasons ?? [];
  link.classList.toggle("bad", !model.connected || troubles.length > 0);
  const text = !model.connected ? "no connection to the gateway; retrying …"
    : vitals && !vitals.live ? "reading the log …"
    : troubles.length ? `not ready: ${troubles.join("; ")}`
    : "live";
  if (link.textContent !== text) link.textContent = text;
  if (model.hello) document.getElementById("version").textContent = model.hello.version;
}

listen(showLink);
addEventListener("hashchange", () => { route(); goToPlace(main); });
document.querySelector(".skip").addEventListener("click", (it) => {
  // Its address is that of no view.
  it.preventDefault();
  main.focus();
});
keepPlaces();
route();
connect();
