/** How far a page is scrolled is kept in its step of the history: browsers go back to it before there is anything to scroll. */

/** Milliseconds: of rest before it is kept, and until what has not come will not. */
const REST = 100;
const PATIENCE = 5000;

let wanted;
let timer;

/** Keeps it in the present step. */
export function keepScrolling() {
  clearTimeout(timer);
  if (wanted === undefined) history.replaceState({ ...history.state, y: scrollY }, "");
}

/** Goes back to where a step was, as what is shown there comes; a step without a place is the browser's. */
function want(state) {
  wanted = state?.y;
  setTimeout(forget, PATIENCE);
}

function forget() {
  wanted = undefined;
}

/** place: what grows. */
export function followScrolling(place) {
  history.scrollRestoration = "manual";
  want(history.state);
  addEventListener("popstate", ({ state }) => want(state));
  for (const own of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(own, forget, { passive: true });
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(keepScrolling, REST);
  });
  new ResizeObserver(() => wanted === undefined || scrollTo(0, wanted)).observe(place);
}

/** The beginning of another screen. */
export function scrollToTop() {
  forget();
  scrollTo(0, 0);
}
