/** Events in words. */

import { has, t } from "../texts.js";

/** What happened: `Bounced for good (hard)`. */
export function happened({ type, bounce_type: bounce }) {
  return type === "bounced" && bounce ? t(`event.bounced.${bounce}`) : t(`event.${type}`);
}

/** Whose it was: `by a machine: not counted as an open`; null where an event has no verdict. */
export function verdictOf({ type, verdict }) {
  return verdict ? t(`event.verdict.${verdict}`, { what: t(`event.what.${type}`) }) : null;
}

/** The colour of a verdict. */
export const KINDS = { human: "people", proxy: "proxies", machine: "machines" };

/** A verdict's reason; what is behind a colon (a network's, an agent's kind) is said as it is. */
export function reasonOf(reason) {
  if (has(`verdict.${reason}`)) return t(`verdict.${reason}`);
  const [kind, name] = reason.split(":");
  return has(`verdict.${kind}`) ? t(`verdict.${kind}`, { name }) : reason;
}
