/**
 * The page's address is its state: screen, period, zone, whom to count, filters, what is explained. What one person
 * sees, another one sees who opens the same address.
 */

import { useEffect, useState } from "./htm/standalone.module.js";
import { FILTERS } from "./model/declared.js";
import { keepScrolling, scrollToTop } from "./scrolling.js";

/** What goes along from screen to screen. */
const SHARED = ["period", "from", "to", "zone", "who", ...FILTERS];

const changed = new EventTarget();

/** The parameters of the present address. */
export function parameters() {
  return new URLSearchParams(location.search);
}

function written(path, params) {
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

function apply(params, changes) {
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const one of [value].flat()) if (one !== null && one !== undefined) params.append(name, one);
  }
  return params;
}

/** This address with some parameters changed; null takes one away, a list gives it several values. */
export function here(changes) {
  return written(location.pathname, apply(parameters(), changes));
}

/** The address of another screen, with the period, the zone, the switch and the filters of this one. */
export function to(path, changes = {}) {
  const kept = new URLSearchParams([...parameters()].filter(([name]) => SHARED.includes(name)));
  return written(path, apply(kept, changes));
}

function push(state, address) {
  keepScrolling();
  history.pushState(state, "", address);
}

/** Goes to an address of this page. replace: without a step in the history. */
export function go(address, { replace = false } = {}) {
  if (replace) history.replaceState(history.state, "", address);
  else push(null, address);
  changed.dispatchEvent(new Event("change"));
}

/** Opens something over what is looked at, as a step of the history. */
export function unfold(changes) {
  push({ unfolded: true }, here(changes));
  changed.dispatchEvent(new Event("change"));
}

/** Takes it away again by the way back, so that no step is left that changes nothing; whoever came by its address stays. */
export function fold(changes) {
  if (history.state?.unfolded) history.back();
  else go(here(changes), { replace: true });
}

/** The present address, for a component that is to follow it: `[path, parameters]`. */
export function useAddress() {
  const [, render] = useState(0);
  useEffect(() => {
    const again = () => render((n) => n + 1);
    changed.addEventListener("change", again);
    addEventListener("popstate", again);
    return () => {
      changed.removeEventListener("change", again);
      removeEventListener("popstate", again);
    };
  }, []);
  return [location.pathname, parameters()];
}

/** Lets links to screens change the address without loading the page anew. */
export function followLinks() {
  let followed;
  new MutationObserver(() => {
    if (followed?.isConnected !== false) return;
    // What leads to where it is no more cannot keep the focus.
    followed = null;
    if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.origin !== location.origin) return;
    if (link.target || link.hasAttribute("download") || link.dataset.leave !== undefined) return;
    const elsewhere = link.pathname !== location.pathname;
    event.preventDefault();
    followed = link;
    go(link.pathname + link.search);
    if (elsewhere) scrollToTop();
  });
}
