/** The hours of the week, as the heatmap's report has them. */

import { formatOf, language } from "../texts.js";
import { count, percent, percentOf } from "./numbers.js";

/** Days as the report names them, in its order. */
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONDAY = Date.UTC(2024, 0, 1);
const DAY = 86_400_000;

/**
 * Points of an hour in which mail was sent: percent that are of nothing in particular, so without their sign: `26.0`.
 * From the counts, for the report's score is rounded already.
 */
export function points({ emails_opened: opened, emails_clicked: clicked, emails_replied: replied, emails_sent: sent }) {
  return percent(percentOf(3 * opened + 4 * clicked + 3 * replied, 10 * sent)).slice(0, -2);
}

const part = (field) => (hour) => (hour[field] / hour.emails_sent) * 100;

/** What a cell can show, of an hour in which mail was sent: points, percent, or a count. */
export const SHOWN = {
  score: (hour) => hour.engagement_score,
  opened: part("emails_opened"),
  clicked: part("emails_clicked"),
  sent: (hour) => hour.emails_sent,
};

/** A value in the room of a cell: `26`, `28k`. */
export const brief = (value) => (value < 9999.5 ? count(value) : `${Math.round(value / 1000)}k`);

/** Seven days of 24 hours, each what the report has of it, or null where nothing was sent. */
export function weekOf(hours) {
  const week = DAYS.map(() => Array(24).fill(null));
  for (const hour of hours) week[DAYS.indexOf(hour.day_of_week)][hour.hour] = hour;
  return week;
}

/** Where the best hour is: [day, hour], or null. */
export const placeOf = (best) => best && [DAYS.indexOf(best.day_of_week), best.hour];

/** A day's name by its number from Monday; style: `long` or `short`. */
export function dayName(day, style = "long") {
  return formatOf("DateTimeFormat", language(), { weekday: style, timeZone: "UTC" }).format(MONDAY + day * DAY);
}

/** `16:00`; 24 is the end of the day. */
export const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;

/** All hours together. */
export function whole(hours) {
  const fields = ["emails_sent", "emails_opened", "emails_clicked", "emails_replied"];
  return Object.fromEntries(fields.map((field) => [field, hours.reduce((sum, hour) => sum + hour[field], 0)]));
}
