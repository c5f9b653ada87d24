/** The hours of the week, as the heatmap's report has them. */

import { language } from "../texts.js";
import { count, percent, rate } from "./numbers.js";

/** Days as the report names them, in its order. */
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONDAY = Date.UTC(2024, 0, 1);
const DAY = 86_400_000;

/** Points are percent that are of nothing in particular, so without their sign. */
const points = (value) => percent(value).slice(0, -2);

/** What a cell can show. value: a count, percent or points. words: as it is printed. */
export const SHOWN = {
  score: { value: (hour) => hour.engagement_score, words: (hour) => points(hour.engagement_score) },
  opened: { value: (hour) => (hour.emails_opened / hour.emails_sent) * 100, words: (hour) => rate(hour.emails_opened, hour.emails_sent) },
  clicked: { value: (hour) => (hour.emails_clicked / hour.emails_sent) * 100, words: (hour) => rate(hour.emails_clicked, hour.emails_sent) },
  sent: { value: (hour) => hour.emails_sent, words: (hour) => count(hour.emails_sent) },
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
  return new Intl.DateTimeFormat(language(), { weekday: style, timeZone: "UTC" }).format(MONDAY + day * DAY);
}

/** `16:00`; 24 is the end of the day. */
export const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;

/** All hours together. */
export function whole(hours) {
  const sum = (field) => hours.reduce((all, hour) => all + hour[field], 0);
  return { emails_sent: sum("emails_sent"), emails_opened: sum("emails_opened"), emails_clicked: sum("emails_clicked"), emails_replied: sum("emails_replied") };
}
