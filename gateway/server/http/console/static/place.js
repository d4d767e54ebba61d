// Where on a page the user is: a view that is opened begins at its top, below the header that stays,
// and one that is gone back to is where it was.

// How far down each entry of the browser's history was scrolled, and the link by which it was left,
// by a key in its state.
const tops = new Map();
const links = new Map();
let current;

function arrive() {
  if (!history.state?.place) history.replaceState({ place: Math.random().toString(36) }, "");
  current = history.state.place;
}

/** Begin to keep the places. The browser would put back what is not drawn yet. */
export function keepPlaces() {
  history.scrollRestoration = "manual";
  arrive();
  addEventListener("scroll", () => tops.set(current, scrollY), { passive: true });
  addEventListener("click", (it) => {
    const key = it.target.closest("a[data-key]")?.dataset.key;
    if (key) links.set(current, key);
  });
  const header = document.querySelector("header");
  // Nothing that is scrolled to, or has the focus, is to be below the header, however high that is.
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--header", `${header.offsetHeight}px`);
  }).observe(header);
}

/** Go to the place of a view that has been drawn, and give it the focus. */
export function goToPlace(main) {
  arrive();
  const key = links.get(current);
  const link = key && main.querySelector(`a[data-key="${CSS.escape(key)}"]`);
  (link || main).focus({ preventScroll: true });
  // A list that is drawn anew has not the heights that it had: not all of it is laid out yet.
  if (link) link.scrollIntoView({ block: "center" });
  else scrollTo(0, tops.get(current) ?? 0);
}
