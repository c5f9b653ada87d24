/** Rows of a query as the lines of a chart. */

import { go, here } from "../address.js";
import { valueOf } from "./measures.js";
import { bucket, dayOf, mark, shifted, startOf } from "./times.js";
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

/** Lines of a measure over its buckets, and of the days before. Opens and clicks have a line for each audience. */
export function linesOf(measure, rows, before, who) {
  const audiences = ["people", "proxies", "all"];
  const split = (LINES[measure] ?? []).filter(([audience]) => audiences.indexOf(audience) <= audiences.indexOf(who));
  const of = (list, audience) => list.map((row) => valueOf(measure, row, audience));
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

const DAYS_OF = { week: 6, month: 27 };

/** Whether the first bucket began before the period, so that it holds a part of a week or month. */
export const isCut = ([first], { period, zone }) =>
  Boolean(first) && Date.parse(first.timestamp) < Date.parse(startOf(period.first, zone));

/** Makes the buckets from one to another the period that is looked at; a day is the least. */
export function zoomed(rows, view) {
  if (view.period.days === 1) return undefined;
  return (first, last) => {
    const from = dayOf(new Date(rows[first].timestamp), view.zone);
    const to = shifted(dayOf(new Date(rows[last].timestamp), view.zone), DAYS_OF[view.period.resolution] ?? 0);
    go(here({ period: null, from, to: to < view.period.last ? to : view.period.last }));
  };
}

/** Makes the period twice as long, as far as today. */
export function widened(view) {
  const { first, last, days } = view.period;
  const today = dayOf(Date.now(), view.zone);
  const to = shifted(last, Math.ceil(days / 2));
  return () => go(here({ period: null, from: shifted(first, -Math.ceil(days / 2)), to: to < today ? to : today }));
}
