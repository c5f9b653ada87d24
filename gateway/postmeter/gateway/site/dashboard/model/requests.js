/** Requests of the public API as the screens send them; "copy as curl" shows the same. */

import { isDay, shifted, startOf } from "./times.js";

/** POST /v1/query. @param {object} body */
export const query = (body) => ({ method: "POST", path: "/v1/query", body });

/** POST /v1/messages/search. @param {object} body */
export const search = (body) => ({ method: "POST", path: "/v1/messages/search", body });

/** GET of a path. */
export const get = (path) => ({ method: "GET", path });

/** A segment of a path. */
export const segment = (text) => encodeURIComponent(text);

/** The body of a query of what is looked at; more: what else it asks for. */
export function viewed(view, more) {
  const { from, to } = view.period;
  return { ...more, filters: { ...view.filters, ...more.filters }, from, to, timezone: view.zone };
}

/** A query's window as POST /v1/messages/search takes it, which knows no zone: by instants. */
export function windowOf({ from, to, timezone = "UTC" }) {
  const start = isDay(from) ? startOf(from, timezone) : from;
  const end = to && isDay(to) ? startOf(shifted(to, 1), timezone) : to;
  return { from: start, to: end };
}

/** The same of the days before. */
export function viewedBefore(view, more) {
  const { from, to } = view.period.before;
  return { ...viewed(view, more), from, to };
}
