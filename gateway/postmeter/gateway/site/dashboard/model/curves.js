/** Rows of a query as the lines of a chart. */

import { here } from "../address.js";
import { valueOf } from "./measures.js";
import { MOST, beginOf } from "./periods.js";
import { bucket, dayOf, daysBetween, mark, shifted } from "./times.js";
import { t } from "../texts.js";

/** Whom each line counts: each audience holds the ones before it, so that the lines lie above each other. */
const LINES = {
  opens: [
    ["people", "people"],
    ["proxies", "proxies"],
    ["all", "machines"],
  ],
  clicks: [
    ["people", "people"],
    ["all", "machines"],
  ],
};

/** What hour of which day a bucket is, by the clocks of a zone. */
const hourOf = ({ timestamp }, first, zone) =>
  daysBetween(first, dayOf(new Date(timestamp), zone)) + bucket(timestamp, "quarter_hour", zone);

/** Rows of the days before, each beside its row: hours by the clock, for a day may have 23 or 25. Undefined: there is none. */
export function alongside(rows, before, { period, zone }) {
  if (period.resolution !== "hour") return before;
  const past = new Map();
  const both = (one, other) => Object.fromEntries(Object.entries(one).map(([name, n]) => [name, name === "timestamp" ? n : n + other[name]]));
  for (const row of before) {
    const hour = hourOf(row, period.before.first, zone);
    const same = past.get(hour);
    // Of an hour that the clocks showed twice all stands beside that which they showed once.
    past.set(hour, same ? both(same, row) : row);
  }
  return rows.map((row) => past.get(hourOf(row, period.first, zone)));
}

/** Lines of a measure over its buckets, and of the days before. Opens and clicks have a line for each audience. */
export function linesOf(measure, rows, before, who) {
  const audiences = ["people", "proxies", "all"];
  const split = (LINES[measure] ?? []).filter(([audience]) => audiences.indexOf(audience) <= audiences.indexOf(who));
  const of = (list, audience) => list.map((row) => (row ? valueOf(measure, row, audience) : null));
  const lines = split.length
    ? split.map(([audience, kind]) => ({ name: t(`line.${audience}`), kind, values: of(rows, audience) }))
    : [{ name: t("line.now"), kind: "plain", values: of(rows, who) }];
  return before ? [...lines, { name: t("line.before"), kind: "before", values: of(before, who) }] : lines;
}

/** Names of buckets. */
export function namesOf(rows, view) {
  return rows.map(({ timestamp }) => bucket(timestamp, view.period.resolution, view.zone));
}

/** The same for the axis. */
export function marksOf(rows, view) {
  return rows.map(({ timestamp }) => mark(timestamp, view.period.resolution, view.zone));
}

/** Whether the first bucket began before the period, so that it holds a part of a week or month. */
export const isCut = ([first], view) =>
  Boolean(first) && Date.parse(first.timestamp) < beginOf(view);

/** The address at which the buckets from one to another are the period that is looked at; a day is the least. */
export function zoomed(rows, view) {
  const { period, zone } = view;
  if (period.days === 1) return undefined;
  return (first, last) => {
    const begin = dayOf(new Date(rows[first].timestamp), zone);
    const next = rows[last + 1];
    const to = next ? dayOf(Date.parse(next.timestamp) - 1, zone) : period.last;
    return here({ period: null, from: begin > period.first ? begin : period.first, to });
  };
}

/** The address at which the period is twice as long, as far as today and as a query takes it. */
export function widened(view) {
  const { first, last, days } = view.period;
  const half = Math.ceil(days / 2);
  const [today, later] = [dayOf(Date.now(), view.zone), shifted(last, half)];
  const to = later < today ? later : today;
  const [from, earliest] = [shifted(first, -half), shifted(to, 1 - MOST)];
  return here({ period: null, from: from > earliest ? from : earliest, to });
}
