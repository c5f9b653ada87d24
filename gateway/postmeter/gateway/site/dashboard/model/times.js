/** Times as they are printed: relative up to a day, then dates in the zone that is looked at. */

import { formatOf, language } from "../texts.js";

const DAY = 86_400_000;
const STEPS = [
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

/** A zone as it is printed: `America/New York`. */
export const zoneName = (zone) => zone.replaceAll("_", " ");

/** Whether a browser knows the zone. */
export function isZone(zone) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The day of a moment in a zone: `2026-04-03`. */
export function dayOf(moment, zone) {
  return formatOf("DateTimeFormat", "en-CA", { timeZone: zone, dateStyle: "short" }).format(moment);
}

/** A day some days later (or earlier): `2026-04-03`. */
export function shifted(day, days) {
  const moved = new Date(`${day}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

/** Days from one to another, the first not counted. */
export function daysBetween(first, last) {
  return Math.round((Date.parse(`${last}T00:00:00Z`) - Date.parse(`${first}T00:00:00Z`)) / DAY);
}

/** An instant's parts; midnight is hour 0. */
const FIELDS = {
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  second: "numeric",
  hourCycle: "h23",
};

/** Milliseconds by which a zone's clocks are ahead of UTC at a moment. */
function ahead(moment, zone) {
  const parts = formatOf("DateTimeFormat", "en", { ...FIELDS, timeZone: zone }).formatToParts(moment);
  const { year, month, day, hour, minute, second } = Object.fromEntries(
    parts.map(({ type, value }) => [type, Number(value)]),
  );
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(moment / 1000) * 1000;
}

/** The moment some days before at which a zone's clocks show the same time, also where they were put back or forward since. */
export function earlier(moment, days, zone) {
  const near = moment - days * DAY;
  return near + ahead(moment, zone) - ahead(near, zone);
}

/** The first instant of a day of a zone, as a timestamp; where clocks are put forward at midnight that is 01:00. */
export function startOf(day, zone) {
  const utc = Date.parse(`${day}T00:00:00Z`);
  const starts = [utc - DAY, utc + DAY].map((near) => utc - ahead(near, zone));
  const inside = starts.filter((start) => dayOf(start, zone) === day);
  // A day that a zone has left out altogether has no instant of its own.
  return new Date(Math.min(...(inside.length ? inside : starts))).toISOString();
}

/** Browsers take 30 February for 2 March. */
const isOfCalendar = (text) => !Number.isNaN(Date.parse(text)) && shifted(text, 0) === text;

/** Whether a text is a day, and not an instant. */
export const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && isOfCalendar(text);

/** `12 minutes ago` up to a day, then the date and time. */
export function ago(moment, zone, now = Date.now()) {
  const passed = now - moment;
  if (passed < 0 || passed >= DAY) return exact(moment, zone);
  const format = formatOf("RelativeTimeFormat", language(), { numeric: "auto" });
  for (const [unit, size] of STEPS) if (passed >= size) return format.format(-Math.floor(passed / size), unit);
  return format.format(0, "second");
}

/** Date and time: `3 Apr 2026, 14:31`. seconds: with them. */
export function exact(moment, zone, seconds = false) {
  const style = { dateStyle: "medium", timeStyle: seconds ? "medium" : "short", timeZone: zone };
  return formatOf("DateTimeFormat", locale(), style).format(moment);
}

/** The time of the day: `14:31:07`; of another day than today also the day. */
export function clockOf(moment, zone) {
  if (dayOf(moment, zone) !== dayOf(Date.now(), zone)) return exact(moment, zone);
  return formatOf("DateTimeFormat", locale(), { timeStyle: "medium", timeZone: zone }).format(moment);
}

/** A day without its time: `3 Apr 2026`. */
export function day(moment, zone) {
  return formatOf("DateTimeFormat", locale(), { dateStyle: "medium", timeZone: zone }).format(moment);
}

/** English as it is written where days come before months and hours count to 24. */
function locale() {
  return language() === "en" ? "en-GB" : language();
}

const BUCKETS = {
  quarter_hour: { hour: "2-digit", minute: "2-digit" },
  hour: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short" },
  week: { day: "numeric", month: "short", year: "numeric" },
  date: { day: "numeric", month: "short" },
  month: { month: "short", year: "numeric" },
};

/** A bucket's name, by its first instant: `Fri 3 Apr`. */
export function bucket(start, resolution, zone) {
  return formatOf("DateTimeFormat", locale(), { ...BUCKETS[resolution], timeZone: zone }).format(new Date(start));
}

/** The same beneath a curve, where there is little room: of days the date alone, within a day the time. */
export function mark(start, resolution, zone) {
  const moment = new Date(start);
  const time = formatOf("DateTimeFormat", locale(), { ...BUCKETS.quarter_hour, timeZone: zone }).format(moment);
  if (resolution === "month") return bucket(start, resolution, zone);
  return resolution === "hour" && time !== "00:00" ? time : bucket(start, "date", zone);
}

/** A duration: `36 hours`, `4 days`; narrow: `36h`. */
export function duration(hours, unitDisplay = "long") {
  const whole = hours % 24 === 0 && hours >= 48;
  const unit = whole ? "day" : "hour";
  const format = formatOf("NumberFormat", language(), { style: "unit", unit, unitDisplay });
  return format.format(whole ? hours / 24 : hours);
}
