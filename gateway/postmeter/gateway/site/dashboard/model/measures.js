/**
 * What the page counts: each measure with the counts that enter it, what it is a part of, and who is behind it. Words
 * are the texts `measure.NAME`, `measure.NAME.what`.
 */

import { t } from "../texts.js";
import { rate } from "./numbers.js";

/** Whom the switch counts. Every open is a person's, an image proxy's or a machine's; clicks know no proxies. */
export const AUDIENCES = ["people", "proxies", "all"];

/** Whom an address asks for: people and proxies, as every API of Postmeter counts, unless it says otherwise. */
export function audienceOf(params) {
  const asked = params.get("who");
  return AUDIENCES.includes(asked) ? asked : "proxies";
}

const OPENS = {
  people: ["human_opens"],
  proxies: ["human_opens", "proxy_opens"],
  all: ["human_opens", "proxy_opens", "machine_opens"],
};
const CLICKS = { people: ["clicks"], proxies: ["clicks"], all: ["clicks", "machine_clicks"] };

const plain = (metric) => () => [metric];

/**
 * parts: the metrics of POST /v1/query whose sum it is, by audience. of: the metric that its rate is of. good: whether
 * more of it is (1), or less (-1). found: how POST /v1/messages/search finds its messages; null: by nothing.
 * digits: decimals of its rate, where one is too few for the limits that it is held against. split: whether people,
 * proxies and machines are told apart.
 */
export const MEASURES = {
  sent: { parts: plain("sent"), good: 0, found: null },
  delivered: { parts: plain("delivered"), of: "sent", good: 1, found: null },
  opens: { parts: (who) => OPENS[who], good: 1, found: "opened", split: "opens" },
  opened: { parts: plain("unique_opens"), of: "delivered", good: 1, found: "opened" },
  clicks: { parts: (who) => CLICKS[who], good: 1, found: "clicked", split: "clicks" },
  clicked: { parts: plain("unique_clicks"), of: "delivered", good: 1, found: "clicked" },
  replied: { parts: plain("unique_replies"), of: "delivered", good: 1, found: "replied" },
  bounced: { parts: () => ["hard_bounced", "soft_bounced"], of: "sent", good: -1, found: "bounced" },
  hard_bounced: { parts: plain("hard_bounced"), of: "sent", good: -1, found: "bounced" },
  soft_bounced: { parts: plain("soft_bounced"), of: "sent", good: -1, found: "bounced" },
  complained: { parts: plain("complained"), of: "delivered", good: -1, found: "complained", digits: 2 },
  unsubscribed: { parts: plain("unique_unsubscribed"), of: "delivered", good: -1, found: "unsubscribed" },
  failed: { parts: plain("failed"), of: "sent", good: -1, found: null },
  deferred: { parts: plain("deferred"), good: -1, found: null },
};

/** The metrics that all measures need. */
export const METRICS = [
  "sent",
  "delivered",
  "deferred",
  "hard_bounced",
  "soft_bounced",
  "failed",
  "complained",
  "unique_unsubscribed",
  "human_opens",
  "proxy_opens",
  "machine_opens",
  "unique_opens",
  "clicks",
  "machine_clicks",
  "unique_clicks",
  "unique_replies",
];

/** What a measure counts, and of whom, in words. What is told of messages may be told of one twice. */
export function whatOf(name, who = "proxies") {
  const { split, parts } = MEASURES[name];
  const audience = split === "clicks" && who === "proxies" ? "people" : who;
  const more = split ? `who.${audience}.what` : parts()[0].startsWith("unique_") ? null : "explain.told";
  return [t(`measure.${name}.what`), more && t(more)].filter(Boolean).join(" ");
}

/** The value of a measure in a row of counts. */
export function valueOf(name, counts, who) {
  return MEASURES[name].parts(who).reduce((sum, metric) => sum + (counts[metric] ?? 0), 0);
}

/** The measure's rate in a row of counts: `34.2 %`. */
export function rateOf(name, counts, who) {
  return rate(valueOf(name, counts, who), wholeOf(name, counts), MEASURES[name].digits);
}

/** The same as a number to sort by, null where there is no rate. */
export function fractionOf(name, counts, who) {
  const [value, whole] = [valueOf(name, counts, who), wholeOf(name, counts)];
  return whole && value <= whole ? value / whole : null;
}

/** What the measure's rate is of in a row of counts, or null where it has none. */
export function wholeOf(name, counts) {
  const { of } = MEASURES[name];
  return of ? (counts[of] ?? 0) : null;
}

/** Opens or clicks by who they are of: [{kind, value, counted}]. counted: by this audience. */
export function splitOf(name, counts, who) {
  const kinds =
    name === "opens"
      ? [
          ["people", "human_opens"],
          ["proxies", "proxy_opens"],
          ["machines", "machine_opens"],
        ]
      : [
          ["people", "clicks"],
          ["machines", "machine_clicks"],
        ];
  const counted = MEASURES[name].parts(who);
  return kinds.map(([kind, metric]) => ({
    kind,
    metric,
    value: counts[metric] ?? 0,
    counted: counted.includes(metric),
  }));
}

/** The sum of rows, metric by metric. */
export function total(rows) {
  const sum = Object.fromEntries(METRICS.map((metric) => [metric, 0]));
  for (const row of rows) for (const metric of METRICS) sum[metric] += row[metric] ?? 0;
  return sum;
}
