/** The health score: what takes points off, and how it was day by day. */

import { html } from "../htm/standalone.module.js";
import { count, percent, short } from "../model/numbers.js";
import { bucket, mark } from "../model/times.js";
import { t } from "../texts.js";
import { Chart } from "./chart.js";
import { Panel } from "./panel.js";
import { Table } from "./table.js";

/** What the counts of each part are of. */
const OF = { hard_bounces: "sent", complaints: "delivered", unsubscribes: "delivered", volume: "before" };

const limit = (value) => percent(value, value < 1 ? 1 : 0);

function Part({ part }) {
  const values = {
    count: count(part.count),
    of: count(part.of),
    rate: percent(part.rate, 2),
    none: limit(part.none_at),
    full: limit(part.full_at),
    weight: part.weight,
  };
  const counts = part.part === "volume" && part.rate === 0 ? "risen" : OF[part.part];
  return html`<b>${t(`deliverability.part.${part.part}`)}</b>
    <div class="soft">${t(`deliverability.part.${counts}`, values)} ${t("deliverability.part.limits", values)}</div>`;
}

function Points({ points, weight }) {
  return html`<span class=${points > 0 ? "alarm" : null}>${points > 0 ? `\u2212${short(points)}` : "0"}</span>
    <span class="soft"> ${t("deliverability.points.of", { weight })}</span>`;
}

/** The score of the report's last day with its parts. */
export function Health({ report, request }) {
  const { overall, health_parts: parts } = report;
  const title = t("deliverability.health");
  const columns = [
    { key: "part", title: t("deliverability.part"), cell: (part) => html`<${Part} part=${part} />` },
    { key: "points", title: t("deliverability.points"), numeric: true, cell: (part) => html`<${Points} ...${part} />` },
  ];
  return html`<${Panel} title=${title} note=${t("deliverability.health.what")} requests=${[request]}
      rows=${parts} name="health">
    <p class="score"><b>${overall.health_score}</b> <span class="soft">${t("deliverability.health.of")}</span></p>
    <${Table} columns=${columns} rows=${parts} caption=${title} none=${t("deliverability.health.quiet")} />
  </${Panel}>`;
}

/** The score of each day. */
export function Reputation({ report, request }) {
  const days = report.reputation_trend;
  const title = t("deliverability.reputation");
  const named = (words) => days.map(({ date }) => words(`${date}T12:00:00Z`, "day", "UTC"));
  const line = { name: t("deliverability.score"), kind: "plain", values: days.map(({ score }) => score) };
  return html`<${Panel} title=${title} note=${t("deliverability.reputation.what")} requests=${[request]}
      rows=${days} name="reputation">
    <${Chart} title=${title} names=${named(bucket)} short=${named(mark)}
      lines=${[line]} most=${100} height=${220} />
  </${Panel}>`;
}
