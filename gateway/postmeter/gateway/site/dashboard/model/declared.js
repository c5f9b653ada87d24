/** Names of the API, which the gateway writes into the page: what it counts, and by what. */

import { has, t, wordsOf } from "../texts.js";
import { mailboxName } from "./mailboxes.js";
import { whatOf } from "./measures.js";

const declared = (name) => document.querySelector(`meta[name=${name}]`).content.split(" ");

/** Metrics. */
export const METRICS = declared("metrics");
/** Dimensions that everything can be filtered by. */
export const FILTERS = declared("dimensions");

/** A metric in words. */
export const metricName = (name) => wordsOf(has(`metric.${name}`) ? "metric" : "measure", name);

/** Metrics that are what one of the page's measures counts, by its name. */
export const MEASURED = {
  unique_opens: "opened",
  unique_clicks: "clicked",
  unique_replies: "replied",
  unique_unsubscribed: "unsubscribed",
};

/** What a metric counts. */
export function metricWhat(name) {
  return has(`metric.${name}.what`) ? t(`metric.${name}.what`) : whatOf(MEASURED[name] ?? name);
}

/** A dimension in words. */
export const dimensionName = (name) => wordsOf("dimension", name);

/** A value of a dimension in words. named: gives a campaign's name. */
export function valueName(dimension, value, named) {
  if (dimension === "mailbox_provider") return mailboxName(value);
  return (dimension === "campaign" ? named(value) : value) || t("value.none");
}
