/** Names of the API, which the gateway writes into the page: what it counts, and by what. */

import { has, t } from "../texts.js";
import { whatOf } from "./measures.js";

const declared = (name) => document.querySelector(`meta[name=${name}]`).content.split(" ");

/** Metrics. */
export const METRICS = declared("metrics");
/** Dimensions that everything can be filtered by. */
export const FILTERS = declared("dimensions");

const wordsOf = (key, name) => (has(key) ? t(key) : name.replaceAll("_", " "));

/** A metric in words; one that a language has none for is called as the API calls it. */
export const metricName = (name) => wordsOf(`metric.${name}`, name);

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

/** A dimension in words, likewise. */
export const dimensionName = (name) => wordsOf(`dimension.${name}`, name);
