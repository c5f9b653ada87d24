/** Complaints against the lines that mailbox providers draw: 0.1 % to stay under, 0.3 % never to reach. */

import { saysLittle } from "./attention.js";
import { percentOf, rate } from "./numbers.js";
import { query, viewed } from "./requests.js";
import { shifted } from "./times.js";

/** In percent of what was delivered. */
export const LINES = [0.1, 0.3];
/** Days of a point of the trend: single days have so little mail that a complaint more is a peak. */
const TRAIL = 7;
/** Days beyond which points are weeks of their own. */
const MOST_DAYS = 92;

/** Complaints in percent of what was delivered, with three decimals; null where nothing was. */
export const share = ({ complained, delivered }) => percentOf(complained, delivered, 3);

/** Mailbox providers that report no complaint of a message to anybody who sends. */
const SILENT = ["gmail", "google_workspace", "icloud"];

/** What is to be said of a row: which line is reached, `none` of who reports nothing, `little` where a rate says little. */
export function said(row) {
  if (SILENT.includes(row.mailbox_provider) && !row.complained) return "none";
  return saysLittle(row) ? "little" : level(row);
}

/** Which line is reached: `under`, `over` the first one, `far` over the second; exact counts decide. */
export function level({ complained, delivered }) {
  const [first, second] = LINES.map((line) => complained * 1000 >= Math.round(line * 10) * delivered && complained > 0);
  return second ? "far" : first ? "over" : "under";
}

/** Complaints as they are printed: `0.15 %`. */
export const printed = ({ complained, delivered }) => rate(complained, delivered, 2);

/** Whether the trend's points are days, each with the six days before it. */
export const trails = (view) => view.period.days <= MOST_DAYS;

/** The request of the trend: from six days before the period, where its points trail. */
export function trendRequest(view) {
  const metrics = ["complained", "delivered"];
  if (!trails(view)) return query(viewed(view, { metrics, resolution: view.period.resolution }));
  return query({ ...viewed(view, { metrics, resolution: "day" }), from: shifted(view.period.first, 1 - TRAIL) });
}

/** Rows of the trend's request as its points: {timestamp, complained, delivered}. */
export function trend(rows, view) {
  if (!trails(view)) return rows;
  return rows.slice(TRAIL - 1).map((row, at) => {
    const days = rows.slice(at, at + TRAIL);
    const sum = (metric) => days.reduce((all, one) => all + one[metric], 0);
    return { timestamp: row.timestamp, complained: sum("complained"), delivered: sum("delivered") };
  });
}
