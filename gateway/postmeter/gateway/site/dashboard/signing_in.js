/** On the way to the sign-in, and back from it to where somebody was. */

import { go, here, parameters } from "./address.js";
import { ask } from "./api.js";

const PLACE = "postmeter-next";

/** An address of this page, whatever was written into `next`; a path of two slashes would be another host's. */
export function addressAfterSignIn() {
  const next = parameters().get("next") ?? "/";
  const found = URL.canParse(next, location.origin) ? new URL(next, location.origin) : null;
  return found?.origin === location.origin ? found.pathname.replace(/^\/+/, "/") + found.search : "/";
}

let isLeaving = false;

/** Leaves for the sign-in, from which one comes back to what is looked at now; once, however many answers are a 401. */
export function leave() {
  if (isLeaving || location.pathname === "/login") return;
  isLeaving = true;
  location.replace(`/login?next=${encodeURIComponent(here({}))}`);
}

/** Leaves for the sign-in of whoever has ended the own session: unless an answer that was a 401 was faster. */
export function leaveSignedOut() {
  if (isLeaving) return;
  isLeaving = true;
  location.assign("/login");
}

/** Ends the session, and leaves for the sign-in; a 401 to what is asked meanwhile is no second reason to leave. */
export async function signOut() {
  if (isLeaving) return;
  isLeaving = true;
  await ask({ method: "DELETE", path: "/session" }).catch(() => null);
  location.assign("/login");
}

/** Keeps where somebody wants to go while another site signs them in, which brings them back to `/`. */
export function keepAddress() {
  try {
    sessionStorage.setItem(PLACE, addressAfterSignIn());
  } catch {
    // A browser that keeps nothing: they begin at the overview.
  }
}

/** Goes to where somebody wanted to go before another site signed them in. */
export function resume() {
  if (location.pathname !== "/" || location.search) return;
  try {
    const kept = sessionStorage.getItem(PLACE);
    sessionStorage.removeItem(PLACE);
    if (kept) go(kept, { replace: true });
  } catch {
    // As above.
  }
}
