// The last hour in charts, and who subscribes.
import { h, replace } from "./dom.js";
import { listen, model } from "./model.js";

const CHARTS = [
  ["webhooks_per_s", "Webhooks", "/s"], ["webhook_ms", "Time of a webhook, p99", "ms"],
  ["lag_ms", "Webhook to stream, p99", "ms"], ["calls_per_s", "RPCs", "/s"],
  ["requests_per_s", "Requests to the provider", "/s"], ["request_ms", "Time of a request, p99", "ms"],
  ["errors_per_s", "Errors of the provider", "/s"], ["refusals_per_s", "Refusals", "/s"], ["streams", "Open streams", ""],
];
const HOUR_MS = 3_600_000;

const SMALLEST = 0.01;

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < SMALLEST) return `< ${SMALLEST}`;
  const digits = value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 2 };
  return value.toLocaleString("en", digits);
}

function plot(name, samples, now) {
  const points = samples.filter((it) => it[name] !== null);
  const most = points.length ? Math.max(...points.map((it) => it[name])) : null;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 360 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("class", "plot");
  const places = points.map((it) => `${(360 * (1 - (now - it.at) / HOUR_MS)).toFixed(1)},${(96 - 92 * (most ? it[name] / most : 0)).toFixed(1)}`);
  // A line of one point is a dot only if it has an end.
  line.setAttribute("points", (places.length === 1 ? [places[0], places[0]] : places).join(" "));
  const axis = document.createElementNS(svg.namespaceURI, "line");
  for (const [key, value] of Object.entries({ class: "axis", x1: 0, x2: 360, y1: 99, y2: 99 })) axis.setAttribute(key, value);
  svg.append(axis, line);
  return [svg, most];
}

function chart([name, title, unit]) {
  const samples = model.samples;
  const [svg, most] = plot(name, samples, Date.now());
  const last = samples.at(-1)?.[name];
  return h("figure", {},
    h("figcaption", {}, h("strong", {}, title), h("span", { class: "number" }, `now ${shown(last)} ${unit}`)),
    svg, h("div", { class: "faint number" }, `highest of the last hour: ${shown(most)} ${unit}`));
}

function streams() {
  const found = model.vitals?.streams ?? [];
  return h("table", {},
    h("caption", {}, `Streams by caller; the newest event is #${model.vitals?.newest ?? "?"}`),
    h("thead", {}, h("tr", {}, ["Caller", "Streams", "Newest event looked at", "Behind"].map((it) => h("th", { scope: "col" }, it)))),
    h("tbody", {}, found.length ? found.map((it) => h("tr", {},
      h("th", { scope: "row" }, it.caller || "(no name)"), h("td", { class: "number" }, String(it.streams)),
      h("td", { class: "number" }, `#${model.vitals.newest - it.backlog}`),
      h("td", { class: "number" }, `${it.backlog} events`))) : h("tr", {}, h("td", { colspan: 4 }, "Nobody subscribes."))));
}

export function showCharts(main) {
  const charts = h("div");
  const table = h("div", { class: "scroll" });
  main.append(h("h2", {}, "The last hour"), charts, h("h2", {}, "Subscribers"), table);
  function draw() {
    replace(charts, h("div", { class: "charts" }, CHARTS.map(chart)));
    replace(table, streams());
  }
  draw();
  return listen((changed) => { if (changed.has("vitals")) draw(); });
}
