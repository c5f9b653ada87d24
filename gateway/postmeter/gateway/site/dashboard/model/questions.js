/** Questions of Explore: metrics by a dimension, in steps; which of them go together, and what the API calls them. */

import { t } from "../texts.js";
import { FILTERS, MEASURED, METRICS, metricName, metricWhat } from "./declared.js";
import { MEASURES, METRICS as COUNTED, whatOf } from "./measures.js";
import { query, viewed } from "./requests.js";

const INBOUND = ["received", "spam", "size_bytes"];
const BOUGHT = ["conversions", "revenue"];
/** By what; "": the whole. */
export const DIMENSIONS = ["", ...FILTERS, "link", "currency"];
/** In what steps. */
export const RESOLUTIONS = ["total", "hour", "day", "week", "month"];
/** Metrics of one question. */
export const MOST = 3;

/** Dimensions that a metric is counted by: links know clicks, money has currencies, inbound mail has a domain. */
export function dimensionsOf(metric) {
  if (INBOUND.includes(metric)) return ["", "domain"];
  if (metric === "revenue") return ["currency"];
  if (metric === "conversions") return ["", ...FILTERS, "currency"];
  return ["clicks", "machine_clicks"].includes(metric) ? ["", ...FILTERS, "link"] : ["", ...FILTERS];
}

/** The metrics of the API that are summed up for one: opens and clicks are those of whom the switch counts. */
export const partsOf = (metric, who) => (MEASURES[metric]?.split ? MEASURES[metric].parts(who) : [metric]);

/** A metric's name; of opens and clicks with whom they are counted of. */
export const nameOf = (metric, who) =>
  MEASURES[metric]?.split ? `${t(`measure.${metric}`)} ${t(`who.${who}.${metric}`)}` : metricName(metric);

/** What a metric counts; of opens and clicks also of whom. */
export const meaningOf = (metric, who) => (MEASURES[metric]?.split ? whatOf(metric, who) : metricWhat(metric));

/** The measure of the page that a metric is; null: none. */
export function measureOf(metric) {
  const name = MEASURED[metric] ?? metric;
  return Object.hasOwn(MEASURES, name) ? name : null;
}

/** The query of all that explains the numbers of one row: of one value of a dimension, or of everything. */
export const ofRow = (view, by, value) =>
  query(viewed(view, { metrics: COUNTED, filters: by ? { [by]: [value] } : {} }));

/** What metrics are parts of. */
const WHOLES = {
  delivered: "sent",
  bounced: "sent",
  hard_bounced: "sent",
  soft_bounced: "sent",
  failed: "sent",
  complained: "delivered",
  unique_opens: "delivered",
  unique_clicks: "delivered",
  unique_replies: "delivered",
  unique_unsubscribed: "delivered",
};

/** What a metric is a part of, if that is asked for beside it; else null. */
export const wholeOf = (metric, metrics) => (metrics.includes(WHOLES[metric]) ? WHOLES[metric] : null);

/** Rows of the API with what was asked for. */
export function summed(rows, metrics, who) {
  const sum = (row, metric) => partsOf(metric, who).reduce((whole, part) => whole + row[part], 0);
  return rows.map((row) => ({ ...row, ...Object.fromEntries(metrics.map((metric) => [metric, sum(row, metric)])) }));
}

/** Metrics of one kind can be asked for together. */
export const kindOf = (metric) => (INBOUND.includes(metric) ? "in" : BOUGHT.includes(metric) ? "bought" : "mail");

/** The question that an address asks, made whole: metrics of one kind, by a dimension that they have. */
export function questionOf(params) {
  const asked = params.getAll("metric").filter((name, at, all) => METRICS.includes(name) && all.indexOf(name) === at);
  const first = asked[0] ?? "opens";
  const dimensions = dimensionsOf(first);
  const by = dimensions.includes(params.get("by") ?? "") ? (params.get("by") ?? "") : dimensions[0];
  const metrics = [first, ...asked.slice(1)]
    .filter((name) => kindOf(name) === kindOf(first) && dimensionsOf(name).includes(by))
    .slice(0, MOST);
  const per = RESOLUTIONS.includes(params.get("per")) ? params.get("per") : "total";
  return { metrics, by, per };
}
