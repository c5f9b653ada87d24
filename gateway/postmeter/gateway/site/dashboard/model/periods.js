/** Periods: which days are looked at, by which buckets, and which days before they are held against. */

import { dayOf, daysBetween, earlier, isDay, shifted, startOf } from "./times.js";

/** Periods that end now, with their days; today is one of them. */
export const PERIODS = { today: 1, "7d": 7, "30d": 30, "90d": 90, "12m": 365 };
const USUAL = "30d";
const WEEK = 7;
/** No mail is older, and days before it still have years of four digits. */
const EARLIEST = "1970-01-01";
/** Days; a query takes ten years. */
export const MOST = 3650;

/** When the period that is looked at begins, in milliseconds since 1970. */
export const beginOf = ({ period, zone }) => Date.parse(startOf(period.first, zone));

/** Buckets that are few enough for a curve and fine enough for its days. */
function resolutionOf(days) {
  if (days <= 2) return "hour";
  if (days <= 92) return "day";
  return days <= 732 ? "week" : "month";
}

/**
 * The period that an address asks for. `from` and `to` are as POST /v1/query takes them: days of the zone, or an
 * instant. The days before are as many, whole weeks earlier, for mail has its weekdays; where the period ends now they end
 * at the same time of the day.
 * @returns {{name: string, first: string, last: string, from: string, to: string | undefined, days: number,
 *   resolution: string, endsNow: boolean, before: {from: string, to: string, first: string, last: string}}}
 */
export function periodOf(params, zone, now = Date.now()) {
  const today = dayOf(now, zone);
  let name = params.get("period") ?? USUAL;
  let first = params.get("from");
  let last = params.get("to");
  const areDays = isDay(first ?? "") && isDay(last ?? "") && EARLIEST <= first;
  if (areDays && first <= last && first <= today && daysBetween(first, last) < MOST) {
    name = "custom";
    if (last > today) last = today;
  } else {
    if (!Object.hasOwn(PERIODS, name)) name = USUAL;
    last = today;
    first = shifted(today, 1 - PERIODS[name]);
  }
  const days = daysBetween(first, last) + 1;
  const endsNow = last >= today;
  const minute = Math.floor(now / 60_000) * 60_000;
  const back = Math.ceil(days / WEEK) * WEEK;
  const past = { first: shifted(first, -back), last: shifted(last, -back) };
  const to = endsNow ? new Date(earlier(minute, back, zone)).toISOString() : past.last;
  const before = { ...past, from: past.first, to };
  return {
    name,
    first,
    last,
    from: first,
    to: endsNow ? undefined : last,
    days,
    resolution: resolutionOf(days),
    endsNow,
    before,
  };
}
